package directory

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
)

// A deletion is done by one instance at a time, because what one has put into the log last must not be purged by another that is behind.
// Who does not get it done within eraseLimit gives up, long before another may take over.
const (
	eraseLease = 30 * time.Second
	eraseLimit = 20 * time.Second
)

// DeleteUser implements service.Users. From its first write on there is no such user to anybody. When it has returned without error,
// nothing is left of the user but the event that tells of the deletion. A 503 says that the deletion goes on by itself; asked for again
// meanwhile, it is resumed.
func (s *Service) DeleteUser(ctx context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	return service.Empty{}, s.Erase(ctx, req.Project, req.User)
}

// Erase begins or resumes the deletion of a user. The account goes last: it says how far the deletion is.
func (s *Service) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	release, err := s.erasures.acquire(ctx, account.Ref{Project: project, User: user})
	if err != nil {
		return goesOn(err)
	}
	defer release()
	a, err := s.beginErasure(ctx, project, user)
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, eraseLimit)
	defer cancel()
	if err := s.outbox.Caught(limited, account.Ref{Project: project, User: user}); err != nil {
		return goesOn(err)
	}
	if err := s.finishErasure(limited, a); err != nil {
		return goesOn(err)
	}
	return nil
}

func goesOn(err error) error {
	return fault.Unavailable(repairEvery, "the user is being deleted; that has begun and goes on by itself").Because(err)
}

// beginErasure makes the user be nobody and this instance be the one that deletes, in one write.
func (s *Service) beginErasure(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error) {
	tidings := s.outbox.NewEvent(project, user, event.UserDeleted)
	return s.accounts.Amend(ctx, project, user, true, func(a *account.Account) error {
		now := s.now()
		if !a.Erasing {
			a.Erasing, a.Status, a.Erasure = true, account.StatusDisabled, &account.Erasure{}
			// What else there was to tell is about to be purged.
			a.Unannounced = []event.Event{tidings}
		}
		if a.Erasure.By != s.instance && now.UnixMilli() < a.Erasure.UntilMs {
			return goesOn(nil)
		}
		a.Erasure.By, a.Erasure.UntilMs = s.instance, now.Add(eraseLease).UnixMilli()
		return nil
	})
}

// finishErasure removes everything that is kept of the user elsewhere, writes down that this is done, tells of it, and removes the account.
// What has been told is not purged again, since the purge is not repeated once it has been written down.
func (s *Service) finishErasure(ctx context.Context, a account.Account) error {
	if !a.Erasure.Cleared {
		if err := s.clear(ctx, a); err != nil {
			return err
		}
		cleared, err := s.accounts.Amend(ctx, a.Project, a.ID, false, func(now *account.Account) error {
			if now.Erasure == nil || now.Erasure.By != s.instance {
				return fault.Unavailable(time.Second, "another instance has taken the deletion over")
			}
			progress := *now.Erasure
			progress.Cleared = true
			*now = account.Account{
				Project: now.Project, ID: now.ID, Status: now.Status, CreatedMs: now.CreatedMs, UpdatedMs: now.UpdatedMs,
				Erasing: true, Erasure: &progress, Unannounced: now.Unannounced,
			}
			return nil
		})
		if err != nil {
			return err
		}
		a = cleared
	}
	for _, e := range a.Unannounced {
		if _, err := s.outbox.Append(ctx, e); err != nil {
			return err
		}
	}
	return s.accounts.Delete(ctx, a.Project, a.ID)
}

// clear removes what is kept of the user outside of the account. Each step can be repeated. Events go last, and with them those that calls
// under way have still appended.
func (s *Service) clear(ctx context.Context, a account.Account) error {
	steps := append(
		slices.Clone(s.forget),
		s.eraseCredentialIndex,
		s.eraseIdentifierIndex,
		func(ctx context.Context, a account.Account) error {
			_, err := s.events.Erase(ctx, service.ForUser[service.Empty]{Project: a.Project, User: a.ID})
			return err
		},
	)
	for _, step := range steps {
		if err := step(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) eraseCredentialIndex(ctx context.Context, a account.Account) error {
	ids := make([][]byte, 0, len(a.Credentials)+len(a.Deleted))
	for _, c := range a.Credentials {
		ids = append(ids, c.CredentialID)
	}
	for _, c := range a.Deleted {
		if !c.GivenUp() {
			ids = append(ids, c.CredentialID)
		}
	}
	for _, id := range ids {
		if err := s.index.RemoveCredential(ctx, a.Project, id, a.ID); err != nil {
			return err
		}
	}
	if a.ExplicitWebauthnID == nil {
		return nil
	}
	return s.index.RemoveHandle(ctx, a.Project, a.UserHandle, a.ID)
}

func (s *Service) eraseIdentifierIndex(ctx context.Context, a account.Account) error {
	names := make([]identindex.Name, 0, len(a.Identifiers)+len(a.SocialAccounts))
	for _, i := range a.Identifiers {
		names = append(names, identifierName(a.Project, i.Type, i.Value))
	}
	for _, social := range a.SocialAccounts {
		names = append(names, socialName(a.Project, social.Provider, social.ForeignID))
	}
	for _, name := range names {
		if err := s.names.Release(ctx, name, string(a.ID), ""); err != nil {
			return err
		}
	}
	return nil
}

// turns lets one caller at a time do something with one account, in this process. The zero value is ready.
type turns struct {
	mu   sync.Mutex
	busy map[account.Ref]chan struct{} // closed when the turn is over
}

// acquire waits for the turn, or until ctx ends.
func (t *turns) acquire(ctx context.Context, ref account.Ref) (release func(), err error) {
	for {
		over, mine := t.take(ref)
		if mine {
			return func() { t.give(ref, over) }, nil
		}
		select {
		case <-over:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func (t *turns) take(ref account.Ref) (over chan struct{}, mine bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if over, taken := t.busy[ref]; taken {
		return over, false
	}
	if t.busy == nil {
		t.busy = make(map[account.Ref]chan struct{})
	}
	over = make(chan struct{})
	t.busy[ref] = over
	return over, true
}

func (t *turns) give(ref account.Ref, over chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.busy, ref)
	close(over)
}
