package riskfacts

import (
	"strings"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Passkey is one of the account's, as it looks from the client.
type Passkey struct {
	*account.Credential
	Class        facts.Class
	Availability string
}

// Passkeys returns what there is to know of an account's passkeys, in an order that depends on nothing else, and which passkey each is.
func Passkeys(in *Input, of []Passkey) (facts.Passkeys, []ident.CredentialID) {
	found, ids := make(facts.Passkeys, 0, len(of)), make([]ident.CredentialID, 0, len(of))
	for i := range of {
		found, ids = append(found, passkey(in, &of[i])), append(ids, of[i].ID)
		for at := i; at > 0 && found[at].Compare(&found[at-1]) < 0; at-- { // an account has few
			found[at], found[at-1], ids[at], ids[at-1] = found[at-1], found[at], ids[at-1], ids[at]
		}
	}
	return found, ids
}

func passkey(in *Input, c *Passkey) facts.Passkey {
	used := max(c.LastUsedMs, pastOf(in).logins.when(string(c.ID))) // an account may lack the newest
	p := facts.Passkey{
		AAGUID: strings.ToLower(c.AAGUID), Class: c.Class, Availability: c.Availability, AgeHours: since(in.Now, c.CreatedMs),
		UsedHours: since(in.Now, used), Backup: backup(c.Credential), Counter: facts.Counter(service.CounterOK),
		Attested: attested(in, c.Credential),
	}
	switch {
	case c.CloneWarning:
		p.Counter = facts.Counter(service.CounterRegressed)
	case c.SignCount == 0:
		p.Counter = facts.Counter(service.CounterNone)
	}
	return p
}

// Reached says of the passkey that was used how it could be reached from here, by what was known before.
func Reached(used *facts.Used, end *Finish, of []Passkey) {
	for i := range of {
		if used != nil && of[i].ID == end.Used() {
			used.Availability = of[i].Availability
		}
	}
}

// backup says whether a passkey can leave its device.
func backup(c *account.Credential) facts.Backup {
	switch {
	case c.BackupState:
		return facts.BackedUp
	case c.BackupEligible:
		return facts.Eligible
	default:
		return facts.DeviceBound
	}
}
