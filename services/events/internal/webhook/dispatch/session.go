package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/span"
	"github.com/keyward/keyward/services/events/internal/webhook"
	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

const (
	windowFactor = 8                      // events in hand for each attempt that may be under way
	parkedLimit  = 10_000                 // users with parked events; with more, nothing is read from the log
	downAfter    = 16                     // events in a row that failed at their first attempt, at least: then the endpoint is taken for down
	saveEvery    = 100 * time.Millisecond // while events are delivered: those of the last moment may come again after a crash
	saveLast     = 2 * time.Second        // may be taken for that when the session ends
	goneLimit    = 5 * time.Second        // may be taken for noting that an endpoint is gone
	idlePause    = 5 * time.Second        // between two looks into the log while nothing is heard of new events
)

// tools are what every session works with.
type tools struct {
	config    webhook.Config
	endpoints kv.Bucket[webhook.Endpoint]
	js        jetstream.JetStream
	events    jetstream.Stream
	source    *direct.Stream // the events, too
	queue     *queue.Queue
	sender    *webhook.Sender
	records   *queue.Recorder
	accounts  webhook.Accounts
	ended     func(context.Context, *webhook.Endpoint)
	metrics   *metrics
	now       func() time.Time
	log       *slog.Logger
}

// session is the work for one endpoint while this instance does it. It ends with the first failure of the bus, and is then begun anew by
// its owner.
type session struct {
	tools
	endpoint atomic.Pointer[webhook.Endpoint]
	revision uint64 // of the endpoint; the lock is held
	cursor   *direct.Cursor
	progress progress

	saving sync.Mutex
	stored queue.Position

	slots  chan struct{} // taken while an attempt is under way
	window chan struct{} // taken while an event of the log is in hand
	news   chan struct{} // something that the reader waits for has changed
	rescan chan struct{} // somebody else may have parked something
	fail   context.CancelCauseFunc
	ctx    context.Context // of the session: timers start work in it

	mu     sync.Mutex
	closed bool
	users  map[ident.UserID]*line
	parked int // lines with parked events
	failed int // first attempts in a row
	work   sync.WaitGroup
}

// line is what is in hand of one user. One goroutine at a time works on it, while busy.
type line struct {
	user    ident.UserID
	waiting []item
	busy    bool
	parked  bool // what follows is meaningful
	head    queue.Head
	next    time.Time
	timer   *time.Timer
}

// item is an event of the log that is in hand.
type item struct {
	event    event.Event
	trace    string
	name     string // under which the endpoint has subscribed to it
	sequence uint64
	done     chan<- bool // if not nil, told whether an attempt was made
}

func newSession(t tools, e *webhook.Endpoint) *session {
	s := &session{
		tools:  t,
		slots:  make(chan struct{}, t.config.Concurrency),
		window: make(chan struct{}, t.config.Concurrency*windowFactor),
		news:   make(chan struct{}, 1),
		rescan: make(chan struct{}, 1),
		users:  make(map[ident.UserID]*line),
	}
	s.endpoint.Store(e)
	return s
}

// Run works until ctx ends, and returns why it ended earlier. Nothing is under way any more when it returns.
func (s *session) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	s.ctx, s.fail = ctx, fail
	if err := s.begin(ctx); err != nil {
		return err
	}
	defer s.cursor.Close()
	var owned sync.WaitGroup
	owned.Go(func() { s.rescans(ctx) })
	owned.Go(func() { s.saves(ctx) })
	fail(s.read(ctx))
	owned.Wait()
	s.end()
	s.saveAtLast(ctx)
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// begin takes up what an earlier session left: it goes on where that one has got to, and what is parked is scheduled.
func (s *session) begin(ctx context.Context) error {
	if err := s.resume(ctx); err != nil {
		return err
	}
	cursor, err := s.source.Cursor(s.endpoint.Load().LogSubject(), s.stored.Sequence, idlePause)
	if err != nil {
		return err
	}
	s.cursor = cursor
	s.progress.pass(s.stored.Sequence)
	if err := s.scan(ctx); err != nil {
		cursor.Close()
		return err
	}
	return nil
}

// adopt takes up how the endpoint is stored, unless something newer is known.
func (s *session) adopt(e kv.Entry[webhook.Endpoint]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Revision >= s.revision {
		s.revision = e.Revision
		s.endpoint.Store(&e.Value)
	}
}

