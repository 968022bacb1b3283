package webhook

import (
	"context"
	"time"
)

// retry tries the first parked event of a line.
func (s *session) retry(ctx context.Context, l *line) error {
	e := s.endpoint.Load()
	p, found, err := s.queue.first(ctx, e, l.user)
	if err != nil {
		return err
	}
	if !found {
		return s.unpark(ctx, l)
	}
	name, subscribed := e.Subscribed(p.Event.Type)
	if !subscribed {
		return s.queue.remove(ctx, p.at)
	}
	attempts := 1
	if l.head.Event == p.Event.ID {
		attempts += l.head.Attempts
	}
	r, ok := s.attempt(ctx, &p.Event, name)
	if !ok {
		return nil
	}
	if r.delivered {
		s.count(true)
		s.record(&p.Event, name, attempts, Delivered, r)
		if p.Replay {
			if err := s.queue.exhume(ctx, e, l.user, p.Event.ID); err != nil {
				return err
			}
		}
		return s.queue.remove(ctx, p.at)
	}
	exists, err := s.queue.there(ctx, s.queue.retries, p.at)
	if err != nil || !exists {
		return err
	}
	return s.setBack(ctx, l, p, name, attempts, r)
}

// unpark ends the parking of a line that has nothing parked any more. Somebody may park something at this moment (a replay): it is stored before its head is
// seen to, so looking again after the head is gone finds it.
func (s *session) unpark(ctx context.Context, l *line) error {
	e := s.endpoint.Load()
	if l.head.at != 0 {
		if err := s.queue.remove(ctx, l.head.at); err != nil {
			return err
		}
	}
	if _, found, err := s.queue.first(ctx, e, l.user); err != nil || found {
		if err == nil {
			l.head, err = s.queue.setHead(ctx, e, l.user, head{})
		}
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l.parked, l.head = false, head{}
	s.parked--
	signal(s.news)
	return nil
}

// setBack puts off an event that failed, or gives it up. One that comes from the log is parked only with the first failure.
func (s *session) setBack(ctx context.Context, l *line, p parked, name string, attempts int, r result) error {
	e := s.endpoint.Load()
	if attempts >= s.config.MaxAttempts {
		letter := Letter{Event: p.Event, Sequence: p.Sequence, Attempts: attempts, Status: r.status, Problem: r.problem, DeadMs: s.now().UnixMilli()}
		if err := s.queue.bury(ctx, e, letter); err != nil {
			return err
		}
		s.record(&p.Event, name, attempts, Dead, r)
		if p.at == 0 {
			return nil
		}
		l.next = time.Time{}
		return s.queue.remove(ctx, p.at)
	}
	next := s.now().Add(s.config.delay(attempts, r.retryAfter, nil))
	h, err := s.queue.setHead(ctx, e, l.user, head{Event: p.Event.ID, Attempts: attempts, NextMs: next.UnixMilli()})
	if err != nil {
		return err
	}
	if p.at == 0 {
		if err := s.queue.park(ctx, e, p); err != nil {
			return err
		}
	}
	s.record(&p.Event, name, attempts, Retry, r)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !l.parked {
		s.parked++
	}
	l.parked, l.head, l.next = true, h, next
	return nil
}
