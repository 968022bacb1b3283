package event_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

func TestSetAppliesDeletions(t *testing.T) {
	t.Parallel()
	a := event.Event{ID: "pke-1", CreatedMs: 20, Type: event.LoginError}
	b := event.Event{ID: "pke-2", CreatedMs: 10, Type: event.LoginError}
	c := event.Event{ID: "pke-3", CreatedMs: 10, Type: event.LoginError}
	deleteA := event.Event{ID: "pke-4", CreatedMs: 5, Type: event.Deleted, Deletes: "pke-1"}
	for _, test := range []struct {
		name   string
		events []event.Event
		want   []event.Event
	}{
		{"nothing", nil, []event.Event{}},
		{"oldest first, ties by ID", []event.Event{a, c, b}, []event.Event{b, c, a}},
		{"each once", []event.Event{a, b, a, b}, []event.Event{b, a}},
		{"a deletion wins", []event.Event{a, b, deleteA}, []event.Event{b}},
		{"also if it came first and twice", []event.Event{deleteA, deleteA, b, a, a}, []event.Event{b}},
		{"a deletion of what never came is not shown", []event.Event{deleteA}, []event.Event{}},
		{"a deletion cannot be deleted", []event.Event{a, deleteA, {ID: "pke-5", Type: event.Deleted, Deletes: "pke-4"}}, []event.Event{}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, event.NewSet(test.events).Live()); diff != "" {
				t.Error(diff)
			}
		})
	}
	set := event.NewSet([]event.Event{a, b, deleteA})
	if _, found := set.Find("pke-1"); found {
		t.Error("a deleted event was found")
	}
	if got, found := set.Find("pke-2"); !found || got != b {
		t.Errorf("found %v, %v", got, found)
	}
}

