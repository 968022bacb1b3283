package dispatch

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"

	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/span"
)

const (
	fetchWait    = 10 * time.Second
	probeMax     = 5 * time.Minute
	probeDivisor = 10 // the first probe of an endpoint that is down comes after this part of the first retry
)

// reader fetches events of the log as there is room for them.
type reader struct{ *session }

// read fetches until ctx ends or something fails.
func (s *session) read(ctx context.Context) error {
	r := &reader{s}
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
	var messages []direct.Message
	err = ended(ctx, r.cursor.Next(wait, n, func(m direct.Message) error {
		messages = append(messages, m)
		return nil
	}))
	if err != nil || len(messages) == 0 {
		return 0, 0, err
	}
	if err := r.refresh(ctx); err != nil {
		return 0, 0, err
	}
	for _, m := range messages {
		i, wanted := r.receive(m)
		if !wanted {
			r.progress.pass(m.Sequence)
			continue
		}
		i.done = done
		taken++
		r.progress.take(m.Sequence)
		r.take(i)
	}
	return len(messages), taken, nil
}

// ended returns err unless it says no more than that time is up or nothing is there.
func ended(ctx context.Context, err error) error {
	harmless := ctx.Err() != nil ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout)
	if err != nil && !harmless {
		return fmt.Errorf("read the log: %w", err)
	}
	return nil
}

// receive reads a message. Of events that the endpoint has not subscribed to only the subject is looked at.
func (r *reader) receive(m direct.Message) (item, bool) {
	name, subscribed := r.endpoint.Load().Subscribed(event.Type(m.Subject[strings.LastIndexByte(m.Subject, '.')+1:]))
	if !subscribed {
		return item{}, false
	}
	i := item{trace: m.Header.Get(span.TraceParent), name: name, sequence: m.Sequence}
	if err := jsonv2.Unmarshal(m.Data, &i.event); err != nil || i.event.ID == "" || i.event.User == "" {
		// Whoever wrote that, nobody can be told of it.
		r.metrics.malformed.Inc()
		r.log.Error("an event of the log cannot be read", "sequence", i.sequence, "error", err)
		return item{}, false
	}
	return i, true
}
