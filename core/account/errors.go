package account

import "github.com/keyward/keyward/core/fault"

// What may be wrong with an account that is asked for. errors.Is finds them in the answers of every service.
var (
	ErrUnknown  = fault.Unknown("userID").Named("user-unknown") // there is no such user, or it is being deleted
	ErrExists   = fault.Conflict("userID", "exists already").Named("user-exists")
	ErrInactive = fault.Field("userID", "is not active").Named("user-inactive")
	// The user waits for an identifier to be verified. It is ErrInactive too.
	ErrUnverified = fault.Field("userID", "is not verified yet: its passkeys log in once a code that was sent to it has been entered").
			Named("user-unverified").Because(ErrInactive)
	ErrDisabled          = fault.Field("userID", "is disabled").Named("user-disabled")
	ErrUnknownCredential = fault.Unknown("credentialID").Named("credential-unknown") // the user has no such passkey
)
