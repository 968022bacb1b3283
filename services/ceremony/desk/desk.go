// Package desk is the room in which operators look at the users of a project, act on them, and give the project API keys. What it does
// the other rooms do; it promises that each act is told as a security event, with what was before and after.
package desk

import (
	"context"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/credindex"
)

// Projects finds and changes projects. core/project.Store is one.
type Projects interface {
	Find(context.Context, ident.ProjectID) (project.Project, error)
	Change(ctx context.Context, id ident.ProjectID, change func(*project.Project) error) error
}

// Accounts finds users. account.Store is one.
type Accounts interface {
	Get(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, uint64, error)
}

// Users is what the room asks the others for.
type Users interface {
	ListUsers(context.Context, service.ForProject[service.List]) (rest.UserList, error)
	ListIdentifiers(context.Context, service.ForProject[service.List]) (rest.IdentifierList, error)
	UpdateUser(context.Context, service.ForUser[rest.UserUpdateReq]) (rest.User, error)
	DeleteUser(context.Context, service.ForUser[service.Empty]) (service.Empty, error)
}

// Sessions lists sessions, and ends them.
type Sessions interface {
	ListSessions(context.Context, service.ForProject[service.List]) (rest.SessionList, error)
	RevokeSession(context.Context, service.ForProject[ident.SessionID]) (service.Empty, error)
}

// Labels sets the labels of a user.
type Labels interface {
	SetUserLabels(context.Context, service.ForUser[rest.UserLabels]) (rest.UserLabels, error)
}

// Passkeys deletes a passkey, and knows names of authenticators.
type Passkeys interface {
	DeleteCredential(context.Context, service.ForUser[ident.CredentialID]) (service.Empty, error)
	CredentialOf(account.Credential) rest.Credential
}

// Events is where bars are kept. The events service is one.
type Events interface {
	Create(context.Context, service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error)
	List(context.Context, service.ForUser[service.EventList]) (rest.PasskeyEventList, error)
	Delete(context.Context, service.ForUser[ident.EventID]) (service.Empty, error)
}

// Audit is told of each act, and answers at once. audit.Queue is one.
type Audit interface {
	Add(ctx context.Context, events ...audit.Event)
}

// Deps are what the room works with. All but Standings and Audit are required.
type Deps struct {
	Projects  Projects
	Accounts  Accounts
	Index     *credindex.Store
	Users     Users
	Sessions  Sessions
	Labels    Labels
	Passkeys  Passkeys
	Events    Events
	Standings service.Standings // nil: it is not known what histories come to
	Audit     Audit             // nil: nobody is told
	Now       func() time.Time
}

// Service is the room.
type Service struct{ deps Deps }

// New returns the room.
func New(deps Deps) *Service { return &Service{deps: deps} }

func (s *Service) tell(ctx context.Context, e audit.Event) {
	if s.deps.Audit == nil {
		return
	}
	e.Type = audit.OperatorActed
	s.deps.Audit.Add(ctx, e)
}
