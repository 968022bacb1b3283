package dispatch

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// progress is how far the log was read for an endpoint, and what of it is still in hand.
type progress struct {
	mu   sync.Mutex
	read uint64 // the last that was read
	hand map[uint64]struct{}
}

// take notes that an event was read which is in hand from now on.
func (p *progress) take(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hand == nil {
		p.hand = make(map[uint64]struct{})
	}
	p.read, p.hand[sequence] = sequence, struct{}{}
}

// pass notes that an event was read which concerns the endpoint not.
func (p *progress) pass(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.read = sequence
}

// done notes that an event is in hand no more: it was delivered, or the queue keeps it.
func (p *progress) done(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.hand, sequence)
}

// floor returns up to where nothing remains to be done, and what has been read and how much of it is in hand.
func (p *progress) floor() (floor, read uint64, inHand int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	floor = p.read
	for sequence := range p.hand {
		floor = min(floor, sequence-1)
	}
	return floor, p.read, len(p.hand)
}

// resume finds out where the session is to begin. A log that ends before that was restored from a backup: what is appended to it from now
// on is new, whatever its numbers.
func (s *session) resume(ctx context.Context) error {
	e := s.endpoint.Load()
	at, err := s.queue.Position(ctx, e)
	if err != nil {
		return err
	}
	state, err := s.source.State(ctx)
	if err != nil {
		return err
	}
	if at.Sequence > state.LastSeq {
		if at, err = s.queue.SetPosition(ctx, e, at, state.LastSeq); err != nil {
			return err
		}
	}
	s.stored = at
	return nil
}

// save stores how far the endpoint has got, if that is further than before.
func (s *session) save(ctx context.Context) error {
	s.saving.Lock()
	defer s.saving.Unlock()
	floor, _, _ := s.progress.floor()
	if floor <= s.stored.Sequence {
		return nil
	}
	stored, err := s.queue.SetPosition(ctx, s.endpoint.Load(), s.stored, floor)
	if err != nil {
		return fmt.Errorf("note how far an endpoint has got: %w", err)
	}
	s.stored = stored
	return nil
}

// saves saves every so often, until ctx ends.
func (s *session) saves(ctx context.Context) {
	ticker := time.NewTicker(saveEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.save(ctx); err != nil && ctx.Err() == nil {
			s.fail(err)
			return
		}
	}
}

// saveAtLast saves what the session has done until its end. If it cannot, some events come again.
func (s *session) saveAtLast(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveLast)
	defer cancel()
	if err := s.save(ctx); err != nil {
		s.log.DebugContext(ctx, "it could not be noted how far a webhook endpoint has got", "error", err)
	}
}

// settle ends what was to be done for an event that the queue keeps now. The position is stored at once: as long as nothing earlier is in
// hand, an event that is delivered from the parking does not come from the log again.
func (s *session) settle(ctx context.Context, i item) error {
	s.progress.done(i.sequence)
	if err := s.save(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}
