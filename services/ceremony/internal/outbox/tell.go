package outbox

import (
	"context"
	"sync"
	"time"

	"github.com/keyward/keyward/core/account"
)

const (
	tellLimit  = 10 * time.Second // for all events of a change; shorter than what the sweep after an erasure waits for
	maxTelling = 1_000            // accounts whose events may be on their way; of others, who makes the change waits
)

// telling is which accounts have events on their way to the log. It is empty unless Run runs.
type telling struct {
	mu      sync.Mutex
	running bool
	under   map[account.Ref]chan struct{} // closed when those of the last change are there, or have failed
	all     sync.WaitGroup
}

// later has tell called beside the caller, once what is on its way of the account before is there. It is false if the caller has to do it.
func (t *telling) later(ref account.Ref, tell func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := t.under[ref]
	if !t.running || before == nil && len(t.under) >= maxTelling {
		return false
	}
	done := make(chan struct{})
	t.under[ref] = done
	t.all.Go(func() {
		if before != nil {
			<-before
		}
		tell()
		t.ended(ref, done)
	})
	return true
}

func (t *telling) ended(ref account.Ref, done chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.under[ref] == done {
		delete(t.under, ref)
	}
	close(done)
}

func (t *telling) last(ref account.Ref) <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.under[ref]
}

// run has events be told beside their callers, or no longer; then it waits for those that are.
func (t *telling) run(running bool) {
	t.mu.Lock()
	t.running = running
	if t.under == nil {
		t.under = make(map[account.Ref]chan struct{})
	}
	t.mu.Unlock()
	if !running {
		t.all.Wait()
	}
}

// Caught waits until nothing that was changed before of an account is on its way to the log from here.
func (s *Store) Caught(ctx context.Context, ref account.Ref) error {
	on := s.telling.last(ref)
	if on == nil {
		return nil
	}
	select {
	case <-on:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tellLater tells of a change for which nobody waits. What it cannot tell stays with the account, and is told from there.
func (s *Store) tellLater(ctx context.Context, a account.Account) {
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), tellLimit)
	defer cancel()
	if err := s.tell(limited, a); err != nil {
		s.log.WarnContext(limited, "events of an account are not in the log yet", "project", a.Project, "user", a.ID, "error", err)
	}
}
