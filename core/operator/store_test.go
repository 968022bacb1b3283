package operator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/operator"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func openBus(t *testing.T) *bus.Bus {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func openBucket(t *testing.T, b *bus.Bus) jetstream.KeyValue {
	t.Helper()
	bucket, err := kv.Open(t.Context(), b.JS, bus.OperatorsBucket)
	if err != nil {
		t.Fatal(err)
	}
	return bucket
}

// open returns a store that is followed until the test ends.
func open(t *testing.T, bucket jetstream.KeyValue) *operator.Store {
	t.Helper()
	s, err := operator.NewStore(t.Context(), bucket, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s
}

func made(t *testing.T, name string, lifetime time.Duration) (operator.Operator, string) {
	t.Helper()
	o, text, err := operator.New(
		operator.Wanted{Name: name, Role: operator.Author, Lifetime: lifetime, By: "keyward operator create"}, now,
	)
	if err != nil {
		t.Fatal(err)
	}
	return o, text
}

func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(10 * time.Second); !met(); <-tick.C {
		if time.Now().After(end) {
			t.Fatal(what)
		}
	}
}

func TestATokenOpensUntilItExpiresOrIsRevokedOnEveryInstance(t *testing.T) {
	t.Parallel()
	bucket := openBucket(t, openBus(t))
	here, there := open(t, bucket), open(t, bucket)
	told := &audit{}
	here.TellTo(told)
	ada, adas := made(t, "Ada", 0)
	bob, bobs := made(t, "Bob", time.Hour)
	for _, o := range []operator.Operator{ada, bob} {
		if err := here.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range map[string]*operator.Store{"here": here, "there": there} {
		if got, err := s.Authenticate(t.Context(), adas, now.AddDate(1, 0, 0)); err != nil || got.ID != ada.ID || got.Role != operator.Author {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if _, err := s.Authenticate(t.Context(), bobs, now.Add(time.Hour)); !errors.Is(err, operator.ErrExpired) {
			t.Errorf("%s: of one that has expired: %v", name, err)
		}
		token, _ := operator.ParseToken(bobs)
		for what, text := range map[string]string{
			"another secret":   (operator.Token{ID: bob.ID, Secret: strings.Repeat("A", 26)}).Text(),
			"another operator": (operator.Token{ID: ada.ID, Secret: token.Secret}).Text(),
			"nobody's":         (operator.Token{ID: "opr-1", Secret: token.Secret}).Text(),
			"no token":         "kwk1_1_2_3",
		} {
			if got, err := s.Authenticate(t.Context(), text, now); !errors.Is(err, operator.ErrWrong) {
				t.Errorf("%s: %s: %v, %v", name, what, got, err)
			}
		}
	}
	if got, err := here.Revoke(t.Context(), ada.ID, now); err != nil || got.Name != "Ada" {
		t.Fatal(got, err)
	}
	if _, err := here.Authenticate(t.Context(), adas, now); !errors.Is(err, operator.ErrWrong) {
		t.Errorf("after it was revoked: %v", err)
	}
	until(t, "the revocation did not arrive", func() bool {
		_, err := there.Authenticate(t.Context(), adas, now)
		return errors.Is(err, operator.ErrWrong)
	})
	if _, err := here.Revoke(t.Context(), ada.ID, now); !errors.Is(err, operator.ErrUnknown) {
		t.Errorf("a second time: %v", err)
	}
	if _, err := here.Revoke(t.Context(), "*", now); !errors.Is(err, operator.ErrUnknown) {
		t.Errorf("of what is no ID: %v", err)
	}
	until(t, "the list is another one there", func() bool { l := there.List(); return len(l) == 1 && l[0].ID == bob.ID })
	if got, want := fmt.Sprint(*told), fmt.Sprintf("[+%s +%s -%s]", ada.ID, bob.ID, ada.ID); got != want {
		t.Errorf("told %s, want %s", got, want)
	}
}

// audit is what was told of changes.
type audit []string

func (a *audit) OperatorChanged(_ context.Context, before, after *operator.Operator) {
	if before == nil {
		*a = append(*a, "+"+string(after.ID))
		return
	}
	*a = append(*a, "-"+string(before.ID))
}

// What a version of Keyward has stored, later ones read.
func TestAnOperatorOfAnOlderVersionIsRead(t *testing.T) {
	t.Parallel()
	bucket := openBucket(t, openBus(t))
	raw, err := os.ReadFile("testdata/v1.json")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bucket.Put(t.Context(), "opr-7", raw); err != nil {
		t.Fatal(err)
	}
	token := operator.Token{ID: "opr-7", Secret: "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
	got, err := open(t, bucket).Authenticate(t.Context(), token.Text(), now)
	if err != nil || got.Name != "Ada" || got.Role != operator.Approver || got.CreatedMs != 1_700_000_000_000 || got.ExpiresMs != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestAnOperatorThatCannotBeReadIsNobodyAndCanBeRevoked(t *testing.T) {
	t.Parallel()
	bucket := openBucket(t, openBus(t))
	o, text := made(t, "Ada", 0)
	s := open(t, bucket)
	if err := s.Create(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	for what, spoil := range map[string]func(*operator.Operator){
		"of a newer version":              func(o *operator.Operator) { o.Schema++ },
		"of no version":                   func(o *operator.Operator) { o.Schema = 0 },
		"with a role that nobody knows":   func(o *operator.Operator) { o.Role = "owner" },
		"with a role that it is not told": func(o *operator.Operator) { o.Role = "" },
	} {
		spoilt := o
		spoil(&spoilt)
		raw, err := json.Marshal(spoilt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bucket.Put(t.Context(), string(o.ID), raw); err != nil {
			t.Fatal(err)
		}
		until(t, "one "+what+" is let in", func() bool {
			_, err := s.Authenticate(t.Context(), text, now)
			return errors.Is(err, operator.ErrWrong)
		})
		if len(open(t, bucket).List()) != 0 {
			t.Errorf("one %s is listed", what)
		}
	}
	if _, err := s.Revoke(t.Context(), o.ID, now); err != nil {
		t.Error(err)
	}
	if _, err := bucket.Get(t.Context(), string(o.ID)); !errors.Is(err, jetstream.ErrKeyNotFound) {
		t.Errorf("it is still there: %v", err)
	}
}

// A bucket that cannot be reached says nothing about a token.
func TestWithoutTheBucketATokenThatIsNotKnownIsNotSaidToBeWrong(t *testing.T) {
	t.Parallel()
	b := openBus(t)
	s, err := operator.NewStore(t.Context(), openBucket(t, b), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	known, knowns := made(t, "Ada", 0)
	if err := s.Create(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	b.Close()
	if _, err := s.Authenticate(t.Context(), knowns, now); err != nil {
		t.Errorf("one that is known: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, unknown := made(t, "Bob", 0)
	if _, err := s.Authenticate(ctx, unknown, now); !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("one that is not: %v", err)
	}
}

// admins makes so many, of whom each is the name's.
func admins(t *testing.T, s *operator.Store, names ...string) []operator.Operator {
	t.Helper()
	var all []operator.Operator
	for _, name := range names {
		o, _, err := operator.New(operator.Wanted{Name: name, Role: operator.Admin}, now)
		if err == nil {
			err = s.Create(t.Context(), o)
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

func TestTheLastAdminIsNotRevokedButByForce(t *testing.T) {
	t.Parallel()
	bucket := openBucket(t, openBus(t))
	s := open(t, bucket)
	both := admins(t, s, "Ada", "Bob")
	// None of these could make an operator.
	create(t, s, "an author", 0)
	expired, _, err := operator.New(operator.Wanted{Name: "Eve", Role: operator.Admin, Lifetime: time.Second}, now.Add(-time.Hour))
	limited, _, limitedErr := operator.New(operator.Wanted{Name: "Lou", Role: operator.Admin, Projects: []ident.ProjectID{"pro-1"}}, now)
	if err := errors.Join(err, limitedErr, s.Create(t.Context(), expired), s.Create(t.Context(), limited)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Revoke(t.Context(), both[0].ID, now); err != nil {
		t.Fatal(err)
	}
	_, err = s.Revoke(t.Context(), both[1].ID, now)
	if !errors.Is(err, operator.ErrLastAdmin) || fault.As(err).Status != 409 || !strings.Contains(err.Error(), "Make another admin first") {
		t.Errorf("the last: %v", err)
	}
	if _, err := s.Find(t.Context(), both[1].ID); err != nil {
		t.Errorf("it is gone: %v", err)
	}
	for _, o := range []operator.Operator{expired, limited} {
		if _, err := s.Revoke(t.Context(), o.ID, now); err != nil {
			t.Errorf("%s: %v", o.Name, err)
		}
	}
	cleo := admins(t, s, "Cleo")[0]
	if _, err := s.Revoke(t.Context(), both[1].ID, now); err != nil {
		t.Errorf("with another: %v", err)
	}
	if gone, err := s.RevokeAnyway(t.Context(), cleo.ID); err != nil || !gone.Forced {
		t.Errorf("by force: %+v, %v", gone, err)
	}
}

// However many admins are revoked at the same moment, on whichever instances, one is left.
func TestOfAdminsWhoAreRevokedAtTheSameMomentOneIsLeft(t *testing.T) {
	t.Parallel()
	bucket := openBucket(t, openBus(t))
	here, there := open(t, bucket), open(t, bucket)
	for round := range 5 {
		all := admins(t, here, "Ada", "Bob", "Cleo", "Dan")
		var wait sync.WaitGroup
		outcomes := make([]error, len(all))
		for i, o := range all {
			at := here
			if i%2 == 1 {
				at = there
			}
			wait.Go(func() { _, outcomes[i] = at.Revoke(t.Context(), o.ID, now) })
		}
		wait.Wait()
		left := 0
		for i, err := range outcomes {
			switch {
			case errors.Is(err, operator.ErrLastAdmin):
				left++
				if _, err := here.RevokeAnyway(t.Context(), all[i].ID); err != nil {
					t.Fatal(err)
				}
			case err != nil:
				t.Fatal(err)
			}
		}
		if left != 1 {
			t.Fatalf("round %d: %d are left: %v", round, left, outcomes)
		}
	}
}