// refresh reads the endpoint: what was appended after it was changed is delivered as the change has it.
func (s *session) refresh(ctx context.Context) error {
	e, err := s.endpoints.Get(ctx, s.endpoint.Load().Key())
	if errors.Is(err, kv.ErrNotFound) {
		return nil // the session is about to be ended
	}
	if err != nil {
		return fmt.Errorf("read a webhook endpoint: %w", err)
	}
	s.adopt(e)
	return nil
}

func (s *session) end() {
	s.mu.Lock()
	s.closed = true
	for _, l := range s.users {
		if l.timer != nil {
			l.timer.Stop()
		}
	}
	s.mu.Unlock()
	s.work.Wait()
}

// nudge makes the session look for what others have parked.
func (s *session) nudge() { signal(s.rescan) }

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func (s *session) rescans(ctx context.Context) {
	const period = time.Minute
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.rescan:
		case <-ticker.C:
		}
		if err := s.scan(ctx); err != nil {
			s.fail(err)
			return
		}
	}
}

// scan schedules the users with parked events that are not scheduled yet.
func (s *session) scan(ctx context.Context) error {
	users, err := s.queue.Heads(ctx, s.endpoint.Load())
	if err != nil {
		return err
	}
	for _, user := range users {
		s.mu.Lock()
		l := s.users[user]
		known := l != nil && l.parked
		s.mu.Unlock()
		if known {
			continue
		}
		h, found, err := s.queue.Head(ctx, s.endpoint.Load(), user)
		if err != nil {
			return err
		}
		if found {
			s.schedule(user, h)
		}
	}
	return nil
}

// schedule notes that a user has parked events.
func (s *session) schedule(user ident.UserID, h queue.Head) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.line(user)
	if l.parked {
		return
	}
	l.parked, l.head, l.next = true, h, time.UnixMilli(h.NextMs)
	s.parked++
	if !l.busy {
		s.wake(l)
	}
}

// line returns the line of a user. The lock is held.
func (s *session) line(user ident.UserID) *line {
	l := s.users[user]
	if l == nil {
		l = &line{user: user}
		s.users[user] = l
	}
	return l
}

// wake lets a parked line be worked on when its time has come. The lock is held, and nobody works on the line.
func (s *session) wake(l *line) {
	if l.timer != nil {
		l.timer.Stop()
	}
	if s.closed {
		return
	}
	l.timer = time.AfterFunc(l.next.Sub(s.now()), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.start(l)
	})
}

// start sets somebody to work on a line. The lock is held.
func (s *session) start(l *line) {
	if s.closed || l.busy || s.users[l.user] != l {
		return
	}
	l.busy = true
	s.work.Go(func() { s.serve(l) })
}

// take adds an event of the log to its user's line.
func (s *session) take(i item) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.line(i.event.User)
	l.waiting = append(l.waiting, i)
	s.start(l)
}

// serve works on a line until there is nothing to do for it.
func (s *session) serve(l *line) {
	for {
		t := s.task(l)
		var err error
		switch t.kind {
		case nothing:
			return
		case again:
			err = s.retry(s.ctx, l)
		default:
			err = s.handle(s.ctx, l, t)
			<-s.window
		}
		if err != nil {
			s.fail(err) // of several, the first counts
			return
		}
		if s.ctx.Err() != nil {
			return
		}
	}
}

// task is what is to be done next for a line.
type task struct {
	kind taskKind
	item // of what is new or behind others
}

type taskKind int

const (
	nothing taskKind = iota
	fresh            // an event of the log is to be tried
	behind           // an event of the log is to be parked behind others
	again            // the first parked event is to be tried
)

func (s *session) task(l *line) task {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(l.waiting) > 0:
		t := task{kind: fresh, item: l.waiting[0]}
		l.waiting = l.waiting[1:]
		if l.parked {
			t.kind = behind
		}
		return t
	case l.parked && !s.now().Before(l.next):
		return task{kind: again}
	}
	l.busy = false
	if l.parked {
		s.wake(l)
	} else {
		delete(s.users, l.user)
	}
	return task{}
}

