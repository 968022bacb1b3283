package exchange

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/core/reqctx"
)

// Deps are what a recorder works with. Log, Now and Address are required.
type Deps struct {
	Log      *slog.Logger
	Metrics  prometheus.Registerer // nil: nothing is counted for others to see
	Tracer   trace.TracerProvider  // nil: no spans, and no cost
	Now      func() time.Time
	InFlight func() float64 // requests being handled

	Secure  func(host string) string // what a browser is told of https at a host; nil or empty: nothing
	Address func(*Exchange) string   // of the client, as the log may have it; empty: it has none
}

// Recorder tells operators of exchanges. It may be shared.
type Recorder struct {
	log    *slog.Logger
	now    func() time.Time
	meter  *meter
	tracer *tracer

	secure  func(host string) string
	address func(*Exchange) string
}

// NewRecorder fails if its metrics are registered already.
func NewRecorder(deps Deps) (*Recorder, error) {
	made, err := newMeter(deps.Metrics, deps.InFlight)
	return &Recorder{
		log: deps.Log, now: deps.Now, meter: made, tracer: newTracer(deps.Tracer), secure: deps.Secure, address: deps.Address,
	}, err
}

// CountShed counts a request that was refused because there was too much to do.
func (r *Recorder) CountShed() { r.meter.shed.Inc() }

// CountRefusedConnection counts a connection that was closed because too many were open.
func (r *Recorder) CountRefusedConnection() { r.meter.refused.Inc() }

// Begin names the exchange and marks its answer, and returns the context of what follows, and the span that Report ends.
func (r *Recorder) Begin(ctx context.Context, x *Exchange) (context.Context, trace.Span) {
	x.Now = r.now
	x.ID, x.Started, x.Route = requestID(x.Asked.Peek(HeaderRequestID)), x.Now(), Unmatched
	x.Answer.Set(HeaderRequestID, string(x.ID))
	x.Answer.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	if r.secure != nil {
		if told := r.secure(string(x.Asked.Peek(fiber.HeaderHost))); told != "" {
			x.Answer.Set(fiber.HeaderStrictTransportSecurity, told)
		}
	}
	return r.tracer.start(reqctx.WithRequestID(context.WithValue(ctx, exchangeKey{}, x), x.ID), x)
}

// Abandon ends the span of an exchange that begins anew, since its body was not there yet. Log and metrics hear of it when it has ended.
func Abandon(span trace.Span) {
	if span != nil {
		span.End()
	}
}

// Report tells how an exchange ended.
func (r *Recorder) Report(ctx context.Context, x *Exchange, status int, span trace.Span) {
	took := r.now().Sub(x.Started)
	method := KnownMethod(x.Method)
	r.meter.observe(x.Route, method, status, took)
	if x.Code != "" {
		r.meter.calls.WithLabelValues(x.Route, x.Code).Inc()
	}
	r.tracer.end(span, x, method, status)

	level := slog.LevelInfo
	if status >= 500 && status != http.StatusNotImplemented || x.Cause != nil {
		level = slog.LevelError
	}
	if !r.log.Enabled(ctx, level) {
		return
	}
	attrs := make([]slog.Attr, 0, 14)
	attrs = append(attrs, slog.String("method", method), slog.String("route", x.Route), slog.Int("status", status),
		slog.Float64("duration_ms", float64(took.Microseconds())/1000), slog.String("request_id", string(x.ID)))
	if x.Code != "" {
		attrs = append(attrs, slog.String("code", x.Code))
	}
	if address := r.address(x); address != "" {
		attrs = append(attrs, slog.String("client", address))
	}
	if x.Project != "" {
		attrs = append(attrs, slog.String("project", string(x.Project)))
	}
	if x.Key != nil {
		attrs = append(attrs, slog.String("api_key", x.Key.ID))
	}
	if x.Operating != nil {
		attrs = append(attrs, slog.String("operator", string(x.Operating.ID)))
	}
	if x.Decision != "" {
		attrs = append(attrs, slog.String("decision_id", string(x.Decision)))
	}
	if span != nil && span.SpanContext().IsValid() {
		attrs = append(attrs, slog.String("trace_id", span.SpanContext().TraceID().String()))
	}
	if x.Cause != nil {
		attrs = append(attrs, slog.String("error", x.Cause.Error()))
	}
	if x.Stack != nil {
		attrs = append(attrs, slog.String("stack", string(x.Stack)))
	}
	r.log.LogAttrs(ctx, level, "request", attrs...)
}
