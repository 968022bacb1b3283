package kv_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/kv"
)

// counted says what was asked of a bucket, and lets another writer come between a read and the update after it.
type counted struct {
	jetstream.KeyValue
	mu      sync.Mutex
	calls   []string
	between func()
}

func (c *counted) note(call string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
}

func (c *counted) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	c.note("get")
	entry, err := c.KeyValue.Get(ctx, key)
	if c.between != nil {
		c.between()
	}
	return entry, err
}

func (c *counted) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	c.note("create")
	return c.KeyValue.Create(ctx, key, value, opts...)
}

func (c *counted) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	c.note("update")
	return c.KeyValue.Update(ctx, key, value, revision)
}

// A bucket may be far away and its writes are flushed: none is made that need not be.
func TestAChangeIsOneReadAndOneWrite(t *testing.T) {
	t.Parallel()
	c := &counted{KeyValue: open(t)}
	b := kv.Bucket[thing]{KV: c, Name: "thing", Sealer: seal{}}
	meet := func() (kv.Entry[thing], error) { return b.CreateOrChange(t.Context(), "one", thing{N: 1}, more) }
	change := func(by func(*thing) error) func() (kv.Entry[thing], error) {
		return func() (kv.Entry[thing], error) { return b.Change(t.Context(), "one", by) }
	}
	keep := func(*thing) error { return nil }
	upsert := func(key string) func() (kv.Entry[thing], error) {
		return func() (kv.Entry[thing], error) { return b.Upsert(t.Context(), key, more) }
	}
	nothing := func() (kv.Entry[thing], error) { return b.Upsert(t.Context(), "three", keep) }
	for _, step := range []struct {
		name string
		do   func() (kv.Entry[thing], error)
		want []string
	}{
		{"create", meet, []string{"create"}},
		{"meet", meet, []string{"create", "get", "update"}},
		{"change", change(more), []string{"get", "update"}},
		{"change nothing", change(keep), []string{"get"}},
		{"refuse", change(func(*thing) error { return errNoThing }), []string{"get"}},
		{"upsert what is there", upsert("one"), []string{"get", "update"}},
		{"upsert what is not", upsert("two"), []string{"get", "create"}},
		{"upsert nothing", nothing, []string{"get"}},
	} {
		c.calls = nil
		if _, err := step.do(); err != nil && !errors.Is(err, errNoThing) {
			t.Fatalf("%s: %v", step.name, err)
		}
		if diff := cmp.Diff(step.want, c.calls); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
	}
}

// away is a bucket of which every update is too late, or fails.
type away struct {
	jetstream.KeyValue
	err     error
	updates int
}

type entry struct{ jetstream.KeyValueEntry }

func (away) Bucket() string                                               { return "away" }
func (entry) Key() string                                                 { return "one" }
func (entry) Value() []byte                                               { return []byte("{}") }
func (entry) Revision() uint64                                            { return 1 }
func (entry) Operation() jetstream.KeyValueOp                             { return jetstream.KeyValuePut }
func (away) Get(context.Context, string) (jetstream.KeyValueEntry, error) { return entry{}, nil }
func (a *away) Update(context.Context, string, []byte, uint64) (uint64, error) {
	a.updates++
	return 0, a.err
}

func TestWhoIsAlwaysTooLateGivesUpInTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		a := &away{err: jetstream.ErrKeyRevisionMismatch}
		b := kv.Bucket[thing]{KV: a, Name: "thing"}
		began := time.Now()
		_, err := b.Change(t.Context(), "one", more)
		wantUnavailable(t, err, "the thing could not be changed")
		if !errors.Is(err, kv.ErrConflict) {
			t.Errorf("got %v", err)
		}
		took := time.Since(began)
		if a.updates != 30 || took < 500*time.Millisecond || took > 7*time.Second {
			t.Errorf("gave up after %d attempts in %s", a.updates, took)
		}
	})
}

func TestWhoIsTooLateStopsWhenItsContextEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		b := kv.Bucket[thing]{KV: &away{err: jetstream.ErrKeyExists}, Name: "thing"}
		_, err := b.Change(ctx, "one", more)
		wantUnavailable(t, err, "the thing could not be changed")
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 100*time.Millisecond {
			t.Errorf("got %v after %s", err, took)
		}
	})
}

func TestAFailedWriteIsNotMadeAgain(t *testing.T) {
	t.Parallel()
	a := &away{err: nats.ErrConnectionClosed}
	b := kv.Bucket[thing]{KV: a, Name: "thing"}
	_, err := b.Change(t.Context(), "one", more)
	wantUnavailable(t, err, "the thing could not be stored")
	if a.updates != 1 || !errors.Is(err, nats.ErrConnectionClosed) || errors.Is(err, kv.ErrConflict) {
		t.Errorf("got %v after %d attempts", err, a.updates)
	}
}

// leaderless is a bucket whose writes nobody takes until there is a leader.
type leaderless struct {
	away
	until int
}

func (l *leaderless) Update(context.Context, string, []byte, uint64) (uint64, error) {
	if l.updates++; l.updates <= l.until {
		return 0, jetstream.ErrNoStreamResponse
	}
	return 2, nil
}

func TestAWriteThatNobodyTakesIsMadeWhenThereIsALeaderIfItsCallerStillWaits(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		wait  time.Duration
		until int
		want  error
	}{
		"in time":          {10 * time.Second, 30, nil},
		"too late":         {time.Second, 30, jetstream.ErrNoStreamResponse},
		"with no deadline": {0, 1, jetstream.ErrNoStreamResponse}, // the caller has no deadline, and would wait for ever
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.wait > 0 {
					ctx, cancel = context.WithTimeout(ctx, c.wait)
					defer cancel()
				}
				b := kv.Bucket[thing]{KV: &leaderless{until: c.until}, Name: "thing"}
				if _, err := b.Change(ctx, "one", more); !errors.Is(err, c.want) || (c.want == nil) != (err == nil) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// What was created between the read and the write is met, and what was deleted is created.
func TestAChangeMeetsWhatCameBetween(t *testing.T) {
	t.Parallel()
	raw := open(t)
	c := &counted{KeyValue: raw}
	b, other := kv.Bucket[thing]{KV: c, Name: "thing"}, kv.Bucket[thing]{KV: raw, Name: "thing"}
	c.between = func() {
		c.between = nil
		if err := other.Put(t.Context(), "one", thing{N: 10}); err != nil {
			t.Error(err)
		}
	}
	if e, err := b.Upsert(t.Context(), "one", more); err != nil || e.Value.N != 11 {
		t.Errorf("got %v, %v", e, err)
	}
	c.between = func() {
		c.between = nil
		if err := other.Delete(t.Context(), "one"); err != nil {
			t.Error(err)
		}
	}
	if e, err := b.CreateOrChange(t.Context(), "one", thing{N: 5}, more); err != nil || e.Value.N != 5 {
		t.Errorf("got %v, %v", e, err)
	}
}
