package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
)

// Options of a server.
type Options struct {
	Version     string // semantic version shown by NATS tools
	Concurrency int    // calls under way at once; more are shed with 503. 0 = 512
}

// Server serves the methods of one service. Instances share the work through a queue group.
type Server struct {
	name    string
	log     *slog.Logger
	listed  listing
	subs    []*nats.Subscription
	slots   chan struct{}
	running sync.WaitGroup
	ctx     context.Context // ends when Close gives up waiting
	cancel  context.CancelFunc
}

// announceLimit is how long NATS may take to confirm that it knows of a server.
const announceLimit = 10 * time.Second

// Serve answers calls to a service that come over the bus, each in a goroutine of its own. When it has returned, NATS knows of it if it
// can be reached: whoever calls from then on is not told that there is nobody. Close the server.
func Serve(conn *nats.Conn, service Service, opts Options, log *slog.Logger) (*Server, error) {
	if opts.Concurrency == 0 {
		opts.Concurrency = 512
	}
	s := &Server{name: service.Name, log: log, listed: newListing(service.Name, opts.Version), slots: make(chan struct{}, opts.Concurrency)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.listen(conn, service.Methods); err != nil {
		s.cancel()
		return nil, errors.Join(fmt.Errorf("serve %s: %w", s.name, err), s.stop(s.ctx))
	}
	return s, nil
}

func (s *Server) listen(conn *nats.Conn, methods []Method) error {
	for _, m := range methods {
		e := &endpoint{method: m, subject: Subject(s.name, m.name)}
		take := s.asked(func(msg *nats.Msg) { s.take(e, msg) })
		sub, err := conn.QueueSubscribe(e.subject, micro.DefaultQueueGroup, take)
		if err != nil {
			return fmt.Errorf("listen on %s: %w", e.subject, err)
		}
		s.subs, s.listed.endpoints = append(s.subs, sub), append(s.listed.endpoints, e)
		own := e.subject + "." + s.listed.identity.ID
		if sub, err = conn.Subscribe(own, take); err != nil {
			return fmt.Errorf("listen on %s: %w", own, err)
		}
		s.subs = append(s.subs, sub)
	}
	for subject, answer := range s.listed.answers() {
		sub, err := conn.Subscribe(subject, s.asked(func(msg *nats.Msg) { s.tell(msg, answer()) }))
		if err != nil {
			return fmt.Errorf("listen on %s: %w", subject, err)
		}
		s.subs = append(s.subs, sub)
	}
	if err := conn.FlushTimeout(announceLimit); err != nil {
		// The client tells NATS as soon as it is there again.
		s.log.Warn("nats may not know yet that a service is there", "service", s.name, "error", err)
	}
	return nil
}

// asked hands on what somebody asks who listens to the answer. Elsewhere an answer would be an event, a value of a bucket or a request of
// JetStream, written by this service in the name of whoever asks.
func (s *Server) asked(handle nats.MsgHandler) nats.MsgHandler {
	return func(msg *nats.Msg) {
		if !isInbox(msg.Reply) {
			s.log.Warn("a call is not taken: its answer would not go to an inbox", "service", s.name, "subject", msg.Subject, "reply", msg.Reply)
			return
		}
		handle(msg)
	}
}

// isInbox reports whether answers may be sent there: to an inbox of a client, or where the server takes them for one in another account.
func isInbox(reply string) bool {
	return strings.HasPrefix(reply, nats.InboxPrefix) || strings.HasPrefix(reply, "_R_.")
}

// take starts a call, if there is room for one.
func (s *Server) take(e *endpoint, msg *nats.Msg) {
	c := &call{endpoint: e, msg: msg, began: time.Now()}
	select {
	case s.slots <- struct{}{}:
	default:
		s.refuse(c, fault.Unavailable(time.Second, "the %s service has too many calls under way", s.name))
		return
	}
	s.running.Go(func() {
		defer func() { <-s.slots }()
		s.serve(c)
	})
}

// call is one request until it is answered.
type call struct {
	*endpoint
	msg   *nats.Msg
	began time.Time
}

func (s *Server) serve(c *call) {
	ctx, cancel := s.context(c.msg.Header)
	defer cancel()
	ctx, span := otel.Tracer(scope).Start(ctx, s.name+"."+c.method.name, trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	defer func() {
		if p := recover(); p != nil {
			s.refuse(c, fault.Internal(fmt.Errorf("panic in %s.%s: %v", s.name, c.method.name, p)))
		}
	}()
	rsp, err := c.method.call(ctx, c.msg.Data)
	if err != nil {
		s.refuse(c, fault.As(err))
		return
	}
	body, err := json.Marshal(rsp)
	if err != nil {
		s.refuse(c, fault.Internal(fmt.Errorf("encode the answer of %s.%s: %w", s.name, c.method.name, err)))
		return
	}
	s.answer(c, nil, &nats.Msg{Data: body})
}

// answer counts a call and ends it, in this order: whoever has an answer finds it in the statistics.
func (s *Server) answer(c *call, f *fault.Fault, rsp *nats.Msg) {
	c.count(time.Since(c.began), f)
	s.respond(c.msg, rsp)
}

func (s *Server) respond(msg, rsp *nats.Msg) {
	if err := msg.RespondMsg(rsp); err != nil {
		s.log.Warn("answer a call", "service", s.name, "subject", msg.Subject, "error", err)
	}
}

func (s *Server) context(header nats.Header) (context.Context, context.CancelFunc) {
	ctx := otel.GetTextMapPropagator().Extract(s.ctx, propagation.HeaderCarrier(header))
	if id := header.Get(requestIDHeader); id != "" {
		ctx = reqctx.WithRequestID(ctx, ident.RequestID(id))
	}
	if key := header.Get(callerKeyHeader); key != "" {
		ctx = reqctx.WithCallerKey(ctx, key)
	}
	if by := header.Get(operatorHeader); by != "" {
		name, _ := url.QueryUnescape(header.Get(operatorNameHeader)) // the ID is enough
		ctx = reqctx.WithOperator(ctx, reqctx.Operator{ID: ident.OperatorID(by), Name: name})
	}
	if seed := header.Get(seedHeader); seed != "" {
		ctx = reqctx.WithSeed(ctx, ident.Seed(seed))
	}
	ms, err := strconv.ParseInt(header.Get(timeLeftHeader), 10, 64)
	if err != nil {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, time.Duration(ms)*time.Millisecond)
}

// refuse answers with a fault. Its cause does not travel, so it is logged here.
func (s *Server) refuse(c *call, f *fault.Fault) {
	if cause := f.Unwrap(); cause != nil {
		level := slog.LevelError
		if f.Status < http.StatusInternalServerError { // it was the caller's
			level = slog.LevelInfo
		}
		s.log.Log(
			s.ctx, level, "a call failed",
			"service", s.name, "subject", c.msg.Subject, "request_id", c.msg.Header.Get(requestIDHeader), "error", cause,
		)
	}
	body, err := json.Marshal(f)
	if err != nil {
		body = nil
	}
	s.answer(
		c, f, &nats.Msg{Header: nats.Header{micro.ErrorCodeHeader: {strconv.Itoa(f.Status)}, micro.ErrorHeader: {string(f.Type)}}, Data: body},
	)
}

// tell answers a question about the service itself.
func (s *Server) tell(msg *nats.Msg, answer any) {
	body, err := json.Marshal(answer)
	if err != nil {
		s.log.Error("tell about a service", "service", s.name, "subject", msg.Subject, "error", err)
		return
	}
	s.respond(msg, &nats.Msg{Data: body})
}

// stop stops taking calls, and returns when those that had been sent here before have begun, or ctx has ended. What a closed connection was
// subscribed to is gone anyway.
func (s *Server) stop(ctx context.Context) error {
	var all error
	var drained []<-chan struct{}
	for _, sub := range s.subs {
		done := make(chan struct{})
		sub.SetClosedHandler(func(string) { close(done) })
		err := sub.Drain()
		switch {
		case err == nil:
			drained = append(drained, done)
		case !errors.Is(err, nats.ErrConnectionClosed):
			all = errors.Join(all, fmt.Errorf("stop listening on %s: %w", sub.Subject, err))
		}
	}
	for _, done := range drained {
		select {
		case <-done:
		case <-ctx.Done():
			return all
		}
	}
	return all
}

// Close stops taking calls and waits for those under way, and those that were sent here before it said so, at most until ctx ends.
func (s *Server) Close(ctx context.Context) error {
	err := s.stop(ctx)
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
		return fmt.Errorf("close the %s service: %w", s.name, err)
	}
	return nil
}
