package sighting

import (
	"cmp"
	"slices"
	"time"
)

// Counted is what a counter counts.
type Counted string

// What there is to count.
const (
	Events       Counted = "events"
	Users        Counted = "users" // different ones; a name that is no user's counts as a user of its own
	Environments Counted = "environments"
	Networks     Counted = "networks"
)

// Counteds returns the names of all that can be counted.
func Counteds() []string {
	return []string{string(Events), string(Users), string(Environments), string(Networks)}
}

// Types are some of the types.
type Types uint32

// TypesOf returns the types as one.
func TypesOf(all ...Type) Types {
	var some Types
	for _, t := range all {
		some |= 1 << t
	}
	return some
}

// Has reports whether a type is among them.
func (s Types) Has(t Type) bool { return s&(1<<t) != 0 }

// Counter says what to count in a set.
type Counter struct {
	Count      Counted
	Of         Types
	Window     time.Duration
	Credential uint32  // only what was done with this passkey; 0 = with whichever
	By         Version // only what this version of the key has named
}

// Set is the members of one set as they count: the newest Cap, each event once, without what was taken back. It is not changed after it was
// made.
type Set struct{ live []Sighting } // newest first

// NewSet makes a set of members, in whatever order and however often they came. Of one event that is there twice the older counts. The
// argument may be put in another order.
func NewSet(members []Sighting) Set {
	if !slices.IsSortedFunc(members, NewestFirst) { // as Redis has them, they are
		slices.SortFunc(members, NewestFirst)
	}
	members = slices.Compact(members)
	members = members[:min(len(members), Cap)]
	live := make([]Sighting, 0, len(members))
	for i := range members {
		if !members[i].TakenBack && !outweighed(members, i) {
			live = append(live, members[i])
		}
	}
	return Set{live}
}

// outweighed reports whether a member says nothing beside the others: its event was taken back, or is there with an earlier time.
func outweighed(members []Sighting, at int) bool {
	for i := range members {
		if members[i].Event == members[at].Event && (i > at || members[i].TakenBack) && i != at {
			return true
		}
	}
	return false
}

// NewestFirst is the order in which Redis has members, backwards.
func NewestFirst(a, b Sighting) int {
	if a.Ms != b.Ms { // mostly, and so without the rest
		return cmp.Compare(b.Ms, a.Ms)
	}
	return cmp.Or(
		cmp.Compare(b.Type, a.Type), cmp.Compare(flags(b), flags(a)), cmp.Compare(b.Event, a.Event), cmp.Compare(b.User, a.User),
		cmp.Compare(b.Environment, a.Environment), cmp.Compare(b.Network, a.Network), cmp.Compare(b.Credential, a.Credential),
	)
}

// Members returns a copy of the members that count.
func (s Set) Members() []Sighting { return slices.Clone(s.live) }

// Len returns how many members count.
func (s Set) Len() int { return len(s.live) }

// Count returns how much of what a counter counts happened in its window, which ends now. What happened exactly a window ago no longer
// counts, and what a clock that is ahead says is to come counts as happening now.
func (s Set) Count(c Counter, now time.Time) int {
	since, key := now.Add(-c.Window).UnixMilli(), c.By.mark()
	var room [Cap]uint64
	seen := room[:0]
	for i := range s.live {
		m := &s.live[i]
		if m.Ms <= since {
			break
		}
		if !c.Of.Has(m.Type) || m.Key != key || (c.Credential != 0 && m.Credential != c.Credential) {
			continue
		}
		what := m.what(c.Count)
		if what != 0 && !slices.Contains(seen, what) {
			seen = append(seen, what)
		}
	}
	return len(seen)
}

// what returns what a counter tells sightings apart by; 0 = the sighting has nothing of it.
func (s *Sighting) what(c Counted) uint64 {
	switch c {
	case Users:
		return s.User
	case Environments:
		return uint64(s.Environment)
	case Networks:
		return uint64(s.Network)
	default:
		return s.Event
	}
}
