package causes_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

func TestAPasskeySaysWhatFailedOnTheWaysToItWhenAndUntilWhen(t *testing.T) {
	t.Parallel()
	e, err := engine.Load(t.Context(), policiestest.Files(t), engine.Options{EvalTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	fail := func(age time.Duration, route event.Route) happening {
		return happening{event.LoginError, age, route, ""}
	}
	for name, c := range map[string]struct {
		held     []string
		happened []happening
		want     map[string][]string
	}{
		"nothing failed": {[]string{"hello"}, nil, map[string][]string{"hello": nil}},
		"one failure closes nothing": {
			[]string{"hello"}, []happening{fail(day, event.Local)},
			map[string][]string{"hello": {"a login on this device failed: 2026-11-21T12:00:00Z"}},
		},
		"two close this device until the older is 30 days old": {
			[]string{"hello"}, []happening{fail(2*day, event.Local), fail(day, event.Local)},
			map[string][]string{"hello": {
				"2 logins on this device failed: 2026-11-21T12:00:00Z, 2026-11-20T12:00:00Z; " +
					"this way is closed until 2026-12-20T12:00:00Z, unless the user presses for it",
			}},
		},
		"of many the newest are told": {
			[]string{"hello"}, []happening{fail(4*day, event.Local), fail(3*day, event.Local), fail(2*day, event.Local), fail(day, event.Local)},
			map[string][]string{"hello": {
				"4 logins on this device failed, the last ones: 2026-11-21T12:00:00Z, 2026-11-20T12:00:00Z, 2026-11-19T12:00:00Z; " +
					"this way is closed until 2026-12-20T12:00:00Z, unless the user presses for it",
			}},
		},
		"what failed on one way is no word on a passkey of another": {
			[]string{"hello", "apple"}, []happening{fail(day, event.CDA)},
			map[string][]string{"hello": nil, "apple": {"a login by another device failed: 2026-11-21T12:00:00Z"}},
		},
		"the client's own word": {
			[]string{"hello"}, []happening{{event.LoginNoCredentials, day, event.Local, ""}},
			map[string][]string{"hello": {
				"the client said that it holds no passkey: 2026-11-21T12:00:00Z; " +
					"this way is closed until 2026-12-21T12:00:00Z, unless the user presses for it",
			}},
		},
		"a success since ends it": {
			[]string{"hello"}, []happening{fail(2*day, event.Local), {event.LoginCompleted, day, event.Local, "hello"}},
			map[string][]string{"hello": nil},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			question := recorded(engine.ActionLogin, passkeys(c.held...), factstest.Browser("Windows", "11", "Chrome"), c.happened...)
			found, err := causes.Find(t.Context(), e, question)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]string{}
			for _, p := range found.Passkeys {
				got[string(p.Credential)] = p.History
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
