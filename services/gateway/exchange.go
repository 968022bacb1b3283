package gateway

import (
	"context"
	"fmt"
	"log/slog"
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

// exchange is what the gateway knows of one request while it lasts. It is used by one goroutine.
type exchange struct {
	id       ident.RequestID
	started  time.Time
	route    string // pattern
	op       *contract.Operation
	project  ident.ProjectID // set once the credential has been checked
	origins  []string        // of that project
	salt     []byte          // a secret of that project
	key      *project.APIKey // that the caller used; nil: the API secret, which may call everything
	address  string          // where the request comes from, as limits count it
	decision ident.DecisionID
	cause    error // what went wrong, for the log
	stack    []byte

	limited   bool // a limit was told
	remaining int  // the calls that it leaves
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

// serve is around every request that could be read: it names it, bounds it, answers its failures, and tells log, metrics and traces about it.
func (g *Gateway) serve(c *fiber.Ctx) error {
	x := &exchange{id: requestID(c), started: g.now(), route: unmatched}
	running := g.inFlight.Add(1)
	defer g.inFlight.Add(-1)

	ctx, cancel := context.WithTimeout(context.WithValue(g.base, exchangeKey{}, x), g.cfg.RequestTimeout)
	defer cancel()
	ctx, span := g.tracer.start(reqctx.WithRequestID(ctx, x.id), c)
	c.SetUserContext(ctx)
	c.Set(headerRequestID, string(x.id))
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")

	var err error
	if running > int64(g.cfg.MaxInFlight) {
		g.meter.shed.Inc()
		err = fault.Unavailable(retryShed, "too many requests at once")
	} else {
		err = g.handle(c, x)
	}
	if err != nil {
		g.fail(c, x, err)
	}
	g.report(ctx, c, x, span)
	return nil
}

// handle runs the rest of the chain. A panic becomes an error that keeps its stack.
func (g *Gateway) handle(c *fiber.Ctx, x *exchange) (err error) {
	defer func() {
		if r := recover(); r != nil {
			x.stack = debug.Stack()
			err = fault.Internal(fmt.Errorf("panic: %v", r))
		}
	}()
	refused := g.limitAddress(c, x)
	done, err := g.cors(c, x) // of a refusal too, so that pages can read it
	if refused != nil {
		return refused
	}
	if done || err != nil {
		return err
	}
	return c.Next()
}

// outOfBand answers what never reached serve: requests that could not be read, or that Fiber refused by itself.
func (g *Gateway) outOfBand(c *fiber.Ctx, err error) error {
	x := &exchange{id: requestID(c), started: g.now(), route: unmatched}
	c.Set(headerRequestID, string(x.id))
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	g.fail(c, x, err)
	g.report(g.base, c, x, nil)
	return nil
}

func (g *Gateway) report(ctx context.Context, c *fiber.Ctx, x *exchange, span trace.Span) {
	status := c.Response().StatusCode()
	took := g.now().Sub(x.started)
	method := knownMethod(c.Method())
	g.meter.observe(x.route, method, status, took)
	g.tracer.end(span, x, method, status)

	level := slog.LevelInfo
	if status >= 500 {
		level = slog.LevelError
	}
	if !g.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 11)
	attrs = append(attrs, slog.String("method", method), slog.String("route", x.route), slog.Int("status", status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.String("request_id", string(x.id)))
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
func requestID(c *fiber.Ctx) ident.RequestID {
	const most = 128
	sent := c.Request().Header.Peek(headerRequestID)
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
