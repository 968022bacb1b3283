package kv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/kv"
)

type thing struct {
	N    int    `json:"n"`
	Text string `json:"text,omitempty"`
}

var errNoThing = errors.New("there is no such thing")

func open(t *testing.T) jetstream.KeyValue {
	t.Helper()
	return opened(t, func(_ *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) { return bucket, nil })
}

// openings are the ways in which a bucket is listed and followed.
func openings() map[string]func(*bus.Bus, jetstream.KeyValue) (jetstream.KeyValue, error) {
	leader := func(b *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) {
		stream, err := b.Stream(context.Background(), "KV_"+bucket.Bucket())
		if err != nil {
			return nil, err
		}
		cfg := stream.CachedInfo().Config
		cfg.AllowDirect = false // as with replicas
		if _, err := b.JS.UpdateStream(context.Background(), cfg); err != nil {
			return nil, err
		}
		if bucket, err = b.Bucket(context.Background(), bucket.Bucket()); err != nil {
			return nil, err
		}
		return kv.ByGets(context.Background(), b.JS, bucket)
	}
	return map[string]func(*bus.Bus, jetstream.KeyValue) (jetstream.KeyValue, error){
		"with a consumer": func(_ *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) { return bucket, nil },
		"by direct gets": func(b *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) {
			return kv.ByGets(context.Background(), b.JS, bucket)
		},
		"from the leader": leader,
	}
}

func opened(t *testing.T, open func(*bus.Bus, jetstream.KeyValue) (jetstream.KeyValue, error)) jetstream.KeyValue {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	bucket, err := b.Bucket(t.Context(), bus.IdentifiersBucket)
	if err != nil {
		t.Fatal(err)
	}
	if bucket, err = open(b, bucket); err != nil {
		t.Fatal(err)
	}
	return bucket
}

// seal is a sealer that hides nothing but from a search, and checks the place.
type seal struct{}

func (seal) Seal(place string, value []byte) ([]byte, error) {
	return append([]byte("\x00"+place+"\x00"), flip(value)...), nil
}

func (seal) Open(place string, stored []byte) ([]byte, error) {
	if !bytes.HasPrefix(stored, []byte{0}) {
		return stored, nil
	}
	sealed, ok := bytes.CutPrefix(stored, []byte("\x00"+place+"\x00"))
	if !ok {
		return nil, errors.New("sealed elsewhere")
	}
	return flip(sealed), nil
}

func flip(raw []byte) []byte {
	flipped := slices.Clone(raw)
	for i := range flipped {
		flipped[i] ^= 0xff
	}
	return flipped
}

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

func more(v *thing) error { v.N++; return nil }

func TestABucketDoesWhatAMapWouldWhetherItIsSealedOrNot(t *testing.T) {
	t.Parallel()
	raw := open(t)
	ctx := t.Context()
	rapid.Check(t, func(t *rapid.T) {
		plain := kv.Bucket[thing]{KV: raw, Name: "thing", Missing: errNoThing}
		sealed := plain
		sealed.Sealer = seal{}
		if err := plain.DeleteAll(ctx, ">"); err != nil {
			t.Fatal(err)
		}
		want := make(map[string]thing)
		keys := rapid.SampledFrom([]string{"pro-1.a", "pro-1.b", "pro-2.a"})
		ops := rapid.SampledFrom([]string{"create", "put", "update", "old", "change", "upsert", "meet", "delete", "delete if"})
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			b, key, value := &plain, keys.Draw(t, "key"), thing{N: rapid.IntRange(1, 9).Draw(t, "n")}
			if rapid.Bool().Draw(t, "sealed") {
				b = &sealed
			}
			before, there := want[key]
			got, err := b.Get(ctx, key)
			if there && (sealedOnly(t, raw, key) && b == &plain) {
				if err == nil || fault.As(err).Status != http.StatusInternalServerError {
					t.Fatalf("what is sealed was read as %v, %v", got, err)
				}
				continue
			}
			switch {
			case there && (err != nil || got.Value != before || got.Key != key || got.Revision == 0):
				t.Fatalf("got %v, %v, want %v", got, err, before)
			case !there && !errors.Is(err, errNoThing):
				t.Fatalf("got %v, %v", got, err)
			}
			switch ops.Draw(t, "op") {
			case "create":
				_, err = b.Create(ctx, key, value)
				wantErr(t, err, there, kv.ErrExists)
				if !there {
					want[key] = value
				}
			case "put":
				wantErr(t, b.Put(ctx, key, value), false, nil)
				want[key] = value
			case "update":
				if there {
					_, err = b.Update(ctx, key, value, got.Revision)
					wantErr(t, err, false, nil)
					want[key] = value
				}
			case "old":
				_, err = b.Update(ctx, key, value, got.Revision+1)
				wantErr(t, err, true, kv.ErrConflict)
				if there {
					wantErr(t, b.DeleteRevision(ctx, key, got.Revision+1), true, kv.ErrConflict)
				}
			case "change":
				changed, err := b.Change(ctx, key, more)
				wantErr(t, err, !there, errNoThing)
				if there {
					want[key] = thing{N: before.N + 1}
					wantErr(t, differs(changed, key, want[key]), false, nil)
				}
			case "upsert":
				changed, err := b.Upsert(ctx, key, more)
				wantErr(t, err, false, nil)
				want[key] = thing{N: before.N + 1}
				wantErr(t, differs(changed, key, want[key]), false, nil)
			case "meet":
				changed, err := b.CreateOrChange(ctx, key, value, more)
				wantErr(t, err, false, nil)
				if want[key] = value; there {
					want[key] = thing{N: before.N + 1}
				}
				wantErr(t, differs(changed, key, want[key]), false, nil)
			case "delete":
				wantErr(t, b.Delete(ctx, key), false, nil)
				delete(want, key)
			case "delete if":
				wantErr(t, b.DeleteIf(ctx, key, func(v thing) bool { return v.N%2 == 0 }), false, nil)
				if there && before.N%2 == 0 {
					delete(want, key)
				}
			}
		}
		got := make(map[string]thing)
		for e, err := range sealed.All(ctx, "pro-1.*") {
			if err != nil {
				t.Fatal(err)
			}
			got[e.Key] = e.Value
		}
		maps.DeleteFunc(want, func(key string, _ thing) bool { return strings.HasPrefix(key, "pro-2.") })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
	})
}

