package account_test

import (
	"context"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// logins is the log of one user's logins, as eventlog reads it.
type logins []event.Found

// lacked returns what an account is told that knows the log up to a sequence.
func (l logins) lacked(known uint64) []event.Found {
	if len(l) == 0 || l[len(l)-1].Sequence <= known {
		return nil
	}
	if newest := l[len(l)-1]; newest.Use.After != nil && *newest.Use.After <= known {
		return []event.Found{newest}
	}
	return slices.DeleteFunc(slices.Clone(l), func(e event.Found) bool { return e.Sequence <= known })
}

// Logins implements account.Logins.
func (l *logins) Logins(_ context.Context, _ ident.ProjectID, _ ident.UserID, known uint64) ([]event.Found, error) {
	return l.lacked(known), nil
}

func drawLogin(t *rapid.T, nowMs int64) event.Event {
	e := event.Event{
		Type: event.LoginCompleted, CreatedMs: nowMs, Credential: rapid.SampledFrom([]string{"cre-1", "cre-2", "cre-gone"}).Draw(t, "passkey"),
		Route:       rapid.SampledFrom([]event.Route{event.Local, event.Local, event.CDA}).Draw(t, "route"),
		Environment: ident.EnvironmentID(rapid.SampledFrom([]string{"env-1", "env-1", "env-2", ""}).Draw(t, "environment")),
		Client:      &event.Client{OS: rapid.SampledFrom([]string{"macOS", "iOS"}).Draw(t, "system"), Browser: "Safari"},
		Use: &event.Use{
			Counter: uint32(rapid.IntRange(0, 9).Draw(t, "counter")), BackedUp: rapid.Bool().Draw(t, "backed up"),
		},
	}
	if rapid.IntRange(0, 3).Draw(t, "remembered") > 0 {
		e.Use.Seen = &event.Seen{
			OSVersion: rapid.SampledFrom([]string{"1", "1", "2"}).Draw(t, "version"),
		}
	}
	return e
}

// relate relates a login from an environment of which nothing is known but what the login says.
func relate(a account.Account, lacking []event.Found, next event.Event) event.Event {
	where := account.Environment{ID: next.Environment, LastSeenMs: next.CreatedMs}
	if next.Client != nil {
		where.OSName, where.BrowserName = next.Client.OS, next.Client.Browser
	}
	if next.Use.Seen != nil {
		where.OSVersion, where.BrowserVersion = next.Use.Seen.OSVersion, next.Use.Seen.BrowserVersion
	}
	return a.Relate(lacking, next, where)
}

// Whatever logs in, whenever documents move forward and whatever crashes between: who reads the document and the log knows what somebody
// knows who has taken up each login as it came.
func TestADocumentWithTheLoginsThatItLacksIsTheAccount(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		document := account.Account{Credentials: []account.Credential{{ID: "cre-1"}, {ID: "cre-2", SignCount: 4}}}
		eager := document.Knowing()
		var log logins
		now := int64(1000)
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			now += rapid.Int64Range(-2, 5).Draw(t, "time")
			switch rapid.IntRange(0, 5).Draw(t, "step") {
			case 0: // the document moves forward
				document.TakeUp(log.lacked(document.UsedTo))
			case 1: // the user forgets an environment
				document.TakeUp(log.lacked(document.UsedTo))
				for _, a := range []*account.Account{&document, &eager} {
					a.Environments = slices.DeleteFunc(slices.Clone(a.Environments), func(e account.Environment) bool { return e.ID == "env-1" })
				}
			default:
				lacking := log.lacked(document.UsedTo)
				// What goes between the sequences is of others.
				next := event.Found{Sequence: uint64(10 * (len(log) + 1)), Event: relate(document, lacking, drawLogin(t, now))}
				log = append(log, next)
				eager.TakeUp([]event.Found{next})
				if !document.MayLack(next) && rapid.Bool().Draw(t, "no crash") {
					document.TakeUp(log.lacked(document.UsedTo))
				}
			}
			known := document.Knowing(log.lacked(document.UsedTo)...)
			if diff := cmp.Diff(eager.Credentials, known.Credentials); diff != "" {
				t.Fatal(diff)
			}
			if diff := cmp.Diff(eager.Environments, known.Environments); diff != "" {
				t.Fatal(diff)
			}
		}
	})
}

