package outbox

import (
	"context"
	"errors"
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
// returned without error, the event is in the log too. An error may mean that the account has been changed and its event is late, in which
// case it is a 503.
func (s *Store) Change(ctx context.Context, tidings event.Event, change func(*account.Account) error) (account.Account, error) {
	a, _, err := s.Apply(ctx, tidings, change)
	return a, err
}

// Apply is change; it says too where in the log the event is.
func (s *Store) Apply(
	ctx context.Context, tidings event.Event, change func(*account.Account) error,
) (account.Account, service.Appended, error) {
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
		return account.Account{}, service.Appended{}, err
	}
	appended, err := s.publish(ctx, a)
	return a, appended, err
}

// Note puts an event with an account that is being changed, unless too many are there already; Announce tells of it.
func Note(a *account.Account, tidings event.Event) {
	if len(a.Unannounced) < maxUnannounced {
		a.Unannounced = append(a.Unannounced, tidings)
	}
}

// Announce appends what the account has to tell, oldest first, and removes it from the account, at once or a moment later. That the log has
// them is what counts: events that cannot be removed are appended once more later, under the same IDs.
func (s *Store) Announce(ctx context.Context, a account.Account) error {
	_, err := s.publish(ctx, a)
	return err
}

// publish is announce; it says too where in the log the last of the events is.
func (s *Store) publish(ctx context.Context, a account.Account) (last service.Appended, err error) {
	if len(a.Unannounced) == 0 {
		return service.Appended{}, nil
	}
	ref := refOf(&a)
	for _, e := range a.Unannounced {
		if s.settling.has(ref, e.ID) {
			continue
		}
		if last, err = s.Append(ctx, e); err != nil {
			return service.Appended{}, err
		}
	}
	if s.settling.later(ref, a.Unannounced) {
		return last, nil
	}
	_ = s.settle(ctx, ref, ids(a.Unannounced)) // told by it; the log has them
	return last, nil
}

// How often and how soon the append of an event is tried again: the passkey has been stored or used by then, and the challenge cannot be
// finished twice.
const (
	appendAttempts = 3
	appendPause    = 50 * time.Millisecond
)

// Append puts an event into the log. The event's ID makes repetition harmless.
func (s *Store) Append(ctx context.Context, e event.Event) (service.Appended, error) {
	return again(ctx, s, func() (service.Appended, error) { return s.events.Append(ctx, e) })
}

// Conclude puts an event into the log that completes a login, if the user has no newer one than what it was judged by. The attempt makes
// repetition harmless.
func (s *Store) Conclude(ctx context.Context, c service.Conclusion) (service.Concluded, error) {
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
