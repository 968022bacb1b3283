package directory

import (
	"slices"

	"github.com/keyward/keyward/core/account"
)

// DisplayName returns the best name of a user: an email address, a phone number, a user name, the full name, the ID.
func DisplayName(a account.Account) string {
	for _, kind := range []account.IdentifierType{account.IdentifierTypeEmail, account.IdentifierTypePhone, account.IdentifierTypeUsername} {
		if value := Proven(a, kind); value != "" {
			return value
		}
	}
	for _, i := range a.Identifiers {
		return i.Value
	}
	if a.FullName != nil && *a.FullName != "" {
		return *a.FullName
	}
	return string(a.ID)
}

// KnownBy returns the identifier that a passkey was created for if the user still has it, otherwise the best one.
func KnownBy(a account.Account, username string) account.Identifier {
	best := account.Identifier{Type: account.IdentifierTypeUsername, Value: DisplayName(a)}
	for _, i := range a.Identifiers {
		if i.Value == username {
			return i
		}
		if i.Value == best.Value {
			best.Type = i.Type
		}
	}
	return best
}

// Proven returns the user's primary identifier of a type, or else the first that was verified, or "".
func Proven(a account.Account, kind account.IdentifierType) string {
	for _, status := range []account.IdentifierStatus{account.IdentifierStatusPrimary, account.IdentifierStatusVerified} {
		i := slices.IndexFunc(a.Identifiers, func(i account.Identifier) bool { return i.Type == kind && i.Status == status })
		if i >= 0 {
			return a.Identifiers[i].Value
		}
	}
	return ""
}

// PasskeyName is what an authenticator shows of a user whose caller gave no name.
func PasskeyName(a account.Account) string {
	for _, kind := range []account.IdentifierType{account.IdentifierTypeEmail, account.IdentifierTypeUsername, account.IdentifierTypePhone} {
		if name := a.Foremost(kind); name != nil {
			return name.Value
		}
	}
	if a.FullName != nil && *a.FullName != "" {
		return *a.FullName
	}
	return string(a.ID)
}
