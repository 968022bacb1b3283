// Package feed follows the stream of passkey events and hands it to many subscribers of this process. It touches that stream, reading only.
//
// # Promise
//
// A subscriber gets every event of its project that its filter lets through and that the stream still keeps, in the order of the stream,
// each once, from where it began; also while NATS is away in between. What was erased in the meantime it does not get. Nothing is kept for
// it: a subscriber that does not ask for a while reads the stream by itself when it does, and holds up nobody else.
//
// # How
//
// One reader follows the stream, for as long as there are subscribers, and keeps the latest events in a ring of bounded size. A subscriber
// whose position is in the ring reads the ring. One whose position is older reads the stream with batch reads of its own until it has
// reached the ring. The more subscribers there are, the longer each pauses between two reads while events keep coming, so that what they
// cost grows with the number of events and not of wake-ups; the first event after a quiet moment is handed on at once.
package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Message is an event of the stream as it was published.
type Message struct {
	Sequence uint64 // position in the stream
	Project  ident.ProjectID
	User     ident.UserID
	Type     event.Type
	Data     []byte // the event as JSON; shared by all subscribers, so nobody may change it
}

// Filter says what a subscriber wants of its project. The zero value lets everything through.
type Filter struct {
	User  ident.UserID // empty: of all users
	Types []event.Type // empty: of all types
}

// Start says where a subscription begins. The zero value is now: what is appended once Subscribe has returned.
type Start struct {
	after   uint64
	since   time.Time
	resumes bool
}

// After begins after the event at that position; 0 begins with the oldest.
func After(sequence uint64) Start { return Start{after: sequence, resumes: true} }

// Since begins with the first event that was appended at that time or later.
func Since(t time.Time) Start { return Start{since: t} }

// ErrBeyond reports a position that the stream has not reached.
var ErrBeyond = errors.New("the stream has no such position")

// ErrClosed reports that the feed or the subscription has ended.
var ErrClosed = errors.New("the subscription has ended")

// How much the ring holds at most. At 1,000 events a second it spans eight seconds.
const (
	ringMessages = 8192
	ringBytes    = 16 << 20
)

const (
	// How long the stream is followed after the last subscriber has gone, since a client that lost its connection is back soon.
	linger       = 10 * time.Second
	retry        = 250 * time.Millisecond // between two attempts while NATS is away
	readers      = 8                      // subscribers that read the stream at once
	apiWait      = 5 * time.Second
	pacePerOne   = 40 * time.Microsecond // that each subscriber adds to the pause of all
	longestPause = 50 * time.Millisecond
)

// Feed fans the stream of one process out. Make it with Open, run it with Run.
type Feed struct {
	js         jetstream.JetStream
	stream     *direct.Stream
	log        *slog.Logger
	metrics    *metrics
	replicated bool
	linger     time.Duration
	told       uint64

	ring        *ring
	reading     chan struct{} // holds one for each subscriber that reads the stream
	subscribers atomic.Int64
	wanted      chan struct{} // told when there is a first subscriber
	ended       chan struct{}
	endOnce     sync.Once
}

// Open returns a feed of the stream that package bus has made. Metrics may be nil.
func Open(ctx context.Context, js jetstream.JetStream, log *slog.Logger, registerer prometheus.Registerer) (*Feed, error) {
	stream, err := js.Stream(ctx, bus.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", bus.EventsStream, err)
	}
	read, err := direct.Open(ctx, js, bus.EventsStream)
	if err != nil {
		return nil, err
	}
	f := &Feed{
		js: js, stream: read, log: log, linger: linger, replicated: stream.CachedInfo().Config.Replicas > 1,
		told: positionsTold(stream.CachedInfo()),
		ring: newRing(ringMessages, ringBytes), reading: make(chan struct{}, readers), wanted: make(chan struct{}, 1), ended: make(chan struct{}),
	}
	if f.metrics, err = newMetrics(registerer, func() float64 { return float64(f.subscribers.Load()) }); err != nil {
		return nil, fmt.Errorf("feed metrics: %w", err)
	}
	return f, nil
}

