package account_test

import (
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

func store(t *testing.T) *account.Store {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	return account.NewStore(kv)
}

func full(project ident.ProjectID, user ident.UserID) account.Account {
	name := "Ada"
	return account.Account{
		Project: project, ID: user, FullName: &name, Status: account.StatusActive, UserHandle: []byte{1, 2, 3}, CreatedMs: 1, UpdatedMs: 2,
		Credentials: []account.Credential{{
			ID: "cre-1", CredentialID: []byte{4}, PublicKey: []byte{5}, AAGUID: "a", Transports: []string{"internal"}, Attachment: "platform",
			BackupEligible: true, BackupState: true, UserVerified: true, SignCount: 7, RPID: "localhost", Username: "ada", CreatedOS: "macOS",
			CreatedBrowser: "Safari", Environment: "env-1", CreatedMs: 3, LastUsedMs: 4, UsedOn: []string{"iOS"},
		}},
		Deleted:      []account.Tombstone{{ID: "cre-2", CredentialID: []byte{6}, DeletedMs: 5}},
		Environments: []account.Environment{{ID: "env-1", OSName: "macOS", BrowserName: "Safari", CreatedMs: 6, LastSeenMs: 7}},
	}
}

func TestAnAccountIsReadAsItWasStored(t *testing.T) {
	t.Parallel()
	s := store(t)
	want := full("pro-1", "usr-1")
	if err := s.Create(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	got, _, err := s.Get(t.Context(), "pro-1", "usr-1")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if err := s.Create(t.Context(), want); fault.As(err).Status != http.StatusConflict {
		t.Errorf("created twice: %v", err)
	}
}

func TestAnAccountIsInReachOfItsOwnProjectOnly(t *testing.T) {
	t.Parallel()
	s := store(t)
	for _, a := range []account.Account{full("pro-1", "usr-1"), full("pro-1", "usr-2"), full("pro-2", "usr-3")} {
		if err := s.Create(t.Context(), a); err != nil {
			t.Fatal(err)
		}
	}
	for _, user := range []ident.UserID{"usr-3", "usr-9", "*", ">", "usr-1.x", ""} {
		_, _, err := s.Get(t.Context(), "pro-1", user)
		if f := fault.As(err); f.Status != http.StatusBadRequest || f.Validation[0].Field != "userID" {
			t.Errorf("%q: got %v", user, err)
		}
	}
	seen := map[ident.UserID]bool{}
	if err := s.All(t.Context(), "pro-1", func(a account.Account) bool { seen[a.ID] = true; return true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[ident.UserID]bool{"usr-1": true, "usr-2": true}, seen); diff != "" {
		t.Error(diff)
	}
}

func TestNoConcurrentChangeIsLost(t *testing.T) {
	t.Parallel()
	s := store(t)
	if err := s.Create(t.Context(), account.Account{Project: "pro-1", ID: "usr-1"}); err != nil {
		t.Fatal(err)
	}
	const writers = 20
	var all sync.WaitGroup
	for range writers {
		all.Go(func() {
			if _, err := s.Update(t.Context(), "pro-1", "usr-1", func(a *account.Account) error { a.UpdatedMs++; return nil }); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	got, _, err := s.Get(t.Context(), "pro-1", "usr-1")
	if err != nil || got.UpdatedMs != writers {
		t.Errorf("got %d changes, want %d: %v", got.UpdatedMs, writers, err)
	}
}

func TestAChangeThatIsRefusedStoresNothing(t *testing.T) {
	t.Parallel()
	s := store(t)
	if err := s.Create(t.Context(), full("pro-1", "usr-1")); err != nil {
		t.Fatal(err)
	}
	refusal := errors.New("no")
	_, err := s.Update(t.Context(), "pro-1", "usr-1", func(a *account.Account) error { a.Status = account.StatusDisabled; return refusal })
	if !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	if got, _, _ := s.Get(t.Context(), "pro-1", "usr-1"); got.Status != account.StatusActive {
		t.Errorf("status %s", got.Status)
	}
	if err := s.Delete(t.Context(), "pro-1", "usr-1"); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Get(t.Context(), "pro-1", "usr-1"); fault.As(err).Status != http.StatusBadRequest {
		t.Errorf("after deletion: %v", err)
	}
}

func TestAUserWhoIsBeingDeletedIsSeenOnlyByThoseWhoDoIt(t *testing.T) {
	t.Parallel()
	s := store(t)
	for _, user := range []ident.UserID{"usr-1", "usr-2"} {
		if err := s.Create(t.Context(), full("pro-1", user)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Amend(t.Context(), "pro-1", "usr-1", true, func(a *account.Account) error { a.Erasing = true; return nil }); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"read":   func() error { _, _, err := s.Get(t.Context(), "pro-1", "usr-1"); return err },
		"viewed": func() error { _, err := s.View(t.Context(), "pro-1", "usr-1"); return err },
		"changed": func() error {
			_, err := s.Update(t.Context(), "pro-1", "usr-1", func(*account.Account) error { t.Error("asked for a change"); return nil })
			return err
		},
	} {
		f := fault.As(call())
		if diff := cmp.Diff(fault.Unknown("userID").Validation, f.Validation); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
	var listed []ident.UserID
	if err := s.All(t.Context(), "pro-1", func(a account.Account) bool { listed = append(listed, a.ID); return true }); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]ident.UserID{"usr-2"}, listed); diff != "" {
		t.Error(diff)
	}
	a, _, err := s.Inspect(t.Context(), "pro-1", "usr-1")
	if err != nil || !a.Erasing || !a.Unfinished() {
		t.Errorf("got %+v, %v", a, err)
	}
	if err := s.Create(t.Context(), full("pro-1", "usr-1")); fault.As(err).Status != http.StatusConflict {
		t.Errorf("created while it is being deleted: %v", err)
	}
}
