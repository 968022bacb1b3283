package ceremony

import (
	"context"
	"errors"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
)

func serveRegistrations(server *rpc.Server, svc service.Registrations) error {
	return errors.Join(
		rpc.Handle(server, "register-passkey", svc.RegisterPasskey),
		rpc.Handle(server, "verify-passkey", svc.VerifyPasskey),
		rpc.Handle(server, "create-passkey-code", svc.CreatePasskeyCode),
		rpc.Handle(server, "list-passkeys", svc.ListPasskeys),
		rpc.Handle(server, "remove-passkey", svc.RemovePasskey),
	)
}

// RegisterPasskey implements service.Registrations.
func (c *Client) RegisterPasskey(ctx context.Context, req service.ForUser[service.PasskeyRegistration]) (service.PendingPasskey, error) {
	return rpc.Call[service.PendingPasskey](ctx, c.calls, "register-passkey", req)
}

// VerifyPasskey implements service.Registrations.
func (c *Client) VerifyPasskey(ctx context.Context, req service.ForUser[service.PasskeyVerification]) (service.Change, error) {
	return rpc.Call[service.Change](ctx, c.calls, "verify-passkey", req)
}

// CreatePasskeyCode implements service.Registrations.
func (c *Client) CreatePasskeyCode(ctx context.Context, req service.ForUser[service.PasskeyCodeRequest]) (service.PasskeyCodeCreated, error) {
	return rpc.Call[service.PasskeyCodeCreated](ctx, c.calls, "create-passkey-code", req)
}

// ListPasskeys implements service.Registrations.
func (c *Client) ListPasskeys(ctx context.Context, req service.ForUser[service.Empty]) (service.PasskeyList, error) {
	return rpc.Call[service.PasskeyList](ctx, c.calls, "list-passkeys", req)
}

// RemovePasskey implements service.Registrations.
func (c *Client) RemovePasskey(ctx context.Context, req service.ForUser[ident.CredentialID]) (service.Change, error) {
	return rpc.Call[service.Change](ctx, c.calls, "remove-passkey", req)
}
