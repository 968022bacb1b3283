// Package rpc carries a service's methods over NATS request/reply with the micro API, so that plain NATS tools can list and inspect them. It carries deadlines, request IDs, seeds and trace
// context, and brings faults back as what they were. It knows nothing of what the services do.
package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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

const (
	// The time that the caller has left, in ms: a duration, since the clocks of two machines differ.
	timeLeftHeader  = "Keyward-Time-Left"
	requestIDHeader = "Keyward-Request-Id"
	seedHeader      = "Keyward-Seed"

	scope = "github.com/keyward/keyward/core/rpc"
)

// Subject is where a method of a service listens.
func Subject(service, method string) string { return "keyward." + service + "." + method }

// Options of a server.
type Options struct {
	Version     string // semantic version shown by NATS tools
	Concurrency int    // calls under way at once; more are shed with 503. 0 = 512
}

// Server serves the methods of one service. Instances share the work through a queue group.
type Server struct {
	name    string
	conn    *nats.Conn
	service micro.Service
	log     *slog.Logger
	slots   chan struct{}
	running sync.WaitGroup
	ctx     context.Context // ends when Close gives up waiting
	cancel  context.CancelFunc
}

// NewServer registers a service under its name. Close it.
func NewServer(conn *nats.Conn, name string, opts Options, log *slog.Logger) (*Server, error) {
	if opts.Concurrency == 0 {
		opts.Concurrency = 512
	}
	service, err := micro.AddService(conn, micro.Config{
		Name:        "keyward-" + name,
		Version:     opts.Version,
		Description: "Keyward " + name + " service",
	})
	if err != nil {
		return nil, fmt.Errorf("register service %s: %w", name, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Server{name: name, conn: conn, service: service, log: log, slots: make(chan struct{}, opts.Concurrency), ctx: ctx, cancel: cancel}, nil
}

// Handle serves one method. Each call runs in a goroutine of its own, within the server's bound.
func Handle[Req, Rsp any](s *Server, method string, do func(context.Context, Req) (Rsp, error)) error {
	serve := func(r micro.Request) {
		select {
		case s.slots <- struct{}{}:
		default:
			s.refuse(r, fault.Unavailable(time.Second, "the %s service has too many calls under way", s.name))
			return
		}
		s.running.Go(func() {
			defer func() { <-s.slots }()
			s.serve(r, method, func(ctx context.Context) (any, error) {
				var req Req
				if err := jsonv2.Unmarshal(r.Data(), &req); err != nil {
					return nil, fault.Internal(fmt.Errorf("decode %s: %w", method, err))
				}
				return do(ctx, req)
			})
		})
	}
	if err := s.service.AddEndpoint(method, micro.HandlerFunc(serve), micro.WithEndpointSubject(Subject(s.name, method))); err != nil {
		return fmt.Errorf("register %s.%s: %w", s.name, method, err)
	}
	return nil
}

func (s *Server) serve(r micro.Request, method string, do func(context.Context) (any, error)) {
	ctx, cancel := s.context(r)
	defer cancel()
	ctx, span := otel.Tracer(scope).Start(ctx, s.name+"."+method, trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	defer func() {
		if p := recover(); p != nil {
			s.refuse(r, fault.Internal(fmt.Errorf("panic in %s.%s: %v", s.name, method, p)))
		}
	}()
	rsp, err := do(ctx)
	if err != nil {
		s.refuse(r, fault.As(err))
		return
	}
	body, err := json.Marshal(rsp)
	if err != nil {
		s.refuse(r, fault.Internal(fmt.Errorf("encode the answer of %s.%s: %w", s.name, method, err)))
		return
	}
	s.answer(r, &nats.Msg{Data: body})
}

// answer publishes the answer itself: the micro API keeps what it answered in the request and reads it once the handler has returned, while calls here are
// answered from goroutines of their own.
func (s *Server) answer(r micro.Request, rsp *nats.Msg) {
	rsp.Subject = r.Reply()
	if err := s.conn.PublishMsg(rsp); err != nil {
		s.log.Warn("answer a call", "service", s.name, "subject", r.Subject(), "error", err)
	}
}

func (s *Server) context(r micro.Request) (context.Context, context.CancelFunc) {
	ctx := otel.GetTextMapPropagator().Extract(s.ctx, propagation.HeaderCarrier(r.Headers()))
	if id := r.Headers().Get(requestIDHeader); id != "" {
		ctx = reqctx.WithRequestID(ctx, ident.RequestID(id))
	}
	if seed := r.Headers().Get(seedHeader); seed != "" {
		ctx = reqctx.WithSeed(ctx, ident.Seed(seed))
	}
	ms, err := strconv.ParseInt(r.Headers().Get(timeLeftHeader), 10, 64)
	if err != nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
}

// refuse answers with a fault. Its cause does not travel, so it is logged here.
func (s *Server) refuse(r micro.Request, f *fault.Fault) {
	if cause := f.Unwrap(); cause != nil {
		s.log.Error("a call failed", "service", s.name, "subject", r.Subject(), "request_id", r.Headers().Get(requestIDHeader), "error", cause)
	}
	body, err := json.Marshal(f)
	if err != nil {
		body = nil
	}
	s.answer(r, &nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {strconv.Itoa(f.Status)}, micro.ErrorHeader: {string(f.Type)}}, Data: body})
}

// Close stops taking calls and waits for those under way, at most until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	err := s.service.Stop()
	done := make(chan struct{})
	go func() {
		s.running.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
	s.cancel()
	<-done
	if err != nil {
		return fmt.Errorf("stop service %s: %w", s.name, err)
	}
	return nil
}

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
func Call[Rsp, Req any](ctx context.Context, c *Client, method string, req Req) (Rsp, error) {
	var rsp Rsp
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	ctx, span := otel.Tracer(scope).Start(ctx, c.service+"."+method, trace.WithSpanKind(trace.SpanKindClient))
	defer span.End()
	msg, err := c.message(ctx, method, req)
	if err != nil {
		return rsp, fault.Internal(err)
	}
	answer, err := c.conn.RequestMsgWithContext(ctx, msg)
	if err != nil {
		return rsp, c.unanswered(method, err)
	}
	if answer.Header.Get(micro.ErrorCodeHeader) != "" {
		f := new(fault.Fault)
		if err := json.Unmarshal(answer.Data, f); err != nil || f.Status == 0 {
			return rsp, fault.Internal(fmt.Errorf("%s.%s failed without saying how", c.service, method))
		}
		return rsp, f
	}
	if err := jsonv2.Unmarshal(answer.Data, &rsp); err != nil {
		return rsp, fault.Internal(fmt.Errorf("decode the answer of %s.%s: %w", c.service, method, err))
	}
	return rsp, nil
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
	return fault.Unavailable(time.Second, "the %s service did not answer in time", c.service).Because(fmt.Errorf("%s.%s: %w", c.service, method, err))
}
