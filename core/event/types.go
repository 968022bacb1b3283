package event

import "github.com/keyward/keyward/api/rest"

// Types returns every type that an event can have.
func Types() []Type {
	own := []Type{
		LoginOffered, LoginDenied, LoginCompleted, AppendOffered, AppendCompleted, Deleted,
		UserCreated, UserUpdated, UserDeleted, PasskeyDeleted, PasskeyCode, AuthSignUp, AuthLogin, AuthPasskeyAdded,
	}
	for _, t := range []rest.PasskeyEventType{
		rest.PasskeyEventTypeUserLoginBlacklisted,
		rest.PasskeyEventTypeLoginExplicitAbort, rest.PasskeyEventTypeLoginError, rest.PasskeyEventTypeLoginErrorUntyped, rest.PasskeyEventTypeLoginErrorUnexpected,
		rest.PasskeyEventTypeLoginOneTapSwitch, rest.PasskeyEventTypeLoginNoCredentials,
		rest.PasskeyEventTypeUserAppendAfterCrossPlatformBlacklisted, rest.PasskeyEventTypeUserAppendAfterLoginErrorBlacklisted,
		rest.PasskeyEventTypeAppendCredentialExists, rest.PasskeyEventTypeAppendExplicitAbort, rest.PasskeyEventTypeAppendError, rest.PasskeyEventTypeAppendErrorUnexpected,
		rest.PasskeyEventTypeAppendLearnMore,
		rest.PasskeyEventTypeManageErrorUnexpected, rest.PasskeyEventTypeManageError, rest.PasskeyEventTypeManageLearnMore, rest.PasskeyEventTypeManageCredentialExists,
		rest.PasskeyEventTypeLocalUnlock,
	} {
		own = append(own, Type(t))
	}
	return own
}

// Observed reports whether events of the type are login offers and denials, which are kept for hours in a stream of their own.
func (t Type) Observed() bool { return t == LoginOffered || t == LoginDenied }
