package ceremony

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
)

func serveCurrentUser(server *rpc.Server, svc service.CurrentUser) error {
	return errors.Join(
		rpc.Handle(server, "current-user", svc.CurrentUser),
		rpc.Handle(server, "get-session-config", svc.GetSessionConfig),
		rpc.Handle(server, "get-process-config", svc.GetProcessConfig),
		rpc.Handle(server, "get-user-details-config", svc.GetUserDetailsConfig),
		rpc.Handle(server, "current-user-get", svc.CurrentUserGet),
		rpc.Handle(server, "current-user-update", svc.CurrentUserUpdate),
		rpc.Handle(server, "current-user-delete", svc.CurrentUserDelete),
		rpc.Handle(server, "current-user-passkey-get", svc.CurrentUserPasskeyGet),
		rpc.Handle(server, "current-user-passkey-append-start", svc.CurrentUserPasskeyAppendStart),
		rpc.Handle(server, "current-user-passkey-append-finish", svc.CurrentUserPasskeyAppendFinish),
		rpc.Handle(server, "current-user-passkey-delete", svc.CurrentUserPasskeyDelete),
		rpc.Handle(server, "current-user-session-refresh", svc.CurrentUserSessionRefresh),
		rpc.Handle(server, "current-user-session-logout", svc.CurrentUserSessionLogout),
		rpc.Handle(server, "current-user-identifier-create", svc.CurrentUserIdentifierCreate),
		rpc.Handle(server, "current-user-identifier-update", svc.CurrentUserIdentifierUpdate),
		rpc.Handle(server, "current-user-identifier-delete", svc.CurrentUserIdentifierDelete),
		rpc.Handle(server, "current-user-identifier-verify-start", svc.CurrentUserIdentifierVerifyStart),
		rpc.Handle(server, "current-user-identifier-verify-finish", svc.CurrentUserIdentifierVerifyFinish),
		rpc.Handle(server, "oidc-user-info", svc.OidcUserInfo),
	)
}

// CurrentUser implements service.CurrentUser.
func (c *Client) CurrentUser(ctx context.Context, req service.ForVisit[service.Empty]) (ident.UserID, error) {
	return rpc.Call[ident.UserID](ctx, c.calls, "current-user", req)
}

// GetSessionConfig implements service.CurrentUser.
func (c *Client) GetSessionConfig(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.SessionConfigRsp, error) {
	return rpc.Call[frontend.SessionConfigRsp](ctx, c.calls, "get-session-config", req)
}

// GetProcessConfig implements service.CurrentUser.
func (c *Client) GetProcessConfig(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.ProcessConfigRsp, error) {
	return rpc.Call[frontend.ProcessConfigRsp](ctx, c.calls, "get-process-config", req)
}

// GetUserDetailsConfig implements service.CurrentUser.
func (c *Client) GetUserDetailsConfig(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.UserDetailsConfigRsp, error) {
	return rpc.Call[frontend.UserDetailsConfigRsp](ctx, c.calls, "get-user-details-config", req)
}

// CurrentUserGet implements service.CurrentUser.
func (c *Client) CurrentUserGet(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.MeRsp, error) {
	return rpc.Call[frontend.MeRsp](ctx, c.calls, "current-user-get", req)
}

// CurrentUserUpdate implements service.CurrentUser.
func (c *Client) CurrentUserUpdate(ctx context.Context, req service.ForVisit[frontend.MeUpdateReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "current-user-update", req)
}

// CurrentUserDelete implements service.CurrentUser.
func (c *Client) CurrentUserDelete(ctx context.Context, req service.ForVisit[service.Empty]) (service.Answered[service.Empty], error) {
	return rpc.Call[service.Answered[service.Empty]](ctx, c.calls, "current-user-delete", req)
}

// CurrentUserPasskeyGet implements service.CurrentUser.
func (c *Client) CurrentUserPasskeyGet(ctx context.Context, req service.ForVisit[service.List]) (frontend.MePasskeyRsp, error) {
	return rpc.Call[frontend.MePasskeyRsp](ctx, c.calls, "current-user-passkey-get", req)
}

// CurrentUserPasskeyAppendStart implements service.CurrentUser.
func (c *Client) CurrentUserPasskeyAppendStart(ctx context.Context, req service.ForVisit[frontend.MePasskeysAppendStartReq]) (service.Answered[frontend.MePasskeysAppendStartRsp], error) {
	return rpc.Call[service.Answered[frontend.MePasskeysAppendStartRsp]](ctx, c.calls, "current-user-passkey-append-start", req)
}

