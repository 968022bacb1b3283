package kv_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

func openByGets(t *testing.T) jetstream.KeyValue {
	t.Helper()
	return opened(t, func(b *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) {
		return kv.ByGets(context.Background(), b.JS, bucket)
	})
}

func TestAGetAnswersAsTheClientsOwnDoes(t *testing.T) {
	t.Parallel()
	var own jetstream.KeyValue
	gets := opened(t, func(b *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) {
		own = bucket
		return kv.ByGets(context.Background(), b.JS, bucket)
	})
	ctx := t.Context()
	for _, key := range []string{"pro-1.a", "pro-1.deleted", "pro-1.purged", "pro-1.a=b/c"} {
		if _, err := own.Put(ctx, key, []byte("value of "+key)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(own.Delete(ctx, "pro-1.deleted"), own.Purge(ctx, "pro-1.purged")); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{
		"pro-1.a", "pro-1.a=b/c", "pro-1.deleted", "pro-1.purged", "pro-1.none", "pro-1", "pro-1.*", ">", "", ".", ".a", "a.", "a..b",
		"a b", "ä", "a\nb",
	} {
		want, wantErr := own.Get(ctx, key)
		got, err := gets.Get(ctx, key)
		if (err == nil) != (wantErr == nil) || err != nil && !errors.Is(err, wantErr) {
			t.Errorf("%q: %v, want %v", key, err, wantErr)
			continue
		}
		if err == nil && (string(got.Value()) != string(want.Value()) || got.Key() != want.Key() || got.Revision() != want.Revision() ||
			got.Operation() != want.Operation() || !got.Created().Equal(want.Created())) {
			t.Errorf("%q: %+v, want %+v", key, got, want)
		}
	}
}

func TestAGetEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := openByGets(t).Get(ended, "pro-1.a"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func more(v *thing) error { v.N++; return nil }

func TestABucketDoesWhatAMapWouldWhetherItIsSealedOrNot(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*testing.T) jetstream.KeyValue{"with consumers": open, "by gets": openByGets} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			doesWhatAMapWould(t, open(t))
		})
	}
}

func doesWhatAMapWould(t *testing.T, raw jetstream.KeyValue) {
	t.Helper()
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
				// Not the next one: the mark of what was deleted may have that.
				other := got.Revision + 1<<40
				_, err = b.Update(ctx, key, value, other)
				wantErr(t, err, true, kv.ErrConflict)
				if there {
					wantErr(t, b.DeleteRevision(ctx, key, other), true, kv.ErrConflict)
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
