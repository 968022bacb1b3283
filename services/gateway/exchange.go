package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// Header names of the API.
const (
	headerRequestID      = "X-Request-ID"
	headerProjectID      = "X-Corbado-ProjectID"
	headerDecisionID     = "X-Keyward-Decision-ID"
	headerPolicyRevision = "X-Keyward-Policy-Revision"
	headerReplayed       = "Idempotent-Replayed"
)

// retryShed is how long a caller that was shed should wait: long enough for a full queue to drain at any load worth the name.
const retryShed = time.Second

// unmatched is the route label of requests that no route is for; a path in a label would let callers make series.
const unmatched = "unmatched"

// exchange is what the gateway knows of one request while it lasts, whichever server it came to. It is used by one goroutine.
type exchange struct {
	method string
	path   string     // as it was sent
	peer   netip.Addr // who is connected; zero if that has no address
	asked  requestHeader
	answer answerHeader

	id       ident.RequestID
	now      func() time.Time
	started  time.Time
	route    string // pattern, or procedure
	op       *contract.Operation
	rpc      bool            // a call of the user service, and not an operation of the document
	code     string          // how such a call ended, as Connect writes it; empty: it did not get that far
	project  ident.ProjectID // set once the credential has been checked
	origins  []string        // of that project
	salt     []byte          // a secret of that project
	key      *project.APIKey // that the caller used; nil: the API secret, which may call everything, or an access token
	visit    *visit          // of the Frontend API; nil: a call of another
	address  string          // where the request comes from, as limits count it
	decision ident.DecisionID
	cause    error // what went wrong, for the log
	stack    []byte

	preflight bool // answered by the headers that it has
	limited   bool // a limit was told
	remaining int  // the calls that it leaves
}

// requestHeader is the header of a request. What it returns is good until the answer has been sent.
type requestHeader interface {
	Peek(name string) []byte // the first line of that name
	PeekAll(name string) [][]byte
}

// answerHeader is the header of an answer: of fasthttp, and of net/http.
type answerHeader interface {
	Add(name, value string)
	Set(name, value string)
	Del(name string)
}

type exchangeKey struct{}

// exchangeOf returns the exchange that ctx belongs to. Every context of a handler has one.
func exchangeOf(ctx context.Context) *exchange {
	x, ok := ctx.Value(exchangeKey{}).(*exchange)
	if !ok {
		panic("gateway: handler called outside an exchange")
	}
	return x
}

// begin names the exchange and marks its answer, and returns the context of what follows, and the span that report ends.
func (g *Gateway) begin(ctx context.Context, x *exchange) (context.Context, trace.Span) {
	x.now = g.now
	x.id, x.started, x.route = requestID(x.asked.Peek(headerRequestID)), x.now(), unmatched
	x.answer.Set(headerRequestID, string(x.id))
	x.answer.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	return g.tracer.start(reqctx.WithRequestID(context.WithValue(ctx, exchangeKey{}, x), x.id), x)
}

// guard does what comes before every route, and then what is next. A panic becomes an error that keeps its stack.
func (g *Gateway) guard(x *exchange, next func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			x.stack = debug.Stack()
			err = fault.Internal(fmt.Errorf("panic: %v", r))
		}
	}()
	refused := g.limitAddress(x)
	err = g.cors(x) // of a refusal too, so that pages can read it
	if refused != nil {
		return refused
	}
	if err != nil || x.preflight {
		return err
	}
	return next()
}

// shed is the answer to a request beyond what is worked on at once.
func (g *Gateway) shed() error {
	g.meter.shed.Inc()
	return fault.Unavailable(retryShed, "too many requests at once")
}

