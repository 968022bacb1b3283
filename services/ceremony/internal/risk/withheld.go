package risk

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

// Withheld is what a finish would have answered and recorded, had the policy not asked for a further proof. Nothing of it has been issued,
// nor is it in the log; its challenge is spent.
type Withheld struct {
	Project ident.ProjectID
	Account account.Account // as it was read
	Process string
	Record  challenge.Record // of the ceremony, which several calls may finish at once: all of them are about one step-up
	Verdict service.Verdict  // its Risk names the methods
	Passkey account.Credential
	Event   event.Event      // login-completed or append-completed
	Data    rest.PasskeyData // the answer
	Login   *WithheldLogin   // nil of a creation, whose passkey the account does not have
	Client  rest.ClientInformation
	// What the authenticator of a creation said of itself; nil = it is not to be kept
	Statement *attestation.Statement
}

// WithheldLogin is what a login has beside.
type WithheldLogin struct {
	CredentialID []byte // of WebAuthn
	Discoverable bool   // the user was found by the passkey
	Signed       bool   // the caller wants signed passkey data
	// The passkey says something else of whether it is backed up than it did
	BackupChanged bool
}

// StepUps keeps what waits for a further proof.
type StepUps interface {
	// Withhold keeps what a finish would have answered until its user has given the proof. It returns the step-up that was opened, with
	// those of the methods that the user can do. The error is or wraps ErrNoStepUp if there are none.
	Withhold(context.Context, Withheld) (service.StepUp, error)
	// Offer opens the step-up that an offer waits for, or returns the one that is said to have been passed for it, and whether it was. The
	// error is or wraps ErrNoStepUp as above; 404 of a step-up that is none of the user's, or was for something else.
	Offer(context.Context, Offer) (told service.StepUp, passed bool, err error)
	// Spend has a step-up that was passed for the offer of a creation count for its finish, and for no other. It reports whether it was there.
	Spend(context.Context, Withheld) (bool, error)
}

// ErrNoStepUp says that a user can do none of the methods that a policy asks for.
var ErrNoStepUp = fault.Refuse("the user has no way to give the further proof that the policy asks for")

// WithoutStepUps withholds nothing: every finish that the policy asks a further proof of is denied.
type WithoutStepUps struct{}

// Withhold implements StepUps.
func (WithoutStepUps) Withhold(context.Context, Withheld) (service.StepUp, error) {
	return service.StepUp{}, ErrNoStepUp
}

// Offer implements StepUps.
func (WithoutStepUps) Offer(context.Context, Offer) (service.StepUp, bool, error) {
	return service.StepUp{}, false, ErrNoStepUp
}

// Spend implements StepUps.
func (WithoutStepUps) Spend(context.Context, Withheld) (bool, error) { return false, nil }
