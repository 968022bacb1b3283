package engine

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/refusal"
)

const day = 24 * time.Hour

// drawEvidence draws a user who has failed, declined and been barred, by clocks that are right and some that are ahead.
func drawEvidence(t *rapid.T) Evidence {
	types := rapid.SampledFrom([]event.Type{
		event.LoginError, event.LoginError, event.LoginExplicitAbort, event.LoginNoCredentials, event.LoginCompleted,
		event.AppendExplicitAbort, event.AppendExplicitAbort, event.AppendError, event.AppendOffered, event.AppendCredentialExists,
		event.UserLoginBlacklisted, event.AppendCompleted,
	})
	ages := rapid.SampledFrom([]time.Duration{
		-20 * time.Minute, -1500 * time.Millisecond, 0, time.Second, 23 * time.Hour, day, 29 * day, 30*day - time.Minute, 31 * day,
		180*day - time.Hour, 364*day + 23*time.Hour,
	})
	var events []event.Event
	for i := range rapid.IntRange(0, 14).Draw(t, "events") {
		e := event.Event{
			ID: ident.EventID(fmt.Sprint("pke-", i)), Type: types.Draw(t, "type"), Environment: "env-1",
			CreatedMs: noon.Add(-ages.Draw(t, "age")).UnixMilli() - int64(rapid.IntRange(0, 3).Draw(t, "ms")),
			Process:   fmt.Sprint("p", rapid.IntRange(0, 9).Draw(t, "process")),
		}
		switch {
		case e.Type == event.UserLoginBlacklisted:
			e.Expires = noon.Add(rapid.SampledFrom([]time.Duration{time.Second, time.Hour, 40 * day}).Draw(t, "expires")).Unix()
		case e.Type.AnswersLogin():
			e.Route = rapid.SampledFrom([]event.Route{event.Local, event.Local, event.CDA, event.SecurityKey}).Draw(t, "route")
		default:
			e.Kind = rapid.SampledFrom([]event.Kind{event.KindDefault, event.KindDefault, event.KindConditionalCreate}).Draw(t, "kind")
		}
		if e.Type == event.LoginCompleted || e.Type == event.AppendCompleted {
			e.Credential = "cre-1"
		}
		events = append(events, e)
	}
	return Evidence{Events: event.NewSet(events), Complete: true, Now: noon}
}

func drawQuestion(t *rapid.T) service.Question {
	internal, hybrid := []string{"internal"}, []string{"internal", "hybrid"}
	passkeys := []account.Credential{
		{ID: "cre-1", AAGUID: "d548826e-79b4-db40-a3d8-11116f7e8349", Transports: internal, BackupEligible: true, CreatedOS: "Windows"},
		{ID: "cre-2", AAGUID: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", Transports: hybrid, BackupEligible: true, CreatedOS: "iOS"},
		{ID: "cre-3", AAGUID: "2fc0579f-8113-47ea-b116-bb5a8db9202a", Transports: []string{"usb"}, CreatedOS: "Windows"},
	}
	var held []account.Credential
	for i := range passkeys {
		if rapid.Bool().Draw(t, "held") {
			passkeys[i].CreatedMs, passkeys[i].CredentialID = noon.Add(-400*day).UnixMilli(), []byte{byte(i)}
			held = append(held, passkeys[i])
		}
	}
	client := factstest.Browser("Windows", "11", "Chrome")
	client.UserVerifyingPlatformAuthenticatorAvailable = new(rapid.Bool().Draw(t, "uvpa"))
	return service.Question{
		Project: "pro-1", Client: client, Environment: service.Environment{ID: "env-1", Known: true},
		Account: &account.Account{Project: "pro-1", ID: "usr-1", Status: account.StatusActive, Credentials: held},
	}
}

// What is told of the end of a refusal holds to the second: until then the answer has the same reason, and then it has another.
func TestARefusalEndsWhenItIsSaidToAndNotASecondEarlier(t *testing.T) {
	t.Parallel()
	e := defaultEngine(t, Options{MemoEntries: entries, EvalTimeout: time.Minute})
	budget, err := e.With(map[string]any{
		"nudgeBudget": map[string]any{"day": 1, "month": 2, "year": 0}, "cancelCooldownSeconds": 3600, "shownSpacingSeconds": 7200,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := 0
	rapid.Check(t, func(t *rapid.T) {
		e, ev, q := e, drawEvidence(t), drawQuestion(t)
		if rapid.Bool().Draw(t, "budget") {
			e = budget
		}
		flags := rest.PasskeyIntelFlags{AskForConditionalCreate: new(rapid.Bool().Draw(t, "silent"))}
		if rapid.Bool().Draw(t, "in-app") {
			flags.AskForInAppAppend = new("after-cta")
		}
		strategy := rapid.SampledFrom([]rest.CrossDeviceAuthenticationStrategy{"", "minimize", "maximize"}).Draw(t, "strategy")
		for action, ask := range map[string]func(Evidence) (string, time.Time){
			"login": func(ev Evidence) (string, time.Time) {
				v, _, err := e.Login(t.Context(), service.LoginQuestion{Question: q, Strategy: strategy}, ev)
				if err != nil {
					t.Fatal(err)
				}
				return v.Reason, v.NextEligibleAt
			},
			"append": func(ev Evidence) (string, time.Time) {
				v, _, err := e.Append(t.Context(), service.AppendQuestion{Question: q, Flags: flags}, ev)
				if err != nil {
					t.Fatal(err)
				}
				return v.Reason, v.NextEligibleAt
			},
		} {
			reason, ends := ask(ev)
			if ends.IsZero() {
				if _, passes := refusal.Cause(reason); passes && reason != refusal.UserBarred {
					// Two years later nothing of it counts; the end must have been found.
					if after, _ := ask(Evidence{Events: ev.Events, Complete: true, Now: noon.Add(2 * 365 * day)}); after != reason {
						t.Fatalf("%s: %s has no end, and is %q after two years", action, reason, after)
					}
				}
				continue
			}
			ended++
			if ends.Nanosecond() != 0 || !ends.After(noon) {
				t.Fatalf("%s: %s ends at %s", action, reason, ends)
			}
			if then, _ := ask(ev.At(ends)); then == reason {
				t.Fatalf("%s: still %s at %s", action, reason, ends)
			}
			if before, _ := ask(ev.At(ends.Add(-time.Second))); before != reason && ends.Add(-time.Second).After(noon) {
				t.Fatalf("%s: %s had become %q a second before %s", action, reason, before, ends)
			}
		}
	})
	if ended == 0 {
		t.Error("no refusal that ends was drawn")
	}
}
