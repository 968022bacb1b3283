package eventlog

import (
	"context"
	"crypto/rand"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/ident"
)

// ending is an event that ends a ceremony of a user, with an ID of its own.
func ending(user ident.UserID, ceremony ident.ChallengeID) event.Event {
	e := some(user)
	e.Type, e.Ceremony = event.LoginCompleted, ceremony
	return e
}

// Conclude is conclude without what was stored.
func (l *Log) Conclude(ctx context.Context, e event.Event, after uint64, attempt string) (Receipt, error) {
	_, r, err := l.conclude(ctx, e, after, attempt)
	return r, err
}

// looks reads how a user's logins ended.
func looks(t *testing.T, log *Log, user ident.UserID, latest bool) Recent {
	t.Helper()
	found, err := log.Recent(t.Context(), "pro-1", user, Span{Latest: latest}, event.LoginCompleted)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// spent reports whether a ceremony is among those that have ended.
func (r Recent) spent(ceremony ident.ChallengeID) bool {
	for _, e := range r.Events {
		if e.Ceremony == ceremony {
			return true
		}
	}
	return false
}

// ends ends a ceremony as a service does, and reports whether it was the one that did. What is not answered is done again.
func ends(ctx context.Context, log *Log, e event.Event) (bool, error) {
	attempt := rand.Text()
	for latest := false; ; latest = true {
		found, err := log.Recent(ctx, e.Project, e.User, Span{Latest: latest}, event.LoginCompleted)
		if err != nil {
			if ctx.Err() != nil {
				return false, err
			}
			continue
		}
		mine := false
		for _, each := range found.Events {
			mine = mine || each.ID == e.ID
		}
		if found.spent(e.Ceremony) && !mine {
			return false, nil
		}
		_, err = log.Conclude(ctx, e, found.Last, attempt)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, ErrConcluded):
			return false, nil
		case ctx.Err() != nil:
			return false, err
		}
	}
}

// contested lets calls of several logs end one ceremony each with an event of its own, and returns how many did.
func contested(t *testing.T, logs []*Log, user ident.UserID, calls int, halfway func()) int {
	t.Helper()
	var won, done atomic.Int64
	var calling sync.WaitGroup
	for i := range calls {
		calling.Go(func() {
			first, err := ends(t.Context(), logs[i%len(logs)], ending(user, "was-1"))
			if err != nil {
				t.Error(err)
			}
			if first {
				won.Add(1)
			}
			done.Add(1)
		})
	}
	if halfway != nil {
		halfway()
	}
	calling.Wait()
	return int(won.Load())
}

func TestOfAThousandCallsThatEndOneCeremonyOneDoes(t *testing.T) {
	t.Parallel()
	log := open(t)
	const calls = 1000
	if won := contested(t, []*Log{log, {js: log.js, commits: newCommits(log.js)}}, "usr-1", calls, nil); won != 1 {
		t.Errorf("%d ended it", won)
	}
	if found := looks(t, log, "usr-1", true); len(found.Events) != 1 {
		t.Errorf("%d events end it", len(found.Events))
	}
}

