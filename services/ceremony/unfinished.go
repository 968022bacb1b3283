package ceremony

import (
	"context"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// unfinished goes when its last method has been overridden.
type unfinished struct{}

// CreateIdentifier implements service.Directory.
func (unfinished) CreateIdentifier(context.Context, service.ForUser[rest.IdentifierCreateReq]) (rsp rest.Identifier, err error) {
	return rsp, fault.Unavailable(0, "CreateIdentifier is being built")
}

// UpdateIdentifier implements service.Directory.
func (unfinished) UpdateIdentifier(context.Context, service.ForUser[service.IdentifierPatch]) (rsp rest.Identifier, err error) {
	return rsp, fault.Unavailable(0, "UpdateIdentifier is being built")
}

// DeleteIdentifier implements service.Directory.
func (unfinished) DeleteIdentifier(context.Context, service.ForUser[ident.IdentifierID]) (rsp service.Empty, err error) {
	return rsp, fault.Unavailable(0, "DeleteIdentifier is being built")
}

// ListIdentifiers implements service.Directory.
func (unfinished) ListIdentifiers(context.Context, service.ForProject[service.List]) (rsp rest.IdentifierList, err error) {
	return rsp, fault.Unavailable(0, "ListIdentifiers is being built")
}

// CreateSocialAccount implements service.Directory.
func (unfinished) CreateSocialAccount(context.Context, service.ForUser[rest.SocialAccountCreateReq]) (rsp rest.SocialAccount, err error) {
	return rsp, fault.Unavailable(0, "CreateSocialAccount is being built")
}

// ListUserSocialAccounts implements service.Directory.
func (unfinished) ListUserSocialAccounts(context.Context, service.ForUser[service.List]) (rsp []rest.SocialAccount, err error) {
	return rsp, fault.Unavailable(0, "ListUserSocialAccounts is being built")
}

// ListSocialAccounts implements service.Directory.
func (unfinished) ListSocialAccounts(context.Context, service.ForProject[service.List]) (rsp rest.SocialAccountList, err error) {
	return rsp, fault.Unavailable(0, "ListSocialAccounts is being built")
}

// ListClientEnvs implements service.Directory.
func (unfinished) ListClientEnvs(context.Context, service.ForUser[service.Empty]) (rsp rest.ClientEnvList, err error) {
	return rsp, fault.Unavailable(0, "ListClientEnvs is being built")
}

// ListPasswordManagers implements service.Directory.
func (unfinished) ListPasswordManagers(context.Context, service.ForUser[service.Empty]) (rsp rest.PasswordManagerList, err error) {
	return rsp, fault.Unavailable(0, "ListPasswordManagers is being built")
}

// UpdateCname implements service.Directory.
func (unfinished) UpdateCname(context.Context, service.ForProject[rest.CnameUpdateReq]) (rsp service.Empty, err error) {
	return rsp, fault.Unavailable(0, "UpdateCname is being built")
}

// CreateCode implements service.Codes.
func (unfinished) CreateCode(context.Context, service.ForUser[rest.ChallengeCreateReq]) (rsp rest.Challenge, err error) {
	return rsp, fault.Unavailable(0, "CreateCode is being built")
}

// CheckCode implements service.Codes.
func (unfinished) CheckCode(context.Context, service.ForUser[service.CodeCheck]) (rsp rest.Challenge, err error) {
	return rsp, fault.Unavailable(0, "CheckCode is being built")
}

// ListSessions implements service.Sessions.
func (unfinished) ListSessions(context.Context, service.ForProject[service.List]) (rsp rest.SessionList, err error) {
	return rsp, fault.Unavailable(0, "ListSessions is being built")
}

// ListConnectTokens implements service.ConnectTokens.
func (unfinished) ListConnectTokens(context.Context, service.ForProject[service.List]) (rsp rest.ConnectTokenList, err error) {
	return rsp, fault.Unavailable(0, "ListConnectTokens is being built")
}
