package account_test

import (
	"testing"

	"github.com/keyward/keyward/core/account"
)

func TestWhatEndsTheWaitingOfAUser(t *testing.T) {
	t.Parallel()
	const (
		email, phone, name = account.IdentifierTypeEmail, account.IdentifierTypePhone, account.IdentifierTypeUsername
		pending, verified  = account.IdentifierStatusPending, account.IdentifierStatusVerified
	)
	of := func(kind account.IdentifierType, status account.IdentifierStatus) account.Identifier {
		return account.Identifier{Type: kind, Status: status}
	}
	all := func(identifiers ...account.Identifier) []account.Identifier { return identifiers }
	for what, c := range map[string]struct {
		status account.Status
		has    []account.Identifier
		ends   bool
	}{
		"nothing verified":                        {account.StatusPending, all(of(email, pending)), false},
		"a user name alone":                       {account.StatusPending, all(of(name, verified)), false},
		"no identifier":                           {account.StatusPending, nil, false},
		"the only address verified":               {account.StatusPending, all(of(email, verified)), true},
		"an address verified beside a user name":  {account.StatusPending, all(of(email, verified), of(name, pending)), true},
		"a phone verified, the address not":       {account.StatusPending, all(of(email, pending), of(phone, verified)), false},
		"both verified":                           {account.StatusPending, all(of(email, verified), of(phone, verified)), true},
		"somebody has made the user active":       {account.StatusActive, all(of(email, pending)), true},
		"disabled, and nothing has been verified": {account.StatusDisabled, all(of(email, pending)), false},
	} {
		a := account.Account{Status: c.status, Identifiers: c.has, Unverified: true, SignUpUntilMs: 1}
		a.Settle()
		if a.Unverified == c.ends || a.GivenUp(1) == c.ends || a.Waits() != (c.status == account.StatusPending && !c.ends) {
			t.Errorf("%s: %+v", what, a)
		}
	}
}
