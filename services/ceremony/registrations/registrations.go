// Package registrations registers passkeys for callers who speak for the user: the user service. The policy is asked as for a user who asks
// for a passkey, and nothing is remembered of an environment. It touches the buckets of challenges and codes, and the log. It calls the
// rooms passkeys and codes.
package registrations

import (
	"context"
	"log/slog"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/delivery"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/passkeys"
)

// Passkeys is what the room passkeys does of a registration.
type Passkeys interface {
	Look(ctx context.Context, st *passkeys.Start, user ident.UserID) error
	JudgeAppend(ctx context.Context, st *passkeys.Start, flags rest.PasskeyIntelFlags, situation string) (service.AppendVerdict, error)
	OfferCreation(
		ctx context.Context, st passkeys.Start, v service.AppendVerdict, o relyingparty.Creation, passkey ident.CredentialID,
	) (passkeys.Offered, error)
	Creations
	Accounts
}

// Creations is what the room passkeys does of an authenticator's answer.
type Creations interface {
	FinishCreation(context.Context, passkeys.Creation) (passkeys.Created, error)
	RefuseCreation(ctx context.Context, a passkeys.Attempt, err error) error
}

// Accounts is what the room passkeys does of accounts.
type Accounts interface {
	Active(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error)
	Remove(context.Context, service.ForUser[ident.CredentialID]) (service.Change, error)
}

// Sender sends one-time codes and links. The room codes is one.
type Sender interface {
	Send(ctx context.Context, p project.Project, to ident.IdentifierID, m delivery.Message, now time.Time) error
}

// Positions knows where the newest event of a user is in the log, and when the log got it; of no event, zeros. core/eventlog.Store is one.
type Positions interface {
	Newest(ctx context.Context, project ident.ProjectID, user ident.UserID) (sequence uint64, at time.Time, err error)
}

// AAGUIDs knows the names of models of authenticators.
type AAGUIDs interface {
	Name(aaguid string) string
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects   tenant.Projects
	Accounts   *account.Store
	Challenges *challenge.Store
	Codes      *code.Store
	Outbox     *outbox.Store
	Passkeys   Passkeys
	Sender     Sender
	Positions  Positions
	AAGUIDs    AAGUIDs
	Calls      metrics.Calls
	CodeCalls  metrics.Codes
	Now        func() time.Time
	Log        *slog.Logger
}

// Service registers passkeys for callers who speak for the user.
type Service struct {
	projects   tenant.Projects
	accounts   *account.Store
	challenges *challenge.Store
	codes      *code.Store
	outbox     *outbox.Store
	passkeys   Passkeys
	sender     Sender
	positions  Positions
	aaguids    AAGUIDs
	calls      metrics.Calls
	codeCalls  metrics.Codes
	now        func() time.Time
	log        *slog.Logger
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		projects: d.Projects, accounts: d.Accounts, challenges: d.Challenges, codes: d.Codes, outbox: d.Outbox, passkeys: d.Passkeys,
		sender: d.Sender, positions: d.Positions, aaguids: d.AAGUIDs, calls: d.Calls, codeCalls: d.CodeCalls, now: d.Now, log: d.Log,
	}
}
