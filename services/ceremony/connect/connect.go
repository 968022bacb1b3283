// Package connect is the part of the service behind Connect, which adds passkeys to a login that is there already, and the connect tokens
// by which a backend vouches for its users. Whether there is a user must not show in how long a call takes until the client may know. It
// touches the buckets of processes, connect tokens and accounts. It calls the rooms passkeys, directory, sessions, processes and
// environments.
package connect

import (
	"context"
	"encoding/json"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/environments"
	"github.com/keyward/keyward/services/ceremony/internal/connecttoken"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/process"
	"github.com/keyward/keyward/services/ceremony/internal/session"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/passkeys"
	"github.com/keyward/keyward/services/ceremony/processes"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// Passkeys is what the room passkeys does for Connect.
type Passkeys interface {
	Starts
	Finishes
	DeleteCredential(context.Context, service.ForUser[ident.CredentialID]) (service.Empty, error)
	CredentialOf(account.Credential) rest.Credential
}

// Starts offers passkeys.
type Starts interface {
	Begin(ctx context.Context, project ident.ProjectID, client rest.ClientInformation, process string) (passkeys.Start, error)
	StartLogin(
		ctx context.Context, st passkeys.Start, how passkeys.How,
	) (service.Judged[rest.PasskeyLoginStartRsp], error)
	StartAppend(
		ctx context.Context, st passkeys.Start, username string, flags rest.PasskeyIntelFlags, situation string,
	) (service.Judged[rest.PasskeyAppendStartRsp], error)
	MediationStart(
		context.Context, service.ForProject[rest.PasskeyMediationStartReq],
	) (service.Judged[rest.PasskeyMediationStartRsp], error)
}

// Finishes takes the answers of authenticators.
type Finishes interface {
	LoginFinish(context.Context, service.ForProject[rest.PasskeyLoginFinishReq]) (service.Finished[rest.PasskeyLoginFinishRsp], error)
	AppendFinish(context.Context, service.ForProject[rest.PasskeyAppendFinishReq]) (service.Finished[rest.PasskeyAppendFinishRsp], error)
	MediationFinish(context.Context, service.ForProject[rest.PasskeyMediationFinishReq]) (
		service.Finished[rest.PasskeyMediationFinishRsp], error,
	)
	RefuseCreation(ctx context.Context, a passkeys.Attempt, err error) error
}

// Directory knows who has an identifier. The room directory is one.
type Directory interface {
	Owner(ctx context.Context, project ident.ProjectID, kind account.IdentifierType, value string) (ident.UserID, error)
	CreateWithIdentifiers(context.Context, account.Account) error
}

// Sessions opens sessions. The room sessions is one.
type Sessions interface {
	Enabled(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error)
	Open(ctx context.Context, a account.Account, by sessions.Proof, app rest.AppType) (session.Session, account.Account, error)
	Token(ctx context.Context, of session.Session, a account.Account, issuer string) (string, error)
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

// Decision says for whom passkeys are switched on, and what of a token's context the policy takes.
type Decision interface {
	Rollout(context.Context, service.RolloutQuestion) (service.Verdict, error)
	CheckContext(context.Context, service.ForProject[json.RawMessage]) (service.Empty, error)
}

// Events records what clients tell.
type Events interface {
	Create(context.Context, service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error)
}

// Lists answers the list of connect tokens.
type Lists interface {
	Tokens(ctx context.Context, project ident.ProjectID, list service.List) (rest.ConnectTokenList, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects     tenant.Projects
	Accounts     *account.Store
	Stored       *process.Store
	Tokens       *connecttoken.Store
	Outbox       *outbox.Store
	Passkeys     Passkeys
	Directory    Directory
	Sessions     Sessions
	Processes    Processes
	Environments Environments
	Decision     Decision
	Events       Events
	Lists        Lists
	ChallengeTTL time.Duration
	Calls        metrics.Calls
	Metrics      metrics.Connect
	Now          func() time.Time
}

// Service is the part of the ceremony service behind Connect.
type Service struct {
	projects     tenant.Projects
	accounts     *account.Store
	stored       *process.Store
	tokens       *connecttoken.Store
	outbox       *outbox.Store
	passkeys     Passkeys
	directory    Directory
	sessions     Sessions
	processes    Processes
	environments Environments
	decision     Decision
	events       Events
	lists        Lists
	challengeTTL time.Duration
	calls        metrics.Calls
	metrics      metrics.Connect
	now          func() time.Time
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		projects: d.Projects, accounts: d.Accounts, stored: d.Stored, tokens: d.Tokens, outbox: d.Outbox, passkeys: d.Passkeys,
		directory: d.Directory, sessions: d.Sessions, processes: d.Processes, environments: d.Environments, decision: d.Decision,
		events: d.Events, lists: d.Lists, challengeTTL: d.ChallengeTTL, calls: d.Calls, metrics: d.Metrics, now: d.Now,
	}
}