// CurrentUserPasskeyAppendFinish implements service.CurrentUser.
func (c *Client) CurrentUserPasskeyAppendFinish(ctx context.Context, req service.ForVisit[frontend.MePasskeysAppendFinishReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "current-user-passkey-append-finish", req)
}

// CurrentUserPasskeyDelete implements service.CurrentUser.
func (c *Client) CurrentUserPasskeyDelete(ctx context.Context, req service.ForVisit[ident.CredentialID]) (frontend.MePasskeyDeleteRsp, error) {
	return rpc.Call[frontend.MePasskeyDeleteRsp](ctx, c.calls, "current-user-passkey-delete", req)
}

// CurrentUserSessionRefresh implements service.CurrentUser.
func (c *Client) CurrentUserSessionRefresh(ctx context.Context, req service.ForVisit[service.Empty]) (service.Answered[frontend.MeRefreshRsp], error) {
	return rpc.Call[service.Answered[frontend.MeRefreshRsp]](ctx, c.calls, "current-user-session-refresh", req)
}

// CurrentUserSessionLogout implements service.CurrentUser.
func (c *Client) CurrentUserSessionLogout(ctx context.Context, req service.ForVisit[service.Empty]) (service.Answered[service.Empty], error) {
	return rpc.Call[service.Answered[service.Empty]](ctx, c.calls, "current-user-session-logout", req)
}

// CurrentUserIdentifierCreate implements service.CurrentUser.
func (c *Client) CurrentUserIdentifierCreate(ctx context.Context, req service.ForVisit[frontend.MeIdentifierCreateReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "current-user-identifier-create", req)
}

// CurrentUserIdentifierUpdate implements service.CurrentUser.
func (c *Client) CurrentUserIdentifierUpdate(ctx context.Context, req service.ForVisit[frontend.MeIdentifierUpdateReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "current-user-identifier-update", req)
}

// CurrentUserIdentifierDelete implements service.CurrentUser.
func (c *Client) CurrentUserIdentifierDelete(ctx context.Context, req service.ForVisit[frontend.MeIdentifierDeleteReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "current-user-identifier-delete", req)
}

// CurrentUserIdentifierVerifyStart implements service.CurrentUser.
func (c *Client) CurrentUserIdentifierVerifyStart(ctx context.Context, req service.ForVisit[frontend.MeIdentifierVerifyStartReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "current-user-identifier-verify-start", req)
}

// CurrentUserIdentifierVerifyFinish implements service.CurrentUser.
func (c *Client) CurrentUserIdentifierVerifyFinish(ctx context.Context, req service.ForVisit[frontend.MeIdentifierVerifyFinishReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "current-user-identifier-verify-finish", req)
}

// OidcUserInfo implements service.CurrentUser.
func (c *Client) OidcUserInfo(ctx context.Context, req service.ForVisit[service.Empty]) (frontend.OidcUserInfoRsp, error) {
	return rpc.Call[frontend.OidcUserInfoRsp](ctx, c.calls, "oidc-user-info", req)
}

func serveConnect(server *rpc.Server, svc service.Connect) error {
	return errors.Join(
		rpc.Handle(server, "connect-login-init", svc.ConnectLoginInit),
		rpc.Handle(server, "connect-login-start", svc.ConnectLoginStart),
		rpc.Handle(server, "connect-login-finish", svc.ConnectLoginFinish),
		rpc.Handle(server, "connect-append-init", svc.ConnectAppendInit),
		rpc.Handle(server, "connect-append-start", svc.ConnectAppendStart),
		rpc.Handle(server, "connect-append-finish", svc.ConnectAppendFinish),
		rpc.Handle(server, "connect-manage-init", svc.ConnectManageInit),
		rpc.Handle(server, "connect-manage-list", svc.ConnectManageList),
		rpc.Handle(server, "connect-manage-delete", svc.ConnectManageDelete),
		rpc.Handle(server, "connect-event-create", svc.ConnectEventCreate),
		rpc.Handle(server, "connect-events-low-create", svc.ConnectEventsLowCreate),
		rpc.Handle(server, "connect-process-clear", svc.ConnectProcessClear),
	)
}

// ConnectLoginInit implements service.Connect.
func (c *Client) ConnectLoginInit(ctx context.Context, req service.ForVisit[frontend.ConnectInitReq]) (service.Answered[frontend.ConnectLoginInitRsp], error) {
	return rpc.Call[service.Answered[frontend.ConnectLoginInitRsp]](ctx, c.calls, "connect-login-init", req)
}

