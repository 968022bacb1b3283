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
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// told keeps what a store announced, and answers with a stamp or an error.
type told struct {
	changed, uncertain []ident.UserID
	stamp              string
	alone              bool // the stamp is known to hold without asking
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

func (c *told) AccountVouched(_ context.Context, _ ident.ProjectID, _ ident.UserID, stamp string) bool {
	return c.alone && stamp == c.stamp
}

func (c *told) AccountUsed(_ context.Context, _ ident.ProjectID, user ident.UserID, stamp string) string {
	if !c.alone || stamp != c.stamp {
		return ""
	}
	c.changed = append(c.changed, user)
	c.stamp += ".1"
	return c.stamp
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

func present(t *testing.T, s *account.Store) account.Account {
	t.Helper()
	a, err := s.Present(t.Context(), "pro-1", "usr-1")
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// kept returns a store that has the account in memory under a stamp that holds.
func kept(t *testing.T, alone bool) (*account.Store, *bucket, *told) {
	t.Helper()
	s, b, changes := near(t, 10)
	changes.stamp, changes.alone = "a.1", alone
	s.Told("pro-1", "usr-1", "a.1")
	view(t, s)
	b.reads = 0
	return s, b, changes
}

func TestAnAccountIsPresentInMemoryAsLongAsItsStampIsKnownToHold(t *testing.T) {
	t.Parallel()
	update := func(t *testing.T, s *account.Store, changes *told) {
		if changes.stamp != "" {
			changes.stamp += ".1" // every change has another
		}
		if _, err := s.Update(t.Context(), "pro-1", "usr-1", rename(77)); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(*testing.T, *account.Store, *told) {}
	unstamped := func(t *testing.T, s *account.Store, changes *told) {
		changes.stamp = ""
		update(t, s, changes)
	}
	for name, c := range map[string]struct {
		elsewhere bool // others have to be asked whether the stamp holds
		happens   func(t *testing.T, s *account.Store, changes *told)
		reads     int // of the bucket, beside those that happen
		updatedMs int64
	}{
		"nothing happened":        {happens: nothing, updatedMs: 2},
		"others have to be asked": {elsewhere: true, happens: nothing, reads: 1, updatedMs: 2},
		"another stamp holds":     {happens: func(_ *testing.T, _ *account.Store, c *told) { c.stamp = "a.2" }, reads: 1, updatedMs: 2},
		"it changed":              {happens: update, reads: 1, updatedMs: 77},
		"it changed and was read": {happens: func(t *testing.T, s *account.Store, c *told) { update(t, s, c); view(t, s) }, updatedMs: 77},
		"no stamp is known then":  {happens: unstamped, reads: 1, updatedMs: 77},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b, changes := kept(t, !c.elsewhere)
			c.happens(t, s, changes)
			b.reads = 0
			if a := present(t, s); a.UpdatedMs != c.updatedMs || b.reads != c.reads {
				t.Errorf("changed %d, after %d reads", a.UpdatedMs, b.reads)
			}
		})
	}
}

func TestAnAccountOfWhichAWriteMayBeUnderWayIsReadFromTheBucket(t *testing.T) {
	t.Parallel()
	s, b, changes := kept(t, true)
	b.failure = errors.New("no answer")
	if _, err := s.Update(t.Context(), "pro-1", "usr-1", rename(6)); err == nil {
		t.Fatal("the write was to fail")
	}
	b.failure, changes.stamp = nil, "a.2"
	s.Told("pro-1", "usr-1", "a.2")
	if v := view(t, s); v.Stamp != "" {
		t.Errorf("read just now, with stamp %q", v.Stamp)
	}
	if v := view(t, s); v.Stamp != "a.2" {
		t.Errorf("a decision gets it under stamp %q", v.Stamp)
	}
	for _, stamp := range []string{"", "a.3", "a.3"} {
		changes.stamp = stamp
		s.Told("pro-1", "usr-1", stamp)
		view(t, s)
		b.reads = 0
		if present(t, s); b.reads != 1 {
			t.Errorf("stamp %q: read %d times", stamp, b.reads)
		}
	}
}

func TestWhatIsPresentIsNobodyElses(t *testing.T) {
	t.Parallel()
	s, b, _ := kept(t, true)
	a := present(t, s)
	a.Credentials[0].CloneWarning, a.Environments[0].LastSeenMs = true, 99
	if _, err := s.Used(t.Context(), "pro-1", "usr-1", event.Found{}, func(a *account.Account) error {
		a.Credentials[0].SignCount = 99
		return nil
	}); err != nil || b.reads != 0 {
		t.Fatalf("after %d reads: %v", b.reads, err)
	}
	want := full("pro-1", "usr-1")
	if diff := cmp.Diff(want, present(t, s)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&want, view(t, s).Account); diff != "" {
		t.Error(diff)
	}
}

func TestALoginSeesTheAccountAsItWasStoredBeforeItIsAnnounced(t *testing.T) {
	t.Parallel()
	for name, alone := range map[string]bool{"in one process": true, "where others have to be asked": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, _, changes := kept(t, alone)
			changes.stamp = "a.2"
			if _, err := s.Update(t.Context(), "pro-1", "usr-1", rename(77)); err != nil {
				t.Fatal(err)
			}
			changes.changed = nil
			a, err := s.Used(t.Context(), "pro-1", "usr-1", loginAt(9), func(*account.Account) error { return nil })
			if err != nil || a.UpdatedMs != 77 || len(changes.changed) != 1 {
				t.Errorf("changed %d, announced %v, %v", a.UpdatedMs, changes.changed, err)
			}
			gone := errors.New("no")
			if _, err := s.Used(t.Context(), "pro-1", "usr-1", loginAt(9), func(*account.Account) error { return gone }); !errors.Is(err, gone) {
				t.Error(err)
			}
		})
	}
}

