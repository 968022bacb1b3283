// Package directory keeps users and the names that they are known by: identifiers, social accounts, user handles, and the host names of
// projects. No two users of a project have one name, whoever asks for it at the same time. A deletion that has begun goes on by itself and
// leaves nothing but the event that tells of it. It touches the buckets of accounts, names and credentials, and the log; other rooms it
// only forgets through (see Forget).
package directory

import (
	"context"
	"crypto/rand"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/attestation"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
	"github.com/keyward/keyward/services/ceremony/internal/identindex"
	"github.com/keyward/keyward/services/ceremony/internal/outbox"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
)

// Projects finds and changes projects. core/project.Store is one.
type Projects interface {
	tenant.Projects
	All() []project.Project
	Change(ctx context.Context, id ident.ProjectID, change func(*project.Project) error) error
}

// DNS looks up TXT records. net.Resolver is one.
type DNS interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// Lists answers the lists that are made from the buckets.
type Lists interface {
	Users(ctx context.Context, project ident.ProjectID, list service.List) (rest.UserList, error)
	Identifiers(ctx context.Context, project ident.ProjectID, list service.List) (rest.IdentifierList, error)
	SocialAccounts(ctx context.Context, project ident.ProjectID, list service.List) (rest.SocialAccountList, error)
}

// Events removes the events of a user from the log.
type Events interface {
	Erase(context.Context, service.ForUser[service.Empty]) (service.Empty, error)
}

// Forget removes something that is kept of a user who is being deleted. It can be repeated.
type Forget func(context.Context, account.Account) error

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects   Projects
	Accounts   *account.Store
	Statements *attestation.Store
	Index      *credindex.Store
	Names      *identindex.Store
	Outbox     *outbox.Store
	Lists      Lists
	Events     Events
	Unfinished Unfinished
	HostProof  string // ProofDNS or ProofNone
	DNS        DNS
	Forget     []Forget // what else is kept of a user, in the order in which it goes
	Repaired   *prometheus.CounterVec
	Now        func() time.Time
	Log        *slog.Logger
}

// Service keeps users and the names that they are known by. Its background work is Run.
type Service struct {
	projects   Projects
	accounts   *account.Store
	statements *attestation.Store
	index      *credindex.Store
	names      *identindex.Store
	outbox     *outbox.Store
	lists      Lists
	events     Events
	unfinished Unfinished
	hostProof  string
	dns        DNS
	forget     []Forget
	repaired   *prometheus.CounterVec
	now        func() time.Time
	log        *slog.Logger

	instance string // tells this process from others, for deletions
	erasures turns
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		projects:   d.Projects,
		accounts:   d.Accounts,
		statements: d.Statements,
		index:      d.Index,
		names:      d.Names,
		outbox:     d.Outbox,
		lists:      d.Lists,
		events:     d.Events,
		hostProof:  d.HostProof,
		dns:        d.DNS,
		unfinished: d.Unfinished,
		forget:     d.Forget,
		repaired:   d.Repaired,
		now:        d.Now,
		log:        d.Log,
		instance:   rand.Text(),
	}
}
