package decision

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
)

// busName is the service's name on the bus: its methods listen on keyward.decision.<method>.
const busName = "decision"

// Serve answers calls to svc that come over the bus, until the server is closed.
func Serve(conn *nats.Conn, svc service.Decision, opts rpc.Options, log *slog.Logger) (*rpc.Server, error) {
	server, err := rpc.NewServer(conn, busName, opts, log)
	if err != nil {
		return nil, err
	}
	return server, errors.Join(
		rpc.Handle(server, "login", svc.Login),
		rpc.Handle(server, "append", svc.Append),
		rpc.Handle(server, "mediation", svc.Mediation),
		rpc.Handle(server, "rollout", svc.Rollout),
	)
}

// ServeExplanations adds the calls that ask why a decision was made.
func ServeExplanations(server *rpc.Server, svc service.Explanations) error {
	return rpc.Handle(server, "explain-decision", svc.ExplainDecision)
}

// Client calls the service over the bus.
type Client struct{ calls *rpc.Client }

var (
	_ service.Decision     = (*Client)(nil)
	_ service.Explanations = (*Client)(nil)
)

// NewClient returns a client whose calls end after timeout at the latest.
func NewClient(conn *nats.Conn, timeout time.Duration) *Client {
	return &Client{calls: rpc.NewClient(conn, busName, timeout)}
}

// Login implements service.Decision.
func (c *Client) Login(ctx context.Context, req service.LoginQuestion) (service.LoginVerdict, error) {
	return rpc.Call[service.LoginVerdict](ctx, c.calls, "login", req)
}

// Append implements service.Decision.
func (c *Client) Append(ctx context.Context, req service.AppendQuestion) (service.AppendVerdict, error) {
	return rpc.Call[service.AppendVerdict](ctx, c.calls, "append", req)
}

// Mediation implements service.Decision.
func (c *Client) Mediation(ctx context.Context, req service.Question) (service.Verdict, error) {
	return rpc.Call[service.Verdict](ctx, c.calls, "mediation", req)
}

// Rollout implements service.Decision.
func (c *Client) Rollout(ctx context.Context, req service.RolloutQuestion) (service.Verdict, error) {
	return rpc.Call[service.Verdict](ctx, c.calls, "rollout", req)
}

// ExplainDecision implements service.Explanations.
func (c *Client) ExplainDecision(ctx context.Context, req service.ForProject[ident.DecisionID]) (frontend.TrialDecision, error) {
	return rpc.Call[frontend.TrialDecision](ctx, c.calls, "explain-decision", req)
}
