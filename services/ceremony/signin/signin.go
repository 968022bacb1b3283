// Package signin signs up and logs in, step by step, in a process of the Frontend API. What a process is and which steps it allows is the
// state machine in internal/signin; this package does what a state asks for. What was interrupted is done again by whichever call comes
// next, and nothing that a call costs or answers tells whether there is a user before the user has been proven. It touches the buckets of
// processes, codes and accounts. It calls the rooms passkeys, directory, sessions, processes and environments, and what codes says of
// links.
package signin

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/codes"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/code"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/processes"
	"github.com/keyward/keyward/services/ceremony/sessions"
	"github.com/keyward/keyward/services/ceremony/signin/internal/settling"
)

// Passkeys is what the room passkeys does for a sign-up or login.
type Passkeys interface {
	service.Passkeys
	Begin(ctx context.Context, project ident.ProjectID, client rest.ClientInformation, process string) (passkeys.Start, error)
	Remove(context.Context, service.ForUser[ident.CredentialID]) (service.Change, error)
}

// Directory is what the room directory does for a sign-up or login.
type Directory interface {
	Owner(ctx context.Context, project ident.ProjectID, kind account.IdentifierType, value string) (ident.UserID, error)
	CreateWithIdentifiers(context.Context, account.Account) error
	Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error
	GiveBack(ctx context.Context, before, after account.Account) error
}

// Sessions opens sessions. The room sessions is one.
type Sessions interface {
	LogIn(ctx context.Context, p project.Project, a account.Account, by sessions.Proof) (sessions.Login, error)
	Issuer(project.Project) string
}

// Processes begins processes and finds them again. The room processes is one.
type Processes interface {
	Begin(
		ctx context.Context, p project.Project, v service.Visit, kind process.Kind, said frontend.ClientInformation, state any,
	) (processes.Begun, error)
	Of(ctx context.Context, v service.Visit, kind process.Kind) (project.Project, process.Process, error)
}

// Environments knows client environments again. The room environments is one.
type Environments interface {
	Visit(project.Project, rest.ClientInformation) (environments.Visit, error)
}

// Decision judges somebody who does not exist.
type Decision interface {
	Login(context.Context, service.LoginQuestion) (service.LoginVerdict, error)
}

// Events records what clients tell.
type Events interface {
	Create(context.Context, service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects     tenant.Projects
	Accounts     *account.Store
	Codes        *code.Store
	Stored       *process.Store
	Outbox       *outbox.Store
	Delivery     codes.Delivery
	Passkeys     Passkeys
	Directory    Directory
	Sessions     Sessions
	Processes    Processes
	Environments Environments
	Decision     Decision
	Events       Events
	Limits       codes.Limits
	ChallengeTTL time.Duration
	Now          func() time.Time
	Log          *slog.Logger
}

// Service signs up and logs in. It has deliveries under way that no answer waits for; see Wait.
type Service struct {
	projects     tenant.Projects
	accounts     *account.Store
	codes        *code.Store
	stored       *process.Store
	outbox       *outbox.Store
	delivery     codes.Delivery
	passkeys     Passkeys
	directory    Directory
	sessions     Sessions
	processes    Processes
	environments Environments
	decision     Decision
	events       Events
	limits       codes.Limits
	challengeTTL time.Duration
	now          func() time.Time
	log          *slog.Logger
	settler      settling.Settler

	deliveries sync.WaitGroup // of codes that no answer waits for
	delivering chan struct{}  // a place for each of them
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		projects: d.Projects, accounts: d.Accounts, codes: d.Codes, stored: d.Stored, outbox: d.Outbox, delivery: d.Delivery,
		passkeys: d.Passkeys, directory: d.Directory, sessions: d.Sessions, processes: d.Processes, environments: d.Environments,
		decision: d.Decision, events: d.Events, limits: d.Limits, challengeTTL: d.ChallengeTTL, now: d.Now, log: d.Log,
		settler:    settling.Settler{Accounts: d.Accounts, Outbox: d.Outbox, Passkeys: d.Passkeys, Names: d.Directory},
		delivering: make(chan struct{}, maxDeliveries),
	}
}
