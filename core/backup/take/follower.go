package take

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/backup"
)

// follower reads one stream from its first message on.
type follower struct {
	number   int // of the stream in the header
	name     string
	stream   jetstream.Stream
	consumer jetstream.Consumer
	messages jetstream.MessagesContext

	mu    sync.Mutex
	known []known // since it was first known what the stream holds, at least one then; older ones go with each cut
	last  uint64
	came  chan struct{} // closed and made anew when something was read
	err   error
}

// known is a message that was read.
type known struct {
	sequence uint64
	time     int64
	// exact: there was none behind it when it was read, so that all that has been overwritten before was by what was read.
	exact bool
	// gap: one before it was gone when it was read.
	gap bool
}

func follow(ctx context.Context, js jetstream.JetStream, number int, name string) (*follower, error) {
	stream, err := js.Stream(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	f := &follower{number: number, name: name, stream: stream, came: make(chan struct{})}
	if state := stream.CachedInfo().State; state.Msgs == 0 {
		f.last = state.LastSeq
		f.known = []known{{sequence: state.LastSeq, exact: true}}
	}
	from := jetstream.OrderedConsumerConfig{DeliverPolicy: jetstream.DeliverAllPolicy}
	if f.consumer, err = stream.OrderedConsumer(ctx, from); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	if f.messages, err = f.consumer.Messages(jetstream.PullMaxMessages(pullMessages)); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	return f, nil
}

// pullMessages is how many messages are asked for at once.
const pullMessages = 1000

// run hands messages on until it is stopped.
func (f *follower) run(add func(stream int, m backup.Message) error) {
	for {
		msg, err := f.messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return
		}
		if err == nil {
			err = f.take(msg, add)
		}
		if err != nil {
			f.fail(fmt.Errorf("read stream %s: %w", f.name, err))
			return
		}
	}
}

func (f *follower) take(msg jetstream.Msg, add func(stream int, m backup.Message) error) error {
	meta, err := msg.Metadata()
	if err != nil {
		return err
	}
	sequence, at := meta.Sequence.Stream, meta.Timestamp.UnixNano()
	m := backup.Message{Sequence: sequence, Time: at, Subject: msg.Subject(), Header: wire(msg.Headers()), Data: msg.Data()}
	if err := add(f.number, m); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	exact := meta.NumPending == 0
	if exact || len(f.known) > 0 {
		f.known = append(f.known, known{sequence, at, exact, sequence != f.last+1})
	}
	f.last = sequence
	close(f.came)
	f.came = make(chan struct{})
	return nil
}

func (f *follower) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
	close(f.came)
	f.came = make(chan struct{})
}

// wire returns headers as they are sent.
func wire(headers nats.Header) []byte {
	if len(headers) == 0 {
		return nil
	}
	text := []byte("NATS/1.0\r\n")
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		for _, value := range headers[name] {
			text = append(append(append(append(text, name...), ": "...), value...), "\r\n"...)
		}
	}
	return append(text, "\r\n"...)
}

// silence is how long nothing may come until it is asked whether there is something.
const silence = 100 * time.Millisecond

// reach returns when all up to a sequence was read that is there.
func (f *follower) reach(ctx context.Context, sequence uint64) error {
	for {
		f.mu.Lock()
		reached, came, err := len(f.known) > 0 && f.known[len(f.known)-1].sequence >= sequence, f.came, f.err
		f.mu.Unlock()
		if err != nil || reached {
			return err
		}
		timer := time.NewTimer(silence)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("read stream %s: %w", f.name, context.Cause(ctx))
		case <-came:
		case <-timer.C:
			if err := f.ask(ctx, sequence); err != nil {
				return err
			}
		}
		timer.Stop()
	}
}

// ask finds out whether nothing comes because what would is gone.
func (f *follower) ask(ctx context.Context, sequence uint64) error {
	f.mu.Lock()
	last := f.last
	f.mu.Unlock()
	info, err := f.consumer.Info(ctx)
	if err != nil {
		if ctx.Err() != nil || errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrOrderedConsumerNotCreated) {
			return nil // it is made anew
		}
		return fmt.Errorf("read stream %s: %w", f.name, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if info.NumPending == 0 && f.last == last && info.Delivered.Stream <= last && last < sequence {
		var at int64
		if n := len(f.known); n > 0 {
			at = f.known[n-1].time
		}
		f.known = append(f.known, known{sequence: sequence, time: at, exact: true})
		f.last = sequence
	}
	return nil
}

// at returns up to which sequence the stream belongs to a moment of its server's clock, and whether all is known of it there. What was
// known before is forgotten.
func (f *follower) at(moment int64) (last uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := len(f.known) - 1
	for i > 0 && f.known[i].time > moment {
		i--
	}
	last = f.known[i].sequence
	if i+1 < len(f.known) && f.known[i+1].gap {
		return last, false // what is missing between them may have been there at the moment
	}
	for j := i; j >= 0; j-- {
		if f.known[j].exact {
			f.known = slices.Clone(f.known[j:])
			return last, true
		}
		if f.known[j].gap {
			return last, false
		}
	}
	return last, false
}
