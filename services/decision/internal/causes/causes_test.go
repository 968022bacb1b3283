package causes_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/kept"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

const day = 24 * time.Hour

// passkeys by name: of a manager, of Apple made on a phone, of Windows Hello, a security key.
func passkeys(names ...string) []account.Credential {
	var held []account.Credential
	for n, name := range names {
		c := account.Credential{ID: ident.CredentialID(name), CredentialID: []byte{byte(n)}, CreatedOS: "Windows"}
		c.CreatedMs = now.Add(-300 * day).UnixMilli()
		switch name {
		case "manager":
			c.AAGUID, c.BackupEligible, c.Transports = "d548826e-79b4-db40-a3d8-11116f7e8349", true, []string{"internal"}
		case "apple":
			c.AAGUID, c.BackupEligible, c.Transports = "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", true, []string{"internal", "hybrid"}
			c.CreatedOS = "iOS"
		case "keepassdx":
			c.AAGUID, c.BackupEligible, c.Transports = "eaecdef2-1c31-5634-8639-f1cbd9c00a08", true, []string{"internal"}
		case "hello":
			c.AAGUID, c.Transports = "08987058-cadc-4b81-b6e1-30de50dcbe96", []string{"internal"}
		}
		held = append(held, c)
	}
	return held
}

const chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"

func agentOf(client rest.ClientInformation, userAgent string) rest.ClientInformation {
	return factstest.With(client, func(c *rest.ClientInformation) { c.UserAgent = userAgent })
}

// barred is a record of an address that was barred.
func barred(r *engine.Recorded) *engine.Recorded {
	r.Facts.Environment.Listed = facts.ListedAddress
	return r
}

// in is a record of a client of the network.
func in(network string, r *engine.Recorded) *engine.Recorded {
	r.Question.Client.RemoteAddress = network
	return r
}

type happening struct {
	of    event.Type
	age   time.Duration
	route event.Route
	of2   string // the passkey
}

func recorded(action string, held []account.Credential, client rest.ClientInformation, happened ...happening) *engine.Recorded {
	q := service.Question{
		Project: "pro-1", Client: client, Environment: service.Environment{ID: "env-1", Known: true},
		Account: &account.Account{Project: "pro-1", ID: "usr-1", Status: account.StatusActive, Credentials: held},
	}
	r := &engine.Recorded{
		Action: action, Project: "pro-1", User: "usr-1", Made: now, Question: kept.Keep(&q, nil), Facts: &facts.Facts{Complete: true},
	}
	for n, h := range happened {
		e := event.Event{
			ID: ident.EventID(fmt.Sprint("pke-", n+1)), Type: h.of, CreatedMs: now.Add(-h.age).UnixMilli(), Environment: "env-1", Route: h.route,
			Credential: h.of2, Process: fmt.Sprint("p", n), Ceremony: ident.ChallengeID(fmt.Sprint("was-", n+1)),
		}
		r.Events = append(r.Events, e)
	}
	return r
}

// said is what was found, in short.
func said(f *causes.Found) []string {
	var all []string
	for i := range f.Counted {
		c := &f.Counted[i]
		line := fmt.Sprintf("%s %d/%d", c.Of, c.Number, c.Threshold)
		if c.WindowSeconds > 0 {
			line += " in " + (time.Duration(c.WindowSeconds) * time.Second).String()
		}
		if c.Until != nil {
			line += " until +" + c.Until.Sub(now).String()
		}
		for _, e := range c.Events {
			line += " " + string(e.ID)
		}
		all = append(all, line)
	}
	for _, w := range f.Worked {
		line := fmt.Sprintf("%s %s %s %s", w.Credential, w.How, w.Route, now.Sub(w.At))
		if w.Used {
			line += " used"
		}
		if w.PassedOver != "" {
			line += " passed over: " + w.PassedOver
		}
		all = append(all, line)
	}
	for _, c := range f.Changes {
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s -> %s %t %s", c.Of, c.To, c.Row, c.Allow, c.Reason)))
	}
	return all
}