// positionsTold reads what package bus wrote. A stream that does not say was made by an earlier version, which told all.
func positionsTold(info *jetstream.StreamInfo) uint64 {
	told, err := strconv.ParseUint(info.Config.Metadata[bus.PositionsTold], 10, 64)
	if err != nil {
		return info.State.LastSeq
	}
	return told
}

// PositionsTold returns up to which position in the stream subscribers may have been told plain numbers.
func (f *Feed) PositionsTold() uint64 { return f.told }

// Subscribe begins to receive the events of a project. Close the subscription. It fails with ErrBeyond if the start is a position beyond
// the end of the stream, with ErrClosed if Run has ended, and if NATS does not answer.
func (f *Feed) Subscribe(ctx context.Context, project ident.ProjectID, filter Filter, start Start) (*Subscription, error) {
	s := &Subscription{
		feed: f, project: project, filter: filter, since: start.since, generation: f.ring.generation(), closed: make(chan struct{}),
	}
	// Counted before the stream is asked, so that the ring begins no later than the subscription.
	if f.subscribers.Add(1) == 1 {
		select {
		case f.wanted <- struct{}{}:
		default:
		}
	}
	state, err := f.state(ctx)
	switch {
	case err != nil:
	case f.isEnded():
		err = ErrClosed
	case start.after > state.LastSeq:
		err = ErrBeyond
	}
	if err != nil {
		f.subscribers.Add(-1)
		return nil, err
	}
	switch {
	case start.resumes:
		s.after = start.after
		if start.after+1 < state.FirstSeq {
			s.oldest = state.FirstSeq
		}
	case start.since.IsZero():
		s.after = state.LastSeq
	}
	return s, nil
}

// state asks for the bounds of the stream as they are now.
func (f *Feed) state(ctx context.Context) (jetstream.StreamState, error) { return f.stream.State(ctx) }

func (f *Feed) isEnded() bool {
	select {
	case <-f.ended:
		return true
	default:
		return false
	}
}

// pause is how long a subscriber waits between two reads while events keep coming.
func (f *Feed) pause() time.Duration {
	const tooShort = time.Millisecond // for a timer to be worth it
	pause := min(time.Duration(f.subscribers.Load())*pacePerOne, longestPause)
	if pause < tooShort {
		return 0
	}
	return pause
}

// Run follows the stream whenever there are subscribers, until ctx ends; then all subscriptions end.
func (f *Feed) Run(ctx context.Context) {
	defer f.endOnce.Do(func() { close(f.ended) })
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wanted:
		}
		f.followWhileWanted(ctx)
		f.ring.stop()
		// Whoever came in the meantime told so, or is seen here.
		if f.subscribers.Load() > 0 {
			select {
			case f.wanted <- struct{}{}:
			default:
			}
		}
	}
}

// followWhileWanted follows until nobody has subscribed for a while.
func (f *Feed) followWhileWanted(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var watch sync.WaitGroup
	defer watch.Wait()
	watch.Go(func() { f.cancelWhenUnwanted(ctx, cancel) })
	for ctx.Err() == nil {
		err := f.follow(ctx)
		if ctx.Err() != nil {
			return
		}
		f.metrics.restarts.Inc()
		f.log.Warn("following the events begins anew", "error", err)
		select {
		case <-ctx.Done():
		case <-time.After(retry):
		}
	}
}

func (f *Feed) cancelWhenUnwanted(ctx context.Context, cancel context.CancelFunc) {
	const often = 10 // looks in the time that the consumer lingers
	tick := time.NewTicker(f.linger / often)
	defer tick.Stop()
	for unwanted := 0; unwanted < often; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if f.subscribers.Load() > 0 {
			unwanted = 0
			continue
		}
		unwanted++
	}
	cancel()
}

// follow reads the stream into the ring from where the ring ends. It returns when ctx ends, the stream is another one or cannot be read.
func (f *Feed) follow(ctx context.Context) error {
	state, err := f.state(ctx)
	if err != nil {
		return err
	}
	return f.stream.Follow(ctx, bus.EventsPrefix+".>", f.ring.start(state.LastSeq), func(stored direct.Message) error {
		m, ok := parse(stored.Subject, stored.Sequence, stored.Data)
		if !ok {
			m = Message{Sequence: stored.Sequence} // not ours; it takes its place and matches nothing
		}
		f.ring.add(m)
		return nil
	})
}
