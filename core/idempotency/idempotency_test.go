package idempotency_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/idempotency"
)

// bench is a store over a real bucket, with a clock that is set by hand.
type bench struct {
	store  *idempotency.Store
	bucket jetstream.KeyValue
	now    atomic.Int64 // Unix ms
}

func newBench(t *testing.T) *bench {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.IdempotencyBucket)
	if err != nil {
		t.Fatal(err)
	}
	made := &bench{bucket: kv}
	made.now.Store(1_800_000_000_000)
	made.store = idempotency.NewStore(kv, 15*time.Second, func() time.Time { return time.UnixMilli(made.now.Load()) })
	return made
}

func call() idempotency.Call {
	return idempotency.Call{
		Project: "pro-1",
		Salt:    []byte("salt"),
		Key:     "order-1",
		Method:  "POST",
		Path:    "/v2/users",
		Body:    []byte(`{"status":"active"}`),
	}
}

var answer = idempotency.Answer{Status: 200, Type: "application/json", Body: []byte(`{"secret":"ctk1_shownOnce"}`)}

func (b *bench) begin(t *testing.T, c idempotency.Call) *idempotency.Attempt {
	t.Helper()
	attempt, before, err := b.store.Begin(t.Context(), c)
	if err != nil || before != nil || attempt.Seed == "" {
		t.Fatalf("got %v, %v, %v", attempt, before, err)
	}
	return attempt
}

// refused holds that the call is neither executed nor answered, and whether it is worth to wait.
func (b *bench) refused(t *testing.T, c idempotency.Call, retry time.Duration) {
	t.Helper()
	attempt, before, err := b.store.Begin(t.Context(), c)
	f, status := fault.As(err), 422
	if retry > 0 {
		status = 409
	}
	if attempt != nil || before != nil || err == nil || f.Status != status || len(f.Validation) != 1 ||
		f.Validation[0].Field != "Idempotency-Key" ||
		f.RetryAfter != retry {
		t.Fatalf("got %v, %v, %v", attempt, before, err)
	}
}

func TestARepeatIsAnsweredAsTheFirstWas(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.begin(t, call()).Complete(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		attempt, got, err := b.store.Begin(t.Context(), call())
		if attempt != nil || err != nil {
			t.Fatalf("got %v, %v", attempt, err)
		}
		if diff := cmp.Diff(&answer, got); diff != "" {
			t.Error(diff)
		}
	}
}

func TestAnotherRequestWithTheKeyIsRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*idempotency.Call){
		"another body":                          func(c *idempotency.Call) { c.Body = []byte(`{"status":"pending"}`) },
		"another path":                          func(c *idempotency.Call) { c.Path = "/v2/connectTokens" },
		"another method":                        func(c *idempotency.Call) { c.Method = "PUT" },
		"path and body split in another place":  func(c *idempotency.Call) { c.Path, c.Body = c.Path+string(c.Body[:1]), c.Body[1:] },
		"no body where there was one":           func(c *idempotency.Call) { c.Body = nil },
		"the same path with a query behind it":  func(c *idempotency.Call) { c.Path += "?a=b" },
		"the same body with white space around": func(c *idempotency.Call) { c.Body = []byte(" " + string(c.Body)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			other := call()
			change(&other)
			first := b.begin(t, call())
			b.refused(t, other, 0)
			if err := first.Complete(t.Context(), answer); err != nil {
				t.Fatal(err)
			}
			b.refused(t, other, 0)
		})
	}
}

func TestKeysOfTwoProjectsHaveNothingToDoWithOneAnother(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	other := call()
	other.Project, other.Body = "pro-2", []byte("{}")
	b.begin(t, call())
	b.begin(t, other)
}

func TestWhileTheFirstIsUnderWayARepeatIsToldToWait(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.begin(t, call())
	b.refused(t, call(), time.Second)
	b.now.Add(14_999)
	b.refused(t, call(), time.Second)
}

