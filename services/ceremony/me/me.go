// Package me is what somebody with a session does with the own account. Whoever was deleted or disabled meanwhile is no visitor. It keeps
// nothing and changes nothing but through the rooms passkeys, directory, sessions and codes.
package me

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/tenant"
	"github.com/keyward/keyward/services/ceremony/sessions"
)

// Passkeys is what the room passkeys does for users.
type Passkeys interface {
	AppendStart(context.Context, service.ForProject[rest.PasskeyAppendStartReq]) (service.Judged[rest.PasskeyAppendStartRsp], error)
	AppendFinish(context.Context, service.ForProject[rest.PasskeyAppendFinishReq]) (service.Finished[rest.PasskeyAppendFinishRsp], error)
	ListCredentials(context.Context, service.ForUser[service.List]) (rest.CredentialList, error)
	DeleteCredential(context.Context, service.ForUser[ident.CredentialID]) (service.Empty, error)
}

// Directory is what the room directory does for users.
type Directory interface {
	UpdateUser(context.Context, service.ForUser[rest.UserUpdateReq]) (rest.User, error)
	DeleteUser(context.Context, service.ForUser[service.Empty]) (service.Empty, error)
	CreateIdentifier(context.Context, service.ForUser[rest.IdentifierCreateReq]) (rest.Identifier, error)
	DeleteIdentifier(context.Context, service.ForUser[ident.IdentifierID]) (service.Empty, error)
}

// Sessions knows who calls. The room sessions is one.
type Sessions interface {
	Visitor(context.Context, service.Visit) (sessions.Visitor, error)
	VisitorAccount(context.Context, service.Visit) (sessions.Visitor, account.Account, error)
	Cookies(project.Project) service.Cookies
	Issuer(project.Project) string
}

// Sent knows the code that was sent last to an identifier.
type Sent interface {
	Newest(ctx context.Context, project ident.ProjectID, user ident.UserID, identifier ident.IdentifierID) (ident.CodeID, error)
}

// Deps is what the room works with. All fields are required.
type Deps struct {
	Projects  tenant.Projects
	Accounts  *account.Store
	Passkeys  Passkeys
	Directory Directory
	Sessions  Sessions
	Codes     service.Codes
	Sent      Sent
}

// Service is what a user does with the own account.
type Service struct {
	projects  tenant.Projects
	accounts  *account.Store
	passkeys  Passkeys
	directory Directory
	sessions  Sessions
	codes     service.Codes
	sent      Sent
}

// New returns the room.
func New(d Deps) *Service {
	return &Service{
		projects: d.Projects, accounts: d.Accounts, passkeys: d.Passkeys, directory: d.Directory, sessions: d.Sessions, codes: d.Codes,
		sent: d.Sent,
	}
}
