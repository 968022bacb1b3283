// Package span tells a trace how long the stores and the policy took for a call, and lets a trace go on in what a call leaves
// behind. A step is a child of the span that its context holds; of a context without one that is recorded nothing is made, and
// nothing is allocated. It touches no exporter: the spans go where the call's own span goes.
package span

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/keyward/keyward/core/span"

// TraceParent is the name of the header of W3C Trace Context, in a message as in a request.
const TraceParent = "traceparent"

// Step is one thing that a call waits for. The zero value is one that nobody records.
type Step struct{ span trace.Span }

// Stream begins a step that asks JetStream: the operation on a stream or a bucket. The names are those of OpenTelemetry's semantic
// conventions for messaging.
func Stream(ctx context.Context, operation, name string) (context.Context, Step) {
	if !recorded(ctx) {
		return ctx, Step{}
	}
	return begin(ctx, operation+" "+name, trace.SpanKindClient, attribute.String("messaging.system", "nats"),
		attribute.String("messaging.operation.name", operation), attribute.String("messaging.destination.name", name))
}

// Cache begins a step that asks Redis: one command, or several at once. The names are those of the conventions for databases. Keys
// and values are no part of it: they name users.
func Cache(ctx context.Context, command string, several int) (context.Context, Step) {
	if !recorded(ctx) {
		return ctx, Step{}
	}
	about := []attribute.KeyValue{attribute.String("db.system.name", "redis"), attribute.String("db.operation.name", command)}
	if several > 1 {
		about = append(about, attribute.Int("db.operation.batch.size", several))
	}
	return begin(ctx, command, trace.SpanKindClient, about...)
}

// Policy begins the evaluation of a policy's document. Step.Known says when the answer was known before.
func Policy(ctx context.Context, document, revision string) (context.Context, Step) {
	if !recorded(ctx) {
		return ctx, Step{}
	}
	return begin(ctx, "evaluate "+document, trace.SpanKindInternal, attribute.String("keyward.policy.document", document),
		attribute.String("keyward.policy.revision", revision))
}

// recorded reports whether there is anybody who would look at a step. Most calls end here: a call whose span is not sampled costs
// nothing either.
func recorded(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

func begin(ctx context.Context, name string, kind trace.SpanKind, about ...attribute.KeyValue) (context.Context, Step) {
	tracer := trace.SpanFromContext(ctx).TracerProvider().Tracer(scope)
	ctx, s := tracer.Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(about...))
	return ctx, Step{s}
}

// Known notes whether an evaluation was answered from memory.
func (s Step) Known(known bool) {
	if s.span != nil {
		s.span.SetAttributes(attribute.Bool("keyward.policy.memoised", known))
	}
}

// End ends a step; err says whether it failed. What is merely not there is no failure: leave it out.
func (s Step) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

// Parent returns the value of the traceparent header by which what comes of a call belongs to its trace, empty without a trace.
func Parent(ctx context.Context) string {
	if !trace.SpanContextFromContext(ctx).IsValid() {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[TraceParent]
}

// Under returns a context that belongs to the trace that a traceparent header names. What is none leaves it as it is.
func Under(ctx context.Context, parent string) context.Context {
	if parent == "" {
		return ctx
	}
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{TraceParent: parent})
}
