package risk

import (
	"context"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
)

// Further opens step-ups, and takes logins for their proofs. The room stepups is one.
type Further interface {
	StepUps
	Proofs
}

// Proofs takes logins for the further proof that a step-up asks for.
type Proofs interface {
	// Passkeys returns those passkeys of a user that a login can pass a step-up with: none that the policy doubts. 404 if the user has no
	// such step-up, or has passed it, 400 if there are none.
	Passkeys(ctx context.Context, a *account.Account, rpID string, id ident.StepUpID) ([]*account.Credential, error)
	// Awaits returns nil if a step-up waits for a login with a passkey. 404 as above.
	Awaits(ctx context.Context, a *account.Account, id ident.StepUpID, c *account.Credential) error
	// Proven passes a step-up by a login with one of these, which has verified its user, or counts that it was refused. It returns what the
	// caller of the login is told.
	Proven(ctx context.Context, a *account.Account, id ident.StepUpID, c *account.Credential, refused error) error
}
