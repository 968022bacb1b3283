package canary

import (
	"math"
	"sync"
	"time"
)

// Counts is what has become of one side.
type Counts struct {
	Decisions int `json:"decisions"` // of starts, ends and evaluations
	Allowed   int `json:"allowed"`   // of logins and creations
	Asked     int `json:"asked"`     // logins and creations
	Errors    int `json:"errors"`    // that the policy failed
	Denied    int `json:"denied"`    // answered by the safe default, or by the policy's own default
	// Of logins that were offered long enough ago
	Offered   int `json:"offered"`
	Completed int `json:"completed"`

	Took []int `json:"took,omitempty"` // evaluations, by how long they took: see Quantile
}

// Add adds what another instance has counted.
func (c *Counts) Add(other Counts) {
	c.Decisions += other.Decisions
	c.Allowed += other.Allowed
	c.Asked += other.Asked
	c.Errors += other.Errors
	c.Denied += other.Denied
	c.Offered += other.Offered
	c.Completed += other.Completed
	for i, n := range other.Took {
		c.grow(i)
		c.Took[i] += n
	}
}

func (c *Counts) grow(i int) {
	for len(c.Took) <= i {
		c.Took = append(c.Took, 0)
	}
}

// A step of how long evaluations took is a fifth; the first ends at a microsecond.
const (
	step  = 1.2
	steps = 96 // up to 40 s
)

// Evaluations returns how many were measured.
func (c *Counts) Evaluations() int {
	all := 0
	for _, n := range c.Took {
		all += n
	}
	return all
}

// Quantile returns the time within which a share of the evaluations ended, to a fifth; 0 if there were none.
func (c *Counts) Quantile(share float64) time.Duration {
	all := c.Evaluations()
	if all == 0 {
		return 0
	}
	left := int(math.Ceil(share * float64(all)))
	for i, n := range c.Took {
		if left -= n; left <= 0 {
			return time.Duration(math.Pow(step, float64(i)) * float64(time.Microsecond))
		}
	}
	return 0
}

func stepOf(took time.Duration) int {
	if took <= time.Microsecond {
		return 0
	}
	return min(int(math.Ceil(math.Log(float64(took)/float64(time.Microsecond))/math.Log(step))), steps-1)
}

// Tally counts on one instance what becomes of one side. It is safe for concurrent use.
type Tally struct {
	settle time.Duration
	mu     sync.Mutex
	counts Counts
	open   []opening // logins that were offered of late, by second, the oldest first
}

// opening is the logins that were offered in a second.
type opening struct {
	second             int64
	offered, completed int
}

// NewTally counts logins once their offer is so old.
func NewTally(settle time.Duration) *Tally { return &Tally{settle: settle} }

// Outcome is how a decision came out.
type Outcome struct {
	Asked   bool // it was a login or a creation
	Login   bool // it was a login
	Allowed bool
	Failed  bool // the policy did, so that something else has answered
	Denied  bool // by default
	Took    time.Duration
}

// Decided counts a decision.
func (t *Tally) Decided(at time.Time, o Outcome) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := &t.counts
	c.Decisions++
	if o.Failed {
		c.Errors++
	}
	if o.Denied {
		c.Denied++
	}
	if o.Asked {
		c.Asked++
		if o.Allowed {
			c.Allowed++
		}
	}
	i := stepOf(o.Took)
	c.grow(i)
	c.Took[i]++
	if o.Login && o.Allowed {
		t.opening(at.Unix()).offered++
	}
}

// Completed counts the end of a login that was offered at a moment. One that comes too late counts no more.
func (t *Tally) Completed(offered, now time.Time) {
	if now.Sub(offered) >= t.settle {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.opening(offered.Unix()).completed++
}

// opening returns that of a second. Clocks of instances may differ: one that is in order is found from the end.
func (t *Tally) opening(second int64) *opening {
	at := len(t.open)
	for at > 0 && t.open[at-1].second > second {
		at--
	}
	if at > 0 && t.open[at-1].second == second {
		return &t.open[at-1]
	}
	t.open = append(t.open, opening{})
	copy(t.open[at+1:], t.open[at:])
	t.open[at] = opening{second: second}
	return &t.open[at]
}

// Counts returns what was counted until now.
func (t *Tally) Counts(now time.Time) Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	settled := now.Add(-t.settle).Unix()
	for len(t.open) > 0 && t.open[0].second < settled {
		t.counts.Offered += t.open[0].offered
		t.counts.Completed += t.open[0].completed
		t.open = t.open[1:]
	}
	var copied Counts
	copied.Add(t.counts)
	return copied
}
