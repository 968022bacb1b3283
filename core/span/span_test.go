package span_test

import (
	"context"
	"errors"
	"testing"

	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/core/span"
)

func TestAStepOfACallThatIsRecordedIsAChildOfItsSpan(t *testing.T) {
	t.Parallel()
	steps := map[string]func(context.Context) (context.Context, span.Step){
		"append PASSKEY_EVENTS": func(ctx context.Context) (context.Context, span.Step) {
			return span.Stream(ctx, "append", "PASSKEY_EVENTS")
		},
		"pipeline":       func(ctx context.Context) (context.Context, span.Step) { return span.Cache(ctx, "pipeline", 3) },
		"evaluate login": func(ctx context.Context) (context.Context, span.Step) { return span.Policy(ctx, "login", "r1") },
	}
	for name, begin := range steps {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			recorder := tracetest.NewSpanRecorder()
			provider := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder))
			ctx, call := provider.Tracer("test").Start(t.Context(), "call")
			below, step := begin(ctx)
			step.End(errors.New("it does not answer"))
			call.End()
			ended := recorder.Ended()
			if len(ended) != 2 {
				t.Fatalf("%d spans", len(ended))
			}
			got := ended[0]
			if got.Name() != name || got.Parent().SpanID() != call.SpanContext().SpanID() || got.Status().Code != codes.Error {
				t.Errorf("span %q below %s, %v", got.Name(), got.Parent().SpanID(), got.Status())
			}
			if trace.SpanContextFromContext(below).SpanID() != got.SpanContext().SpanID() {
				t.Error("what the step does is not below it")
			}
		})
	}
}

func TestWhatNobodyRecordsCostsNothing(t *testing.T) {
	ctx := t.Context()
	allocations := testing.AllocsPerRun(100, func() {
		in, stream := span.Stream(ctx, "append", "PASSKEY_EVENTS")
		in, cache := span.Cache(in, "get", 1)
		in, policy := span.Policy(in, "login", "r1")
		policy.Known(true)
		policy.End(nil)
		cache.End(nil)
		stream.End(nil)
		if span.Parent(in) != "" {
			t.Error("there is a trace")
		}
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

func TestATraceThatIsNotRecordedGoesOnAllTheSame(t *testing.T) {
	t.Parallel()
	of := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}})
	got := span.Parent(trace.ContextWithSpanContext(t.Context(), of))
	if want := "00-01000000000000000000000000000000-0200000000000000-00"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