// What each part of the argument is there for: without it, two calls end one ceremony.
func TestWithoutAnyPartOfTheArgumentACeremonyEndsTwice(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		second func(t *testing.T, log *Log, before Recent, e event.Event) error // of two callers who both have looked before
		stored int
	}{
		"as it is": {func(t *testing.T, log *Log, before Recent, e event.Event) error {
			if _, err := log.Conclude(t.Context(), e, before.Last, "b"); !errors.Is(err, ErrMoved) {
				t.Fatalf("got %v", err)
			}
			if !looks(t, log, e.User, true).spent(e.Ceremony) {
				t.Error("what the other one did is not seen")
			}
			return nil
		}, 1},
		"the condition is left out": {func(t *testing.T, log *Log, _ Recent, e event.Event) error {
			_, err := log.Append(t.Context(), e)
			return err
		}, 2},
		"the ceremony is not looked for after a conflict": {func(t *testing.T, log *Log, _ Recent, e event.Event) error {
			_, err := log.Conclude(t.Context(), e, looks(t, log, e.User, true).Last, "b")
			return err
		}, 2},
		"what was read before is judged, and what is newest expected": {func(t *testing.T, log *Log, before Recent, e event.Event) error {
			if before.spent(e.Ceremony) {
				return nil
			}
			_, err := log.Conclude(t.Context(), e, looks(t, log, e.User, true).Last, "b")
			return err
		}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := open(t)
			before := looks(t, log, "usr-1", true)
			if _, err := log.Conclude(t.Context(), ending("usr-1", "was-1"), before.Last, "a"); err != nil {
				t.Fatal(err)
			}
			if err := tc.second(t, log, before, ending("usr-1", "was-1")); err != nil {
				t.Fatal(err)
			}
			if found := looks(t, log, "usr-1", true); len(found.Events) != tc.stored {
				t.Errorf("%d events end it, want %d", len(found.Events), tc.stored)
			}
		})
	}
}

// Why no batch has an event that ends a ceremony: one whose condition does not hold would have the server refuse all the others.
func TestOfABatchWithACompletedLoginThatWasNotJudgedTheServerTakesNothing(t *testing.T) {
	t.Parallel()
	log := open(t)
	var messages []*nats.Msg
	for range 2 {
		msg, err := cloudevent.Message(t.Context(), bus.EventsPrefix, &event.Offer{Event: ending("usr-1", "was-1")})
		if err != nil {
			t.Fatal(err)
		}
		msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, "0")
		messages = append(messages, msg)
	}
	if _, err := jetstreamext.PublishMsgBatch(t.Context(), log.js, messages); !moved(err) {
		t.Fatalf("got %v", err)
	}
	if found := looks(t, log, "usr-1", true); len(found.Events) != 0 {
		t.Errorf("%d events", len(found.Events))
	}
}

func TestACallThatIsRepeatedFindsWhatItStoredAndNoOtherDoes(t *testing.T) {
	t.Parallel()
	for name, remembers := range map[string]bool{"while the server knows the ID": true, "after it has forgotten it": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := open(t)
			stream, err := log.js.Stream(t.Context(), bus.EventsStream)
			if err != nil {
				t.Fatal(err)
			}
			if !remembers {
				config := stream.CachedInfo().Config
				config.Duplicates = 100 * time.Millisecond
				if _, err := log.js.UpdateStream(t.Context(), config); err != nil {
					t.Fatal(err)
				}
			}
			e := ending("usr-1", "was-1")
			first, err := log.Conclude(t.Context(), e, 0, "a")
			if err != nil {
				t.Fatal(err)
			}
			if !remembers {
				forgotten(t, log)
			}
			again, err := log.Conclude(t.Context(), e, 0, "a")
			if want := (Receipt{Sequence: first.Sequence, Unsure: true}); err != nil || again != want {
				t.Errorf("the same attempt got %+v, %v", again, err)
			}
			if r, err := log.Conclude(t.Context(), e, 0, "b"); !errors.Is(err, ErrConcluded) {
				t.Errorf("another attempt got %+v, %v", r, err)
			}
			if found := looks(t, log, "usr-1", true); len(found.Events) != 1 {
				t.Errorf("%d events", len(found.Events))
			}
		})
	}
}

// forgotten waits until the server no longer knows the IDs of what was stored before the call.
func forgotten(t *testing.T, log *Log) {
	t.Helper()
	e := some("usr-9")
	for deadline := time.Now().Add(time.Minute); ; {
		r, err := log.Append(t.Context(), e)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := log.Append(t.Context(), e); err != nil || again.Sequence > r.Sequence {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the server forgets no ID")
		}
	}
}