func TestWhoComesBackWithTheSamePasskeyInTheSameBrowserHurriesNoDocument(t *testing.T) {
	t.Parallel()
	fresh := account.Account{Credentials: []account.Credential{{ID: "cre-1"}, {ID: "cre-2"}}}
	login := func(passkey string, where ident.EnvironmentID, version string) event.Event {
		return event.Event{
			Type: event.LoginCompleted, CreatedMs: 5, Credential: passkey, Route: event.Local, Environment: where,
			Client: &event.Client{OS: "macOS", Browser: "Safari"}, Use: &event.Use{Seen: &event.Seen{OSVersion: version}},
		}
	}
	first := event.Found{Sequence: 7, Event: relate(fresh, nil, login("cre-1", "env-1", "14"))}
	known := fresh.Knowing(first)
	for name, tc := range map[string]struct {
		account account.Account
		lacking []event.Found
		next    event.Event
		may     bool
		same    bool
	}{
		"the first login": {fresh, nil, login("cre-1", "env-1", "14"), false, false},
		"the second, which the account knows the first before": {known, nil, login("cre-1", "env-1", "14"), true, true},
		"after an update of the system":                        {known, nil, login("cre-1", "env-1", "15"), false, false},
		"in another browser":                                   {known, nil, login("cre-1", "env-2", "14"), false, false},
		"with another passkey":                                 {known, nil, login("cre-2", "env-1", "14"), true, true},
		"another passkey after a login that it lacks":          {fresh, []event.Found{first}, login("cre-2", "env-1", "14"), false, false},
		"another browser after a login that it lacks":          {fresh, []event.Found{first}, login("cre-1", "env-2", "14"), false, false},
		"the same again after two logins that it lacks": {
			known, []event.Found{{Sequence: 8, Event: relate(known, nil, login("cre-1", "env-1", "14"))}}, login("cre-1", "env-1", "14"), true, true,
		},
	} {
		related := event.Found{Sequence: 9, Event: relate(tc.account, tc.lacking, tc.next)}
		if got := tc.account.MayLack(related); got != tc.may || related.Use.Seen.Same != tc.same {
			t.Errorf("%s: may be lacked: %t, tells of the same environment: %t", name, got, related.Use.Seen.Same)
		}
		if tc.next.Use.After != nil || tc.next.Use.Seen.Same {
			t.Errorf("%s: the login itself was changed", name)
		}
	}
	guessed, before := known, known
	guessed.WrongCodes = 1
	before.UsedTo, before.Credentials[0].LastUsedMs = 0, 5
	for name, a := range map[string]account.Account{"wrong codes are counted": guessed, "an earlier version has stored it": before} {
		if a.MayLack(event.Found{Sequence: 9, Event: relate(a, nil, login("cre-1", "env-1", "14"))}) {
			t.Errorf("%s: the login may be lacked", name)
		}
	}
}

// As after a crash, or while accounts cannot be written: the account is still as an earlier version has left it, or as a login has read it
// before another passkey was created.
func TestNoLoginCoversAnotherOfWhichItKnowsTooLittle(t *testing.T) {
	t.Parallel()
	login := func(passkey string, counter uint32) event.Event {
		return event.Event{Type: event.LoginCompleted, CreatedMs: 9, Credential: passkey, Use: &event.Use{Counter: counter}}
	}
	outdated := account.Account{Credentials: []account.Credential{{ID: "cre-1", CreatedMs: 1, LastUsedMs: 5}, {ID: "cre-2"}}}
	fresh := account.Account{Credentials: []account.Credential{{ID: "cre-1"}}}
	created := account.Account{Credentials: []account.Credential{{ID: "cre-1"}, {ID: "cre-2"}}}
	for name, tc := range map[string]struct{ judged, stored account.Account }{
		"an earlier version has stored it":                {outdated, outdated},
		"the other passkey was created after it was read": {fresh, created},
	} {
		log := logins{{Sequence: 3, Event: login("cre-2", 8)}} // of an earlier version
		log = append(log, event.Found{Sequence: 7, Event: relate(tc.stored, log[:1], login("cre-2", 9))})
		next := event.Found{Sequence: 8, Event: relate(tc.judged, log, login("cre-1", 4))}
		log = append(log, next)
		if known := tc.stored.Knowing(log.lacked(0)...); known.Credentials[0].SignCount != 4 || known.Credentials[1].SignCount != 9 {
			t.Errorf("%s: %+v", name, known.Credentials)
		}
		if tc.judged.MayLack(next) {
			t.Errorf("%s: nobody is to store it", name)
		}
	}
}

