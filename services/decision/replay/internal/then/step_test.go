package then_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/replay/internal/then"
)

func TestAPasskeyIsJoinedToTheOfferThatMadeItAndToItsFirstUse(t *testing.T) {
	t.Parallel()
	offer := event.Event{ID: "pke-1", Type: event.AppendOffered, Decision: "dec-1", Ceremony: "was-1", CreatedMs: 1}
	made := event.Event{ID: "pke-3", Type: event.AppendCompleted, Ceremony: "was-1", Credential: "cre-1", CreatedMs: 3}
	other := []event.Event{
		{ID: "pke-0", Type: event.LoginCompleted, Credential: "cre-1", CreatedMs: 0},
		{ID: "pke-2", Type: event.AppendOffered, Decision: "dec-2", Ceremony: "was-2", CreatedMs: 2},
		{ID: "pke-4", Type: event.LoginCompleted, Credential: "cre-2", CreatedMs: 4},
	}
	first := event.Event{ID: "pke-5", Type: event.LoginCompleted, Credential: "cre-1", CreatedMs: 5}
	again := event.Event{ID: "pke-6", Type: event.LoginCompleted, Credential: "cre-1", CreatedMs: 6}
	declined := event.Event{ID: "pke-7", Type: event.AppendExplicitAbort, Ceremony: "was-1", CreatedMs: 2}
	for name, c := range map[string]struct {
		events []event.Event
		want   []string
	}{
		"made and used":      {append(slices.Clone(other), again, first, made, offer), []string{"pke-1", "pke-3", "pke-5"}},
		"made and not used":  {append(slices.Clone(other), made, offer), []string{"pke-1", "pke-3"}},
		"declined":           {append(slices.Clone(other), declined, offer), []string{"pke-1", "pke-7"}},
		"not answered":       {append(slices.Clone(other), offer), []string{"pke-1"}},
		"of no such offer":   {other, nil},
		"of nobody's events": {nil, nil},
	} {
		var got []string
		for _, s := range then.Steps("dec-1", event.NewSet(c.events)) {
			got = append(got, string(s.Event))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