// Whoever knows a user's name can have answers refused, and tell of errors, as often as the limits let through.
func TestWhatOthersMakeOfAUserStandsInTheWayOfNoLogin(t *testing.T) {
	t.Parallel()
	log := open(t)
	before := looks(t, log, "usr-1", true)
	refused := some("usr-1")
	refused.Type, refused.Ceremony, refused.Refused = event.LoginRefused, "was-1", &event.Refused{Reason: "no"}
	for _, e := range []event.Event{some("usr-2"), some("usr-1"), refused, ending("usr-2", "was-2")} {
		if _, err := log.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	if now := looks(t, log, "usr-1", true); now.Last != before.Last || len(now.Events) != 0 {
		t.Errorf("found %+v", now)
	}
	if r, err := log.Conclude(t.Context(), ending("usr-1", "was-1"), before.Last, "a"); err != nil || r != (Receipt{Sequence: 5}) {
		t.Errorf("got %+v, %v", r, err)
	}
	if r, err := log.Conclude(t.Context(), ending("usr-1", "was-3"), before.Last, "a"); !errors.Is(err, ErrMoved) {
		t.Errorf("a login that was not judged: %+v, %v", r, err)
	}
}

func TestRecentEventsAreThoseOfTheTypesAndTheSpan(t *testing.T) {
	t.Parallel()
	log := open(t)
	var stored []event.Event
	for _, e := range []event.Event{
		ending("usr-1", "was-1"), some("usr-1"), ending("usr-2", "was-2"), ending("usr-1", "was-3"), ending("usr-1", "was-4"), some("usr-1"),
	} {
		if _, err := log.Append(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		stored = append(stored, e)
	}
	all := []Found{at(stored[0], 1), at(stored[3], 4), at(stored[4], 5)}
	long := time.Now().Add(-time.Hour)
	never := time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		within Span
		types  []event.Type
		last   uint64
		want   []Found
	}{
		"everything":                       {Span{}, []event.Type{event.LoginCompleted}, 5, all},
		"what comes after a sequence":      {Span{After: 1, Since: never}, []event.Type{event.LoginCompleted}, 5, all[1:]},
		"what came since a time":           {Span{After: Never, Since: long}, []event.Type{event.LoginCompleted}, 5, all},
		"each once, if both say so":        {Span{After: 4, Since: long}, []event.Type{event.LoginCompleted}, 5, all},
		"nothing, if neither does":         {Span{After: 5, Since: never}, []event.Type{event.LoginCompleted}, 5, nil},
		"all, if the log ends before":      {Span{After: 9, Since: never}, []event.Type{event.LoginCompleted}, 5, all},
		"nothing of a type that is absent": {Span{}, []event.Type{event.LoginRefused}, 0, nil},
		"of two types, in the log's own order": {
			Span{After: 3, Since: never}, []event.Type{event.LoginError, event.LoginCompleted}, 6,
			[]Found{at(stored[3], 4), at(stored[4], 5), at(stored[5], 6)},
		},
	} {
		for _, replicated := range []bool{false, true} {
			other := &Log{js: log.js, commits: log.commits, replicated: replicated}
			got, err := other.Recent(t.Context(), "pro-1", "usr-1", tc.within, tc.types...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Recent{Last: tc.last, Events: tc.want}, got); diff != "" {
				t.Errorf("%s: %s", name, diff)
			}
		}
	}
	if got := looks(t, log, "usr-3", true); got.Last != 0 || got.Events != nil {
		t.Errorf("of nobody: %+v", got)
	}
}

// directGets are the requests for messages of the stream, by whatever they are asked for.
func directGets(t *testing.T, conn *nats.Conn, stream string) <-chan *nats.Msg {
	t.Helper()
	asked := make(chan *nats.Msg, 10_000)
	for _, subject := range []string{"", ".>"} {
		sub, err := conn.ChanSubscribe("$JS.API.DIRECT.GET."+stream+subject, asked)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = sub.Unsubscribe() })
	}
	if err := conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return asked
}

