package service

import (
	"context"
	"encoding/json"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// Registrations is the part of the ceremony service that the user service is made of (api/proto/zitadel/user): passkeys that are registered
// under a name, on demand of the user or of somebody who acts for users. They are the same passkeys, events and decisions as everybody's.
//
// An unknown user or passkey is a fault with the status 404, a state that does not allow the call one with 412. The faults carry the
// reasons below.
type Registrations interface {
	// RegisterPasskey begins a registration and spends the code, if one is given. When it has returned, the offer is in the log. 404
	// ReasonUserUnknown; ErrUserInactive; 412 ReasonDenied; 400 ReasonCodeInvalid, ReasonDomain, authenticator.
	RegisterPasskey(context.Context, ForUser[PasskeyRegistration]) (PendingPasskey, error)
	// VerifyPasskey finishes a registration. When it has returned, the passkey is on disk and its event is in the log. 404
	// ReasonUserUnknown, ReasonPasskeyUnknown; ErrUserInactive; 400 ReasonCredential; 409 ReasonPasskeyExists.
	VerifyPasskey(context.Context, ForUser[PasskeyVerification]) (Change, error)
	// CreatePasskeyCode makes a code that RegisterPasskey takes once, and sends a link with it if one is asked for. 404
	// ReasonUserUnknown; ErrUserInactive; 412 ReasonUserNoEmail; 400 ReasonTemplate; 429 and 503 as CreateCode.
	CreatePasskeyCode(context.Context, ForUser[PasskeyCodeRequest]) (PasskeyCodeCreated, error)
	// ListPasskeys returns the passkeys that can be used to log in, oldest first. ErrUserUnknown.
	//
	//keyward:repeatable
	ListPasskeys(context.Context, ForUser[Empty]) (PasskeyList, error)
	// RemovePasskey deletes a passkey, or ends a registration that is under way. ErrUserUnknown, ErrPasskeyUnknown.
	RemovePasskey(context.Context, ForUser[ident.CredentialID]) (Change, error)
}

// Reasons are the IDs of failures that clients of the user service tell apart (zitadel.v1.ErrorDetail). They are stable. Those of a known
// meaning are the ones that existing clients know.
const (
	ReasonUserUnknown    = "QUERY-Dfbg2"
	ReasonUserInactive   = "USER-Inactive"
	ReasonUserNoEmail    = "USER-NoEmail"
	ReasonCodeInvalid    = "COMMAND-Eeb2a"
	ReasonTemplate       = "PASSKEY-Template"
	ReasonDomain         = "PASSKEY-Domain"
	ReasonDenied         = "PASSKEY-Denied"
	ReasonPasskeyUnknown = "PASSKEY-Unknown"
	ReasonCredential     = "PASSKEY-Credential"
	ReasonPasskeyExists  = "PASSKEY-Exists"
)

// Faults of a user or a passkey that is named, and of a user who may not have passkeys now.
var (
	ErrUserUnknown    = fault.NotFound("User could not be found").Named(ReasonUserUnknown)
	ErrUserInactive   = fault.Precondition("the user is not active").Named(ReasonUserInactive)
	ErrPasskeyUnknown = fault.NotFound("Passkey could not be found").Named(ReasonPasskeyUnknown)
)

// Change is what a call has added to the event log.
type Change struct {
	ChangedMs int64 `json:"changedMs"` // when that event happened; Unix ms
	CreatedMs int64 `json:"createdMs"` // when what the call is about began to exist; Unix ms
}

// PasskeyCode is a registration code: whoever has it may register one passkey for the user it was made for.
type PasskeyCode struct {
	ID   string `json:"id"`
	Code string `json:"code"`
}

// PasskeyRegistration says what kind of passkey is wanted.
type PasskeyRegistration struct {
	Code       *PasskeyCode `json:"code,omitempty"`
	Attachment string       `json:"attachment,omitempty"` // platform, cross-platform or empty = any
	Domain     string       `json:"domain,omitempty"`     // RP ID; empty = the project's own
	UserAgent  string       `json:"userAgent,omitempty"`  // of the user's browser, if the call came from it
	Address    string       `json:"address,omitempty"`    // the same
}

// PendingPasskey is a passkey that is yet to be created.
type PendingPasskey struct {
	Change
	ID      ident.CredentialID `json:"id"`
	Options json.RawMessage    `json:"options"` // {"publicKey":PublicKeyCredentialCreationOptionsJSON} (W3C WebAuthn §5.1.8)
	Decided
}

// PasskeyVerification is what the authenticator made of the options.
type PasskeyVerification struct {
	ID         ident.CredentialID `json:"id"`
	Credential json.RawMessage    `json:"credential"` // RegistrationResponseJSON (W3C WebAuthn §5.1)
	Name       string             `json:"name"`       // 1 to 200 runes, for the user to tell passkeys apart
	Address    string             `json:"address,omitempty"`
}

// PasskeyCodeRequest asks for a registration code.
type PasskeyCodeRequest struct {
	Send bool `json:"send,omitempty"` // send a link to the user's verified email address; otherwise the code is returned
	// Of the link: a URL with {{.UserID}}, {{.OrgID}}, {{.CodeID}} and {{.Code}}; empty = a page on the project's first origin
	URLTemplate string `json:"urlTemplate,omitempty"`
}

// PasskeyCodeCreated is a registration code that has been made.
type PasskeyCodeCreated struct {
	Change
	Code *PasskeyCode `json:"code,omitempty"` // only if it was not sent
}

// Passkey is one passkey of a user.
type Passkey struct {
	ID   ident.CredentialID `json:"id"`
	Name string             `json:"name"`
}

// PasskeyList is what there was when the user's last event had happened.
type PasskeyList struct {
	Passkeys  []Passkey `json:"passkeys"`
	ChangedMs int64     `json:"changedMs"` // when that was; Unix ms
}
