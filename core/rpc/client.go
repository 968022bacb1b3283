package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/reqctx"
)

// Client calls the methods of one service.
type Client struct {
	conn    *nats.Conn
	service string
	timeout time.Duration
}

// NewClient returns a client. A call whose context has no earlier deadline ends after timeout.
func NewClient(conn *nats.Conn, service string, timeout time.Duration) *Client {
	return &Client{conn: conn, service: service, timeout: timeout}
}

// Call calls a method. An error is always a *fault.Fault: the service's own, or 503 if no instance answered in time.
func Call[Rsp any](ctx context.Context, c *Client, method string, req any) (Rsp, error) {
	var rsp Rsp
	err := c.call(ctx, method, req, &rsp)
	return rsp, err
}

func (c *Client) call(ctx context.Context, method string, req, rsp any) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, span := otel.Tracer(scope).Start(ctx, c.service+"."+method, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	msg, err := c.message(ctx, method, req)
	if err != nil {
		return fault.Internal(err)
	}
	answer, err := c.conn.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return c.unanswered(method, err)
	}
	if answer.Header.Get(micro.ErrorCodeHeader) != "" {
		f := new(fault.Fault)
		if err := json.Unmarshal(answer.Data, f); err != nil || f.Status == 0 {
			return fault.Internal(fmt.Errorf("%s.%s failed without saying how", c.service, method))
		}
		return f
	}
	if err := jsonv2.Unmarshal(answer.Data, rsp); err != nil {
		return fault.Internal(fmt.Errorf("decode the answer of %s.%s: %w", c.service, method, err))
	}
	return nil
}

func (c *Client) message(ctx context.Context, method string, req any) (*nats.Msg, error) {
	body, err := json.Marshal(req)
	if err != nil {
		return nil, fmt.Errorf("encode %s.%s: %w", c.service, method, err)
	}
	msg := nats.NewMsg(Subject(c.service, method))
	msg.Data = body
	if deadline, ok := ctx.Deadline(); ok {
		msg.Header.Set(timeLeftHeader, strconv.FormatInt(time.Until(deadline).Milliseconds(), 10))
	}
	if id := reqctx.RequestID(ctx); id != "" {
		msg.Header.Set(requestIDHeader, string(id))
	}
	if seed := reqctx.Seed(ctx); seed != "" {
		msg.Header.Set(seedHeader, string(seed))
	}
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(msg.Header))
	return msg, nil
}

func (c *Client) unanswered(method string, err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return fault.Unavailable(time.Second, "no %s service is running", c.service).Because(err)
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return fault.Field("body", "is too large")
	}
	cause := fmt.Errorf("%s.%s: %w", c.service, method, err)
	return fault.Unavailable(time.Second, "the %s service did not answer in time", c.service).Because(cause)
}