func TestAnAnswerIsToldWithWhatItCameFromAndWhatWouldChangeIt(t *testing.T) {
	t.Parallel()
	e, err := engine.Load(t.Context(), policiestest.Files(t), engine.Options{EvalTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	windows := factstest.Browser("Windows", "11", "Chrome")
	deaf := factstest.With(windows, func(c *rest.ClientInformation) { c.BluetoothAvailable = new(false) })
	bare := factstest.With(windows, func(c *rest.ClientInformation) { c.UserVerifyingPlatformAuthenticatorAvailable = new(false) })
	for name, c := range map[string]struct {
		of         *engine.Recorded
		parameters map[string]any
		row        string
		want       []string
	}{
		"a streak that refuses, with its events": {
			recorded("login", passkeys("manager"), windows,
				happening{event.LoginError, 5 * day, event.Local, ""}, happening{event.LoginError, 2 * day, event.Local, ""}),
			nil, "L7a",
			[]string{"local-streak 2/2 in 720h0m0s until +600h0m0s pke-2 pke-1", "time 2026-12-17T12:00:00Z -> L11 true"},
		},
		"a streak within the short window of a pair that worked, and which will be longer when that is forgotten": {
			recorded("login", passkeys("hello"), windows,
				happening{event.LoginCompleted, 180*day - time.Hour, event.Local, "hello"},
				happening{event.LoginError, 3 * time.Hour, event.Local, ""}, happening{event.LoginError, 2 * time.Hour, event.Local, ""}),
			nil, "L7a",
			[]string{
				"local-streak 2/2 in 24h0m0s until +717h0m0s pke-3 pke-2", "hello worked local 4319h0m0s passed over: failing-here",
				"time 2026-12-22T09:00:00Z -> L11 true",
			},
		},
		"what worked last, where it still can": {
			recorded("login", passkeys("apple", "hello"), bare,
				happening{event.LoginCompleted, 10 * day, event.CDA, "apple"}, happening{event.LoginCompleted, 5 * day, event.Local, "hello"}),
			nil, "L6",
			[]string{
				"hello worked local 120h0m0s passed over: no-local-authenticator", "apple worked cda 240h0m0s used",
				"strategy minimize -> L2 false",
			},
		},
		"out of reach but for Bluetooth": {
			recorded("login", passkeys("apple"), deaf), nil, "L13", []string{"bluetoothAvailable true -> L10 true"},
		},
		"one entry of a list": {
			recorded("login", passkeys("hello"), windows),
			map[string]any{"blockedBrowsers": []any{map[string]any{"name": "Firefox"}, map[string]any{"name": "Chrome", "below": "200"}}},
			"L1a", []string{"bar blockedBrowsers without Chrome below 200 -> L11 true"},
		},
		"two entries of which neither alone would do": {
			recorded("login", passkeys("hello"), windows),
			map[string]any{"blockedBrowsers": []any{map[string]any{"name": "Chrome"}, map[string]any{"name": "Chrome", "below": "200"}}}, "L1a", nil,
		},
		"a crawler, which two entries of the table tell together": {
			recorded("login", passkeys("hello"), agentOf(windows,
				"Mozilla/5.0 (Windows NT 10.0; compatible; Googlebot/2.1; +http://www.google.com/bot.html)")),
			nil, "L1a",
			[]string{
				"bar allowWebdriver: true -> L11 true",
				`bar agents.bots without "+http" and "compatible; *bot" and "googlebot" -> L11 true`,
			},
		},
		"a browser without a window": {
			recorded("login", passkeys("hello"), agentOf(windows, strings.Replace(chrome, "Chrome", "HeadlessChrome", 1))), nil, "L1a",
			[]string{"bar allowWebdriver: true -> L11 true", `bar agents.devices without "HeadlessChrome" -> L11 true`},
		},
		"a browser within an app": {
			recorded("login", passkeys("hello"), agentOf(windows, chrome+" Instagram 300 [FBAN/x]")), nil, "L8",
			[]string{`bar agents.inApp without "FBAN" and "Instagram" -> L11 true`},
		},
		"a browser within an app of the parameters": {
			recorded("login", passkeys("hello"), agentOf(windows, chrome+" ExampleApp/3")),
			map[string]any{"restrictedBrowserTokens": []any{"Other", "ExampleApp"}}, "L8",
			[]string{"bar restrictedBrowserTokens without ExampleApp -> L11 true"},
		},
		"a television": {
			recorded("login", passkeys("manager"), factstest.With(rest.ClientInformation{
				UserAgent: "Mozilla/5.0 (X11; Linux x86_64; SMART-TV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
			}, func(c *rest.ClientInformation) { c.UserVerifyingPlatformAuthenticatorAvailable = new(true) })), nil, "L13",
			[]string{`bar agents.devices without "SMART-TV" -> L11 true`},
		},
		"a system that is older than the oldest which syncs": {
			recorded("login", passkeys("apple"), factstest.Browser("macOS", "12", "Safari")), nil, "L10",
			[]string{"strategy minimize -> L13 false", "bar minimumVersions.macos: 12 -> L9 true"},
		},
		"a provider without a product for the system": {
			recorded("login", passkeys("keepassdx"), windows), nil, "L13",
			[]string{"bar aaguids.eaecdef2-1c31-5634-8639-f1cbd9c00a08.platforms and windows -> L11 true"},
		},
		"an address that is barred, of which the record has the network": {
			barred(in("198.51.100.0/24", recorded("login", passkeys("hello"), windows))),
			map[string]any{"blockedAddresses": []any{"203.0.113.0/24", "198.51.100.7"}}, "L1a",
			[]string{"bar blockedAddresses without 198.51.100.7 -> L11 true"},
		},
		"an address of a network of which others are barred": {
			in("198.51.100.0/24", recorded("login", passkeys("hello"), windows)),
			map[string]any{"blockedAddresses": []any{"198.51.100.0/25", "198.51.100.200"}}, "L11", nil,
		},
		"a pause with the decline that it began with": {
			recorded("append", nil, windows, happening{event.AppendExplicitAbort, 20 * day, "", ""},
				happening{event.AppendExplicitAbort, 10 * day, "", ""}, happening{event.AppendExplicitAbort, day, "", ""}),
			nil, "A13",
			[]string{
				"default-pause 1/0 in 720h0m0s until +696h0m0s pke-3", "default-declines 3/3 in 8760h0m0s until +8280h0m0s pke-3 pke-2 pke-1",
				"time 2026-12-21T12:00:00Z -> A13 true",
			},
		},
		"a budget behind which offers pause, so that its end is that of one reason alone": {
			recorded("append", nil, windows, happening{event.AppendExplicitAbort, 20 * day, "", ""},
				happening{event.AppendExplicitAbort, 10 * day, "", ""}, happening{event.AppendExplicitAbort, day, "", ""},
				happening{event.AppendOffered, time.Hour, "", ""}),
			map[string]any{"nudgeBudget": map[string]any{"day": 1}}, "A13",
			[]string{
				"default-pause 1/0 in 720h0m0s until +696h0m0s pke-3", "default-declines 3/3 in 8760h0m0s until +8280h0m0s pke-3 pke-2 pke-1",
				"last-offer 1/0 pke-4", "budget-day 1/1 in 24h0m0s until +23h0m0s pke-4", "time 2026-11-23T11:00:00Z -> A13 false cooldown",
			},
		},
		"a passkey that is here, which is why no other is offered": {
			recorded("append", passkeys("hello"), windows, happening{event.LoginCompleted, day, event.Local, "hello"}),
			nil, "A10", []string{"hello worked local 24h0m0s used"},
		},
		"a passkey that is lost, which is why another is offered": {
			recorded("append", passkeys("hello"), windows, happening{event.LoginCompleted, 5 * day, event.Local, "hello"},
				happening{event.LoginNoCredentials, day, event.Local, ""}),
			nil, "A10a",
			[]string{"no-credentials 1/0 in 720h0m0s until +696h0m0s pke-2", "hello worked local 120h0m0s used"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			by, err := e.With(c.parameters)
			if err != nil {
				t.Fatal(err)
			}
			found, err := causes.Find(t.Context(), by, c.of)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(append([]string{c.row}, c.want...), append([]string{found.Rule}, said(found)...)); diff != "" {
				t.Error(diff)
			}
			for _, counted := range found.Counted {
				if slices.ContainsFunc(counted.Events, func(e causes.Event) bool { return e.ID == "" || e.Type == "" || e.At.IsZero() }) {
					t.Errorf("%+v", counted)
				}
			}
		})
	}
}

// Without what happened, a passkey that worked here would be told as one of a kind that this client cannot hold.
func TestPasskeysAreFoundWithWhatHadHappened(t *testing.T) {
	t.Parallel()
	e, err := engine.Load(t.Context(), policiestest.Files(t), engine.Options{EvalTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	worked := happening{of: event.LoginCompleted, age: day, route: event.Local, of2: "apple"}
	for name, c := range map[string]struct {
		happened []happening
		want     string
	}{
		"it worked here":   {[]happening{worked}, "worked-here"},
		"nothing happened": {nil, "other-os"},
	} {
		client := factstest.Browser("Windows", "11", "Chrome")
		found, err := causes.Find(t.Context(), e, recorded(engine.ActionLogin, passkeys("apple"), client, c.happened...))
		if err != nil {
			t.Fatal(err)
		}
		if got := found.Passkeys; len(got) != 1 || got[0].LocalReason != c.want {
			t.Errorf("%s: %+v, want %s", name, got, c.want)
		}
	}
}

func TestWhatWasFoundIsSaidInSectionsOfWhichNoneIsEmpty(t *testing.T) {
	t.Parallel()
	if said := (*causes.Found)(nil).Sections(); said != nil {
		t.Errorf("of nothing: %v", said)
	}
	if said := (&causes.Found{}).Sections(); len(said) != 0 {
		t.Errorf("of nothing found: %v", said)
	}
	declined := []causes.Event{{ID: "pke-1", Type: event.AppendError, At: now}}
	said := (&causes.Found{
		Reason: "cooldown", NextEligibleAt: &now,
		Worked: []causes.Win{{
			How: "worked", Credential: "cre-1", Provider: "Bitwarden", Route: event.Local, At: now, PassedOver: "failing-here",
		}},
		Counted: []causes.Count{{Of: "default-pause", Number: 12, Events: declined}},
	}).Sections()
	want := []causes.Section{
		{Heading: "Refused for this reason until 2026-11-22T12:00:00Z [cooldown]"},
		{Heading: "What worked here", Items: []causes.Item{
			{Text: "Bitwarden (cre-1) worked, on this device, 2026-11-22T12:00:00Z: passed over [failing-here]"},
		}},
		{Heading: "What was counted", Items: []causes.Item{
			{Text: "Pause of offers: 12", Events: []string{"2026-11-22T12:00:00Z  pke-1  append-error", "and 11 older"}, Of: declined},
		}},
	}
	internal := cmpopts.IgnoreUnexported(causes.Item{})
	if diff := cmp.Diff(want, said, internal); diff != "" {
		t.Error(diff)
	}
	plain := []causes.Section{
		{Heading: "Refused for this reason until 2026-11-22T12:00:00Z"},
		{Heading: "What worked here", Items: []causes.Item{{Text: "Bitwarden worked, on this device, 2026-11-22T12:00:00Z: passed over"}}},
		{Heading: "What was counted", Items: []causes.Item{
			{Text: "Pause of offers: 12", Events: []string{"2026-11-22T12:00:00Z  a creation failed", "and 11 older"}, Of: declined},
		}},
	}
	if diff := cmp.Diff(plain, []causes.Section{said[0].Plain(), said[1].Plain(), said[2].Plain()}, internal); diff != "" {
		t.Errorf("in plain words: %s", diff)
	}
}

func TestAnEndIsToldInWholeSecondsAsOnTheWire(t *testing.T) {
	t.Parallel()
	late := now.Add(300 * time.Millisecond)
	said := (&causes.Found{
		Reason: "cooldown", NextEligibleAt: new(now.Add(time.Second)),
		Counted: []causes.Count{{Of: "default-pause", Number: 1, Until: &late}},
	}).Sections()
	for _, one := range []string{said[0].Heading, said[1].Items[0].Text} {
		if !strings.Contains(one, "until 2026-11-22T12:00:01Z") {
			t.Errorf("%q has another end", one)
		}
	}
}
