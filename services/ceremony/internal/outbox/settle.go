package outbox

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// Nobody waits for the removal of events that the log has from the account: a change that comes meanwhile takes them along, and Run writes
// what is left over. What a process that dies leaves is appended once more, under the same IDs, and removed then.
const (
	settleAfter = time.Second     // to twice as long: when Run removes them
	maxSettling = 10_000          // accounts that may wait for that; others are settled at once
	settleDrain = 5 * time.Second // how long it may take at the end
)

// settling is which events the log has that accounts may have still. It is empty unless Run runs.
type settling struct {
	mu      sync.Mutex
	running bool
	told    map[account.Ref]*told
}

// told are events of one account.
type told struct {
	events []ident.EventID
	rests  bool // none has come since the last round
}

func refOf(a *account.Account) account.Ref { return account.Ref{Project: a.Project, User: a.ID} }

// has reports whether the log is known to have an event.
func (s *settling) has(ref account.Ref, id ident.EventID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.told[ref]
	return t != nil && slices.Contains(t.events, id)
}

// later notes that the log has events of an account, and reports whether they are removed later.
func (s *settling) later(ref account.Ref, events []event.Event) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.told[ref]
	if !s.running || t == nil && len(s.told) >= maxSettling {
		return false
	}
	both := &told{events: ids(events)}
	if t != nil { // changes that come together end in any order
		both.events = append(both.events, t.events...)
	}
	both.events = both.events[:min(len(both.events), 2*maxUnannounced)]
	s.told[ref] = both
	return true
}

func ids(events []event.Event) []ident.EventID {
	list := make([]ident.EventID, len(events))
	for i, e := range events {
		list[i] = e.ID
	}
	return list
}

// run has removals wait, or no longer.
func (s *settling) run(running bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = running
	if s.told == nil {
		s.told = make(map[account.Ref]*told)
	}
}

// due returns the accounts that have waited since the last round, or all.
func (s *settling) due(all bool) (refs []account.Ref) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ref, t := range s.told {
		if all || t.rests {
			refs = append(refs, ref)
		}
		t.rests = true
	}
	return refs
}

// of returns the events of an account that wait.
func (s *settling) of(ref account.Ref) *told {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.told[ref]
}

// gone forgets what an account has no longer, unless others have come.
func (s *settling) gone(ref account.Ref, t *told) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[ref] == t {
		delete(s.told, ref)
	}
}

// Run tells of changes for which nobody waits, and of what Observe took, and removes from accounts what has been told, a moment later,
// until ctx ends; then it does what is left and returns. Without it, who makes a change tells of it and removes it at once, and what is
// observed is lost.
func (s *Store) Run(ctx context.Context) {
	var observing sync.WaitGroup
	defer observing.Wait()
	observing.Go(func() { s.observe(ctx) })
	s.settling.run(true)
	s.telling.run(true)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(settleAfter):
			s.settleAll(ctx, s.settling.due(false))
		}
	}
	s.telling.run(false)
	s.settling.run(false)
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleDrain)
	defer cancel()
	s.settleAll(ending, s.settling.due(true))
}

// settleAll settles accounts, until the store cannot be reached.
func (s *Store) settleAll(ctx context.Context, refs []account.Ref) {
	for _, ref := range refs {
		t := s.settling.of(ref)
		if t == nil {
			continue
		}
		if err := s.settle(ctx, ref, t.events); errors.Is(err, kv.ErrUnavailable) {
			return
		}
		s.settling.gone(ref, t)
	}
}

// Untold leaves, of an account that is being changed, the events that the log is not known to have.
func (s *Store) Untold(a *account.Account) {
	ref := refOf(a)
	a.Unannounced = slices.DeleteFunc(a.Unannounced, func(e event.Event) bool { return s.settling.has(ref, e.ID) })
}

// settle removes from the account events that are in the log. No decision reads them, so none needs to hear of it. If it cannot be done
// they are appended again.
func (s *Store) settle(ctx context.Context, ref account.Ref, events []ident.EventID) error {
	_, err := s.accounts.Amend(ctx, ref.Project, ref.User, false, func(now *account.Account) error {
		now.Unannounced = slices.DeleteFunc(now.Unannounced, func(e event.Event) bool { return slices.Contains(events, e.ID) })
		return nil
	})
	if err == nil || errors.Is(err, account.ErrUnknown) {
		return nil
	}
	s.metrics.Unsettled.Inc()
	s.log.WarnContext(
		ctx, "events that are in the log could not be removed from the account; they will be appended again", "project", ref.Project,
		"user", ref.User, "error", err,
	)
	return err
}
