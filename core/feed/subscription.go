package feed

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/keyward/keyward/core/ident"
)

// How much Next returns at most.
const (
	batchMessages = 256
	batchBytes    = 64 << 10 // once a batch has reached it nothing is added
)

// ErrReset reports that the stream ends before the subscriber's position: it was restored from a backup. Subscribe anew.
var ErrReset = errors.New("the stream is not the one that was subscribed to")

// Subscription receives events. Next is for one goroutine at a time; Close may be called by any.
type Subscription struct {
	feed    *Feed
	project ident.ProjectID
	filter  Filter
	since   time.Time // until the first read of the stream
	after   uint64    // everything up to here has been returned
	oldest  uint64    // see Missed
	buffer  []Message
	looked  time.Time // when it was last looked whether there is something
	timer   *time.Timer

	generation uint64 // of the ring

	closed chan struct{}
	once   sync.Once
}

// Missed returns the oldest position of the stream if what follows the start was no longer kept when the subscription began.
func (s *Subscription) Missed() (oldest uint64, missed bool) { return s.oldest, s.oldest > 0 }

// Close ends the subscription; a Next under way returns ErrClosed.
func (s *Subscription) Close() {
	s.once.Do(func() {
		close(s.closed)
		s.feed.subscribers.Add(-1)
	})
}

// Next waits for events and returns them, at least one, in the order of the stream. The slice is good until the next call, the messages in
// it for ever. It fails when ctx ends, with its error, and nothing is lost then: the next call goes on. It fails for good with ErrClosed
// when the subscription or the feed has ended, and with ErrReset. While NATS is away it waits.
func (s *Subscription) Next(ctx context.Context) ([]Message, error) {
	for {
		if err := s.pace(ctx); err != nil {
			return nil, err
		}
		if s.feed.ring.generation() != s.generation {
			return nil, ErrReset
		}
		inRing := false
		if s.since.IsZero() {
			s.buffer, s.after, inRing = s.feed.ring.take(s.buffer[:0], s.project, s.filter, s.after)
		}
		var err error
		switch {
		case !inRing:
			err = s.readOlder(ctx)
		case len(s.buffer) == 0:
			err = s.await(ctx, s.feed.ring.wait(s.after), 0)
		}
		if err != nil {
			return nil, err
		}
		if len(s.buffer) > 0 {
			return s.buffer, nil
		}
	}
}

// pace waits until the ring may be looked into again.
func (s *Subscription) pace(ctx context.Context) error {
	pause := s.feed.pause()
	if pause > 0 {
		if rest := pause - time.Since(s.looked); rest > 0 {
			if err := s.await(ctx, nil, rest); err != nil {
				return err
			}
		}
	}
	s.looked = time.Now()
	return s.ended(ctx)
}

// await returns when changed is closed or the time is over; with neither, at once.
func (s *Subscription) await(ctx context.Context, changed <-chan struct{}, limit time.Duration) error {
	if changed == nil && limit == 0 {
		return s.ended(ctx)
	}
	var over <-chan time.Time
	if limit > 0 {
		if s.timer == nil {
			s.timer = time.NewTimer(limit)
		} else {
			s.timer.Reset(limit)
		}
		defer s.timer.Stop()
		over = s.timer.C
	}
	select {
	case <-changed:
	case <-over:
	case <-ctx.Done():
	case <-s.closed:
	case <-s.feed.ended:
	}
	return s.ended(ctx)
}

func (s *Subscription) ended(ctx context.Context) error {
	select {
	case <-s.closed:
		return ErrClosed
	case <-s.feed.ended:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// readOlder reads one batch of the stream into the buffer. Once there is no more it moves the position to where the stream was known to be
// before it looked, which is in the ring if there is one.
func (s *Subscription) readOlder(ctx context.Context) error {
	reached, live := s.feed.ring.mark()
	changed := s.feed.ring.wait(reached)
	done, err := s.readBatch(ctx)
	switch {
	case len(s.buffer) > 0:
		return nil // the position is behind them already, whatever went wrong afterwards
	case ctx.Err() != nil || errors.Is(err, ErrClosed):
		return s.ended(ctx)
	case err != nil:
		s.feed.metrics.failures.Inc()
		s.feed.log.Debug("reading the stream of events is tried again", "error", err)
		return s.await(ctx, nil, retry)
	case !done:
		return nil
	case live:
		s.after, s.since = max(s.after, reached), time.Time{}
		return nil
	}
	// Nobody follows the stream: it has just been asked for, or NATS is away.
	return s.await(ctx, changed, retry)
}
