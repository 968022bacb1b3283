package outbox

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/span"
)

// What is told of calls that wait for no write. Whoever knows a user's name can make as many of them as the limits let through, so that
// only so much of one user is told in an hour.
const (
	maxObserved      = 4096
	observedAtOnce   = 64 // appends at a time: the log flushes once for all that wait
	observedOfUser   = 64 // as many as of refused answers
	observedPer      = time.Hour
	observedUsers    = 100_000         // that are counted
	observedPatience = 5 * time.Second // with one append
)

// observing is what is to be told and nobody waits for. It takes nothing unless Run runs.
type observing struct {
	running atomic.Bool
	queue   chan observed

	mu   sync.Mutex
	hour int64
	told map[account.Ref]int // in this hour
}

// observed is an event on its way to the log, with the trace of its call.
type observed struct {
	event.Event
	trace string
}

// takes counts an event of a user, and reports whether it may be told.
func (o *observing) takes(ref account.Ref, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if hour := now.UnixNano() / int64(observedPer); hour != o.hour || o.told == nil {
		o.hour, o.told = hour, make(map[account.Ref]int)
	}
	told, counted := o.told[ref]
	if told >= observedOfUser || !counted && len(o.told) >= observedUsers {
		return false
	}
	o.told[ref] = told + 1
	return true
}

// Observe has events appended in the background, each at most once, and waits for nothing: what there is no room for is counted as lost,
// and so is what the log does not take. Of users that are not there any more nothing is told.
func (s *Store) Observe(ctx context.Context, all ...event.Event) {
	for _, e := range all {
		if !s.observed.takes(account.Ref{Project: e.Project, User: e.User}, s.now()) {
			s.metrics.Withheld.Inc()
			continue
		}
		if !s.observed.running.Load() {
			s.metrics.Lost.Inc()
			continue
		}
		select {
		case s.observed.queue <- observed{e, span.Parent(ctx)}:
		default:
			s.metrics.Lost.Inc()
		}
	}
}

// observe appends what Observe took, until ctx ends; then it appends what is left and returns.
func (s *Store) observe(ctx context.Context) {
	s.observed.running.Store(true)
	var appending errgroup.Group
	appending.SetLimit(observedAtOnce)
	tell := func(ctx context.Context, e observed) {
		appending.Go(func() error {
			s.append(ctx, e)
			return nil
		})
	}
	for ctx.Err() == nil {
		select {
		case e := <-s.observed.queue:
			tell(context.WithoutCancel(ctx), e)
		case <-ctx.Done():
		}
	}
	s.observed.running.Store(false)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleDrain)
	defer cancel()
	for len(s.observed.queue) > 0 {
		tell(ending, <-s.observed.queue)
	}
	_ = appending.Wait() // what fails is counted
}

// append appends an event of a user who is there.
func (s *Store) append(ctx context.Context, e observed) {
	ctx, cancel := context.WithTimeout(span.Under(ctx, e.trace), observedPatience)
	defer cancel()
	_, err := s.accounts.Present(ctx, e.Project, e.User)
	if errors.Is(err, account.ErrUnknown) {
		return
	}
	if _, err := s.Append(ctx, e.Event); err != nil {
		s.metrics.Lost.Inc()
	}
}
