// Package deadline bounds what a call does in time, without a timer and without telling its parent, until somebody waits for the end: most
// of what is bounded has ended long before, and has waited for nothing. It promises what context.WithTimeout does, but that of two reasons
// to end, while nobody waited, either may be told. It touches nothing.
package deadline

import (
	"context"
	"sync"
	"time"
)

// Context is a context that ends when its time has passed, its parent ends, or End is called. It is safe for concurrent use.
type Context struct {
	parent context.Context //nolint:containedctx // it is one
	until  time.Time

	mu     sync.Mutex
	real   context.Context //nolint:containedctx // nil until somebody waits
	cancel context.CancelFunc
	err    error // why it has ended, if nobody waits
}

// With returns a context that ends after a time at the latest. End must be called.
func With(parent context.Context, after time.Duration) *Context {
	until := time.Now().Add(after)
	if earlier, bounded := parent.Deadline(); bounded && earlier.Before(until) {
		until = earlier
	}
	return &Context{parent: parent, until: until}
}

// Deadline implements context.Context.
func (c *Context) Deadline() (time.Time, bool) { return c.until, true }

// Done implements context.Context. From the first call on there is a timer.
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.real == nil {
		c.real, c.cancel = context.WithDeadline(c.parent, c.until)
		if c.err != nil {
			c.cancel()
		}
	}
	return c.real.Done()
}

// Err implements context.Context.
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = c.ended()
	}
	return c.err
}

func (c *Context) ended() error {
	if c.real != nil {
		return c.real.Err()
	}
	if err := c.parent.Err(); err != nil {
		return err
	}
	if !time.Now().Before(c.until) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value implements context.Context. Contexts that are derived find here whom to hang on to.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	from := c.real
	c.mu.Unlock()
	if from == nil {
		from = c.parent
	}
	return from.Value(key)
}

// End ends the context, if it has not ended.
func (c *Context) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = c.ended()
	}
	if c.err == nil {
		c.err = context.Canceled
	}
	if c.cancel != nil {
		c.cancel()
	}
}
