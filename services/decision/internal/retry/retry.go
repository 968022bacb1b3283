// Package retry says when something is tried again that did not get through: after waits that double. It touches a timer.
package retry

import (
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Plan is when the next try is, if there is to be one. One goroutine uses it. Stop it.
type Plan struct {
	C     <-chan time.Time // that it is time
	waits *backoff.ExponentialBackOff
	timer *time.Timer
}

// New returns a plan of no try. The first wait is the shortest, and none is longer than the longest.
func New(shortest, longest time.Duration) *Plan {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval, waits.Multiplier, waits.RandomizationFactor = shortest, longest, 2, 0
	timer := time.NewTimer(shortest)
	timer.Stop()
	return &Plan{C: timer.C, waits: waits, timer: timer}
}

// Reset begins with the shortest wait again.
func (p *Plan) Reset() { p.waits.Reset() }

// Next plans another try if one is wanted, and otherwise none.
func (p *Plan) Next(wanted bool) {
	if !wanted {
		p.timer.Stop()
		return
	}
	p.timer.Reset(p.waits.NextBackOff())
}

// Stop ends the plan.
func (p *Plan) Stop() { p.timer.Stop() }
