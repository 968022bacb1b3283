// Package settling writes down what a sign-up or login has proven of its user, and takes from a user who waited to be verified what a login
// has not proven: who signed up may have been somebody else, who entered the address of another and waits for them to come. When Settle
// has returned, the account says that the user is verified, whatever was taken logs nobody in, and its names are free for others. It
// touches the account of the user alone; passkeys and names go by way of the rooms that keep them.
package settling

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
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/signin"
)

// Passkeys deletes passkeys. The room passkeys is one.
type Passkeys interface {
	Remove(context.Context, service.ForUser[ident.CredentialID]) (service.Change, error)
}

// Names frees the names that an account has no longer. The room directory is one.
type Names interface {
	GiveBack(ctx context.Context, before, after account.Account) error
}

// Settler settles what processes have proven. All fields are required.
type Settler struct {
	Accounts *account.Store
	Outbox   *outbox.Store
	Passkeys Passkeys
	Names    Names
}

// Settle writes down what a process has proven of its user: whoever got a code has the identifier, and a sign-up that gets this far is
// complete. here tells in which environment the process is; an empty one is none.
func (s Settler) Settle(
	ctx context.Context, project ident.ProjectID, state signin.State, here func() (ident.EnvironmentID, error),
) (account.Account, error) {
	a, _, err := s.Accounts.Get(ctx, project, state.User)
	if err != nil {
		return account.Account{}, err
	}
	looked := a
	looked.Identifiers = slices.Clone(a.Identifiers)
	changed, stands := state.Prove(&looked)
	switch {
	case !stands:
		// It was taken from the user since: who has it is not who has the account.
		return account.Account{}, process.ErrUnknown
	case changed:
		return s.prove(ctx, state, a, here)
	}
	if a.SignUpUntilMs == 0 && a.WrongCodes == 0 {
		return a, nil
	}
	return s.Accounts.Update(ctx, a.Project, a.ID, func(a *account.Account) error {
		a.SignUpUntilMs, a.WrongCodes = 0, 0
		return nil
	})
}

// prove stores what a process has proven of its user. The passkeys that were created before the user was verified are taken from one who is
// verified by a login, unless they were created in this very browser.
func (s Settler) prove(
	ctx context.Context, state signin.State, a account.Account, here func() (ident.EnvironmentID, error),
) (account.Account, error) {
	seen, err := here()
	if err != nil {
		return account.Account{}, err
	}
	for _, id := range state.Doubtful(a, seen) {
		gone := service.ForUser[ident.CredentialID]{Project: a.Project, User: a.ID, Body: id}
		if _, err := s.Passkeys.Remove(ctx, gone); err != nil && !errors.Is(err, account.ErrUnknownCredential) {
			return account.Account{}, err
		}
	}
	var before account.Account
	after, err := s.Outbox.Change(ctx, s.Outbox.NewEvent(a.Project, a.ID, event.UserUpdated), func(a *account.Account) error {
		if len(state.Doubtful(*a, seen)) > 0 {
			return fault.Unavailable(time.Second, "a passkey was created meanwhile")
		}
		before = *a
		before.Identifiers = slices.Clone(a.Identifiers)
		if _, stands := state.Prove(a); !stands {
			return process.ErrUnknown
		}
		a.SignUpUntilMs, a.WrongCodes = 0, 0
		return nil
	})
	if after.ID == "" {
		// If the account was stored all the same, the entries of its names mean nothing any more.
		return after, err
	}
	return after, errors.Join(err, s.Names.GiveBack(ctx, before, after))
}
