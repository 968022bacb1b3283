package reply

import (
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/listing"
)

// CredentialFields are what the list of a user's passkeys can be sorted and filtered by.
func CredentialFields(user ident.UserID) map[string]listing.Field[account.Credential] {
	return map[string]listing.Field[account.Credential]{
		"userID":      listing.String(func(account.Credential) string { return string(user) }),
		"created":     listing.Time(func(c account.Credential) int64 { return c.CreatedMs }),
		"status":      listing.String(func(account.Credential) string { return string(rest.CredentialStatusActive) }),
		"backupState": listing.Bool(func(c account.Credential) bool { return c.BackupState }),
		"browserName": listing.String(func(c account.Credential) string { return c.CreatedBrowser }),
		"osName":      listing.String(func(c account.Credential) string { return c.CreatedOS }),
	}
}