// ConnectLoginStart implements service.Connect.
func (c *Client) ConnectLoginStart(ctx context.Context, req service.ForVisit[frontend.ConnectLoginStartReq]) (service.Answered[frontend.ConnectLoginStartRsp], error) {
	return rpc.Call[service.Answered[frontend.ConnectLoginStartRsp]](ctx, c.calls, "connect-login-start", req)
}

// ConnectLoginFinish implements service.Connect.
func (c *Client) ConnectLoginFinish(ctx context.Context, req service.ForVisit[frontend.ConnectLoginFinishReq]) (service.Answered[frontend.ConnectLoginFinishRsp], error) {
	return rpc.Call[service.Answered[frontend.ConnectLoginFinishRsp]](ctx, c.calls, "connect-login-finish", req)
}

// ConnectAppendInit implements service.Connect.
func (c *Client) ConnectAppendInit(ctx context.Context, req service.ForVisit[frontend.ConnectInitReq]) (service.Answered[frontend.ConnectAppendInitRsp], error) {
	return rpc.Call[service.Answered[frontend.ConnectAppendInitRsp]](ctx, c.calls, "connect-append-init", req)
}

// ConnectAppendStart implements service.Connect.
func (c *Client) ConnectAppendStart(ctx context.Context, req service.ForVisit[frontend.ConnectAppendStartReq]) (service.Answered[frontend.ConnectAppendStartRsp], error) {
	return rpc.Call[service.Answered[frontend.ConnectAppendStartRsp]](ctx, c.calls, "connect-append-start", req)
}

// ConnectAppendFinish implements service.Connect.
func (c *Client) ConnectAppendFinish(ctx context.Context, req service.ForVisit[frontend.ConnectAppendFinishReq]) (service.Answered[frontend.ConnectAppendFinishRsp], error) {
	return rpc.Call[service.Answered[frontend.ConnectAppendFinishRsp]](ctx, c.calls, "connect-append-finish", req)
}

// ConnectManageInit implements service.Connect.
func (c *Client) ConnectManageInit(ctx context.Context, req service.ForVisit[frontend.ConnectInitReq]) (service.Answered[frontend.ConnectManageInitRsp], error) {
	return rpc.Call[service.Answered[frontend.ConnectManageInitRsp]](ctx, c.calls, "connect-manage-init", req)
}

// ConnectManageList implements service.Connect.
func (c *Client) ConnectManageList(ctx context.Context, req service.ForVisit[frontend.ConnectManageListReq]) (frontend.ConnectManageListRsp, error) {
	return rpc.Call[frontend.ConnectManageListRsp](ctx, c.calls, "connect-manage-list", req)
}

// ConnectManageDelete implements service.Connect.
func (c *Client) ConnectManageDelete(ctx context.Context, req service.ForVisit[frontend.ConnectManageDeleteReq]) (frontend.ConnectManageDeleteRsp, error) {
	return rpc.Call[frontend.ConnectManageDeleteRsp](ctx, c.calls, "connect-manage-delete", req)
}

// ConnectEventCreate implements service.Connect.
func (c *Client) ConnectEventCreate(ctx context.Context, req service.ForVisit[frontend.ConnectEventCreateReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "connect-event-create", req)
}

// ConnectEventsLowCreate implements service.Connect.
func (c *Client) ConnectEventsLowCreate(ctx context.Context, req service.ForVisit[frontend.ConnectEventsLowReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "connect-events-low-create", req)
}

// ConnectProcessClear implements service.Connect.
func (c *Client) ConnectProcessClear(ctx context.Context, req service.ForVisit[frontend.ConnectProcessClearReq]) (frontend.ConnectProcessClearRsp, error) {
	return rpc.Call[frontend.ConnectProcessClearRsp](ctx, c.calls, "connect-process-clear", req)
}

