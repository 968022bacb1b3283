package claim_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/services/events/internal/webhook/claim"
)

const (
	lease    = time.Minute
	endpoint = "pro-1.whk-1"
)

// stage is a bucket, and a clock for those who look at it.
type stage struct {
	kv  jetstream.KeyValue
	now time.Time
}

func newStage(t *testing.T) *stage {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.WebhookWorkBucket)
	if err != nil {
		t.Fatal(err)
	}
	return &stage{kv: kv, now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)}
}

func (s *stage) join(t *testing.T, process string) *claim.Claims {
	t.Helper()
	c := claim.New(s.kv, process, lease, func() time.Time { return s.now })
	if err := c.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

// look has everybody see all that is in the bucket now.
func (s *stage) look(t *testing.T, all ...*claim.Claims) {
	t.Helper()
	keys, err := s.kv.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		entry, err := s.kv.Get(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			c.See(entry)
		}
	}
}

func take(t *testing.T, c *claim.Claims) bool {
	t.Helper()
	won, err := c.Take(t.Context(), endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return won
}

func TestOfSeveralOneTakesAnEndpoint(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	a, b := s.join(t, ""), s.join(t, "")
	s.look(t, a, b)
	if !a.Free(t.Context(), endpoint) || !b.Free(t.Context(), endpoint) {
		t.Fatal("an endpoint that nobody has is not free")
	}
	if !take(t, a) || take(t, b) {
		t.Fatal("want the first to have it, and not the second")
	}
	s.look(t, a, b)
	if !a.Mine(endpoint) || b.Mine(endpoint) || b.Free(t.Context(), endpoint) {
		t.Error("what one has is free, or another's")
	}
	if err := a.Release(t.Context(), endpoint); err != nil {
		t.Fatal(err)
	}
	s.look(t, b)
	if !b.Free(t.Context(), endpoint) || !take(t, b) {
		t.Error("what was released cannot be taken")
	}
}

func TestTheEndpointsOfWhoHasNotRenewedForALeaseAreFree(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	dead, heir := s.join(t, ""), s.join(t, "")
	if !take(t, dead) {
		t.Fatal("not taken")
	}
	s.look(t, heir)
	s.now = s.now.Add(lease - time.Second)
	if heir.Free(t.Context(), endpoint) {
		t.Error("free within the lease")
	}
	s.now = s.now.Add(time.Second)
	if !heir.Free(t.Context(), endpoint) {
		t.Error("not free after the lease")
	}
	// A renewal that a slow watch has not brought yet counts.
	if err := dead.Renew(t.Context()); err != nil {
		t.Fatal(err)
	}
	if heir.Free(t.Context(), endpoint) {
		t.Error("free though its owner has renewed")
	}
}

func TestWhatAProcessHadBeforeItsRestartIsFreeAtOnce(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	before := s.join(t, "host-1")
	if !take(t, before) {
		t.Fatal("not taken")
	}
	after, other := s.join(t, "host-1"), s.join(t, "host-2")
	s.look(t, after, other)
	if !after.Free(t.Context(), endpoint) {
		t.Error("not free for the same process")
	}
	if other.Free(t.Context(), endpoint) {
		t.Error("free for another process")
	}
}

func TestAllPreferTheSameInstanceAndEachHasItsPart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	all := []*claim.Claims{s.join(t, "a"), s.join(t, "b"), s.join(t, "c")}
	s.look(t, all...)
	parts := map[string]int{}
	for i := range 300 {
		key := endpoint + string(rune('0'+i%10)) + string(rune('a'+i/10))
		var names []string
		mine := 0
		for _, c := range all {
			name, me := c.Preference()(key)
			names = append(names, name)
			if me {
				mine++
			}
		}
		if mine != 1 || len(slices.Compact(names)) != 1 {
			t.Fatalf("%s: they prefer %q, and %d of them themselves", key, names, mine)
		}
		parts[names[0]]++
	}
	for name, part := range parts {
		if part < 60 {
			t.Errorf("%s has %d of 300", name, part)
		}
	}
}
