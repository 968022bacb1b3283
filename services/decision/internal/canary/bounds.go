package canary

import (
	"fmt"
	"math"
	"time"
)

// Bounds are what the side that is tried may do worse. Where users' luck decides, a bound is passed only once it would be by chance alone
// in fewer than one of so many canaries as Confidence says, however often it was looked.
type Bounds struct {
	Errors      int     `json:"errors"`      // decisions at which the policy fails
	DefaultDeny float64 `json:"defaultDeny"` // by how much more of all decisions are answered by default
	Allow       float64 `json:"allow"`       // by how much more, or less, of the logins and creations that are asked for are offered
	Completed   float64 `json:"completed"`   // by how much less of the logins that are offered are completed
	P99Factor   float64 `json:"p99Factor"`   // how many times as long evaluations may take, at the 99th percentile
	P99FloorMs  float64 `json:"p99FloorMs"`  // what they may take in any case

	SettleSeconds    int     `json:"settleSeconds"`    // how long a login has until it counts as not completed
	Confidence       float64 `json:"confidence"`       // that no bound is passed by chance
	LeastEvaluations int     `json:"leastEvaluations"` // of either side, before their times are compared
}

// DefaultBounds are those that nothing else is said of. An error of the policy is a mistake in it, and what is live answers in its place,
// so that the first is enough. A revision that is to offer more or less is tried with a wider bound of Allow. Most logins that succeed do
// so in half a minute.
func DefaultBounds() Bounds {
	return Bounds{
		Errors: 0, DefaultDeny: 0.01, Allow: 0.1, Completed: 0.02, P99Factor: 3, P99FloorMs: 5,
		SettleSeconds: 60, Confidence: 0.99, LeastEvaluations: 1000,
	}
}

// Settle is how long a login has.
func (b *Bounds) Settle() time.Duration { return time.Duration(b.SettleSeconds) * time.Second }

// Passed says which bound the side that is tried has passed, and by what; empty = none.
func (b *Bounds) Passed(base, tried Counts) string {
	if tried.Errors > b.Errors {
		return fmt.Sprintf("policy errors: %d, more than %d", tried.Errors, b.Errors)
	}
	if passed := b.slower(base, tried); passed != "" {
		return passed
	}
	for _, compared := range []struct {
		name        string
		base, tried share
		up, down    float64 // how much more, and less, there may be
	}{
		{"default-deny", share{base.Denied, base.Decisions}, share{tried.Denied, tried.Decisions}, b.DefaultDeny, 1},
		{"allowed", share{base.Allowed, base.Asked}, share{tried.Allowed, tried.Asked}, b.Allow, b.Allow},
		{"completed", share{base.Completed, base.Offered}, share{tried.Completed, tried.Offered}, 1, b.Completed},
	} {
		low, high := difference(compared.base, compared.tried, b.alpha())
		if low > compared.up || high < -compared.down {
			return fmt.Sprintf("%s: %s of the canary, %s of what is live", compared.name, compared.tried, compared.base)
		}
	}
	return ""
}

// alpha is what each of the three comparisons, two of which look one way, may be wrong by.
func (b *Bounds) alpha() float64 {
	const comparisons = 3
	return (1 - b.Confidence) / comparisons
}

func (b *Bounds) slower(base, tried Counts) string {
	if min(base.Evaluations(), tried.Evaluations()) < max(b.LeastEvaluations, 1) {
		return ""
	}
	const p = 0.99
	was, is := base.Quantile(p), tried.Quantile(p)
	most := max(time.Duration(b.P99Factor*float64(was)), time.Duration(b.P99FloorMs*float64(time.Millisecond)))
	if is <= most {
		return ""
	}
	return fmt.Sprintf("p99 of evaluation: %s, more than %s where what is live takes %s", is, most, was)
}

// share is so many of all.
type share struct{ of, all int }

func (s share) String() string {
	const hundred = 100
	return fmt.Sprintf("%.1f %% of %d", hundred*float64(s.of)/float64(max(s.all, 1)), s.all)
}

// fewest is how many of either side there are before shares are compared: fewer follow no law that could be tested.
const fewest = 100

// expected is the difference for which the interval is narrowest.
const expected = 0.05

// difference returns an interval that the difference of two shares is in, tried less base. It holds at all moments at once, but with
// probability alpha: that is what a mixture of sequential probability ratio tests gives (Robbins 1970; Johari, Koomen, Pekelis and Walsh
// 2022), with as much variance as the shares have if one more had come out either way.
func difference(base, tried share, alpha float64) (low, high float64) {
	if base.all < fewest || tried.all < fewest {
		return -1, 1
	}
	p, v := base.smoothed()
	q, w := tried.smoothed()
	const spread = expected * expected
	variance := v + w
	radius := math.Sqrt(variance * (variance + spread) / spread * math.Log((variance+spread)/(variance*alpha*alpha)))
	return q - p - radius, q - p + radius
}

// smoothed returns the share and its variance.
func (s share) smoothed() (p, variance float64) {
	const more = 2
	n := float64(s.all + more)
	p = float64(s.of+1) / n
	return p, p * (1 - p) / n
}