func TestLoginsOfOneUserAreReadAloneWhoeverLoggedInBetween(t *testing.T) {
	t.Parallel()
	log := open(t)
	log.replicated = false
	const users, rounds = 20, 4
	last := map[ident.UserID]uint64{}
	want := map[ident.UserID][]uint64{}
	for range rounds {
		for n := range users {
			user := ident.UserID("usr-" + strconv.Itoa(n))
			r, err := log.Conclude(t.Context(), ending(user, ident.NewChallengeID()), last[user], rand.Text())
			if err != nil {
				t.Fatal(err)
			}
			last[user], want[user] = r.Sequence, append(want[user], r.Sequence)
		}
	}
	asked := directGets(t, log.js.Conn(), bus.EventsStream)
	recent := func(user ident.UserID) {
		found, err := log.Recent(
			t.Context(), "pro-1", user, Span{After: Never, Since: time.Now().Add(-time.Hour), Latest: true}, event.LoginCompleted,
		)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		for _, e := range found.Events {
			got = append(got, e.Sequence)
		}
		if diff := cmp.Diff(want[user], got); diff != "" {
			t.Errorf("%s: %s", user, diff)
		}
	}
	recent("usr-7")
	// A server that is asked for many looks at all that lies between them.
	for range rounds {
		select {
		case request := <-asked:
			if strings.Contains(string(request.Data), "batch") {
				t.Errorf("asked for %s", request.Data)
			}
		case <-time.After(time.Minute):
			t.Fatal("fewer were asked for than there are")
		}
	}
	// What was stored without a condition, as by an earlier version, tells of none before it.
	r, err := log.Append(t.Context(), ending("usr-8", ident.NewChallengeID()))
	if err != nil {
		t.Fatal(err)
	}
	want["usr-8"] = append(want["usr-8"], r.Sequence)
	recent("usr-8")
}

func at(e event.Event, sequence uint64) Found { return Found{Event: e, Sequence: sequence} }

func TestALoginThatSaysAllIsReadAlone(t *testing.T) {
	t.Parallel()
	log := open(t)
	related := func(after uint64) event.Event {
		e := ending("usr-1", "was")
		e.Use = &event.Use{After: &after}
		return e
	}
	stored := []event.Event{ending("usr-1", "was-1"), some("usr-2"), related(1), related(1), related(0), ending("usr-2", "was-2"), related(4)}
	for _, tc := range []struct {
		upTo  int // of stored
		known uint64
		want  []Found
	}{
		{1, 0, nil}, // of an earlier version
		{3, 1, []Found{at(stored[2], 3)}},
		{3, 0, []Found{at(stored[0], 1), at(stored[2], 3)}},
		{4, 1, []Found{at(stored[3], 4)}},
		{4, 2, []Found{at(stored[3], 4)}},
		{4, 4, nil},
		{5, 0, []Found{at(stored[4], 5)}},
		{5, 9, []Found{at(stored[4], 5)}}, // of a log that was
		{7, 3, []Found{at(stored[3], 4), at(stored[4], 5), at(stored[6], 7)}},
		{7, 4, []Found{at(stored[6], 7)}},
	} {
		for last := lastOf(t, log); int(last) < tc.upTo; last++ {
			if _, err := log.Append(t.Context(), stored[last]); err != nil {
				t.Fatal(err)
			}
		}
		got, err := log.Logins(t.Context(), "pro-1", "usr-1", tc.known)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("of %d events, known up to %d: %s", tc.upTo, tc.known, diff)
		}
	}
	var visited []string
	s := &Store{log: log}
	if err := s.EachLogin(t.Context(), 1, func(project ident.ProjectID, user ident.UserID, sequence uint64) error {
		visited = append(visited, string(project)+" "+string(user)+" "+strconv.FormatUint(sequence, 10))
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	want := []string{"pro-1 usr-1 3", "pro-1 usr-1 4", "pro-1 usr-1 5", "pro-1 usr-2 6", "pro-1 usr-1 7"}
	if diff := cmp.Diff(want, visited); diff != "" {
		t.Error(diff)
	}
}

// lastOf returns the last sequence of the log.
func lastOf(t *testing.T, l *Log) uint64 {
	t.Helper()
	last, _, err := l.last(t.Context(), bus.EventsStream, bus.EventsPrefix+".>")
	if err != nil {
		t.Fatal(err)
	}
	return last
}
