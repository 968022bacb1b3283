package history_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
)

func drawEvent(t *rapid.T) event.Event {
	pick := func(label string, from ...string) string { return rapid.SampledFrom(from).Draw(t, label) }
	return event.Event{
		ID: ident.EventID(
			pick("id", "pke-1", "pke-2", "pke-3", "pke-4", "pke-5", "pke-6", "pke-7", "pke-8", "pke-9", "pke-10", "pke-11", "pke-12"),
		),
		Type: rapid.SampledFrom(slices.DeleteFunc(event.Types(), func(t event.Type) bool {
			return t.OfAccount() || t == event.Deleted
		})).Draw(t, "type"),
		CreatedMs: now.UnixMilli() - rapid.SampledFrom(
			[]int64{-600_000, 0, 1, 1000, 3_599_999, 3_600_000, 86_400_000, 30 * 86_400_000, 180 * 86_400_000, 365 * 86_400_000},
		).
			Draw(t, "age"),
		Expires:     rapid.SampledFrom([]int64{0, 0, 0, now.Unix(), now.Unix() + 1}).Draw(t, "expires"),
		Process:     pick("process", "", "p0", "p1"),
		Environment: ident.EnvironmentID(pick("environment", "", string(here), string(away))),
		Credential:  pick("credential", "", "cre-1", "cre-2", raw("1")),
		Challenge:   pick("challenge", "", "c1", "c2"),
		Ceremony:    ident.ChallengeID(pick("ceremony", "", "was-1", "was-2")),
		Route:       rapid.SampledFrom([]event.Route{"", event.Local, event.CDA, event.SecurityKey}).Draw(t, "route"),
		Kind: rapid.SampledFrom(
			[]event.Kind{"", event.KindDefault, event.KindAfterError, event.KindAfterHybrid, event.KindAuto, event.KindConditionalCreate},
		).
			Draw(t, "kind"),
	}
}

// drawInput returns the events of the input as they came, too.
func drawInput(t *rapid.T) (history.Input, []event.Event) {
	events := rapid.SliceOfN(rapid.Custom(drawEvent), 0, 16).Draw(t, "events")
	for i, id := range rapid.SliceOfN(rapid.Custom(drawEvent), 0, 3).Draw(t, "deleted") {
		events = append(
			events,
			event.Event{ID: ident.EventID("pke-9" + string(rune('0'+i))), Type: event.Deleted, Deletes: id.ID, CreatedMs: now.UnixMilli()},
		)
	}
	return history.Input{
		Events:      event.NewSet(events),
		Offers:      rapid.SliceOfN(rapid.Custom(drawEvent), 0, 4).Draw(t, "offers"),
		Credentials: []account.Credential{passkey("1", 90*day, here)},
		Deleted:     []account.Tombstone{{ID: "cre-2"}},
		Environment: here,
		Process:     "p0",
		Now:         now,
		Parameters:  defaultParameters(),
	}, events
}

func TestOneAnswerForEveryOrderAndRepetition(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, events := drawInput(t)
		want := history.Fold(in)
		mixed := in
		mixed.Events = event.NewSet(rapid.Permutation(twice(t, events)).Draw(t, "order of events"))
		mixed.Offers = rapid.Permutation(twice(t, in.Offers)).Draw(t, "order of offers")
		if diff := cmp.Diff(want, history.Fold(mixed)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// twice returns the events, any of them repeated.
func twice(t *rapid.T, events []event.Event) []event.Event {
	all := append([]event.Event{}, events...)
	for _, e := range events {
		if rapid.Bool().Draw(t, "again") {
			all = append(all, e)
		}
	}
	return all
}

func TestDeletingAnEventIsAsIfItHadNeverBeenSent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, events := drawInput(t)
		want := history.Fold(in)
		extra := drawEvent(t)
		extra.ID = "pke-100"
		with := in
		deletion := event.Event{ID: "pke-101", Type: event.Deleted, Deletes: extra.ID, CreatedMs: now.UnixMilli()}
		with.Events = event.NewSet(rapid.Permutation(append([]event.Event{extra, deletion}, events...)).Draw(t, "order"))
		if diff := cmp.Diff(want, history.Fold(with)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestFoldChangesNothingItWasGiven(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, _ := drawInput(t)
		before, parts := in.Events.Live(), partsOf(in.Events)
		history.Fold(in)
		if diff := cmp.Diff(before, in.Events.Live()); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(parts, partsOf(in.Events)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// partsOf copies what the fold takes of a set.
func partsOf(s event.Set) [][]event.Event {
	var all [][]event.Event
	for _, part := range [][]*event.Event{s.Successes(), s.Failures(), s.Declines(), s.Tried(), s.Of(event.AppendOffered)} {
		var copied []event.Event
		for _, e := range part {
			copied = append(copied, *e)
		}
		all = append(all, copied)
	}
	return all
}

func TestASetThatGrewFoldsLikeOneThatWasMadeAtOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, _ := drawInput(t)
		want := history.Fold(in)
		live := rapid.Permutation(in.Events.Live()).Draw(t, "order")
		in.Events = event.Set{}
		for _, e := range live {
			in.Events = in.Events.With(e)
			history.Fold(in) // a set that was asked before it grew
		}
		if diff := cmp.Diff(want, history.Fold(in)); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestForgettingIsForGood(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		in, events := drawInput(t)
		in.Now = now.Add(2 * 365 * day)
		in.Events = event.NewSet(append(
			events,
			event.Event{ID: "pke-200", Type: event.UserLoginBlacklisted, CreatedMs: now.UnixMilli(), Expires: now.Add(time.Hour).Unix()},
		))
		got := history.Fold(in)
		if got.Append.Default != (history.Nudge{}) || got.Pair.LocalStreak != 0 || got.Pair.Positive || got.ClockSkew ||
			got.Process.Outcome != history.OutcomeNotOffered {
			t.Fatalf("after two years: %+v", got)
		}
	})
}

func BenchmarkFold(b *testing.B) {
	in := foldCase{process: "p0", log: entries(
		skip(-25*day, event.KindDefault),
		skip(-20*day, event.KindDefault),
		completed(-10*day, event.Local, "cre-1", "p", "c"),
		fail(-5*day, event.Local),
		fail(-4*day, event.Local),
		fail(-3*day, event.CDA),
		fail(-2*day, event.Local),
		created(-day, "cre-1", "q"),
		wire(
			-day, "local-unlock", "",
		),
		wire(-day, "append-learn-more", ""),
		wire(-day, "manage-error", ""),
		wire(-day, "login-error-untyped", ""),
		wire(
			-day, event.UserLoginBlacklisted, "",
		).expiring(time.Hour),
		wire(-day, event.LoginNoCredentials, ""),
		wire(-day, event.AppendCredentialExists, ""),
	)}.input()
	b.ReportAllocs()
	for b.Loop() {
		history.Fold(in)
	}
}
