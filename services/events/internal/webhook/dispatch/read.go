package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/event"
)

// errGap says that the consumer delivered something to nobody, or to somebody else. Beginning anew fetches it.
var errGap = errors.New("an event of the consumer did not arrive")

const (
	fetchWait    = 10 * time.Second
	probeMax     = 5 * time.Minute
	probeDivisor = 10 // the first probe of an endpoint that is down comes after this part of the first retry
)

// reader fetches events of the log as there is room for them.
type reader struct {
	*session
	last uint64 // consumer sequence of the last message
}

// read fetches until ctx ends or something fails.
func (s *session) read(ctx context.Context) error {
	r := &reader{session: s}
	probe := time.Duration(0)
	for ctx.Err() == nil {
		full, down := s.state()
		switch {
		case full:
			s.pause(ctx, time.Minute)
		case down:
			probe = min(max(2*probe, s.config.RetryMin/probeDivisor, time.Millisecond), probeMax)
			s.pause(ctx, probe)
			if err := r.probe(ctx); err != nil {
				return err
			}
		default:
			probe = 0
			if err := r.fetch(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *session) state() (full, down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.parked >= parkedLimit, s.down()
}

// pause waits for news, but no longer than d.
func (s *session) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-s.news:
	case <-timer.C:
	}
}

// fetch takes as many events as there is room for.
func (r *reader) fetch(ctx context.Context) error {
	room := 0
	select {
	case r.window <- struct{}{}:
		room++
	case <-ctx.Done():
		return nil
	}
	for more := true; more; {
		select {
		case r.window <- struct{}{}:
			room++
		default:
			more = false
		}
	}
	_, taken, err := r.batch(ctx, room, nil)
	for range room - taken {
		<-r.window
	}
	return err
}

// probe hands events to the endpoint one by one until one was really tried.
func (r *reader) probe(ctx context.Context) error {
	for {
		if _, down := r.state(); !down {
			return nil
		}
		select {
		case r.window <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		done := make(chan bool, 1)
		got, taken, err := r.batch(ctx, 1, done)
		if taken == 0 {
			<-r.window
		}
		if err != nil || got == 0 {
			return err
		}
		if taken == 0 {
			continue
		}
		select {
		case tried := <-done:
			if tried {
				return nil
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// batch fetches up to n events. Those that concern the endpoint are in hand then, as many as taken says.
func (r *reader) batch(ctx context.Context, n int, done chan<- bool) (got, taken int, err error) {
	wait, cancel := context.WithTimeout(ctx, fetchWait)
	defer cancel()
	batch, err := r.consumer.Fetch(n, jetstream.FetchContext(wait))
	if err != nil {
		return 0, 0, ended(ctx, err)
	}
	for msg := range batch.Messages() {
		got++
		i, wanted, err := r.receive(msg)
		if err != nil {
			return got, taken, err
		}
		if !wanted {
			if err := msg.Ack(); err != nil {
				return got, taken, fmt.Errorf("acknowledge an event: %w", err)
			}
			continue
		}
		i.done = done
		taken++
		r.take(i)
	}
	return got, taken, ended(ctx, batch.Error())
}

// ended returns err unless it says no more than that time is up or nothing is there.
func ended(ctx context.Context, err error) error {
	harmless := ctx.Err() != nil ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) || errors.Is(err, jetstream.ErrNoMessages)
	if err != nil && !harmless {
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

// receive reads a message. Of events that the endpoint has not subscribed to only the subject is looked at.
func (r *reader) receive(msg jetstream.Msg) (item, bool, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return item{}, false, fmt.Errorf("read the log: %w", err)
	}
	if meta.Sequence.Consumer != r.last+1 {
		return item{}, false, errGap
	}
	r.last++
	subject := msg.Subject()
	name, subscribed := r.endpoint.Load().Subscribed(event.Type(subject[strings.LastIndexByte(subject, '.')+1:]))
	if !subscribed {
		return item{}, false, nil
	}
	i := item{msg: msg, name: name, sequence: meta.Sequence.Stream}
	if err := jsonv2.Unmarshal(msg.Data(), &i.event); err != nil || i.event.ID == "" || i.event.User == "" {
		// Whoever wrote that, nobody can be told of it.
		r.metrics.malformed.Inc()
		r.log.Error("an event of the log cannot be read", "sequence", i.sequence, "error", err)
		return item{}, false, nil
	}
	return i, true, nil
}