func TestAfterACrashTheRepeatIsExecutedFromTheSameSeed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.begin(t, call())
	b.now.Add(15_000)
	second := b.begin(t, call())
	if first.Seed != second.Seed {
		t.Error("the repeat would make other IDs")
	}
	b.refused(t, call(), time.Second)
	// The first was not dead, only slow. What it says now comes too late.
	if err := first.Complete(t.Context(), idempotency.Answer{Status: 200}); err == nil {
		t.Error("an attempt that was taken over can complete")
	}
	if err := first.Forget(t.Context()); err == nil {
		t.Error("an attempt that was taken over can be forgotten")
	}
	if err := second.Complete(t.Context(), answer); err != nil {
		t.Error(err)
	}
}

func TestAfterAFailureOfUnknownOutcomeTheRepeatIsExecutedAtOnceFromTheSameSeed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.begin(t, call())
	if err := first.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := call()
	other.Body = nil
	b.refused(t, other, 0)
	if second := b.begin(t, call()); second.Seed != first.Seed {
		t.Error("the repeat would make other IDs")
	}
}

func TestAfterAFailureThatChangedNothingTheKeyIsFree(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.begin(t, call())
	if err := first.Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := call()
	other.Body = nil
	if second := b.begin(t, other); second.Seed == first.Seed {
		t.Error("another request would make the same IDs")
	}
}

func TestAKeyIsNotFreedWhileAnEarlierAttemptMayHaveMadeSomething(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	first := b.begin(t, call())
	if err := first.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.begin(t, call()).Forget(t.Context()); err != nil {
		t.Fatal(err)
	}
	other := call()
	other.Body = nil
	b.refused(t, other, 0)
	if third := b.begin(t, call()); third.Seed != first.Seed {
		t.Error("the repeat would make other IDs")
	}
}

func TestOfManyAtOnceOneIsExecuted(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var executed atomic.Int64
	var group sync.WaitGroup
	for range 32 {
		group.Go(func() {
			attempt, before, err := b.store.Begin(t.Context(), call())
			switch {
			case attempt != nil:
				executed.Add(1)
				if err := attempt.Complete(t.Context(), answer); err != nil {
					t.Error(err)
				}
			case before != nil:
				if diff := cmp.Diff(&answer, before); diff != "" {
					t.Error(diff)
				}
			case fault.As(err).Status != 409:
				t.Error(err)
			}
		})
	}
	group.Wait()
	if executed.Load() != 1 {
		t.Errorf("%d were executed", executed.Load())
	}
}

func TestWhatIsStoredGivesNothingAway(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	if err := b.begin(t, call()).Complete(t.Context(), answer); err != nil {
		t.Fatal(err)
	}
	names, err := b.bucket.Keys(t.Context())
	if err != nil || len(names) != 1 || !strings.HasPrefix(names[0], "pro-1.") {
		t.Fatalf("got %v, %v", names, err)
	}
	entry, err := b.bucket.Get(t.Context(), names[0])
	if err != nil {
		t.Fatal(err)
	}
	var stored struct{ Fingerprint, Sealed []byte }
	if err := json.Unmarshal(entry.Value(), &stored); err != nil || len(stored.Fingerprint) != 32 || len(stored.Sealed) < len(answer.Body) {
		t.Fatalf("got %+v, %v", stored, err)
	}
	for _, word := range []string{"order-1", "ctk1_", "shownOnce", "active", "users"} {
		for _, text := range [][]byte{[]byte(names[0]), entry.Value(), stored.Sealed} {
			if bytes.Contains(text, []byte(word)) {
				t.Errorf("%q can be read in %q", word, text)
			}
		}
	}
	salted := call()
	salted.Salt = []byte("of another project")
	b.begin(t, salted)
}

func TestWithoutTheBucketNothingIsExecuted(t *testing.T) {
	t.Parallel()
	store := idempotency.NewStore(broken{}, time.Second, time.Now)
	attempt, before, err := store.Begin(t.Context(), call())
	if attempt != nil || before != nil || fault.As(err).Status != 503 || fault.As(err).RetryAfter == 0 {
		t.Errorf("got %v, %v, %v", attempt, before, err)
	}
}

type broken struct{ jetstream.KeyValue }

func (broken) Bucket() string { return "idempotency" }

func (broken) Create(context.Context, string, []byte, ...jetstream.KVCreateOpt) (uint64, error) {
	return 0, errors.New("no NATS")
}
