package ceremony

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

// maxUnannounced bounds the events that an account keeps until the log has them. While the log is away, changes of one user end there.
const maxUnannounced = 50

// How often, how old and how many at a time are the unfinished changes that Run looks for.
const (
	repairEvery = 5 * time.Second
	repairAge   = 5 * time.Second
	repairBatch = 100
)

// Unfinished finds accounts with something that has still to be brought to its end (see account.Account.Unfinished) and that were last written before a time.
type Unfinished interface {
	Unfinished(ctx context.Context, olderThan time.Time, limit int) ([]account.Ref, error)
}

// tidings is an event that tells of an account.
func (s *Service) tidings(project ident.ProjectID, user ident.UserID, t event.Type) event.Event {
	return event.Event{ID: ident.NewEventID(), Project: project, User: user, Type: t, CreatedMs: s.now().UnixMilli()}
}

// change changes an account and tells of it. The event is stored with the change, so that no crash separates the two; when change has returned without error,
// the event is in the log too. An error may mean that the account has been changed and its event is late, in which case it is a 503.
func (s *Service) change(ctx context.Context, tidings event.Event, change func(*account.Account) error) (account.Account, error) {
	a, _, err := s.changed(ctx, tidings, change)
	return a, err
}

// changed is change; it says too where in the log the event is.
func (s *Service) changed(ctx context.Context, tidings event.Event, change func(*account.Account) error) (account.Account, service.Appended, error) {
	a, err := s.accounts.Update(ctx, tidings.Project, tidings.User, func(a *account.Account) error {
		if len(a.Unannounced) >= maxUnannounced {
			return fault.Unavailable(repairEvery, "earlier changes of the user are not in the event log yet")
		}
		if err := change(a); err != nil {
			return err
		}
		a.UpdatedMs = tidings.CreatedMs
		a.Unannounced = append(a.Unannounced, tidings)
		return nil
	})
	if err != nil {
		return account.Account{}, service.Appended{}, err
	}
	appended, err := s.tell(ctx, a)
	return a, appended, err
}

// announce appends what the account has to tell, oldest first, and removes it from the account. That the log has them is what counts: events that cannot be removed now
// are appended once more later, under the same IDs.
func (s *Service) announce(ctx context.Context, a account.Account) error {
	_, err := s.tell(ctx, a)
	return err
}

// tell is announce; it says too where in the log the last of the events is.
func (s *Service) tell(ctx context.Context, a account.Account) (last service.Appended, err error) {
	if len(a.Unannounced) == 0 {
		return service.Appended{}, nil
	}
	for _, e := range a.Unannounced {
		if last, err = s.append(ctx, e); err != nil {
			return service.Appended{}, err
		}
	}
	if err := s.settle(ctx, a); err != nil {
		s.metrics.unsettled.Inc()
		s.log.WarnContext(ctx, "events that are in the log could not be removed from the account; they will be appended again", "project", a.Project, "user", a.ID, "error", err)
	}
	return last, nil
}

// settle removes from the account the events that a has, which are in the log. No decision reads them, so none needs to hear of it.
func (s *Service) settle(ctx context.Context, a account.Account) error {
	_, err := s.accounts.Amend(ctx, a.Project, a.ID, false, func(now *account.Account) error {
		now.Unannounced = slices.DeleteFunc(now.Unannounced, func(e event.Event) bool {
			return slices.ContainsFunc(a.Unannounced, func(told event.Event) bool { return told.ID == e.ID })
		})
		return nil
	})
	if errors.Is(err, account.ErrUnknown) {
		return nil
	}
	return err
}

// Run brings to its end what calls have begun and could not finish: events that are in no log yet and deletions of users. It does so at once and then every few
// seconds, until ctx ends. The service works without it.
func (s *Service) Run(ctx context.Context) error {
	defer s.deliveries.Wait()
	for {
		s.repair(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(repairEvery):
		}
	}
}

// repair works off what there is. A batch of which nothing could be done is tried again with the next round.
func (s *Service) repair(ctx context.Context) {
	for ctx.Err() == nil {
		refs, err := s.unfinishedAccounts.Unfinished(ctx, s.now().Add(-repairAge), repairBatch)
		if err != nil {
			s.log.DebugContext(ctx, "unfinished changes cannot be looked for yet", "error", err)
			return
		}
		failed := 0
		for _, ref := range refs {
			if err := s.finish(ctx, ref); err != nil {
				failed++
				s.log.WarnContext(ctx, "a change could not be finished yet", "project", ref.Project, "user", ref.User, "error", err)
			}
		}
		if failed > 0 || len(refs) < repairBatch {
			return
		}
	}
}

// finish brings one account to its end. One that others have finished, or that is gone, is no error.
func (s *Service) finish(ctx context.Context, ref account.Ref) error {
	a, _, err := s.accounts.Inspect(ctx, ref.Project, ref.User)
	if errors.Is(err, account.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if a.Erasing {
		s.metrics.repaired.WithLabelValues("deletion").Inc()
		err := s.erase(ctx, ref.Project, ref.User)
		if errors.Is(err, account.ErrUnknown) {
			return nil
		}
		return err
	}
	if len(a.Unannounced) > 0 {
		s.metrics.repaired.WithLabelValues("announcement").Inc()
	}
	return s.announce(ctx, a)
}
