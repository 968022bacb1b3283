// Package passkeys runs WebAuthn ceremonies (login, creation, mediation) and keeps the passkeys that they are about. A challenge is
// finished at most once, and a failed verification spends it; when a finish call has returned, what it did is on disk: a creation's event
// and account; of a login the event, from which accounts take up how passkeys are used. It touches the buckets of accounts, challenges and
// credentials, and the log. It calls the rooms environments and sessions, and the decision service.
package passkeys

import (
	"context"
	"log/slog"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/patience"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/enrolment"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// Decision says what to offer. The decision service is one.
type Decision interface {
	Login(context.Context, service.LoginQuestion) (service.LoginVerdict, error)
	Append(context.Context, service.AppendQuestion) (service.AppendVerdict, error)
	Mediation(context.Context, service.Question) (service.Verdict, error)
	risk.Decision
}

// Offers publishes what was denied. When a publication has returned, the next decision for the user sees it. core/eventlog.Store is one.
type Offers interface {
	PublishOffer(context.Context, event.Event) error
}

// AAGUIDs knows models of authenticators and credential providers; unknown ones have the empty name. The AAGUID is in lower-case UUID form.
type AAGUIDs interface {
	Name(aaguid string) string
	PasswordManager(aaguid string) bool
}

// Projects finds projects. core/project.Store is one.
type Projects interface {
	tenant.Projects
	All() []project.Project
}

// Environments knows client environments again. The room environments is one.
type Environments interface {
	Visit(project.Project, rest.ClientInformation) (environments.Visit, error)
	Recall(project.Project, rest.ClientInformation) service.Environment
}

// Signer signs what proves a login elsewhere. The room sessions is one.
type Signer interface {
	SignLogin(context.Context, sessions.PasskeyLogin) (string, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects         Projects
	Accounts         *account.Store
	Challenges       *challenge.Store
	Index            *credindex.Store
	Statements       *attestation.Store
	Outbox           *outbox.Store
	Environments     Environments
	Signer           Signer
	Decision         Decision
	Proofs           risk.Further
	Offers           Offers
	AAGUIDs          AAGUIDs
	Calls            metrics.Calls
	Metrics          metrics.Passkeys
	Now              func() time.Time
	Log              *slog.Logger
	ChallengeTTL     time.Duration // how long a challenge can be finished
	UserVerification string        // W3C WebAuthn userVerification of assertions
	MaxPasskeys      int           // of one user
	Addresses        address.Form  // how much of them events keep
	LookupTimeout    time.Duration // how long a login start waits for the log at most; it can be answered without
}

// Service runs WebAuthn ceremonies and keeps the passkeys that come of them.
type Service struct {
	projects         Projects
	accounts         *account.Store
	challenges       *challenge.Store
	index            *credindex.Store
	enrolment        *enrolment.Store
	outbox           *outbox.Store
	environments     Environments
	signer           Signer
	decision         Decision
	risk             risk.Judge
	proofs           risk.Proofs
	offers           Offers
	aaguids          AAGUIDs
	calls            metrics.Calls
	metrics          metrics.Passkeys
	now              func() time.Time
	log              *slog.Logger
	starts           *patience.Patience // with the log, of logins that begin
	challengeTTL     time.Duration
	userVerification string
	addresses        address.Form
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		projects: d.Projects, accounts: d.Accounts, challenges: d.Challenges, index: d.Index, outbox: d.Outbox, environments: d.Environments,
		signer: d.Signer, decision: d.Decision, proofs: d.Proofs, offers: d.Offers, aaguids: d.AAGUIDs, calls: d.Calls, metrics: d.Metrics,
		now: d.Now, log: d.Log, starts: patience.New(d.LookupTimeout), challengeTTL: d.ChallengeTTL,
		userVerification: d.UserVerification, addresses: d.Addresses,
		risk: risk.Judge{ // who judges waits as long for what it looks up
			Decision: d.Decision, StepUps: d.Proofs, Patience: patience.New(2 * d.LookupTimeout), Unjudged: d.Metrics.Unjudged, Log: d.Log,
		},
		enrolment: enrolment.New(enrolment.Deps{
			Accounts: d.Accounts, Index: d.Index, Statements: d.Statements, Most: d.MaxPasskeys, Log: d.Log,
		}),
	}
}
