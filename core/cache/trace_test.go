package cache_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/redistest"
)

func TestEachCommandOfACallThatIsTracedIsAStepOfItAndAMissingKeyNoFailure(t *testing.T) {
	t.Parallel()
	c, err := cache.Open(cache.Config{URL: redistest.Double(t), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	recorder := tracetest.NewSpanRecorder()
	ctx, call := sdk.NewTracerProvider(sdk.WithSpanProcessor(recorder)).Tracer("test").Start(t.Context(), "call")
	if err := c.Client.Get(ctx, "missing").Err(); !errors.Is(err, redis.Nil) {
		t.Fatal(err)
	}
	if err := c.Client.LPush(ctx, "list", "1").Err(); err != nil {
		t.Fatal(err)
	}
	if err := c.Client.Get(ctx, "list").Err(); err == nil {
		t.Fatal("a list is read as a text")
	}
	batch := cache.NewBatch(c.Client.(*redis.Client))
	if err := batch.Do(ctx, redis.NewStatusCmd(ctx, "set", "a", "1"), redis.NewStringCmd(ctx, "get", "a")); err != nil {
		t.Fatal(err)
	}
	call.End()
	failures, names := map[string]int{}, map[string]int{}
	for _, s := range recorder.Ended() {
		if s.Parent().SpanID() != call.SpanContext().SpanID() {
			continue
		}
		names[s.Name()]++
		if s.Status().Code == codes.Error {
			failures[s.Name()]++
		}
	}
	if !maps.Equal(failures, map[string]int{"get": 1}) || names["get"] != 2 || names["lpush"] != 1 || names["pipeline"] != 1 {
		t.Errorf("spans %v, failed %v", slices.Sorted(maps.Keys(names)), failures)
	}
}
