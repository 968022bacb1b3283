package event_test

import (
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

func TestALoginByOtherMeansIsJoinedToTheOfferThatWasLeftForIt(t *testing.T) {
	t.Parallel()
	const minute, at = 60_000, 31 * 60_000
	offer := func(n string, at int64) event.Event {
		return event.Event{
			ID: ident.EventID("pke-" + n), Type: event.LoginOffered, CreatedMs: at, Ceremony: ident.ChallengeID("cha-" + n),
			Decision: ident.DecisionID("dec-" + n), Arm: &event.Arm{Side: event.Canary, Change: 3},
		}
	}
	ended := func(by event.Type, n string, at int64) event.Event {
		return event.Event{ID: ident.EventID("pke-" + n + "-end"), Type: by, CreatedMs: at, Ceremony: ident.ChallengeID("cha-" + n)}
	}
	password := func(at int64) event.Event {
		return event.Event{Type: event.AuthLogin, CreatedMs: at, Auth: &event.Auth{Method: "password", Status: event.AuthSuccess}}
	}
	passkey, wrong := password(40*minute), password(40*minute)
	passkey.Auth = &event.Auth{Method: event.AuthPasskey, Status: event.AuthSuccess}
	wrong.Auth = &event.Auth{Method: "password", Status: "failure"}
	first, second := offer("1", 20*minute), offer("2", 30*minute)
	denied := event.Event{Type: event.LoginDenied, CreatedMs: 30 * minute, Decision: "dec-9"}
	type events = []event.Event
	for name, c := range map[string]struct {
		event event.Event
		known []event.Event
		want  ident.DecisionID
	}{
		"the newest":                       {password(40 * minute), events{second, first}, "dec-2"},
		"one that came later is not":       {password(25 * minute), events{second, first}, "dec-1"},
		"there is none":                    {password(40 * minute), nil, ""},
		"it has failed before":             {password(40 * minute), events{second, ended(event.LoginError, "2", at)}, "dec-2"},
		"it was taken":                     {password(40 * minute), events{second, first, ended(event.LoginCompleted, "2", at)}, ""},
		"it was left already":              {password(40 * minute), events{second, ended(event.LoginOneTapSwitch, "2", at)}, ""},
		"another one was taken":            {password(40 * minute), events{second, first, ended(event.LoginCompleted, "1", at)}, "dec-2"},
		"just under half an hour ago":      {password(60*minute - 1), events{second}, "dec-2"},
		"half an hour ago":                 {password(60 * minute), events{second}, ""},
		"a denial is nothing to leave":     {password(40 * minute), events{denied}, ""},
		"with a passkey nothing is left":   {passkey, events{second}, ""},
		"nobody logs in by what was wrong": {wrong, events{second}, ""},
	} {
		got := event.Join(c.event, c.known)
		if got.Decision != c.want || (got.Arm != nil) != (c.want != "") || got.Ceremony != "" {
			t.Errorf("%s: joined to %q, on the side %+v", name, got.Decision, got.Arm)
		}
	}
}
