// Package turn lets in one at a time for each name: who counts what is there must have seen what came before. It has no effects.
package turn

import (
	"context"
	"sync"
)

// Turns are of any number of names. The zero value is ready; it is safe for concurrent use.
type Turns struct {
	mu sync.Mutex
	of map[string]*turn
}

// turn is had by whoever has put something into free.
type turn struct {
	free  chan struct{}
	users int // who have or wait for it; guarded by the mutex of Turns
}

// Take waits until it is the caller's turn; leave ends it. The error is that of ctx, and it is nobody's turn then.
func (t *Turns) Take(ctx context.Context, name string) (leave func(), err error) {
	mine := t.join(name)
	select {
	case mine.free <- struct{}{}:
		return func() { <-mine.free; t.part(name, mine) }, nil
	case <-ctx.Done():
		t.part(name, mine)
		return nil, ctx.Err()
	}
}

func (t *Turns) join(name string) *turn {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil {
		t.of = make(map[string]*turn)
	}
	mine := t.of[name]
	if mine == nil {
		mine = &turn{free: make(chan struct{}, 1)}
		t.of[name] = mine
	}
	mine.users++
	return mine
}

func (t *Turns) part(name string, mine *turn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(t.of, name)
	}
}
