package events

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
)

// busName is the service's name on the bus: its methods listen on keyward.events.<method>.
const busName = "events"

// Serve answers calls to svc that come over the bus, until the server is closed.
func Serve(conn *nats.Conn, svc service.Events, opts rpc.Options, log *slog.Logger) (*rpc.Server, error) {
	server, err := rpc.NewServer(conn, busName, opts, log)
	if err != nil {
		return nil, err
	}
	return server, errors.Join(
		rpc.Handle(server, "create", svc.Create),
		rpc.Handle(server, "list", svc.List),
		rpc.Handle(server, "delete", svc.Delete),
		rpc.Handle(server, "append", svc.Append),
		rpc.Handle(server, "erase", svc.Erase),
		rpc.Handle(server, "create-auth-event", svc.CreateAuthEvent),
	)
}

// Client calls the service over the bus.
type Client struct{ calls *rpc.Client }

var _ service.Events = (*Client)(nil)

// NewClient returns a client whose calls end after timeout at the latest.
func NewClient(conn *nats.Conn, timeout time.Duration) *Client {
	return &Client{calls: rpc.NewClient(conn, busName, timeout)}
}

// Create implements service.Events.
func (c *Client) Create(ctx context.Context, req service.ForUser[rest.PasskeyEventCreateReq]) (rest.PasskeyEvent, error) {
	return rpc.Call[rest.PasskeyEvent](ctx, c.calls, "create", req)
}

// List implements service.Events.
func (c *Client) List(ctx context.Context, req service.ForUser[service.EventList]) (rest.PasskeyEventList, error) {
	return rpc.Call[rest.PasskeyEventList](ctx, c.calls, "list", req)
}

// Delete implements service.Events.
func (c *Client) Delete(ctx context.Context, req service.ForUser[ident.EventID]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "delete", req)
}

// Append implements service.Events.
func (c *Client) Append(ctx context.Context, req event.Event) (service.Appended, error) {
	return rpc.Call[service.Appended](ctx, c.calls, "append", req)
}

// CreateAuthEvent implements service.Events.
func (c *Client) CreateAuthEvent(ctx context.Context, req service.ForUser[rest.AuthEventCreateReq]) (rest.AuthEvent, error) {
	return rpc.Call[rest.AuthEvent](ctx, c.calls, "create-auth-event", req)
}

// Erase implements service.Events.
func (c *Client) Erase(ctx context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	return rpc.Call[service.Empty](ctx, c.calls, "erase", req)
}