func TestSetIsTheSameInEveryOrder(t *testing.T) {
	t.Parallel()
	draw := rapid.Custom(func(t *rapid.T) event.Event {
		id := rapid.SampledFrom([]ident.EventID{"pke-1", "pke-2", "pke-3"})
		return event.Event{
			ID:        id.Draw(t, "id"),
			CreatedMs: rapid.Int64Range(0, 2).Draw(t, "created"),
			Deletes:   id.Draw(t, "deletes"),
			Type: rapid.SampledFrom([]event.Type{event.LoginError, event.AppendError, event.Deleted}).
				Draw(t, "type"),
			Process: rapid.SampledFrom([]string{"", "p"}).Draw(t, "process"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		events := rapid.SliceOfN(draw, 0, 8).Draw(t, "events")
		want := event.NewSet(events).Live()
		got := event.NewSet(rapid.Permutation(append(events, events...)).Draw(t, "order")).Live()
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestJoin(t *testing.T) {
	t.Parallel()
	const hour = int64(time.Hour / time.Millisecond)
	login := func(id ident.EventID, at int64, process, challenge string, route event.Route) event.Event {
		return event.Event{
			ID: id, Type: event.LoginOffered, CreatedMs: at, Process: process, Challenge: challenge,
			Ceremony: "was-" + ident.ChallengeID(id[4:]), Route: route,
		}
	}
	nudge := func(id ident.EventID, at int64, process string, env ident.EnvironmentID, kind event.Kind) event.Event {
		return event.Event{
			ID: id, Type: event.AppendOffered, CreatedMs: at, Process: process, Environment: env,
			Ceremony: "was-" + ident.ChallengeID(id[4:]), Kind: kind,
		}
	}
	known := []event.Event{
		login(
			"pke-12", 200, "p1", "b+-_", event.CDA,
		),
		login("pke-11", 100, "p1", "aa_-", event.Local),
		login("pke-13", 50, "p2", "cc", event.SecurityKey),
		{ID: "pke-14", Type: event.LoginDenied, CreatedMs: 300, Process: "p1"},
		{
			ID: "pke-15", Type: event.LoginOffered, CreatedMs: 40, Process: "p8", Challenge: "ee", Ceremony: "was-15", Route: event.Local,
			Source: event.Button,
		},
		nudge(
			"pke-21", 100, "p1", "env-1", event.KindAuto,
		),
		nudge("pke-22", 200, "p1", "env-1", event.KindAfterError),
		nudge("pke-23", 250, "p3", "env-2", event.KindAfterHybrid),
		{ID: "pke-31", Type: event.AppendError, CreatedMs: 260, Ceremony: "was-23"},
	}
	for _, c := range []struct {
		name  string
		event event.Event
		want  event.Event // only Ceremony, Route, Source and Kind
	}{
		{
			"by challenge, though its process has a newer offer",
			event.Event{Type: event.LoginError, CreatedMs: 300, Process: "p1", Challenge: "aa_-"},
			event.Event{Ceremony: "was-11", Route: event.Local},
		},
		{
			"what the user pressed", event.Event{Type: event.LoginError, CreatedMs: 300, Challenge: "ee"},
			event.Event{Ceremony: "was-15", Route: event.Local, Source: event.Button},
		},
		{
			"by challenge in the other alphabet, padded", event.Event{Type: event.LoginError, CreatedMs: 300, Challenge: "aa/+=="},
			event.Event{Ceremony: "was-11", Route: event.Local},
		},
		{
			"by challenge ID", event.Event{Type: event.LoginExplicitAbort, CreatedMs: 300, Challenge: "was-13"},
			event.Event{Ceremony: "was-13", Route: event.SecurityKey},
		},
		{
			"by process, the newest", event.Event{Type: event.LoginError, CreatedMs: 300, Process: "p1"},
			event.Event{Ceremony: "was-12", Route: event.CDA},
		},
		{
			"by process, the newest that was there before",
			event.Event{Type: event.LoginNoCredentials, CreatedMs: 150, Process: "p1"},
			event.Event{Ceremony: "was-11", Route: event.Local},
		},
		{
			"by process, though the clocks of two instances differ",
			event.Event{Type: event.LoginError, CreatedMs: 49, Process: "p2"},
			event.Event{Ceremony: "was-13", Route: event.SecurityKey},
		},
		{
			"an unknown challenge falls back on the process",
			event.Event{Type: event.LoginError, CreatedMs: 300, Process: "p2", Challenge: "zz"},
			event.Event{Ceremony: "was-13", Route: event.SecurityKey},
		},
		{"neither known: on its own", event.Event{Type: event.LoginError, CreatedMs: 300, Process: "p9", Challenge: "zz"}, event.Event{}},
		{"a process without ID is none", event.Event{Type: event.LoginError, CreatedMs: 300}, event.Event{}},
		{
			"what it says itself is kept",
			event.Event{Type: event.LoginCompleted, CreatedMs: 300, Process: "p1", Ceremony: "was-7", Route: event.Local},
			event.Event{Ceremony: "was-7", Route: event.Local},
		},
		{
			"append by process, the newest offer", event.Event{Type: event.AppendExplicitAbort, CreatedMs: 300, Process: "p1"},
			event.Event{Ceremony: "was-22", Kind: event.KindAfterError},
		},
		{
			"append without process: the newest open one in its environment",
			event.Event{Type: event.AppendError, CreatedMs: 300, Environment: "env-1"},
			event.Event{Ceremony: "was-22", Kind: event.KindAfterError},
		},
		{
			"one that has been answered is not open", event.Event{Type: event.AppendError, CreatedMs: 300, Environment: "env-2"},
			event.Event{Kind: event.KindDefault},
		},
		{
			"just under an hour is open", event.Event{Type: event.AppendError, CreatedMs: 200 + hour - 1, Environment: "env-1"},
			event.Event{Ceremony: "was-22", Kind: event.KindAfterError},
		},
		{
			"an hour is not", event.Event{Type: event.AppendError, CreatedMs: 200 + hour, Environment: "env-1"},
			event.Event{Kind: event.KindDefault},
		},
		{"a blacklist belongs to nothing", event.Event{Type: event.AppendBlacklistedAfterError, CreatedMs: 300, Process: "p1"}, event.Event{}},
		{"an offer belongs to nothing", event.Event{Type: event.AppendOffered, CreatedMs: 300, Process: "p1"}, event.Event{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			joined := event.Join(c.event, known)
			got := event.Event{Ceremony: joined.Ceremony, Route: joined.Route, Source: joined.Source, Kind: joined.Kind}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASetWithoutAnEventHasAllOthersAndIsAnother(t *testing.T) {
	t.Parallel()
	all := event.NewSet([]event.Event{{ID: "pke-1", CreatedMs: 1}, {ID: "pke-2", CreatedMs: 2}, {ID: "pke-3", CreatedMs: 3}})
	left := all.Without("pke-2")
	if _, there := left.Find("pke-2"); there || left.Len() != 2 || all.Len() != 3 {
		t.Errorf("left are %v of %v", left.All(), all.All())
	}
	if none := all.Without("pke-4"); none != all {
		t.Error("without an event that is not there it is another set")
	}
}
