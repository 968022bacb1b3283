package codes

import (
	"context"
	"errors"
	"net/http"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
)

// Stopped refuses the codes of an account. It does not say when to try again, since no time makes a difference.
func Stopped() error {
	return &fault.Fault{
		Type: fault.TypeCodesStopped, Status: http.StatusForbidden,
		Details: "too many wrong codes in a row: none is taken until the user has signed in with a passkey, or the operator allows it",
	}
}

// Stops reports whether no code of an account is looked at any more.
func (l Limits) Stops(a *account.Account) bool { return l.Stop > 0 && a.WrongCodes >= l.Stop }

// CountWrong counts a wrong code in the account, where the count lasts until it is forgiven. The event is stored with it, for the outbox to
// announce. A user who has been deleted since is no error.
func (l Limits) CountWrong(ctx context.Context, accounts *account.Store, failed event.Event) (account.Account, error) {
	a, err := accounts.Amend(ctx, failed.Project, failed.User, true, func(a *account.Account) error {
		a.WrongCodes++
		failed.Codes = &event.Codes{Wrong: a.WrongCodes, Stopped: l.Stops(a)}
		outbox.Note(a, failed)
		return nil
	})
	if errors.Is(err, account.ErrUnknown) {
		return account.Account{}, nil
	}
	if err == nil && l.Audit != nil && l.Stop > 0 && a.WrongCodes == l.Stop {
		l.Audit.CodesGuessed(failed.Project)
	}
	return a, err
}

// Forgive ends the count of an account: the user has proven to be who they are.
func Forgive(ctx context.Context, accounts *account.Store, a *account.Account) error {
	if a.WrongCodes == 0 {
		return nil
	}
	_, err := accounts.Amend(ctx, a.Project, a.ID, true, func(a *account.Account) error {
		a.WrongCodes = 0
		return nil
	})
	return err
}
