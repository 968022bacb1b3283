package month

import (
	"sync"
	"time"
)

// Clock is that of a server whose month passes faster. It never goes back, and between two moments it goes on as time does. It is safe for
// concurrent use.
type Clock struct {
	mu   sync.Mutex
	at   time.Time
	real time.Time // when it was set
}

// NewClock returns one that stands at a moment.
func NewClock(at time.Time) *Clock { return &Clock{at: at, real: time.Now()} }

// Now returns the moment.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at.Add(time.Since(c.real))
}

// Set has it be a moment, unless that has passed.
func (c *Clock) Set(to time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if to.After(c.at.Add(time.Since(c.real))) {
		c.at, c.real = to, time.Now()
	}
}
