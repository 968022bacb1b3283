package gateway

import (
	"context"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// tracer makes one server span a request, as the OpenTelemetry semantic conventions for HTTP name things. A nil tracer does nothing.
type tracer struct {
	spans      trace.Tracer
	propagator propagation.TextMapPropagator
}

func newTracer(provider trace.TracerProvider) *tracer {
	if provider == nil {
		return nil
	}
	return &tracer{
		spans:      provider.Tracer("github.com/keyward/keyward/services/gateway"),
		propagator: propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}),
	}
}

// start begins a span below the one that the caller names in the W3C headers. The span is nil if tracing is off.
func (t *tracer) start(ctx context.Context, c *fiber.Ctx) (context.Context, trace.Span) {
	if t == nil {
		return ctx, nil
	}
	ctx = t.propagator.Extract(ctx, requestHeaders{&c.Request().Header})
	return t.spans.Start(ctx, knownMethod(c.Method()), trace.WithSpanKind(trace.SpanKindServer))
}

// end names the span by its route, which is known only now, and closes it.
func (t *tracer) end(span trace.Span, x *exchange, method string, status int) {
	if t == nil || span == nil {
		return
	}
	span.SetName(method + " " + x.route)
	span.SetAttributes(
		attribute.String("http.request.method", method),
		attribute.String("http.route", x.route),
		attribute.Int("http.response.status_code", status),
		attribute.String("keyward.request_id", string(x.id)),
	)
	if x.project != "" {
		span.SetAttributes(attribute.String("keyward.project", string(x.project)))
	}
	if x.decision != "" {
		span.SetAttributes(attribute.String("keyward.decision_id", string(x.decision)))
	}
	if status >= 500 {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// requestHeaders reads trace context from a request; nothing is ever written to one.
type requestHeaders struct{ header *fasthttp.RequestHeader }

func (h requestHeaders) Get(key string) string { return string(h.header.Peek(key)) }

func (h requestHeaders) Set(string, string) {}

func (h requestHeaders) Keys() []string {
	var keys []string
	h.header.VisitAll(func(key, _ []byte) { keys = append(keys, string(key)) })
	return keys
}
