package dispatch

import (
	"context"
	"time"

	"github.com/keyward/keyward/core/span"
	"github.com/keyward/keyward/services/events/internal/webhook"
	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

// retry tries the first parked event of a line.
func (s *session) retry(ctx context.Context, l *line) error {
	e := s.endpoint.Load()
	p, found, err := s.queue.First(ctx, e, l.user)
	if err != nil {
		return err
	}
	if !found {
		return s.unpark(ctx, l)
	}
	name, subscribed := e.Subscribed(p.Event.Type)
	if !subscribed {
		return s.queue.Remove(ctx, p)
	}
	attempts := 1
	if l.head.Event == p.Event.ID {
		attempts += l.head.Attempts
	}
	r, ok := s.attempt(span.Under(ctx, p.Trace), &p.Event, name)
	if !ok {
		return nil
	}
	if r.Delivered {
		s.count(true)
		s.record(&p.Event, name, attempts, queue.Delivered, r)
		if p.Replay {
			if err := s.queue.Exhume(ctx, e, l.user, p.Event.ID); err != nil {
				return err
			}
		}
		return s.queue.Remove(ctx, p)
	}
	exists, err := s.queue.Holds(ctx, p)
	if err != nil || !exists {
		return err
	}
	return s.setBack(ctx, l, p, name, attempts, r)
}

// unpark ends the parking of a line that has nothing parked any more. Somebody may park something at this moment (a replay): it is stored
// before its head is seen to, so looking again after the head is gone finds it.
func (s *session) unpark(ctx context.Context, l *line) error {
	e := s.endpoint.Load()
	if err := s.queue.RemoveHead(ctx, l.head); err != nil {
		return err
	}
	if _, found, err := s.queue.First(ctx, e, l.user); err != nil || found {
		if err == nil {
			l.head, err = s.queue.SetHead(ctx, e, l.user, queue.Head{})
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.parked, l.head = false, queue.Head{}
	s.parked--
	signal(s.news)
	return nil
}

// setBack puts off an event that failed, or gives it up. One that comes from the log is parked only with the first failure.
func (s *session) setBack(ctx context.Context, l *line, p queue.Parked, name string, attempts int, r webhook.Result) error {
	e := s.endpoint.Load()
	if attempts >= s.config.MaxAttempts {
		letter := queue.Letter{
			Event: p.Event, Sequence: p.Sequence, Attempts: attempts, Status: r.Status, Problem: r.Problem, DeadMs: s.now().UnixMilli(),
		}
		if err := s.queue.Bury(ctx, e, letter); err != nil {
			return err
		}
		s.record(&p.Event, name, attempts, queue.Dead, r)
		if !p.Stored() {
			return nil
		}
		l.next = time.Time{}
		return s.queue.Remove(ctx, p)
	}
	next := s.now().Add(s.config.Delay(attempts, r.RetryAfter, nil))
	h, err := s.queue.SetHead(ctx, e, l.user, queue.Head{Event: p.Event.ID, Attempts: attempts, NextMs: next.UnixMilli()})
	if err != nil {
		return err
	}
	if !p.Stored() {
		if err := s.queue.Park(ctx, e, p); err != nil {
			return err
		}
	}
	s.record(&p.Event, name, attempts, queue.Retry, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.parked {
		s.parked++
	}
	l.parked, l.head, l.next = true, h, next
	return nil
}