func serveSignIn(server *rpc.Server, svc service.SignIn) error {
	return errors.Join(
		rpc.Handle(server, "process-init", svc.ProcessInit),
		rpc.Handle(server, "process-get", svc.ProcessGet),
		rpc.Handle(server, "process-complete", svc.ProcessComplete),
		rpc.Handle(server, "process-reset", svc.ProcessReset),
		rpc.Handle(server, "block-skip", svc.BlockSkip),
		rpc.Handle(server, "signup-init", svc.SignupInit),
		rpc.Handle(server, "login-init", svc.LoginInit),
		rpc.Handle(server, "passkey-append-start", svc.PasskeyAppendStart),
		rpc.Handle(server, "passkey-append-finish", svc.PasskeyAppendFinish),
		rpc.Handle(server, "passkey-login-start", svc.PasskeyLoginStart),
		rpc.Handle(server, "passkey-login-finish", svc.PasskeyLoginFinish),
		rpc.Handle(server, "passkey-mediation-finish", svc.PasskeyMediationFinish),
		rpc.Handle(server, "identifier-verify-start", svc.IdentifierVerifyStart),
		rpc.Handle(server, "identifier-verify-finish", svc.IdentifierVerifyFinish),
		rpc.Handle(server, "identifier-verify-status", svc.IdentifierVerifyStatus),
		rpc.Handle(server, "identifier-update", svc.IdentifierUpdate),
		rpc.Handle(server, "auth-event-create", svc.AuthEventCreate),
	)
}

// ProcessInit implements service.SignIn.
func (c *Client) ProcessInit(ctx context.Context, req service.ForVisit[frontend.ProcessInitReq]) (service.Answered[frontend.ProcessInitRsp], error) {
	return rpc.Call[service.Answered[frontend.ProcessInitRsp]](ctx, c.calls, "process-init", req)
}

// ProcessGet implements service.SignIn.
func (c *Client) ProcessGet(ctx context.Context, req service.ForVisit[*frontend.BlockType]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "process-get", req)
}

// ProcessComplete implements service.SignIn.
func (c *Client) ProcessComplete(ctx context.Context, req service.ForVisit[service.Empty]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "process-complete", req)
}

// ProcessReset implements service.SignIn.
func (c *Client) ProcessReset(ctx context.Context, req service.ForVisit[service.Empty]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "process-reset", req)
}

// BlockSkip implements service.SignIn.
func (c *Client) BlockSkip(ctx context.Context, req service.ForVisit[service.Empty]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "block-skip", req)
}

// SignupInit implements service.SignIn.
func (c *Client) SignupInit(ctx context.Context, req service.ForVisit[frontend.SignupInitReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "signup-init", req)
}

// LoginInit implements service.SignIn.
func (c *Client) LoginInit(ctx context.Context, req service.ForVisit[frontend.LoginInitReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "login-init", req)
}

// PasskeyAppendStart implements service.SignIn.
func (c *Client) PasskeyAppendStart(ctx context.Context, req service.ForVisit[frontend.PasskeyStartReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "passkey-append-start", req)
}

// PasskeyAppendFinish implements service.SignIn.
func (c *Client) PasskeyAppendFinish(ctx context.Context, req service.ForVisit[frontend.PasskeyFinishReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "passkey-append-finish", req)
}

// PasskeyLoginStart implements service.SignIn.
func (c *Client) PasskeyLoginStart(ctx context.Context, req service.ForVisit[frontend.PasskeyStartReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "passkey-login-start", req)
}

// PasskeyLoginFinish implements service.SignIn.
func (c *Client) PasskeyLoginFinish(ctx context.Context, req service.ForVisit[frontend.PasskeyFinishReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "passkey-login-finish", req)
}

// PasskeyMediationFinish implements service.SignIn.
func (c *Client) PasskeyMediationFinish(ctx context.Context, req service.ForVisit[frontend.PasskeyFinishReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "passkey-mediation-finish", req)
}

// IdentifierVerifyStart implements service.SignIn.
func (c *Client) IdentifierVerifyStart(ctx context.Context, req service.ForVisit[frontend.IdentifierVerifyStartReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "identifier-verify-start", req)
}

// IdentifierVerifyFinish implements service.SignIn.
func (c *Client) IdentifierVerifyFinish(ctx context.Context, req service.ForVisit[frontend.IdentifierVerifyFinishReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "identifier-verify-finish", req)
}

// IdentifierVerifyStatus implements service.SignIn.
func (c *Client) IdentifierVerifyStatus(ctx context.Context, req service.ForVisit[service.Empty]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "identifier-verify-status", req)
}

// IdentifierUpdate implements service.SignIn.
func (c *Client) IdentifierUpdate(ctx context.Context, req service.ForVisit[frontend.IdentifierUpdateReq]) (service.Answered[frontend.ProcessResponse], error) {
	return rpc.Call[service.Answered[frontend.ProcessResponse]](ctx, c.calls, "identifier-update", req)
}

// AuthEventCreate implements service.SignIn.
func (c *Client) AuthEventCreate(ctx context.Context, req service.ForVisit[frontend.EventCreateReq]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "auth-event-create", req)
}
