package written

import (
	"slices"

	"github.com/keyward/keyward/core/account"
)

// Provider is what holds a passkey, by a name of the bundle's. Line is where the file names it.
type Provider struct {
	Name string
	Line int
}

// Provide gives the passkeys whose provider is named the AAGUID that find has for it, and returns the names that it has none for. It
// changes this scenario alone, not those that were copied from it.
func (s *Scenario) Provide(find func(name string) string) []Provider {
	if !slices.ContainsFunc(s.passkeys, func(p passkey) bool { return p.provider.Name != "" }) {
		return nil
	}
	var unknown []Provider
	s.passkeys = slices.Clone(s.passkeys)
	s.account(func(a *account.Account) { a.Credentials = slices.Clone(a.Credentials) })
	for i := range s.passkeys {
		p := &s.passkeys[i]
		if p.provider.Name == "" {
			continue
		}
		if p.credential.AAGUID = find(p.provider.Name); p.credential.AAGUID == "" {
			unknown = append(unknown, p.provider)
		}
		s.account(func(a *account.Account) {
			for j := range a.Credentials {
				if a.Credentials[j].ID == p.credential.ID {
					a.Credentials[j].AAGUID = p.credential.AAGUID
				}
			}
		})
	}
	return unknown
}

// account has the account changed on a copy of it, if there is one.
func (s *Scenario) account(change func(*account.Account)) {
	if s.Question.Account == nil {
		return
	}
	a := *s.Question.Account
	change(&a)
	s.Question.Account = &a
}