// serve is around every request to Fiber that could be read: it names it, bounds it, answers its failures, and tells log, metrics and traces about it.
func (g *Gateway) serve(c *fiber.Ctx) error {
	if g.isCall(c) {
		return g.bridge(c)
	}
	x := exchangeIn(c)
	running := g.inFlight.Add(1)
	defer g.inFlight.Add(-1)

	ctx, cancel := context.WithTimeout(g.base, g.cfg.RequestTimeout)
	defer cancel()
	ctx, span := g.begin(ctx, x)
	c.SetUserContext(ctx)

	var err error
	if running > int64(g.cfg.MaxInFlight) {
		err = g.shed()
	} else {
		err = g.guard(x, c.Next)
	}
	switch {
	case err != nil:
		g.fail(c, x, err)
	case x.preflight:
		c.Status(http.StatusNoContent)
	}
	g.report(ctx, x, c.Response().StatusCode(), span)
	return nil
}

// outOfBand answers what never reached serve: requests that could not be read, or that Fiber refused by itself.
func (g *Gateway) outOfBand(c *fiber.Ctx, err error) error {
	x := exchangeIn(c)
	ctx, span := g.begin(g.base, x)
	if x.rpc = g.isCall(c); x.rpc {
		g.bridgeFailure(ctx, c, x, g.faultOf(err))
	} else {
		g.fail(c, x, err)
	}
	g.report(ctx, x, c.Response().StatusCode(), span)
	return nil
}

// exchangeIn returns a new exchange for a request to Fiber.
func exchangeIn(c *fiber.Ctx) *exchange {
	x := &exchange{method: c.Method(), path: c.Path(), asked: &c.Request().Header, answer: &c.Response().Header}
	if peer, ok := c.Context().RemoteAddr().(*net.TCPAddr); ok {
		x.peer = peer.AddrPort().Addr().Unmap()
	}
	return x
}

func (g *Gateway) report(ctx context.Context, x *exchange, status int, span trace.Span) {
	took := g.now().Sub(x.started)
	method := knownMethod(x.method)
	g.meter.observe(x.route, method, status, took)
	if x.code != "" {
		g.meter.calls.WithLabelValues(x.route, x.code).Inc()
	}
	g.tracer.end(span, x, method, status)

	level := slog.LevelInfo
	if status >= 500 && status != http.StatusNotImplemented || x.cause != nil {
		level = slog.LevelError
	}
	if !g.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 12)
	attrs = append(attrs, slog.String("method", method), slog.String("route", x.route), slog.Int("status", status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.String("request_id", string(x.id)))
	if x.code != "" {
		attrs = append(attrs, slog.String("code", x.code))
	}
	if x.project != "" {
		attrs = append(attrs, slog.String("project", string(x.project)))
	}
	if x.key != nil {
		attrs = append(attrs, slog.String("api_key", x.key.ID))
	}
	if x.decision != "" {
		attrs = append(attrs, slog.String("decision_id", string(x.decision)))
	}
	if span != nil && span.SpanContext().IsValid() {
		attrs = append(attrs, slog.String("trace_id", span.SpanContext().TraceID().String()))
	}
	if x.cause != nil {
		attrs = append(attrs, slog.String("error", x.cause.Error()))
	}
	if x.stack != nil {
		attrs = append(attrs, slog.String("stack", string(x.stack)))
	}
	g.log.LogAttrs(ctx, level, "request", attrs...)
}

// requestID returns what the caller calls the request, if that is harmless in a header and a log line, or a new ID.
func requestID(sent []byte) ident.RequestID {
	const most = 128
	if len(sent) == 0 || len(sent) > most {
		return ident.NewRequestID()
	}
	for _, b := range sent {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '_' || b == '.' || b == ':' || b == '-') {
			return ident.NewRequestID()
		}
	}
	return ident.RequestID(sent) // a copy
}

// knownMethod keeps callers from making label values out of methods.
func knownMethod(method string) string {
	for _, known := range fiber.DefaultMethods {
		if method == known {
			return known // not the request's own bytes
		}
	}
	return "OTHER"
}

// mediaType returns the Content-Type without its parameters, lower case.
func mediaType(c *fiber.Ctx) string {
	kind, _, _ := strings.Cut(string(c.Request().Header.ContentType()), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}
