// Package patience says how long a call waits for a store that changes its leader. That takes seconds when a server was killed. What was
// sent to the leader that is gone is answered by nobody, and there is nobody to send to until there is another.
//
// What reads asks again, so that it has its answer as soon as somebody can give it: see Ask. What can be answered without the store does
// not wait for it to the end of its caller's time, and only for a moment once others have waited in vain: see Patience.
//
// It touches nothing but what it is given.
package patience

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/deadline"
	"github.com/keyward/keyward/core/fault"
)

const (
	// How long an answer is waited for until it is asked again: many times what a leader takes, and twice as long each time, for one that is
	// slow.
	firstAsk = 250 * time.Millisecond
	// How often somebody is looked for who could be asked: a change of leaders that is planned takes a moment, one after a crash seconds.
	pause = 100 * time.Millisecond
)

// systemUnavailable is JetStream's error while a server does not know who leads.
const systemUnavailable jetstream.ErrorCode = 10008

// Ask asks until there is an answer or ctx ends; without a deadline once. It is for what may be asked any number of times.
func Ask[T any](ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	until, bounded := ctx.Deadline()
	if !bounded {
		return ask(ctx)
	}
	for wait := firstAsk; ; wait *= 2 {
		answer, err := askOnce(ctx, wait, ask)
		switch {
		case err == nil || ctx.Err() != nil:
			return answer, err
		case errors.Is(err, context.DeadlineExceeded) && time.Now().Before(until):
			continue
		case !leaderless(err):
			return answer, err
		}
		if !Pause(ctx) {
			return answer, err
		}
	}
}

// Pause waits a moment until somebody is looked for again, and returns false if ctx ends before that. It is of random length, so that all
// who wait for one leader do not come to it at once.
func Pause(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // secret from nobody
		return true
	}
}

func askOnce[T any](ctx context.Context, wait time.Duration, ask func(context.Context) (T, error)) (T, error) {
	waiting := deadline.With(ctx, wait)
	defer waiting.End()
	return ask(waiting)
}

// leaderless reports whether nobody was there to answer.
func leaderless(err error) bool {
	var api *jetstream.APIError
	return errors.Is(err, jetstream.ErrNoStreamResponse) || errors.Is(err, nats.ErrNoResponders) ||
		errors.As(err, &api) && api.ErrorCode == systemUnavailable
}

const (
	part = 3                     // of what its caller has, one in so many is waited for
	worn = 50 * time.Millisecond // what is left of it once somebody has waited in vain; a store that is well takes a tenth
)

// Patience bounds the wait for a store that calls can be answered without, so that there is time for that. It is worn by a call that waited
// in vain, or that the store refused; then all wait for a moment only, but for one at a time, which finds out whether the store is well
// again. It is safe for concurrent use.
type Patience struct {
	most time.Duration

	mu      sync.Mutex
	worn    bool
	finding bool
}

// New returns a patience that is not worn. No call waits longer than most.
func New(most time.Duration) *Patience { return &Patience{most: most} }

// Wait takes a step that ends when patience does, and returns its error.
func (p *Patience) Wait(ctx context.Context, step func(context.Context) error) error {
	wait, finds := p.begin(ctx)
	waiting := deadline.With(ctx, wait)
	defer waiting.End()
	err := step(waiting)
	p.end(err, finds, errors.Is(ctx.Err(), context.Canceled))
	return err
}

func (p *Patience) begin(ctx context.Context) (wait time.Duration, finds bool) {
	wait = p.most
	if until, set := ctx.Deadline(); set {
		wait = min(wait, time.Until(until)/part)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.worn && p.finding {
		return min(wait, worn), false
	}
	finds, p.finding = p.worn, p.worn
	return wait, finds
}

// end takes the outcome of a step into account. That its caller has left says nothing about the store.
func (p *Patience) end(err error, finds, left bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if finds {
		p.finding = false
	}
	if !left {
		p.worn = errors.Is(err, fault.TypeUnavailable) || errors.Is(err, context.DeadlineExceeded)
	}
}
