package folding_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/ledger"
	"github.com/keyward/keyward/services/ceremony/internal/folding"
)

const project = ident.ProjectID("pro-1")

// installation is a store of accounts and a log.
type installation struct {
	ledger.Ledger
	accounts *account.Store
	bucket   jetstream.KeyValue // of accounts
	come     jetstream.KeyValue
	now      time.Time
	read     int // logins
}

func (i *installation) Logins(_ context.Context, project ident.ProjectID, user ident.UserID, known uint64) ([]event.Found, error) {
	return i.Ledger.Logins(project, user, known), nil
}

func (i *installation) EachLogin(_ context.Context, after uint64, visit func(ident.ProjectID, ident.UserID, uint64) error) error {
	for _, login := range i.Everyone(after) {
		i.read++
		if err := visit(login.Project, login.User, login.Sequence); err != nil {
			return err
		}
	}
	return nil
}

func open(t *testing.T, users ...ident.UserID) *installation {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	i := &installation{now: time.UnixMilli(1_000_000_000)}
	for name, into := range map[string]*jetstream.KeyValue{bus.AccountsBucket: &i.bucket, bus.IntegrityBucket: &i.come} {
		if *into, err = b.Bucket(t.Context(), name); err != nil {
			t.Fatal(err)
		}
	}
	i.accounts = account.NewStore(i.bucket).With(i)
	for _, user := range users {
		made := account.Account{Project: project, ID: user, Credentials: []account.Credential{{ID: "cre-1"}}}
		if err := i.accounts.Create(t.Context(), made); err != nil {
			t.Fatal(err)
		}
	}
	return i
}

func (i *installation) logIn(user ident.UserID, counter uint32) {
	i.Put(event.Event{
		ID: ident.NewEventID(), Project: project, User: user, Type: event.LoginCompleted, CreatedMs: i.now.UnixMilli(), Credential: "cre-1",
		Use: &event.Use{Counter: counter},
	}, "")
}

// fold has an instance fold whose accounts are in a bucket.
func (i *installation) fold(t *testing.T, bucket jetstream.KeyValue) error {
	t.Helper()
	return folding.New(folding.Deps{
		Accounts: account.NewStore(bucket).With(i), Log: i, Bucket: i.come, Now: func() time.Time { return i.now },
		Logger: slog.New(slog.DiscardHandler),
	}).Fold(t.Context())
}

// counter is what the stored account of a user has.
func (i *installation) counter(t *testing.T, user ident.UserID) uint32 {
	t.Helper()
	a, _, err := i.accounts.Stored(t.Context(), project, user)
	if err != nil {
		t.Fatal(err)
	}
	return a.Credentials[0].SignCount
}

func TestAccountsMoveForwardOnceForAllLogins(t *testing.T) {
	t.Parallel()
	i := open(t, "usr-1", "usr-2")
	i.logIn("usr-1", 1)
	i.logIn("usr-gone", 1)
	i.logIn("usr-1", 2)
	for range 3 { // by as many instances
		if err := i.fold(t, i.bucket); err != nil {
			t.Fatal(err)
		}
	}
	if i.counter(t, "usr-1") != 2 || i.read != 3 {
		t.Errorf("it has counter %d after %d logins were read", i.counter(t, "usr-1"), i.read)
	}
	e, err := i.bucket.Get(t.Context(), string(project)+".usr-1")
	if err != nil || e.Revision() != 3 {
		t.Errorf("the account was written more than once: %v", err)
	}
	i.logIn("usr-2", 7)
	if err := i.fold(t, i.bucket); err != nil || i.counter(t, "usr-2") != 0 {
		t.Errorf("it was not yet time: %v", err)
	}
	i.now = i.now.Add(time.Hour)
	if err := i.fold(t, i.bucket); err != nil || i.counter(t, "usr-2") != 7 || i.read != 4 {
		t.Errorf("it was time: %v, %d read", err, i.read)
	}
}

// away is a bucket that takes some writes and then none.
type away struct {
	jetstream.KeyValue
	left int
}

func (a *away) Update(ctx context.Context, key string, value []byte, last uint64) (uint64, error) {
	if a.left--; a.left < 0 {
		return 0, nats.ErrConnectionClosed
	}
	return a.KeyValue.Update(ctx, key, value, last)
}

func TestWhatAnInstanceDidNotComeToIsDoneByTheNext(t *testing.T) {
	t.Parallel()
	users := []ident.UserID{"usr-1", "usr-2", "usr-3"}
	i := open(t, users...)
	for _, user := range users {
		i.logIn(user, 5)
	}
	if err := i.fold(t, &away{i.bucket, 1}); err == nil {
		t.Fatal("the store was away, and nobody was told")
	}
	if err := i.fold(t, i.bucket); err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		if got := i.counter(t, user); got != 5 {
			t.Errorf("%s has counter %d", user, got)
		}
	}
}

func TestALongWayIsNotGoneTwice(t *testing.T) {
	t.Parallel()
	const many = 10_000
	i := open(t, "usr-1", "usr-2")
	for counter := range uint32(many) {
		i.logIn("usr-1", counter+1)
	}
	i.logIn("usr-2", 5)
	if err := i.fold(t, &away{i.bucket, 1}); err == nil {
		t.Fatal("the store was away, and nobody was told")
	}
	i.read = 0
	if err := i.fold(t, i.bucket); err != nil || i.read != 1 {
		t.Errorf("%d logins were read again: %v", i.read, err)
	}
	if i.counter(t, "usr-1") != many || i.counter(t, "usr-2") != 5 {
		t.Errorf("they have counters %d and %d", i.counter(t, "usr-1"), i.counter(t, "usr-2"))
	}
}

func TestAnAccountThatCannotBeReadKeepsNoOtherFromMoving(t *testing.T) {
	t.Parallel()
	i := open(t, "usr-1", "usr-2")
	if _, err := i.bucket.Put(t.Context(), string(project)+".usr-1", []byte("{")); err != nil {
		t.Fatal(err)
	}
	i.logIn("usr-1", 1)
	i.logIn("usr-2", 1)
	if err := i.fold(t, i.bucket); err != nil || i.counter(t, "usr-2") != 1 {
		t.Errorf("got %v", err)
	}
}

func TestFoldingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	i := open(t)
	ctx, stop := context.WithCancelCause(t.Context())
	stop(errors.New("the test is over"))
	folding.New(folding.Deps{
		Accounts: i.accounts, Log: i, Bucket: i.come, Now: func() time.Time { return i.now }, Logger: slog.New(slog.DiscardHandler),
	}).Run(ctx)
}
