package event_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// drawLive draws events that a set may be made of, and no deletion.
func drawLive(t *rapid.T) []event.Event {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) event.Event {
		return event.Event{
			ID:        ident.EventID(rapid.SampledFrom([]string{"pke-1", "pke-2", "pke-3", "pke-4", "pke-5", "pke-6"}).Draw(t, "id")),
			CreatedMs: rapid.Int64Range(0, 3).Draw(t, "created"),
			Expires:   rapid.Int64Range(0, 1).Draw(t, "expires"),
			Challenge: rapid.SampledFrom([]string{"", "a+b", "a-b"}).Draw(t, "challenge"),
			Ceremony:  rapid.SampledFrom([]ident.ChallengeID{"", "was-1"}).Draw(t, "ceremony"),
			Type: rapid.SampledFrom([]event.Type{
				event.LoginCompleted, event.AppendCompleted, event.LoginError, event.LoginExplicitAbort, event.LoginNoCredentials,
				event.AppendExplicitAbort, event.AppendError, event.AppendOffered,
			}).Draw(t, "type"),
		}
	}), 0, 10).Draw(t, "events")
}

func TestASetThatGrowsIsTheSetOfAllItsEvents(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		events := drawLive(t)
		var grown event.Set
		for i, e := range events {
			before := grown
			grown = grown.With(e)
			if diff := cmp.Diff(event.NewSet(events[:i]).Live(), before.Live(), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("the set before has changed: %s", diff)
			}
		}
		if diff := cmp.Diff(event.NewSet(events).Live(), grown.Live(), cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
		if a, b := event.NewSet(events).Tally(), grown.Tally(); a.Events != grown.Len() || a.Events != b.Events || a.Hash() != b.Hash() {
			t.Fatalf("%+v and %+v of %d", a, b, grown.Len())
		}
	})
}

func TestPartsOfASetAreItsEventsOfSomeTypes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		set := event.NewSet(drawLive(t))
		for name, part := range map[string]struct {
			got  []*event.Event
			want []event.Type
		}{
			"of a type":   {set.Of(event.AppendOffered), []event.Type{event.AppendOffered}},
			"successes":   {set.Successes(), []event.Type{event.LoginCompleted, event.AppendCompleted}},
			"failures":    {set.Failures(), []event.Type{event.LoginError, event.LoginExplicitAbort}},
			"declines":    {set.Declines(), []event.Type{event.AppendExplicitAbort, event.AppendError}},
			"tried":       {set.Tried(), []event.Type{event.LoginCompleted, event.LoginError, event.LoginExplicitAbort, event.LoginNoCredentials}},
			"of no event": {set.Of(event.Deleted), nil},
		} {
			want := slices.DeleteFunc(set.Live(), func(e event.Event) bool { return !slices.Contains(part.want, e.Type) })
			if diff := cmp.Diff(want, values(part.got), cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
		}
		expiring := slices.DeleteFunc(set.Live(), func(e event.Event) bool { return e.Expires == 0 })
		if diff := cmp.Diff(expiring, values(set.Expiring()), cmpopts.EquateEmpty()); diff != "" {
			t.Fatalf("expiring: %s", diff)
		}
		for kind, got := range map[event.Type]map[string]bool{event.LoginCompleted: set.LoggedIn(), event.AppendCompleted: set.Created()} {
			want := map[string]bool{}
			for _, e := range set.Of(kind) {
				want[e.Prompt()] = true
			}
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Fatalf("prompts of %s: %s", kind, diff)
			}
		}
	})
}

func values(events []*event.Event) []event.Event {
	all := make([]event.Event, len(events))
	for i, e := range events {
		all[i] = *e
	}
	return all
}

func TestASetMayBeAskedByManyAtOnce(t *testing.T) {
	t.Parallel()
	set := event.NewSet([]event.Event{{ID: "pke-1", Type: event.LoginError}, {ID: "pke-2", Type: event.LoginCompleted, Challenge: "c"}})
	var askers sync.WaitGroup
	for range 8 {
		askers.Go(func() {
			if len(set.Failures()) != 1 || !set.LoggedIn()["c"] || set.Len() != 2 {
				t.Error("not what it was made of")
			}
		})
	}
	askers.Wait()
	if empty := (event.Set{}); empty.Len() != 0 || empty.Of(event.LoginError) != nil || empty.LoggedIn()["c"] || empty.Expiring() != nil {
		t.Error("the empty set has something")
	}
}
