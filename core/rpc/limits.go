package rpc

import (
	"errors"
	"time"
)

// Limits say how long a client waits, when it asks again, and when an instance gets no more calls.
type Limits struct {
	Timeout    time.Duration // of one call, with all that is asked again
	HedgeAfter time.Duration // when a call that may be asked again is, of another instance; 0 = never
	Asks       int           // how often one such call is asked at most
	Silence    time.Duration // how long an instance may leave its pings unanswered
	Losses     int           // how many calls in a row an instance may leave to another that was asked later
	// How long an instance gets no calls that let one run out of time or left too many, while there is one that answers
	Shunned time.Duration
}

// Within returns the limits that fit services beside each other on one network, with a timeout. Nine of ten calls take a tenth of the
// time after which one is asked again, so that this adds little work, and a person does not notice it. An instance is silent after four
// pings, more than a busy machine is late. Five in a row are no chance, and five asks find one that answers though the bus, while
// no instance is known by its pings, hands several to one that hangs. An instance that was busy for a moment is back soon.
func Within(timeout time.Duration) Limits {
	return Limits{
		Timeout: timeout, HedgeAfter: 100 * time.Millisecond, Asks: 5,
		Silence: time.Second, Losses: 5, Shunned: 5 * time.Second,
	}
}

// minSilence is the shortest that a ping can be told from a machine that has much to do.
const minSilence = 100 * time.Millisecond

// Validate reports every limit that cannot be, by the name of its setting.
func (l Limits) Validate() error {
	var errs []error
	check := func(holds bool, fault string) {
		if !holds {
			errs = append(errs, errors.New(fault))
		}
	}
	check(l.Timeout > 0, "call_timeout: must be above 0")
	check(l.HedgeAfter >= 0 && l.HedgeAfter < max(l.Timeout, 1), "call_hedge_after: must be less than call_timeout, or 0s for never")
	check(l.Asks >= 1 && l.Asks <= 10, "call_asks: must be between 1 and 10")
	check(l.Silence >= minSilence, "call_silence: must be at least 100ms")
	check(l.Losses >= 1, "call_losses: must be at least 1")
	check(l.Shunned >= 0, "call_shunned: must not be below 0")
	return errors.Join(errs...)
}

// slower is how much later each further ask comes than the one before it, so that a service that is slow as a whole is not asked ever
// more by those who wait for it.
const slower = 4

// pings are how many an instance leaves unanswered until it is silent.
const pings = 4
