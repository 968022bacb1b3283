package ceremony

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
)

func serveDirectory(server *rpc.Server, svc service.Ceremony) error {
	return errors.Join(
		rpc.Handle(server, "create-identifier", svc.CreateIdentifier),
		rpc.Handle(server, "update-identifier", svc.UpdateIdentifier),
		rpc.Handle(server, "delete-identifier", svc.DeleteIdentifier),
		rpc.Handle(server, "list-identifiers", svc.ListIdentifiers),
		rpc.Handle(server, "create-social-account", svc.CreateSocialAccount),
		rpc.Handle(server, "list-user-social-accounts", svc.ListUserSocialAccounts),
		rpc.Handle(server, "list-social-accounts", svc.ListSocialAccounts),
		rpc.Handle(server, "list-client-envs", svc.ListClientEnvs),
		rpc.Handle(server, "list-password-managers", svc.ListPasswordManagers),
		rpc.Handle(server, "update-cname", svc.UpdateCname),
		rpc.Handle(server, "create-code", svc.CreateCode),
		rpc.Handle(server, "check-code", svc.CheckCode),
		rpc.Handle(server, "list-sessions", svc.ListSessions),
		rpc.Handle(server, "revoke-session", svc.RevokeSession),
		rpc.Handle(server, "create-long-session", svc.CreateLongSession),
		rpc.Handle(server, "get-user-long-session", svc.GetUserLongSession),
		rpc.Handle(server, "get-long-session", svc.GetLongSession),
		rpc.Handle(server, "update-long-session", svc.UpdateLongSession),
		rpc.Handle(server, "create-short-session", svc.CreateShortSession),
		rpc.Handle(server, "verify-signed-data", svc.VerifySignedData),
		rpc.Handle(server, "post-login", svc.PostLogin),
		rpc.Handle(server, "keys", svc.Keys),
		rpc.Handle(server, "create-connect-token", svc.CreateConnectToken),
		rpc.Handle(server, "list-connect-tokens", svc.ListConnectTokens),
		rpc.Handle(server, "update-connect-token", svc.UpdateConnectToken),
		rpc.Handle(server, "delete-connect-token", svc.DeleteConnectToken),
	)
}

// CreateIdentifier implements service.Directory.
func (c *Client) CreateIdentifier(ctx context.Context, req service.ForUser[rest.IdentifierCreateReq]) (rest.Identifier, error) {
	return rpc.Call[rest.Identifier](ctx, c.calls, "create-identifier", req)
}

// UpdateIdentifier implements service.Directory.
func (c *Client) UpdateIdentifier(ctx context.Context, req service.ForUser[service.IdentifierPatch]) (rest.Identifier, error) {
	return rpc.Call[rest.Identifier](ctx, c.calls, "update-identifier", req)
}

// DeleteIdentifier implements service.Directory.
func (c *Client) DeleteIdentifier(ctx context.Context, req service.ForUser[ident.IdentifierID]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "delete-identifier", req)
}

// ListIdentifiers implements service.Directory.
func (c *Client) ListIdentifiers(ctx context.Context, req service.ForProject[service.List]) (rest.IdentifierList, error) {
	return rpc.Call[rest.IdentifierList](ctx, c.calls, "list-identifiers", req)
}

// CreateSocialAccount implements service.Directory.
func (c *Client) CreateSocialAccount(ctx context.Context, req service.ForUser[rest.SocialAccountCreateReq]) (rest.SocialAccount, error) {
	return rpc.Call[rest.SocialAccount](ctx, c.calls, "create-social-account", req)
}

// ListUserSocialAccounts implements service.Directory.
func (c *Client) ListUserSocialAccounts(ctx context.Context, req service.ForUser[service.List]) ([]rest.SocialAccount, error) {
	return rpc.Call[[]rest.SocialAccount](ctx, c.calls, "list-user-social-accounts", req)
}

// ListSocialAccounts implements service.Directory.
func (c *Client) ListSocialAccounts(ctx context.Context, req service.ForProject[service.List]) (rest.SocialAccountList, error) {
	return rpc.Call[rest.SocialAccountList](ctx, c.calls, "list-social-accounts", req)
}

// ListClientEnvs implements service.Directory.
func (c *Client) ListClientEnvs(ctx context.Context, req service.ForUser[service.Empty]) (rest.ClientEnvList, error) {
	return rpc.Call[rest.ClientEnvList](ctx, c.calls, "list-client-envs", req)
}

