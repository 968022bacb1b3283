package reply

import (
	"cmp"
	"encoding/base64"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
)

// Passkey is a passkey as frontends know it.
func Passkey(c rest.Credential) frontend.Passkey {
	return frontend.Passkey{
		ID: c.ID, CredentialID: c.CredentialID, AttestationType: c.AttestationType, Transport: c.Transport,
		BackupEligible: c.BackupEligible, BackupState: c.BackupState, AuthenticatorAAGUID: c.AuthenticatorAAGUID,
		SourceOS: c.SourceOS, SourceBrowser: c.SourceBrowser, LastUsed: c.LastUsed, LastUsedMs: c.LastUsedMs,
		Created: c.Created, CreatedMs: c.CreatedMs, Status: c.Status, AAGUIDDetails: frontendAAGUID(c.AAGUIDDetails), Tags: c.Tags,
	}
}

// frontendAAGUID is what frontends show of the model of an authenticator.
func frontendAAGUID(d rest.AAGUIDDetails) frontend.AAGUIDDetails {
	return frontend.AAGUIDDetails{Name: d.Name, IconLight: d.IconLight, IconDark: d.IconDark}
}

// Operation tells a frontend what has been done with a passkey, and for whom.
func Operation(
	kind frontend.PasskeyOperationOperationType, value string, of account.IdentifierType, data rest.PasskeyData,
) frontend.PasskeyOperation {
	return frontend.PasskeyOperation{
		OperationType: kind, IdentifierValue: value, IdentifierType: rest.IdentifierType(of),
		CeremonyType: data.CeremonyType, AAGUIDDetails: frontendAAGUID(data.AAGUIDDetails),
	}
}

// Signals are what a page tells credential managers of a user who has proven to be the one: every passkey that is left, and the names.
func Signals(rpID string, a account.Account, name string) *frontend.PasskeySignals {
	handle, displayName, all := base64.RawURLEncoding.EncodeToString(a.UserHandle), name, make([]string, len(a.Credentials))
	if a.FullName != nil {
		displayName = cmp.Or(*a.FullName, name)
	}
	for i, c := range a.Credentials {
		all[i] = base64.RawURLEncoding.EncodeToString(c.CredentialID)
	}
	return &frontend.PasskeySignals{RpID: rpID, UserID: &handle, AllAcceptedCredentialIDs: &all, Name: &name, DisplayName: &displayName}
}

// UnknownSignal is all that a page tells credential managers of a passkey that nobody has; nil if it is none.
func UnknownSignal(rpID, credentialID string) *frontend.PasskeySignals {
	if credentialID == "" {
		return nil
	}
	return &frontend.PasskeySignals{RpID: rpID, UnknownCredentialID: &credentialID}
}
