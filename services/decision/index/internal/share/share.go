// Package share chooses which decisions are indexed when there are more in a second than may be. It is pure: what it chooses follows from
// the stream alone, so that all instances choose the same.
//
// Of a second at most twice the rate is taken. What matters comes first: decisions that were doubted, or that the policy could not make, of
// the rest those about users, then those about nobody. What share of a group is taken follows from how many there were in the second
// before, and which ones from their IDs.
package share

import "hash/fnv"

// Group says how much a decision matters; the lowest matters most.
type Group int

// The groups.
const (
	Doubted Group = iota // the rules of risk said more than allow, or the policy failed
	OfUser
	OfNobody
	Groups int = iota
)

// Chooser chooses. The zero value takes all; its fields are its whole state.
type Chooser struct {
	Rate   int         `json:"-"` // decisions of a second; 0 = all
	Second int64       `json:"second"`
	Seen   [Groups]int `json:"seen"`   // in this second
	Before [Groups]int `json:"before"` // in the one before
	Taken  int         `json:"taken"`  // in this second
}

const twice = 2

// Choose reports whether a decision is indexed. at is when it was stored, in Unix seconds.
func (c *Chooser) Choose(at int64, group Group, id string) bool {
	if c.Rate == 0 {
		return true
	}
	if at > c.Second {
		c.Before = [Groups]int{}
		if at == c.Second+1 {
			c.Before = c.Seen
		}
		c.Second, c.Seen, c.Taken = at, [Groups]int{}, 0
	}
	c.Seen[group]++
	left := c.Rate
	for g := range group {
		left -= c.Before[g]
	}
	there := c.Before[group]
	if c.Taken >= twice*c.Rate || there > max(left, 0) && !within(id, max(left, 0), there) {
		return false
	}
	c.Taken++
	return true
}

// within takes some of every many, by their IDs.
func within(id string, some, many int) bool {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	return mixed(h.Sum64())%uint64(many) < uint64(some)
}

// mixed spreads a hash, whose low bits follow from those of the text.
func mixed(x uint64) uint64 {
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	return x ^ x>>33
}
