package direct

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

const (
	// While nothing comes, it is looked for that often: soon after a sign of something, which is heard before it is stored, and ever more
	// seldom.
	soonest = time.Millisecond
	latest  = 250 * time.Millisecond
	// How often it is looked at, while nothing comes, whether the stream is still the same.
	doubtful = time.Second
)

// Cursor is a place in what a stream has of a subject, and gets. One goroutine at a time uses it. Close it.
type Cursor struct {
	stream  *Stream
	subject string
	after   uint64
	signs   chan struct{}
	looks   chan struct{}
	sub     *nats.Subscription

	patience, pause time.Duration
	looked          time.Time
	connected       uint64
}

// Cursor begins after a position. While nothing comes and nothing is heard it looks for something once in a while, which it takes its time
// for: who has many cursors that seldom move gives each a long one.
func (s *Stream) Cursor(subject string, after uint64, while time.Duration) (*Cursor, error) {
	c := &Cursor{
		stream: s, subject: subject, after: after, signs: make(chan struct{}, 1), looks: make(chan struct{}, 1),
		patience: while, pause: soonest, looked: time.Now(), connected: s.js.Conn().Stats().Reconnects,
	}
	var err error
	if c.sub, err = s.js.Conn().Subscribe(subject, func(*nats.Msg) {
		select {
		case c.signs <- struct{}{}:
		default:
		}
	}); err != nil {
		return nil, fmt.Errorf("listen for signs of %s: %w", subject, err)
	}
	return c, nil
}

// Look has Next look at once whether there is something, and ends a Rest. Anybody may call it, at any time.
func (c *Cursor) Look() {
	select {
	case c.looks <- struct{}{}:
	default:
	}
}

// Rest waits so that what comes meanwhile is read together, until there is a Look or ctx ends.
func (c *Cursor) Rest(ctx context.Context, moment time.Duration) {
	timer := time.NewTimer(moment)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.looks:
	case <-timer.C:
	}
}

// Close ends the cursor.
func (c *Cursor) Close() { _ = c.sub.Unsubscribe() }

// Next hands on the messages that come next, of which it awaits the first: at least one, and at most as many as are wanted. It fails when
// ctx ends, with what take returns, and when the stream is another one (ErrReset) or cannot be read. What was handed on
// does not come again.
func (c *Cursor) Next(ctx context.Context, most int, take func(Message) error) error {
	for {
		n := 0
		hand := func(m Message) (bool, error) {
			n++
			c.after = m.Sequence
			return n < most, take(m)
		}
		var err error
		if c.stream.batch {
			_, err = c.stream.page(ctx, c.subject, After(c.after), min(most, batchMessages), hand)
		} else {
			err = c.stream.Each(ctx, c.subject, After(c.after), hand)
		}
		if err != nil {
			return err
		}
		if n > 0 {
			c.pause = soonest
			return nil
		}
		if err := c.await(ctx); err != nil {
			return err
		}
	}
}

// await returns when it may be worth it to look again.
func (c *Cursor) await(ctx context.Context) error {
	if now := c.stream.js.Conn().Stats().Reconnects; now != c.connected || time.Since(c.looked) > doubtful {
		if err := c.stream.reaches(ctx, c.after); err != nil {
			return err
		}
		c.looked, c.connected = time.Now(), now
	}
	timer := time.NewTimer(c.pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-c.signs:
		c.pause = soonest
	case <-c.looks:
		c.pause = soonest
	case <-timer.C:
		c.pause = min(2*c.pause, c.patience)
	}
	return nil
}

// reaches fails if the stream ends before a position.
func (s *Stream) reaches(ctx context.Context, position uint64) error {
	state, err := s.State(ctx)
	if err == nil && state.LastSeq < position {
		err = fmt.Errorf("%s ends at %d, %d was read: %w", s.name, state.LastSeq, position, ErrReset)
	}
	return err
}

// Follow reads the messages of a subject after a position and all that are stored from then on, until ctx ends, take returns an error, the
// stream is another one (ErrReset) or cannot be read. It returns why.
func (s *Stream) Follow(ctx context.Context, subject string, after uint64, take func(Message) error) error {
	c, err := s.Cursor(subject, after, latest)
	if err != nil {
		return err
	}
	defer c.Close()
	for {
		if err := c.Next(ctx, batchMessages, take); err != nil {
			return err
		}
	}
}