func TestWhatAnEarlierVersionHasStoredMovesForwardOnlyWhereItLacksALogin(t *testing.T) {
	t.Parallel()
	log := &logins{}
	s := store(t).With(log)
	made := full("pro-1", "usr-1")
	made.UsedTo, made.Credentials[0].LastUsedMs = 0, made.Credentials[0].CreatedMs+1
	if err := s.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	_, created, err := s.Stored(t.Context(), "pro-1", "usr-1")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Fold(t.Context(), "pro-1", "usr-1", 2); err != nil {
		t.Fatal(err)
	}
	if _, revision, err := s.Stored(t.Context(), "pro-1", "usr-1"); err != nil || revision != created {
		t.Errorf("it was written for nothing: %v", err)
	}
	*log = append(*log, event.Found{Sequence: 3, Event: relate(made, nil, event.Event{
		Type: event.LoginCompleted, Credential: string(made.Credentials[0].ID), Use: &event.Use{Counter: 99},
	})})
	if err := s.Fold(t.Context(), "pro-1", "usr-1", 3); err != nil {
		t.Fatal(err)
	}
	if a, _, err := s.Stored(t.Context(), "pro-1", "usr-1"); err != nil || a.UsedTo != 3 || a.Credentials[0].SignCount != 99 {
		t.Errorf("stored %+v, %v", a, err)
	}
}

func TestAnAccountIsReadAndChangedWithTheLoginsThatItLacks(t *testing.T) {
	t.Parallel()
	log := &logins{}
	plain := store(t)
	s := plain.With(log)
	made := full("pro-1", "usr-1")
	made.UsedTo = 1
	if err := s.Create(t.Context(), made); err != nil {
		t.Fatal(err)
	}
	was, _, err := s.Get(t.Context(), "pro-1", "usr-1")
	if err != nil {
		t.Fatal(err)
	}
	*log = append(*log, event.Found{Sequence: 3, Event: relate(was, nil, event.Event{
		Type: event.LoginCompleted, CreatedMs: was.Credentials[0].LastUsedMs + 9, Credential: "cre-1", Environment: "env-new",
		Use: &event.Use{Counter: 8, Seen: &event.Seen{OSVersion: "new"}},
	})})
	read, _, err := s.Get(t.Context(), "pro-1", "usr-1")
	if err != nil || read.Credentials[0].SignCount != 8 || !slices.ContainsFunc(read.Environments, isNew) {
		t.Errorf("read %+v, %v", read, err)
	}
	view, err := s.View(t.Context(), "pro-1", "usr-1")
	if err != nil || view.Account.UsedTo != 3 {
		t.Errorf("viewed %+v, %v", view.Account, err)
	}
	if stored, _, err := s.Stored(t.Context(), "pro-1", "usr-1"); err != nil || stored.UsedTo != 1 || stored.Credentials[0].SignCount != 7 {
		t.Errorf("stored %+v, %v", stored, err)
	}
	if _, err := s.Update(t.Context(), "pro-1", "usr-1", func(a *account.Account) error {
		a.Environments = slices.DeleteFunc(a.Environments, isNew)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	read, _, err = s.Get(t.Context(), "pro-1", "usr-1")
	if err != nil || slices.ContainsFunc(read.Environments, isNew) || read.UsedTo != 3 {
		t.Errorf("what was forgotten is back: %+v, %v", read, err)
	}
}

func isNew(e account.Environment) bool { return e.ID == "env-new" }
