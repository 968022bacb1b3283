package historycache

import (
	"context"
	"sync"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// forgotten is what is to be removed of somebody: what was seen of them, and sets.
type forgotten struct {
	gone []entry.Sighted
	sets []sighting.Key
}

// forgetting is what could not be removed yet, since the sets were out of reach, or may come back, since somebody was making them whole: no
// erasure waits for that. What a process that ends leaves here expires.
type forgetting struct {
	mu      sync.Mutex
	waiting []forgotten
	size    int // of what waits, in sightings and sets
}

// mostForgotten bounds what waits: some MB.
const mostForgotten = 1 << 16

// add reports whether there was room.
func (f *forgetting) add(one forgotten) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := len(one.gone) + len(one.sets)
	if f.size+size > mostForgotten {
		return false
	}
	f.waiting, f.size = append(f.waiting, one), f.size+size
	return true
}

// take returns what waits, and leaves nothing.
func (f *forgetting) take() []forgotten {
	f.mu.Lock()
	defer f.mu.Unlock()
	waiting := f.waiting
	f.waiting, f.size = nil, 0
	return waiting
}

// Forget removes what was seen of somebody, as their events say, from all sets. Out of reach, that is done as soon as they are not. It is
// for before the events are erased, lest a process that ends leave what nobody can name any more, and for afterwards, since who makes sets
// whole may have read them meanwhile.
func (c *Cache) Forget(ctx context.Context, project ident.ProjectID, user ident.UserID, events []event.Event) {
	var one forgotten
	for i := range events {
		if sighted, counts := entry.SightedIn(&events[i]); counts {
			one.gone = append(one.gone, sighted)
		}
	}
	for _, family := range sighting.Families() {
		one.sets = append(one.sets, sighting.OfUser(project, user, family))
	}
	ctx, cancel := entry.Told(ctx)
	defer cancel()
	c.forget(ctx, one)
}

// forget reports whether the sets were within reach.
func (c *Cache) forget(ctx context.Context, one forgotten) bool {
	again, err := c.sets.Forget(ctx, one.gone, one.sets...)
	if (again || err != nil) && !c.forgetting.add(one) {
		c.seen.log.WarnContext(ctx, "what was seen of somebody who is erased may stay until it expires: too much waits", "error", err)
	}
	return err == nil
}

// forgetAgain removes what could not be removed before, or may have come back.
func (c *Cache) forgetAgain(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, entry.MostPatience)
	defer cancel()
	waiting := c.forgetting.take()
	for i, one := range waiting {
		if c.forget(ctx, one) {
			continue
		}
		for _, later := range waiting[i+1:] {
			c.forgetting.add(later) // there was room for it
		}
		return
	}
}
