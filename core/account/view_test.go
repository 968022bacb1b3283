package account_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// told keeps what a store announced, and answers with a stamp or an error.
type told struct {
	changed, uncertain []ident.UserID
	stamp              string
	err                error
}

func (c *told) AccountChanged(_ context.Context, _ ident.ProjectID, user ident.UserID) (string, error) {
	c.changed = append(c.changed, user)
	return c.stamp, c.err
}

func (c *told) AccountGone(_ context.Context, _ ident.ProjectID, user ident.UserID) error {
	c.changed = append(c.changed, user)
	return c.err
}

func (c *told) AccountUncertain(_ context.Context, _ ident.ProjectID, user ident.UserID) {
	c.uncertain = append(c.uncertain, user)
}

// bucket lets something happen after each read, and fails writes if told so.
type bucket struct {
	jetstream.KeyValue
	reads     int
	afterRead func()
	failure   error
}

func (b *bucket) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	entry, err := b.KeyValue.Get(ctx, key)
	b.reads++
	if b.afterRead != nil {
		b.afterRead()
	}
	return entry, err
}

func (b *bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	stored, err := b.KeyValue.Update(ctx, key, value, revision)
	return stored, errors.Join(err, b.failure)
}

func near(t *testing.T, size int) (*account.Store, *bucket, *told) {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	opened, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(opened.Close)
	kv, err := opened.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	b, changes := &bucket{KeyValue: kv}, &told{}
	s, err := account.Open(account.Deps{Bucket: b, Changes: changes, Metrics: prometheus.NewRegistry()}, size)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Create(t.Context(), full("pro-1", "usr-1")); err != nil {
		t.Fatal(err)
	}
	return s, b, changes
}

