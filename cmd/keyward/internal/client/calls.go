package client

import (
	"context"
	"net/http"
	"net/url"

	"github.com/keyward/keyward/api/rest"
)

// CreateUser creates a user.
func (c *Client) CreateUser(ctx context.Context, body rest.UserCreateReq) (rest.User, error) {
	return post[rest.User](ctx, c, "/users", body)
}

// FirstUser lists no more than one user: the least that can be asked with a secret.
func (c *Client) FirstUser(ctx context.Context) (rest.UserList, error) {
	return call[rest.UserList](ctx, c, http.MethodGet, "/users?pageSize=1", nil)
}

// ReportEvent reports what happened to a user.
func (c *Client) ReportEvent(ctx context.Context, user string, body rest.PasskeyEventCreateReq) (rest.PasskeyEvent, error) {
	return post[rest.PasskeyEvent](ctx, c, "/users/"+url.PathEscape(user)+"/passkeyEvents", body)
}

// ReportLogin reports how a login went that was made by other means than a passkey.
func (c *Client) ReportLogin(ctx context.Context, user string, body rest.AuthEventCreateReq) (rest.AuthEvent, error) {
	return post[rest.AuthEvent](ctx, c, "/users/"+url.PathEscape(user)+"/authEvents", body)
}

// AppendStart asks whether a passkey should be created.
func (c *Client) AppendStart(ctx context.Context, body rest.PasskeyAppendStartReq) (rest.PasskeyAppendStartRsp, error) {
	return post[rest.PasskeyAppendStartRsp](ctx, c, "/passkey/append/start", body)
}

// AppendFinish hands in the passkey that was created.
func (c *Client) AppendFinish(ctx context.Context, body rest.PasskeyAppendFinishReq) (rest.PasskeyAppendFinishRsp, error) {
	return post[rest.PasskeyAppendFinishRsp](ctx, c, "/passkey/append/finish", body)
}

// LoginStart asks whether a login with a passkey should be offered.
func (c *Client) LoginStart(ctx context.Context, body rest.PasskeyLoginStartReq) (rest.PasskeyLoginStartRsp, error) {
	return post[rest.PasskeyLoginStartRsp](ctx, c, "/passkey/login/start", body)
}

// LoginFinish hands in what a passkey signed.
func (c *Client) LoginFinish(ctx context.Context, body rest.PasskeyLoginFinishReq) (rest.PasskeyLoginFinishRsp, error) {
	return post[rest.PasskeyLoginFinishRsp](ctx, c, "/passkey/login/finish", body)
}

// MediationStart asks whether passkeys should be offered for autofill.
func (c *Client) MediationStart(ctx context.Context, body rest.PasskeyMediationStartReq) (rest.PasskeyMediationStartRsp, error) {
	return post[rest.PasskeyMediationStartRsp](ctx, c, "/passkey/mediation/start", body)
}

// MediationFinish hands in what a passkey chosen from autofill signed.
func (c *Client) MediationFinish(ctx context.Context, body rest.PasskeyMediationFinishReq) (rest.PasskeyMediationFinishRsp, error) {
	return post[rest.PasskeyMediationFinishRsp](ctx, c, "/passkey/mediation/finish", body)
}
