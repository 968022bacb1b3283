package exchange

import (
	"context"

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
func (t *tracer) start(ctx context.Context, x *Exchange) (context.Context, trace.Span) {
	if t == nil {
		return ctx, nil
	}
	ctx = t.propagator.Extract(ctx, traceHeader{x.Asked})
	return t.spans.Start(ctx, KnownMethod(x.Method), trace.WithSpanKind(trace.SpanKindServer))
}

// end names the span by its route, which is known only now, and closes it.
func (t *tracer) end(span trace.Span, x *Exchange, method string, status int) {
	if t == nil || span == nil {
		return
	}
	span.SetName(method + " " + x.Route)
	span.SetAttributes(
		attribute.String("http.request.method", method),
		attribute.String("http.route", x.Route),
		attribute.Int("http.response.status_code", status),
		attribute.String("keyward.request_id", string(x.ID)),
	)
	if x.Project != "" {
		span.SetAttributes(attribute.String("keyward.project", string(x.Project)))
	}
	if x.Decision != "" {
		span.SetAttributes(attribute.String("keyward.decision_id", string(x.Decision)))
	}
	if x.Code != "" {
		span.SetAttributes(attribute.String("rpc.response.status_code", x.Code))
	}
	if status >= 500 || x.Cause != nil {
		span.SetStatus(codes.Error, "")
	}
	span.End()
}

// traceHeader reads trace context from a request; nothing is ever written to one, and nobody asks what else it has.
type traceHeader struct{ asked RequestHeader }

func (h traceHeader) Get(name string) string { return string(h.asked.Peek(name)) }

func (h traceHeader) Set(string, string) {}

func (h traceHeader) Keys() []string { return nil }
