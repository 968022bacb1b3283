package ceremony

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
)

// busName is the service's name on the bus: its methods listen on keyward.ceremony.<method>.
const busName = "ceremony"

// Serve answers calls to svc that come over the bus, until the server is closed.
func Serve(conn *nats.Conn, svc service.Ceremony, opts rpc.Options, log *slog.Logger) (*rpc.Server, error) {
	server, err := rpc.NewServer(conn, busName, opts, log)
	if err != nil {
		return nil, err
	}
	return server, errors.Join(
		rpc.Handle(server, "create-user", svc.CreateUser),
		rpc.Handle(server, "list-users", svc.ListUsers),
		rpc.Handle(server, "get-user", svc.GetUser),
		rpc.Handle(server, "update-user", svc.UpdateUser),
		rpc.Handle(server, "delete-user", svc.DeleteUser),
		rpc.Handle(server, "list-credentials", svc.ListCredentials),
		rpc.Handle(server, "delete-credential", svc.DeleteCredential),
		rpc.Handle(server, "list-challenges", svc.ListChallenges),
		rpc.Handle(server, "update-challenge", svc.UpdateChallenge),
		rpc.Handle(server, "append-start", svc.AppendStart),
		rpc.Handle(server, "append-finish", svc.AppendFinish),
		rpc.Handle(server, "login-start", svc.LoginStart),
		rpc.Handle(server, "login-finish", svc.LoginFinish),
		rpc.Handle(server, "mediation-start", svc.MediationStart),
		rpc.Handle(server, "mediation-finish", svc.MediationFinish),
		serveDirectory(server, svc),
		serveRegistrations(server, svc),
		serveCurrentUser(server, svc),
		serveConnect(server, svc),
		serveSignIn(server, svc),
	)
}

// Client calls the service over the bus.
type Client struct{ calls *rpc.Client }

var _ service.Ceremony = (*Client)(nil)

// NewClient returns a client whose calls end after timeout at the latest.
func NewClient(conn *nats.Conn, timeout time.Duration) *Client {
	return &Client{calls: rpc.NewClient(conn, busName, timeout)}
}

// CreateUser implements service.Ceremony.
func (c *Client) CreateUser(ctx context.Context, req service.ForProject[rest.UserCreateReq]) (rest.User, error) {
	return rpc.Call[rest.User](ctx, c.calls, "create-user", req)
}

// ListUsers implements service.Ceremony.
func (c *Client) ListUsers(ctx context.Context, req service.ForProject[service.List]) (rest.UserList, error) {
	return rpc.Call[rest.UserList](ctx, c.calls, "list-users", req)
}

// GetUser implements service.Ceremony.
func (c *Client) GetUser(ctx context.Context, req service.ForUser[service.Empty]) (rest.User, error) {
	return rpc.Call[rest.User](ctx, c.calls, "get-user", req)
}

// UpdateUser implements service.Ceremony.
func (c *Client) UpdateUser(ctx context.Context, req service.ForUser[rest.UserUpdateReq]) (rest.User, error) {
	return rpc.Call[rest.User](ctx, c.calls, "update-user", req)
}

// DeleteUser implements service.Ceremony.
func (c *Client) DeleteUser(ctx context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "delete-user", req)
}

// ListCredentials implements service.Ceremony.
func (c *Client) ListCredentials(ctx context.Context, req service.ForUser[service.List]) (rest.CredentialList, error) {
	return rpc.Call[rest.CredentialList](ctx, c.calls, "list-credentials", req)
}

// DeleteCredential implements service.Ceremony.
func (c *Client) DeleteCredential(ctx context.Context, req service.ForUser[ident.CredentialID]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "delete-credential", req)
}

// ListChallenges implements service.Ceremony.
func (c *Client) ListChallenges(ctx context.Context, req service.ForUser[service.List]) (rest.PasskeyChallengeList, error) {
	return rpc.Call[rest.PasskeyChallengeList](ctx, c.calls, "list-challenges", req)
}

// UpdateChallenge implements service.Ceremony.
func (c *Client) UpdateChallenge(ctx context.Context, req service.ForUser[service.ChallengePatch]) (rest.PasskeyChallenge, error) {
	return rpc.Call[rest.PasskeyChallenge](ctx, c.calls, "update-challenge", req)
}

// AppendStart implements service.Ceremony.
func (c *Client) AppendStart(ctx context.Context, req service.ForProject[rest.PasskeyAppendStartReq]) (service.Judged[rest.PasskeyAppendStartRsp], error) {
	return rpc.Call[service.Judged[rest.PasskeyAppendStartRsp]](ctx, c.calls, "append-start", req)
}

// AppendFinish implements service.Ceremony.
func (c *Client) AppendFinish(ctx context.Context, req service.ForProject[rest.PasskeyAppendFinishReq]) (rest.PasskeyAppendFinishRsp, error) {
	return rpc.Call[rest.PasskeyAppendFinishRsp](ctx, c.calls, "append-finish", req)
}

// LoginStart implements service.Ceremony.
func (c *Client) LoginStart(ctx context.Context, req service.ForProject[rest.PasskeyLoginStartReq]) (service.Judged[rest.PasskeyLoginStartRsp], error) {
	return rpc.Call[service.Judged[rest.PasskeyLoginStartRsp]](ctx, c.calls, "login-start", req)
}

// LoginFinish implements service.Ceremony.
func (c *Client) LoginFinish(ctx context.Context, req service.ForProject[rest.PasskeyLoginFinishReq]) (rest.PasskeyLoginFinishRsp, error) {
	return rpc.Call[rest.PasskeyLoginFinishRsp](ctx, c.calls, "login-finish", req)
}

// MediationStart implements service.Ceremony.
func (c *Client) MediationStart(ctx context.Context, req service.ForProject[rest.PasskeyMediationStartReq]) (service.Judged[rest.PasskeyMediationStartRsp], error) {
	return rpc.Call[service.Judged[rest.PasskeyMediationStartRsp]](ctx, c.calls, "mediation-start", req)
}

// MediationFinish implements service.Ceremony.
func (c *Client) MediationFinish(ctx context.Context, req service.ForProject[rest.PasskeyMediationFinishReq]) (rest.PasskeyMediationFinishRsp, error) {
	return rpc.Call[rest.PasskeyMediationFinishRsp](ctx, c.calls, "mediation-finish", req)
}
