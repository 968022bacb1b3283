package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
)

// Client calls the methods of one service. An instance that hangs gets no more calls, and what may be asked again is asked of another.
type Client struct {
	conn       *nats.Conn
	service    string
	limits     Limits
	repeatable map[string]bool // methods
	seeded     map[string]bool // methods
	fleet      *fleet
}

// NewClient returns a client. A call whose context has no earlier deadline ends after the timeout of the limits. The repeatable methods
// are those that may be called twice to the same effect as once.
func NewClient(conn *nats.Conn, service string, limits Limits, repeatable ...string) *Client {
	c := &Client{conn: conn, service: service, limits: limits, repeatable: make(map[string]bool), fleet: newFleet(conn, service, limits)}
	for _, method := range repeatable {
		c.repeatable[method] = true
	}
	return c
}

// Seeding adds methods that may be called twice to the same effect as once if both calls have the same seed, which they are given here
// where the caller has none. They cost more than what is only read, so that they are asked again later.
func (c *Client) Seeding(methods ...string) *Client {
	c.seeded = make(map[string]bool)
	for _, method := range methods {
		c.seeded[method] = true
	}
	return c
}

// askAgainAfter returns when a method is asked of another instance; 0 = never.
func (c *Client) askAgainAfter(method string) time.Duration {
	switch {
	case c.repeatable[method]:
		return c.limits.HedgeAfter
	case c.seeded[method]:
		return slower * c.limits.HedgeAfter
	default:
		return 0
	}
}

// Call calls a method. An error is always a *fault.Fault: the service's own, or 503 if no instance answered in time; because of
// fault.ErrNobody if there is none that takes the call.
func Call[Rsp any](ctx context.Context, c *Client, method string, req any) (Rsp, error) {
	var rsp Rsp
	err := c.call(ctx, method, req, &rsp)
	return rsp, err
}

func (c *Client) call(ctx context.Context, method string, req, rsp any) error {
	ctx, cancel := context.WithTimeout(ctx, c.limits.Timeout)
	defer cancel()
	ctx, span := otel.Tracer(scope).Start(ctx, c.service+"."+method, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	msg, err := c.message(ctx, method, req)
	if err != nil {
		return fault.Internal(err)
	}
	answer, err := c.request(ctx, method, msg)
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

// request asks one instance, and others if that one is late and the method may be asked again.
func (c *Client) request(ctx context.Context, method string, msg *nats.Msg) (*nats.Msg, error) {
	first := c.fleet.pick(time.Now(), nil)
	wait := c.askAgainAfter(method)
	if wait == 0 {
		return c.ask(ctx, first, msg)
	}
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	type reply struct {
		msg *nats.Msg
		err error
	}
	replies := make(chan reply, c.limits.Asks)
	of := func(i *instance) {
		asking.Go(func() {
			msg, err := c.ask(ctx, i, msg)
			replies <- reply{msg, err}
		})
	}
	of(first)
	late := time.NewTimer(wait)
	defer late.Stop()
	for last, asked, open := first, 1, 1; ; {
		select {
		case r := <-replies:
			if open--; r.err == nil || open == 0 {
				return r.msg, r.err
			}
		case <-late.C:
			if asked >= c.limits.Asks {
				continue
			}
			last = c.fleet.pick(time.Now(), last)
			of(last)
			asked, open, wait = asked+1, open+1, slower*wait
			late.Reset(wait)
		}
	}
}

// ask asks one instance, or whom the bus hands the call to. An instance that has ended meanwhile has not seen the call.
func (c *Client) ask(ctx context.Context, of *instance, msg *nats.Msg) (*nats.Msg, error) {
	if of == nil {
		return c.conn.RequestMsgWithContext(ctx, msg)
	}
	began := time.Now()
	direct := &nats.Msg{Subject: msg.Subject + "." + of.id, Header: msg.Header, Data: msg.Data}
	answer, err := c.conn.RequestMsgWithContext(ctx, direct)
	now := time.Now()
	c.fleet.done(of, err == nil || ctx.Err() == nil, now.Sub(began), now)
	if errors.Is(err, nats.ErrNoResponders) {
		c.fleet.leave(of)
		return c.conn.RequestMsgWithContext(ctx, msg)
	}
	return answer, err
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
	if key := reqctx.CallerKey(ctx); key != "" {
		msg.Header.Set(callerKeyHeader, key)
	}
	if by, ok := reqctx.OperatorOf(ctx); ok {
		msg.Header.Set(operatorHeader, string(by.ID))
		msg.Header.Set(operatorNameHeader, url.QueryEscape(by.Name))
	}
	seed := reqctx.Seed(ctx)
	if seed == "" && c.seeded[method] {
		seed = ident.NewSeed()
	}
	if seed != "" {
		msg.Header.Set(seedHeader, string(seed))
	}
	otel.GetTextMapPropagator().Inject(ctx, propagation.HeaderCarrier(msg.Header))
	return msg, nil
}

func (c *Client) unanswered(method string, err error) error {
	if errors.Is(err, nats.ErrNoResponders) {
		return fault.Unavailable(time.Second, "no %s service is running", c.service).Because(errors.Join(fault.ErrNobody, err))
	}
	if errors.Is(err, nats.ErrMaxPayload) {
		return fault.Field("body", "is too large")
	}
	cause := fmt.Errorf("%s.%s: %w", c.service, method, err)
	return fault.Unavailable(time.Second, "the %s service did not answer in time", c.service).Because(cause)
}
