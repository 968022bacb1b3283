// Package passwordmanager says which password managers a user has, and how sure that is. It is pure.
package passwordmanager

import (
	"cmp"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
)

// What adds to the score of a password manager: how sure it is that it is at hand in the environment that is told with it.
const (
	scoreKnown       = 25 // it keeps a passkey of the user
	scoreSynced      = 25 // the passkey is backed up, so that it follows the user
	scoreEnvironment = 25 // the passkey was created in an environment that is known still
	scoreUsed        = 25 // a login was completed with the passkey on the operating system of that environment
)

const (
	managerActive  = "active"
	managerPending = "pending"
)

// Of returns the password managers of a user: what keeps a passkey that can be backed up, or what known calls one by its AAGUID. The ID of
// a password manager is its AAGUID, as in the detection insights of decisions; of several passkeys that one keeps, the one used last is
// told. They are ordered by ID.
func Of(a account.Account, known func(aaguid string) bool) []rest.PasswordManager {
	kept := slices.DeleteFunc(slices.Clone(a.Credentials), func(c account.Credential) bool {
		return c.Roaming() || (!c.BackupEligible && !known(c.AAGUID))
	})
	slices.SortFunc(kept, func(x, y account.Credential) int {
		return cmp.Or(
			cmp.Compare(x.AAGUID, y.AAGUID), cmp.Compare(y.LastUsedMs, x.LastUsedMs), cmp.Compare(y.CreatedMs, x.CreatedMs), cmp.Compare(x.ID, y.ID),
		)
	})
	kept = slices.CompactFunc(kept, func(x, y account.Credential) bool { return x.AAGUID == y.AAGUID })
	managers := make([]rest.PasswordManager, len(kept))
	for i, c := range kept {
		managers[i] = managerOf(a, c)
	}
	return managers
}

func managerOf(a account.Account, c account.Credential) rest.PasswordManager {
	m := rest.PasswordManager{
		ID: c.AAGUID, AAGUID: c.AAGUID, UserID: string(a.ID), CredentialID: string(c.ID), Status: managerPending, Score: scoreKnown,
		CreatedMs: c.CreatedMs,
	}
	if c.LastUsedMs > c.CreatedMs || len(c.UsedOn) > 0 {
		m.Status = managerActive
	}
	if c.BackupState {
		m.Score += scoreSynced
	}
	at := slices.IndexFunc(a.Environments, func(e account.Environment) bool { return e.ID == c.Environment })
	if at < 0 {
		return m
	}
	m.ClientEnvID = string(c.Environment)
	m.Score += scoreEnvironment
	if slices.Contains(c.UsedOn, a.Environments[at].OSName) {
		m.Score += scoreUsed
	}
	return m
}