// handle deals with an event of the log: it is delivered, or parked. Either way the log is done with it then.
func (s *session) handle(ctx context.Context, l *line, t task) error {
	i := t.item
	defer func() {
		if i.done != nil {
			i.done <- t.kind == fresh
		}
	}()
	p := queue.Parked{Event: i.event, Sequence: i.sequence, Trace: i.trace}
	if t.kind == behind {
		if err := s.queue.Park(ctx, s.endpoint.Load(), p); err != nil {
			return err
		}
		return s.settle(ctx, i)
	}
	r, ok := s.attempt(span.Under(ctx, p.Trace), &p.Event, i.name)
	if !ok {
		return nil
	}
	s.count(r.Delivered)
	if r.Delivered {
		s.record(&p.Event, i.name, 1, queue.Delivered, r)
		s.progress.done(i.sequence)
		return nil
	}
	still, err := s.queue.Exists(ctx, s.events, i.sequence)
	if err != nil {
		return err
	}
	if !still {
		s.metrics.erased.Inc()
		return s.settle(ctx, i)
	}
	if err := s.setBack(ctx, l, p, i.name, 1, r); err != nil {
		return err
	}
	return s.settle(ctx, i)
}

// attempt sends one event when there is a slot for it; false if the session ends before or meanwhile.
func (s *session) attempt(ctx context.Context, e *event.Event, name string) (webhook.Result, bool) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	case <-ctx.Done():
		return webhook.Result{}, false
	}
	endpoint := s.endpoint.Load()
	raw, err := webhook.Body(ctx, s.accounts, endpoint, name, e)
	if err != nil {
		return webhook.Result{Problem: "the event cannot be encoded"}, true
	}
	r := s.sender.Send(ctx, endpoint, webhook.MessageID(e.ID, endpoint.ID), raw)
	if r.Gone {
		s.record(e, name, 1, queue.Retry, r)
		s.fail(s.gone(ctx, endpoint))
		return webhook.Result{}, false
	}
	if !r.Delivered && ctx.Err() != nil {
		return webhook.Result{}, false
	}
	return r, true
}

// gone ends deliveries to an endpoint that asks for that (Standard Webhooks, "Operational considerations"). What is in hand stays where it
// is: whoever changes the endpoint gets it.
func (s *session) gone(ctx context.Context, told *webhook.Endpoint) error {
	// Another attempt that is told the same ends the session meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), goneLimit)
	defer cancel()
	ends := false
	_, err := s.endpoints.Change(ctx, told.Key(), func(e *webhook.Endpoint) error {
		if ends = e.UpdatedMs == told.UpdatedMs && e.GoneMs == 0; ends {
			e.GoneMs = s.now().UnixMilli()
		}
		return nil
	})
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		return fmt.Errorf("note that an endpoint is gone: %w", err)
	}
	if err == nil && ends && s.ended != nil {
		s.ended(ctx, told)
	}
	s.log.WarnContext(
		ctx, "a webhook endpoint answered 410 Gone; nothing is delivered to it until it is changed", "project", told.Project, "endpoint", told.ID,
	)
	return context.Canceled
}

// count keeps the number of first attempts in a row that failed. The first success after too many of them lets everything be tried again
// soon.
func (s *session) count(delivered bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !delivered {
		s.failed++
		return
	}
	wasDown := s.down()
	s.failed = 0
	if !wasDown {
		return
	}
	signal(s.news)
	for _, l := range s.users {
		if soon := s.now().Add(s.config.Delay(1, 0, nil)); l.parked && !l.busy && soon.Before(l.next) {
			l.next = soon
			s.wake(l)
		}
	}
}

// down reports whether the endpoint is taken for down. The lock is held.
func (s *session) down() bool { return s.failed >= max(downAfter, 2*s.config.Concurrency) }

func (s *session) record(e *event.Event, name string, attempt int, outcome queue.Outcome, r webhook.Result) {
	s.metrics.attempts.WithLabelValues(string(outcome)).Inc()
	s.metrics.duration.Observe(r.Took.Seconds())
	s.records.Add(s.endpoint.Load(), queue.Record{
		EventID: e.ID, EventType: name, User: e.User, Attempt: attempt, Outcome: outcome, Status: r.Status, Problem: r.Problem,
		CreatedMs: s.now().UnixMilli(), DurationMs: r.Took.Milliseconds(),
	})
}
