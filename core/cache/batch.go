package cache

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/core/span"
)

// Batch sends the commands of concurrent callers together: while a batch is under way, those that come gather for the next. That spares
// most of the system calls and wake-ups that a round trip costs both sides, and a lone caller waits for nobody. It has no goroutine of its
// own: the first caller of a batch sends it. It is safe for concurrent use.
type Batch struct {
	client *redis.Client

	mu      sync.Mutex
	sending bool    // somebody sends, or has been told to
	waiting []*call // the first of them sends next
}

type call struct {
	cmds  []redis.Cmder
	until time.Time // its caller's deadline; zero = none
	turn  chan bool // buffered: true = send, false = done
}

// NewBatch returns a batch that sends over client, under its timeouts and hooks.
func NewBatch(client *redis.Client) *Batch { return &Batch{client: client} }

// Do runs the commands one after the other on one connection and returns the first error. They may be sent although the caller has gone.
// After an error other than redis.Nil they may still be in use and must not be looked at. A caller that sends for others too may outstay
// its context until that of the last of them has ended, or by the client's timeouts.
func (b *Batch) Do(ctx context.Context, cmds ...redis.Cmder) error {
	b.mu.Lock()
	if !b.sending {
		b.sending = true
		b.mu.Unlock()
		defer b.passOn()
		b.run(ctx, cmds)
		return firstError(cmds)
	}
	until, _ := ctx.Deadline()
	c := &call{cmds: cmds, until: until, turn: make(chan bool, 1)}
	b.waiting = append(b.waiting, c)
	b.mu.Unlock()
	ctx, step := span.Cache(ctx, "wait", len(cmds))
	defer step.End(nil)
	select {
	case first := <-c.turn:
		if first {
			b.send(ctx)
		}
		return firstError(cmds)
	case <-ctx.Done():
		b.leave(c)
		return ctx.Err()
	}
}

// send runs what has gathered. The caller's own command is the first.
func (b *Batch) send(ctx context.Context) {
	b.mu.Lock()
	calls := b.waiting
	b.waiting = nil
	b.mu.Unlock()
	defer b.passOn()
	if len(calls) == 1 {
		b.run(ctx, calls[0].cmds)
		return
	}
	var all []redis.Cmder
	for _, c := range calls {
		all = append(all, c.cmds...)
	}
	ctx, cancel := asLongAsAny(ctx, calls)
	defer cancel()
	b.run(ctx, all)
	for _, c := range calls[1:] {
		c.turn <- false
	}
}

// asLongAsAny returns a context that ends at the latest deadline of the calls, and not before: none of them is cut short by another.
func asLongAsAny(ctx context.Context, calls []*call) (context.Context, context.CancelFunc) {
	ctx = context.WithoutCancel(ctx)
	var latest time.Time
	for _, c := range calls {
		if c.until.IsZero() {
			return ctx, func() {}
		}
		if c.until.After(latest) {
			latest = c.until
		}
	}
	return context.WithDeadline(ctx, latest)
}

// run sends commands, each of which holds its error then.
func (b *Batch) run(ctx context.Context, cmds []redis.Cmder) {
	if len(cmds) == 1 {
		_ = b.client.Process(ctx, cmds[0])
		return
	}
	pipe := b.client.Pipeline()
	for _, cmd := range cmds {
		_ = pipe.Process(ctx, cmd) // only gathers
	}
	_, _ = pipe.Exec(ctx)
}

func firstError(cmds []redis.Cmder) error {
	for _, cmd := range cmds {
		if err := cmd.Err(); err != nil {
			return err
		}
	}
	return nil
}

// passOn lets the next caller send.
func (b *Batch) passOn() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.waiting) == 0 {
		b.sending = false
		return
	}
	b.waiting[0].turn <- true
}

// leave takes a caller out who has not been waited for, or passes its turn on.
func (b *Batch) leave(c *call) {
	b.mu.Lock()
	position := -1
	for i, waiting := range b.waiting {
		if waiting == c {
			position = i
		}
	}
	if position >= 0 {
		b.waiting = append(b.waiting[:position], b.waiting[position+1:]...)
	}
	b.mu.Unlock()
	select {
	case first := <-c.turn:
		if first {
			b.passOn()
		}
	default:
	}
}