// sealedOnly reports whether what is stored can be opened by a bucket with a sealer alone.
func sealedOnly(t *rapid.T, raw jetstream.KeyValue, key string) bool {
	entry, err := raw.Get(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.HasPrefix(entry.Value(), []byte{0})
}

func differs(got kv.Entry[thing], key string, want thing) error {
	if got.Key != key || got.Value != want || got.Revision == 0 {
		return fmt.Errorf("got %v, want %v under %s", got, want, key)
	}
	return nil
}

func wantErr(t *rapid.T, err error, fails bool, want error) {
	if fails != (err != nil) || fails && !errors.Is(err, want) {
		t.Fatalf("got %v, want %v", err, want)
	}
}

func TestWritersDoNotLoseOneAnothersChanges(t *testing.T) {
	t.Parallel()
	b := kv.Bucket[thing]{KV: open(t), Name: "thing"}
	const writers, each = 16, 4
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			for range each {
				if _, err := b.Upsert(t.Context(), "one", more); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if e, err := b.Get(t.Context(), "one"); err != nil || e.Value.N != writers*each {
		t.Errorf("got %v, %v, want %d changes", e, err, writers*each)
	}
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

func wantUnavailable(t *testing.T, err error, details string) {
	t.Helper()
	f := fault.As(err)
	if !errors.Is(err, kv.ErrUnavailable) || f.Status != http.StatusServiceUnavailable || f.RetryAfter != time.Second || f.Details != details {
		t.Fatalf("got %v", err)
	}
}

func TestWhatGoesWrongHasAnIdentity(t *testing.T) {
	t.Parallel()
	raw := open(t)
	b := kv.Bucket[thing]{KV: raw, Name: "thing"}
	if _, err := raw.Put(t.Context(), "bad", []byte("{")); err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	get := func(ctx context.Context, key string) error { _, err := b.Get(ctx, key); return err }
	if err := get(t.Context(), "none"); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := get(t.Context(), "no key.."); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if err := get(t.Context(), "bad"); fault.As(err).Status != http.StatusInternalServerError {
		t.Errorf("got %v", err)
	}
	wantUnavailable(t, get(ended, "none"), "the thing could not be read")
	wantUnavailable(t, b.Put(ended, "none", thing{}), "the thing could not be stored")
	wantUnavailable(t, b.Delete(ended, "none"), "the thing could not be deleted")
	_, err := b.Keys(ended, ">")
	wantUnavailable(t, err, "the thing could not be read")
	// An error of the caller's own is never taken for one of the bucket's.
	_, err = b.Upsert(t.Context(), "other", func(*thing) error { return kv.ErrConflict })
	if err != kv.ErrConflict { //nolint:errorlint // it itself
		t.Errorf("got %v", err)
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

func TestWhatWasStoredPlainIsReadAndSealedWhenItChanges(t *testing.T) {
	t.Parallel()
	raw := open(t)
	plain := kv.Bucket[thing]{KV: raw, Name: "thing"}
	sealed := kv.Bucket[thing]{KV: raw, Name: "thing", Sealer: seal{}}
	secret := thing{Text: "hidden"}
	if _, err := plain.Create(t.Context(), "one", secret); err != nil {
		t.Fatal(err)
	}
	if e, err := sealed.Get(t.Context(), "one"); err != nil || e.Value != secret {
		t.Errorf("got %v, %v", e, err)
	}
	if _, err := sealed.Change(t.Context(), "one", more); err != nil {
		t.Fatal(err)
	}
	stored, err := raw.Get(t.Context(), "one")
	if err != nil || bytes.Contains(stored.Value(), []byte(secret.Text)) {
		t.Errorf("got %s, %v", stored.Value(), err)
	}
	if e, err := sealed.Get(t.Context(), "one"); err != nil || e.Value.Text != secret.Text || e.Value.N != 1 {
		t.Errorf("got %v, %v", e, err)
	}
	if _, err := raw.Put(t.Context(), "two", stored.Value()); err != nil {
		t.Fatal(err)
	}
	if e, err := sealed.Get(t.Context(), "two"); err == nil {
		t.Errorf("what was sealed under another key opens: %v", e)
	}
}

func TestListing(t *testing.T) {
	t.Parallel()
	for how, open := range openings() {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			listing(t, opened(t, open))
		})
	}
}

func listing(t *testing.T, raw jetstream.KeyValue) {
	t.Helper()
	b := kv.Bucket[string]{
		KV: raw, Name: "word",
		Encode: func(v string) ([]byte, error) { return []byte(v), nil },
		Decode: func(raw []byte, v *string) error {
			if *v = string(raw); *v == "bad" {
				return errors.New("a bad word")
			}
			return nil
		},
	}
	for _, key := range []string{"a.1", "a.2", "a.3", "b.1"} {
		if err := b.Put(t.Context(), key, "word "+key); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(t.Context(), "a.3"); err != nil {
		t.Fatal(err)
	}
	keys, err := b.Keys(t.Context(), "a.*")
	slices.Sort(keys)
	if diff := cmp.Diff([]string{"a.1", "a.2"}, keys); diff != "" || err != nil {
		t.Error(diff, err)
	}
	for e, err := range b.All(t.Context(), ">") {
		if err != nil || e.Value != "word "+e.Key {
			t.Errorf("got %v, %v", e, err)
		}
		break // and nothing more comes
	}
	if err := b.Put(t.Context(), "c.1", "bad"); err != nil {
		t.Fatal(err)
	}
	for e, err := range b.All(t.Context(), "c.*") {
		if err == nil {
			t.Errorf("got %v", e)
		}
	}
	type sight struct {
		Value     string
		Gone, Bad bool
	}
	seen := make(map[string]sight)
	if err := b.Load(t.Context(), func(e kv.Entry[string], err error) { seen[e.Key] = sight{e.Value, e.Gone, err != nil} }); err != nil {
		t.Fatal(err)
	}
	want := map[string]sight{
		"a.1": {Value: "word a.1"}, "a.2": {Value: "word a.2"}, "a.3": {Gone: true}, "b.1": {Value: "word b.1"}, "c.1": {Value: "bad", Bad: true},
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	if err := b.DeleteAll(t.Context(), "a.*"); err != nil {
		t.Fatal(err)
	}
	if keys, err := b.Keys(t.Context(), ">"); err != nil || len(keys) != 2 {
		t.Errorf("got %v, %v", keys, err)
	}
}

func TestFollowingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	for how, open := range openings() {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			following(t, opened(t, open))
		})
	}
}

func following(t *testing.T, raw jetstream.KeyValue) {
	t.Helper()
	b := kv.Bucket[thing]{KV: raw, Name: "thing"}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := b.Put(ctx, "one", thing{N: 1}); err != nil {
		t.Fatal(err)
	}
	var seen []string
	err := b.Follow(ctx, func(e kv.Entry[thing], err error) {
		seen = append(seen, fmt.Sprint(e.Key, e.Value.N, e.Gone, err))
		switch {
		case e.Gone:
			cancel()
		case e.Value.N == 1:
			if _, err := b.Change(ctx, e.Key, more); err != nil {
				t.Error(err)
			}
		default:
			if err := b.Delete(ctx, e.Key); err != nil {
				t.Error(err)
			}
		}
	})
	if diff := cmp.Diff([]string{"one1 false <nil>", "one2 false <nil>", "one0 true <nil>"}, seen); diff != "" || err != nil {
		t.Error(diff, err)
	}
}
