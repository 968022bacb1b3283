package outbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// retryAfter is when it is worth trying again: by then, what was left over has been tried again.
const retryAfter = 5 * time.Second

// maxUnannounced bounds the events that an account keeps until the log has them. While the log is away, changes of one user end there.
const maxUnannounced = 50

// NewEvent is an event that tells of an account.
func (s *Store) NewEvent(project ident.ProjectID, user ident.UserID, t event.Type) event.Event {
	return event.Event{ID: ident.NewEventID(), Project: project, User: user, Type: t, CreatedMs: s.now().UnixMilli()}
}

// Change changes an account and tells of it. The event is stored with the change, so that no crash separates the two; when change has
// returned without error, both are on disk, and the log has the event, or gets it next: see Announce. An error may mean that the account
// has been changed and its event is late, in which case it is a 503.
func (s *Store) Change(ctx context.Context, tidings event.Event, change func(*account.Account) error) (account.Account, error) {
	a, err := s.accounts.Update(ctx, tidings.Project, tidings.User, func(a *account.Account) error {
		s.Untold(a)
		if len(a.Unannounced) >= maxUnannounced {
			return fault.Unavailable(retryAfter, "earlier changes of the user are not in the event log yet")
		}
		if err := change(a); err != nil {
			return err
		}
		a.Settle()
		a.UpdatedMs = tidings.CreatedMs
		a.Unannounced = append(a.Unannounced, tidings)
		return nil
	})
	if err != nil {
		return account.Account{}, err
	}
	return a, s.Announce(ctx, a)
}

// Note puts an event with an account that is being changed, unless too many are there already; Announce tells of it.
func Note(a *account.Account, tidings event.Event) {
	if len(a.Unannounced) < maxUnannounced {
		a.Unannounced = append(a.Unannounced, tidings)
	}
}

// Announce appends what the account has to tell, oldest first, and removes it from the account, at once or a moment later. That the log has
// them is what counts: events that cannot be removed are appended once more later, under the same IDs.
//
// The account is stored with its events by then. So while Run runs, nobody waits for those that no decision reads: they are on their way
// when Announce has returned, before whatever this store appends of the user next.
func (s *Store) Announce(ctx context.Context, a account.Account) error {
	if len(a.Unannounced) == 0 {
		return nil
	}
	read := func(e event.Event) bool { return !e.Type.OfAccount() }
	if !slices.ContainsFunc(a.Unannounced, read) && s.telling.later(refOf(&a), func() { s.tellLater(ctx, a) }) {
		return nil
	}
	return s.Tell(ctx, a)
}

// Tell is Announce for who waits until the log has what the account has to tell.
func (s *Store) Tell(ctx context.Context, a account.Account) error {
	if err := s.Caught(ctx, refOf(&a)); err != nil {
		return err
	}
	return s.tell(ctx, a)
}

func (s *Store) tell(ctx context.Context, a account.Account) error {
	if len(a.Unannounced) == 0 {
		return nil
	}
	ref := refOf(&a)
	for _, e := range a.Unannounced {
		if s.settling.has(ref, e.ID) {
			continue
		}
		if _, err := s.put(ctx, e); err != nil {
			return err
		}
	}
	if s.settling.later(ref, a.Unannounced) {
		return nil
	}
	_ = s.settle(ctx, ref, ids(a.Unannounced)) // told by it; the log has them
	return nil
}

// How often and how soon the append of an event is tried again: the passkey has been stored or used by then, and the challenge cannot be
// finished twice.
const (
	appendAttempts = 3
	appendPause    = 50 * time.Millisecond
)

// Append puts an event into the log, after those of the user's account that are on their way. The event's ID makes repetition harmless.
func (s *Store) Append(ctx context.Context, e event.Event) (service.Appended, error) {
	if err := s.Caught(ctx, account.Ref{Project: e.Project, User: e.User}); err != nil {
		return service.Appended{}, err
	}
	return s.put(ctx, e)
}

func (s *Store) put(ctx context.Context, e event.Event) (service.Appended, error) {
	return again(ctx, s, func() (service.Appended, error) { return s.events.Append(ctx, e) })
}

// Report puts events into the log. Who reports goes its way whether or not that can be done.
func (s *Store) Report(ctx context.Context, all ...event.Event) {
	for _, e := range all {
		if _, err := s.Append(ctx, e); err != nil {
			s.log.WarnContext(
				ctx, "what there is to tell of a user is not in the log", "event", string(e.Type), "project", e.Project, "user", e.User,
				"credential", e.Credential, "error", err,
			)
		}
	}
}

// Conclude is Append for an event that completes a login: it is put into the log if the user has no newer one than what it was judged by.
// The attempt makes repetition harmless.
func (s *Store) Conclude(ctx context.Context, c service.Conclusion) (service.Concluded, error) {
	if err := s.Caught(ctx, account.Ref{Project: c.Event.Project, User: c.Event.User}); err != nil {
		return service.Concluded{}, err
	}
	return again(ctx, s, func() (service.Concluded, error) { return s.events.Conclude(ctx, c) })
}

func again[T any](ctx context.Context, s *Store, put func() (T, error)) (T, error) {
	for attempt := 1; ; attempt++ {
		done, err := put()
		if err == nil || attempt == appendAttempts || !errors.Is(fault.As(err), fault.TypeUnavailable) {
			return done, err
		}
		s.metrics.Repeated.Inc()
		select {
		case <-ctx.Done():
			var none T
			return none, err
		case <-time.After(appendPause):
		}
	}
}
