package eventlog

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// TestPropertyAUsersEventsOfAllTypesAreReadInTheOrderOfTheLog appends events of several users and types, reads one user's, appends more and
// reads on.
func TestPropertyAUsersEventsOfAllTypesAreReadInTheOrderOfTheLog(t *testing.T) {
	t.Parallel()
	log := open(t)
	types := []event.Type{event.LoginError, event.LoginExplicitAbort, event.LoginCompleted, event.Deleted, event.AuthLogin, event.UserUpdated}
	var want []event.Event
	next := uint64(1)
	rapid.Check(t, func(r *rapid.T) {
		var added []event.Event
		for range rapid.IntRange(0, 6).Draw(r, "count") {
			e := some(rapid.SampledFrom([]ident.UserID{"usr-1", "usr-11", "usr-2"}).Draw(r, "user"))
			e.Type = rapid.SampledFrom(types).Draw(r, "type")
			if _, err := log.Append(t.Context(), e); err != nil {
				r.Fatal(err)
			}
			if e.User == "usr-1" && !e.Type.OfAccount() {
				added = append(added, e)
			}
		}
		want = append(want, added...)
		late, following, err := log.Read(t.Context(), "pro-1", "usr-1", next)
		if err != nil || following < next {
			r.Fatalf("next %d after %d, %v", following, next, err)
		}
		next = following
		if diff := cmp.Diff(slices.Clip(added), late); diff != "" {
			r.Fatalf("read on: %s", diff)
		}
		all, _, err := log.Read(t.Context(), "pro-1", "usr-1", 1)
		if err != nil {
			r.Fatal(err)
		}
		if diff := cmp.Diff(want, all); diff != "" {
			r.Fatalf("read anew: %s", diff)
		}
	})
}