// loginAt is a login that is all that an account lacks which knows none. Its counter is its place in the log.
func loginAt(sequence uint64) event.Found {
	return event.Found{Sequence: sequence, Event: event.Event{
		Type: event.LoginCompleted, Credential: "cre-1", Use: &event.Use{Counter: uint32(sequence), After: new(uint64)},
		CreatedMs: 50,
	}}
}

func TestMemoryHasTheAccountAfterALoginWithoutReadingIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		logins  []uint64 // in the order in which they are announced
		between func(t *testing.T, s *account.Store, changes *told)
		want    uint64 // the login that the account knows
		reads   int
	}{
		"one login":                            {logins: []uint64{9}, want: 9},
		"the next":                             {logins: []uint64{9, 12}, want: 12},
		"one that is announced after the next": {logins: []uint64{12, 9}, want: 12},
		"another change was announced before": {logins: []uint64{9}, reads: 2, between: func(t *testing.T, s *account.Store, changes *told) {
			changes.stamp = "b.1"
			if _, err := s.Update(t.Context(), "pro-1", "usr-1", rename(77)); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, b, changes := kept(t, true)
			if c.between != nil {
				c.between(t, s, changes)
			}
			b.reads = 0
			for _, sequence := range c.logins {
				if _, err := s.Used(t.Context(), "pro-1", "usr-1", loginAt(sequence), func(*account.Account) error { return nil }); err != nil {
					t.Fatal(err)
				}
			}
			v := view(t, s)
			if v.Account.UsedTo != c.want || b.reads != c.reads || (v.Stamp == changes.stamp) != (c.reads == 0) {
				t.Errorf("it knows the login at %d under stamp %q of %q, after %d reads", v.Account.UsedTo, v.Stamp, changes.stamp, b.reads)
			}
			if c.want != 0 && uint64(v.Account.Credentials[0].SignCount) != c.want {
				t.Errorf("counter %d", v.Account.Credentials[0].SignCount)
			}
			if a := present(t, s); c.want != 0 && a.UsedTo != 0 {
				t.Errorf("what is stored knows the login at %d", a.UsedTo)
			}
		})
	}
}

// lacks is a log of which an account lacks a login.
type lacks struct{ login event.Found }

func (l lacks) Logins(context.Context, ident.ProjectID, ident.UserID, uint64) ([]event.Found, error) {
	return []event.Found{l.login}, nil
}

func TestWhatIsPresentLacksTheLoginsThatTheStoredAccountLacks(t *testing.T) {
	t.Parallel()
	_, b, changes := near(t, 10)
	changes.stamp, changes.alone = "a.1", true
	login := loginAt(9)
	s, err := account.Open(account.Deps{Bucket: b, Changes: changes, Logins: lacks{login}, Metrics: prometheus.NewRegistry()}, 10)
	if err != nil {
		t.Fatal(err)
	}
	s.Told("pro-1", "usr-1", "a.1")
	view(t, s)
	if v := view(t, s); v.Account.UsedTo != 9 || v.Account.Credentials[0].SignCount != 9 {
		t.Errorf("a decision is made on %+v", v.Account)
	}
	b.reads = 0
	if diff := cmp.Diff(full("pro-1", "usr-1"), present(t, s)); diff != "" || b.reads != 0 {
		t.Errorf("after %d reads: %s", b.reads, diff)
	}
}
