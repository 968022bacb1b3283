package flow

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says what flows where. All fields are required.
type Config[T any] struct {
	JS     jetstream.JetStream
	Stream string
	Render func(item T, into *nats.Msg) // sets subject, data and headers; into has those of the one before, and its memory
	Most   int                          // observations that are held at once; more are not taken
	Drain  time.Duration                // how long what is left may take when Run is to end
	Lost   func(n int)                  // is told how many that were taken are lost
}

// Head sets the headers of a message, given as names and values in turn; one without a value is removed. It uses the memory of those that
// were there before.
func Head(msg *nats.Msg, named ...string) {
	const pair = 2
	if msg.Header == nil {
		msg.Header = make(nats.Header, len(named)/pair)
		values := make([]string, len(named)/pair) // one array for all
		for i := range values {
			if name, value := named[pair*i], named[pair*i+1]; value != "" {
				values[i] = value
				msg.Header[name] = values[i : i+1 : i+1]
			}
		}
		return
	}
	for ; len(named) >= pair; named = named[pair:] {
		name, value := named[0], named[1]
		switch there := msg.Header[name]; {
		case value == "":
			delete(msg.Header, name)
		case len(there) == 1:
			there[0] = value
		default:
			msg.Header[name] = []string{value}
		}
	}
}

// Flow sends observations while Run runs. It is safe for concurrent use.
type Flow[T any] struct {
	cfg  Config[T]
	wake chan struct{} // holds one if something may wait

	mu      sync.Mutex
	running bool
	held    []T // in order: sent ones first
	sent    int // of held
	gone    int // how many were held before them
}

// New returns a flow that takes nothing before Run runs.
func New[T any](cfg Config[T]) *Flow[T] { return &Flow[T]{cfg: cfg, wake: make(chan struct{}, 1)} }

// Accept makes the flow take observations before Run runs, which then must.
func (f *Flow[T]) Accept() *Flow[T] {
	f.accept(true)
	return f
}

func (f *Flow[T]) accept(yes bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running = yes
}

// Add takes an observation, and reports whether it did.
func (f *Flow[T]) Add(item T) bool {
	f.mu.Lock()
	taken := f.running && len(f.held) < f.cfg.Most
	if taken {
		f.held = append(f.held, item)
	}
	f.mu.Unlock()
	if taken {
		f.signal()
	}
	return taken
}

func (f *Flow[T]) signal() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Held calls see for all that was taken and is not yet known to be stored, in the order in which it was taken.
func (f *Flow[T]) Held(see func(T)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, item := range f.held {
		see(item)
	}
}

// next returns what is to be sent next, and counts it as sent.
func (f *Flow[T]) next() (item T, is bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.sent == len(f.held) {
		return item, false
	}
	f.sent++
	return f.held[f.sent-1], true
}

// take returns up to most that are to be sent next, and counts them as sent.
func (f *Flow[T]) take(most int) []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.held[f.sent:min(len(f.held), f.sent+most)]
	f.sent += len(taken)
	return append([]T(nil), taken...)
}

// unsettled returns what was sent and is not known to be stored.
func (f *Flow[T]) unsettled() []T {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]T(nil), f.held[:f.sent]...)
}

// settle forgets the first n that were sent.
func (f *Flow[T]) settle(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	left := copy(f.held, f.held[n:])
	clear(f.held[left:])
	f.held = f.held[:left]
	f.sent -= n
	f.gone += n
}

// Wait returns when nothing that was taken before and is of a kind is held any more, or ctx ends. What is taken meanwhile is not waited
// for: it may have no end.
func (f *Flow[T]) Wait(ctx context.Context, of func(T) bool) error {
	for last := f.last(of); f.left() < last; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", f.cfg.Stream, ctx.Err())
		case <-time.After(settling):
		}
	}
	return nil
}

// last returns how many have been taken up to the last that is held and of a kind, 0 if none is.
func (f *Flow[T]) last(of func(T) bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := len(f.held) - 1; i >= 0; i-- {
		if of(f.held[i]) {
			return f.gone + i + 1
		}
	}
	return 0
}

// left returns how many have been taken and are held no more.
func (f *Flow[T]) left() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.gone
}

func (f *Flow[T]) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.held) == 0
}

// How the flow goes.
const (
	window   = 512                   // messages under way without an acknowledgement
	ackEvery = 100                   // of which the server acknowledges each so many, and fewer if several send
	linger   = 20 * time.Millisecond // without anything to send, after which a batch ends
	settling = 5 * time.Millisecond  // between looks of who waits
	ackWait  = 5 * time.Second       // after which what was not acknowledged is given up
)

// Run sends what is taken until ctx ends, and then what is left.
func (f *Flow[T]) Run(ctx context.Context) {
	f.accept(true)
	defer f.accept(false)
	end := ctx.Done()
	ctx = context.WithoutCancel(ctx)
	s := &sender[T]{flow: f, replies: make(chan *nats.Msg, 2*window)}
	s.look(ctx)
	defer s.leave()
	s.timer = time.NewTimer(linger)
	defer s.timer.Stop()
	for {
		select {
		case <-f.wake:
			s.send(ctx)
		case reply := <-s.replies:
			s.hear(ctx, reply)
		case <-s.timer.C:
			s.tick(ctx)
		case <-end:
			f.finish(ctx, s)
			return
		}
	}
}

// finish sends what is left. What nobody acknowledges is lost.
func (f *Flow[T]) finish(ctx context.Context, s *sender[T]) {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Drain)
	defer cancel()
	f.accept(false)
	for s.send(ctx); !f.idle() && ctx.Err() == nil; {
		s.end(ctx)
		select {
		case reply := <-s.replies:
			s.hear(ctx, reply)
		case <-s.timer.C:
			s.tick(ctx)
		case <-ctx.Done():
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if left := len(f.held); left > 0 {
		f.cfg.Lost(left)
		f.held, f.sent, f.gone = nil, 0, f.gone+left
	}
}

// batches reports whether the stream takes batches. With an error nobody could be asked.
func (f *Flow[T]) batches(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	stream, err := f.cfg.JS.Stream(ctx, f.cfg.Stream)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", f.cfg.Stream, err)
	}
	return stream.CachedInfo().Config.AllowBatchPublish, nil
}

// alone sends what has a message and an acknowledgement of its own, tells what is lost of it, and reports whether nothing is.
func (f *Flow[T]) alone(ctx context.Context, items []T) bool {
	ctx, cancel := context.WithTimeout(ctx, ackWait)
	defer cancel()
	lost := 0
	futures := make([]jetstream.PubAckFuture, 0, len(items))
	for _, item := range items {
		msg := &nats.Msg{}
		f.cfg.Render(item, msg)
		future, err := f.cfg.JS.PublishMsgAsync(msg)
		if err != nil {
			lost++
			continue
		}
		futures = append(futures, future)
	}
	for _, future := range futures {
		if !acknowledged(ctx, future) {
			lost++
		}
	}
	if lost > 0 {
		f.cfg.Lost(lost)
	}
	return lost == 0
}

func acknowledged(ctx context.Context, future jetstream.PubAckFuture) bool {
	// An answer that has come counts, however late it is looked at.
	select {
	case <-future.Ok():
		return true
	default:
	}
	select {
	case <-future.Ok():
		return true
	case err := <-future.Err():
		return err == nil
	case <-ctx.Done():
		return false
	}
}