func view(t *testing.T, s *account.Store) account.View {
	t.Helper()
	v, err := s.View(t.Context(), "pro-1", "usr-1")
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func rename(to int64) func(*account.Account) error {
	return func(a *account.Account) error { a.UpdatedMs = to; return nil }
}

func TestAnAccountIsKeptOnceItWasReadAfterAStampWasTold(t *testing.T) {
	t.Parallel()
	s, b, _ := near(t, 10)
	for range 3 {
		if v := view(t, s); v.Stamp != "" {
			t.Fatalf("stamp %q before one was told", v.Stamp)
		}
	}
	s.Told("pro-1", "usr-1", "a.1")
	if v := view(t, s); v.Stamp != "" || b.reads != 4 {
		t.Fatalf("what was read before the stamp was told came with stamp %q after %d reads", v.Stamp, b.reads)
	}
	s.Told("pro-1", "usr-1", "a.1")
	v := view(t, s)
	if v.Stamp != "a.1" || b.reads != 4 {
		t.Errorf("stamp %q after %d reads", v.Stamp, b.reads)
	}
	want := full("pro-1", "usr-1")
	if diff := cmp.Diff(&want, v.Account); diff != "" {
		t.Error(diff)
	}
	s.Told("pro-1", "usr-1", "a.2")
	if v := view(t, s); v.Stamp != "" || b.reads != 5 {
		t.Errorf("another stamp was told, and the account came with %q after %d reads", v.Stamp, b.reads)
	}
	s.Told("pro-1", "usr-1", "")
	for range 2 {
		if v := view(t, s); v.Stamp != "" {
			t.Errorf("no stamp is known, and the account came with %q", v.Stamp)
		}
	}
}

func TestAnAccountIsNotKeptUnderAStampThatWasToldWhileItWasRead(t *testing.T) {
	t.Parallel()
	s, b, changes := near(t, 10)
	s.Told("pro-1", "usr-1", "a.1")
	b.afterRead = func() {
		b.afterRead = nil
		changes.stamp = "a.2"
		if _, err := s.Update(t.Context(), "pro-1", "usr-1", rename(77)); err != nil {
			t.Error(err)
		}
	}
	if v := view(t, s); v.Account.UpdatedMs == 77 {
		t.Fatal("the change was to come after the read")
	}
	if v := view(t, s); v.Stamp == "a.2" && v.Account.UpdatedMs != 77 {
		t.Errorf("the account of before the change came with the stamp of after it")
	}
}

func TestAnAccountOutOfDateIsReadAgainAndKept(t *testing.T) {
	t.Parallel()
	s, b, _ := near(t, 10)
	s.Told("pro-1", "usr-1", "a.1")
	view(t, s)
	b.reads = 0
	v, err := s.Again(t.Context(), "pro-1", "usr-1", "a.2")
	if err != nil || v.Stamp != "" || b.reads != 1 {
		t.Fatalf("stamp %q after %d reads, %v", v.Stamp, b.reads, err)
	}
	if v := view(t, s); v.Stamp != "a.2" || b.reads != 1 {
		t.Errorf("stamp %q after %d reads", v.Stamp, b.reads)
	}
	if v, err = s.Again(t.Context(), "pro-1", "usr-1", ""); err != nil || v.Stamp != "" {
		t.Fatal(v.Stamp, err)
	}
	if v := view(t, s); v.Stamp != "" {
		t.Errorf("kept under %q although no stamp is known", v.Stamp)
	}
}

func TestEveryChangeIsAnnounced(t *testing.T) {
	t.Parallel()
	s, b, changes := near(t, 10)
	changes.stamp = "a.1"
	if _, err := s.Update(t.Context(), "pro-1", "usr-1", rename(5)); err != nil {
		t.Fatal(err)
	}
	if v := view(t, s); v.Stamp != "" || v.Account.UpdatedMs != 5 {
		t.Errorf("after the update: stamp %q, change %d", v.Stamp, v.Account.UpdatedMs)
	}
	if v := view(t, s); v.Stamp != "a.1" || v.Account.UpdatedMs != 5 {
		t.Errorf("read after the stamp: stamp %q, change %d", v.Stamp, v.Account.UpdatedMs)
	}
	refusal := errors.New("no")
	if _, err := s.Update(t.Context(), "pro-1", "usr-1", func(*account.Account) error { return refusal }); !errors.Is(err, refusal) {
		t.Error(err)
	}
	if err := s.Create(t.Context(), full("pro-1", "usr-1")); fault.As(err).Status != http.StatusConflict {
		t.Error(err)
	}
	if len(changes.changed) != 2 || len(changes.uncertain) != 0 {
		t.Errorf("announced %v, %v uncertain", changes.changed, changes.uncertain)
	}

	b.failure = errors.New("no answer")
	if _, err := s.Update(t.Context(), "pro-1", "usr-1", rename(6)); fault.As(err).Status != http.StatusServiceUnavailable {
		t.Error(err)
	}
	if diff := cmp.Diff([]ident.UserID{"usr-1"}, changes.uncertain); diff != "" {
		t.Error(diff)
	}
	if v := view(t, s); v.Stamp != "" || v.Account.UpdatedMs != 6 {
		t.Errorf("after an update that may have been stored: stamp %q, change %d", v.Stamp, v.Account.UpdatedMs)
	}

	b.failure, changes.err = nil, fault.Unavailable(1, "cannot be announced")
	if _, err := s.Update(t.Context(), "pro-1", "usr-1", rename(7)); !errors.Is(err, changes.err) {
		t.Errorf("a change that could not be announced: %v", err)
	}
	changes.err = nil
	if err := s.Delete(t.Context(), "pro-1", "usr-1"); err != nil {
		t.Fatal(err)
	}
	if len(changes.changed) != 4 {
		t.Errorf("announced %v", changes.changed)
	}
	if _, err := s.View(t.Context(), "pro-1", "usr-1"); fault.As(err).Status != http.StatusBadRequest {
		t.Errorf("after deletion: %v", err)
	}
}

func TestWithoutRoomEveryAccountIsReadFromTheBucket(t *testing.T) {
	t.Parallel()
	s, b, _ := near(t, 0)
	for range 3 {
		s.Told("pro-1", "usr-1", "a.1")
		if v := view(t, s); v.Stamp != "" {
			t.Errorf("stamp %q", v.Stamp)
		}
	}
	if b.reads != 3 {
		t.Errorf("%d reads", b.reads)
	}
}