// ListPasswordManagers implements service.Directory.
func (c *Client) ListPasswordManagers(ctx context.Context, req service.ForUser[service.Empty]) (rest.PasswordManagerList, error) {
	return rpc.Call[rest.PasswordManagerList](ctx, c.calls, "list-password-managers", req)
}

// UpdateCname implements service.Directory.
func (c *Client) UpdateCname(ctx context.Context, req service.ForProject[rest.CnameUpdateReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "update-cname", req)
}

// CreateCode implements service.Codes.
func (c *Client) CreateCode(ctx context.Context, req service.ForUser[rest.ChallengeCreateReq]) (rest.Challenge, error) {
	return rpc.Call[rest.Challenge](ctx, c.calls, "create-code", req)
}

// CheckCode implements service.Codes.
func (c *Client) CheckCode(ctx context.Context, req service.ForUser[service.CodeCheck]) (rest.Challenge, error) {
	return rpc.Call[rest.Challenge](ctx, c.calls, "check-code", req)
}

// ListSessions implements service.Sessions.
func (c *Client) ListSessions(ctx context.Context, req service.ForProject[service.List]) (rest.SessionList, error) {
	return rpc.Call[rest.SessionList](ctx, c.calls, "list-sessions", req)
}

// RevokeSession implements service.Sessions.
func (c *Client) RevokeSession(ctx context.Context, req service.ForProject[ident.SessionID]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "revoke-session", req)
}

// CreateLongSession implements service.Sessions.
func (c *Client) CreateLongSession(ctx context.Context, req service.ForUser[rest.LongSessionCreateReq]) (rest.LongSession, error) {
	return rpc.Call[rest.LongSession](ctx, c.calls, "create-long-session", req)
}

// GetUserLongSession implements service.Sessions.
func (c *Client) GetUserLongSession(ctx context.Context, req service.ForUser[ident.SessionID]) (rest.LongSession, error) {
	return rpc.Call[rest.LongSession](ctx, c.calls, "get-user-long-session", req)
}

// GetLongSession implements service.Sessions.
func (c *Client) GetLongSession(ctx context.Context, req service.ForProject[ident.SessionID]) (rest.LongSession, error) {
	return rpc.Call[rest.LongSession](ctx, c.calls, "get-long-session", req)
}

// UpdateLongSession implements service.Sessions.
func (c *Client) UpdateLongSession(ctx context.Context, req service.ForUser[service.SessionPatch]) (rest.LongSession, error) {
	return rpc.Call[rest.LongSession](ctx, c.calls, "update-long-session", req)
}

// CreateShortSession implements service.Sessions.
func (c *Client) CreateShortSession(ctx context.Context, req service.ForUser[service.ShortSession]) (rest.ShortSession, error) {
	return rpc.Call[rest.ShortSession](ctx, c.calls, "create-short-session", req)
}

// VerifySignedData implements service.Sessions.
func (c *Client) VerifySignedData(ctx context.Context, req service.ForProject[rest.VerifySignedDataReq]) (rest.VerifySignedDataRsp, error) {
	return rpc.Call[rest.VerifySignedDataRsp](ctx, c.calls, "verify-signed-data", req)
}

// PostLogin implements service.Sessions.
func (c *Client) PostLogin(ctx context.Context, req service.ForProject[rest.PostLoginReq]) (rest.PostLoginRsp, error) {
	return rpc.Call[rest.PostLoginRsp](ctx, c.calls, "post-login", req)
}

// Keys implements service.Sessions.
func (c *Client) Keys(ctx context.Context, req service.ForProject[service.Empty]) (json.RawMessage, error) {
	return rpc.Call[json.RawMessage](ctx, c.calls, "keys", req)
}

// CreateConnectToken implements service.ConnectTokens.
func (c *Client) CreateConnectToken(ctx context.Context, req service.ForProject[rest.ConnectTokenCreateReq]) (rest.ConnectToken, error) {
	return rpc.Call[rest.ConnectToken](ctx, c.calls, "create-connect-token", req)
}

// ListConnectTokens implements service.ConnectTokens.
func (c *Client) ListConnectTokens(ctx context.Context, req service.ForProject[service.List]) (rest.ConnectTokenList, error) {
	return rpc.Call[rest.ConnectTokenList](ctx, c.calls, "list-connect-tokens", req)
}

// UpdateConnectToken implements service.ConnectTokens.
func (c *Client) UpdateConnectToken(ctx context.Context, req service.ForProject[service.TokenPatch]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "update-connect-token", req)
}

// DeleteConnectToken implements service.ConnectTokens.
func (c *Client) DeleteConnectToken(ctx context.Context, req service.ForProject[ident.ConnectTokenID]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "delete-connect-token", req)
}
