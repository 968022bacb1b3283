package ceremonytest

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// WantTold checks that each change of an account is in the log exactly once, and that no account has anything left to tell.
func (st *Stack) WantTold(t *testing.T, user ident.UserID, want ...event.Type) {
	t.Helper()
	told := st.Events.Told(user)
	types := make([]event.Type, len(told))
	for i, e := range told {
		types[i] = e.Type
	}
	if fmt.Sprint(types) != fmt.Sprint(want) {
		t.Errorf("told %v, want %v", types, want)
	}
	for _, a := range st.Everyone(t) {
		if a.Unfinished() {
			t.Errorf("unfinished: %+v", a)
		}
	}
}

// Patiently does what clients do with a 503, which a busy machine has reason to answer: it calls again a while later.
func Patiently[T any](tb testing.TB, call func() (T, error)) (T, error) {
	tb.Helper()
	for {
		answer, err := call()
		var f *fault.Fault
		if !errors.As(err, &f) || f.Status != http.StatusServiceUnavailable {
			return answer, err
		}
		select {
		case <-tb.Context().Done():
			return answer, err
		case <-time.After(f.RetryAfter):
		}
	}
}

// WantField checks that err is a fault of one field, with the status and message wanted.
func WantField(tb testing.TB, err error, status int, field, message string) {
	tb.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) {
		tb.Fatalf("got %v, want a fault of %s: %s", err, field, message)
	}
	want := []fault.FieldError{{Field: field, Message: message}}
	if diff := cmp.Diff(want, f.Validation); diff != "" || f.Status != status {
		tb.Errorf("status %d, %s", f.Status, diff)
	}
}

// StatusOf returns the status of the fault that err is.
func StatusOf(err error) int { return fault.As(err).Status }

// WantStatus checks that err is a fault with the status wanted.
func WantStatus(tb testing.TB, err error, status int) {
	tb.Helper()
	if err == nil || StatusOf(err) != status {
		tb.Errorf("got %v, want status %d", err, status)
	}
}

// WantLogin checks that err asks for a login, with the details wanted.
func WantLogin(tb testing.TB, err error, details string) {
	tb.Helper()
	f := fault.As(err)
	if err == nil || f.Status != http.StatusUnauthorized || f.Type != fault.TypeLoginError || f.Details != details {
		tb.Errorf("got %v, want a 401: %s", err, details)
	}
}

// WantNoTrace checks that no bucket holds anything of the user.
func (st *Stack) WantNoTrace(t *testing.T, user ident.UserID) {
	t.Helper()
	b := st.Buckets
	for _, kv := range []jetstream.KeyValue{b.Accounts, b.Challenges, b.Marks, b.SessionIDs, b.Codes} {
		for _, key := range st.keysIn(t, kv) {
			if strings.Contains(key, string(user)) {
				t.Errorf("left over: %s", key)
			}
		}
	}
	for _, kv := range []jetstream.KeyValue{b.Index, b.Names, b.Sessions, b.Tokens, b.StepUps} {
		st.wantNowhereIn(t, kv, string(user), Email)
	}
}

// keysIn returns what a bucket holds of the project.
func (st *Stack) keysIn(t *testing.T, kv jetstream.KeyValue) []string {
	t.Helper()
	lister, err := kv.ListKeysFiltered(t.Context(), string(st.Project.ID)+".>")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for key := range lister.Keys() {
		all = append(all, key)
	}
	return all
}

// wantNowhereIn checks that no entry of the project says any of the texts.
func (st *Stack) wantNowhereIn(t *testing.T, kv jetstream.KeyValue, texts ...string) {
	t.Helper()
	for _, key := range st.keysIn(t, kv) {
		entry, err := kv.Get(t.Context(), key)
		for _, text := range texts {
			if err == nil && strings.Contains(strings.ToLower(string(entry.Value())), text) {
				t.Errorf("left over in %s: %s %s", kv.Bucket(), key, entry.Value())
			}
		}
	}
}
