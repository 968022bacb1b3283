// Package refusal says why the passkey of an answer does not log anybody in, although the answer is in order. It promises that one that
// another user has is not told from an unknown one in words. It is pure.
package refusal

import (
	"encoding/base64"
	"errors"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

// Why the passkey of an answer does not log anybody in, although the answer is in order.
var (
	ErrUnknown       = fault.Refuse("unknown credential").OfType(fault.TypeUnknownCredential)
	ErrDeleted       = fault.Refuse("the credential has been deleted")
	ErrOthers        = fault.Refuse(ErrUnknown.Error())
	ErrCloned        = fault.Refuse("the signature counter did not go up; the passkey may have been copied")
	ErrAuthenticator = fault.Refuse("the authenticator is not one of those that the policy allows")
	ErrOwnerInactive = fault.Refuse("the user of the credential is not active")
	ErrOwnerWaits    = fault.Refuse("the user of the credential is not verified yet; a code has to be entered first")
)

// OwnerFault is err, which says that a user may not log in, as of the owner of a passkey that was not asked for by the user's name.
func OwnerFault(err error) error {
	if errors.Is(err, account.ErrUnverified) {
		return ErrOwnerWaits
	}
	return ErrOwnerInactive
}

// Is reports whether err says that an answer, or the passkey it is of, is good for nothing; otherwise the call itself has failed.
func Is(err error) bool {
	var refusal *fault.Refusal
	return errors.As(err, &refusal) || errors.Is(err, account.ErrUnknown) || errors.Is(err, account.ErrInactive)
}

// IsUnknown reports whether err says that the project does not have the passkey.
func IsUnknown(err error) bool {
	return errors.Is(err, ErrUnknown) || errors.Is(err, ErrDeleted)
}

// UnknownCredential returns the WebAuthn ID of the passkey that an answer is of, if err says that the project never had it. Of one that was
// revoked it returns none: credential managers hide those when they are told which are left.
func UnknownCredential(err error, answer string) string {
	if !errors.Is(err, ErrUnknown) {
		return ""
	}
	parsed, err := relyingparty.ParseAssertion(answer)
	if err != nil {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(parsed.RawID)
}

// IsLate reports whether err says that the challenge of an answer is over, whatever the passkey is worth.
func IsLate(err error) bool {
	return errors.Is(err, challenge.ErrExpired) || errors.Is(err, challenge.ErrUsed)
}
