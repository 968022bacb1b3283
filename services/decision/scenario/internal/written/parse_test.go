package written

import (
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/scenario/internal/strictyaml"
	"github.com/keyward/keyward/services/decision/scenario/internal/vocabulary"
)

// head defines what the cases below use; their own lines begin at 5.
const head = `now: 2026-11-22T12:00:00Z
clients: { WIN: { userAgent: "Mozilla/5.0", privateMode: false, nativeMeta: { build: "1", brand: Apple } } }
credentials: { hello: { credentialID: aGVsbG8, created: -90d, env: E9, createdOS: Windows } }
scenarios:
`

// plainScenario is a scenario that is accepted.
const plainScenario = `  - { name: plain, action: login, client: WIN, passkeys: [hello], expect: { allow: true } }
`

func TestWhatIsWrongIsSaidWithItsLine(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file string
		want []string
	}{
		"an empty file":            {"", []string{"x.yaml: the file is empty"}},
		"no YAML":                  {"now: [\n", []string{"x.yaml:1: this is no YAML: did not find expected node content"}},
		"a list instead of a file": {"- 1\n", []string{"x.yaml:1: the file must be an object, not a list"}},
		"two documents": {
			head + plainScenario + "---\nnow: x\n",
			[]string{"x.yaml:6: the file holds more than one YAML document; a line of --- separates documents"},
		},
		"no scenarios": {"now: 2026-11-22T12:00:00Z\n", []string{"x.yaml:1: the file has no scenarios"}},
		"an unknown key of the file": {
			"clocks: 1\n" + head + plainScenario,
			[]string{
				`x.yaml:1: the file has no key "clocks"; there are now, clients, credentials, lists, networks, authenticators, scenarios`,
			},
		},
		"a misspelt key of the file": {
			"client: {}\n" + head + plainScenario, []string{`x.yaml:1: the file has no key "client"; did you mean "clients"?`},
		},
		"a key twice": {head + plainScenario + "now: 2026-11-22T12:00:00Z\n", []string{`x.yaml:6: the key "now" is given twice`}},
		"a clock that is none": {
			"now: today\nscenarios: [{ name: a, action: login, client: {}, expect: { allow: true } }]\n",
			[]string{`x.yaml:1: now "today" is no time like 2026-11-22T12:00:00Z`},
		},
		"a date without time": {
			"now: 2026-11-22\nscenarios: [{ name: a, action: login, client: {}, expect: { allow: true } }]\n",
			[]string{`x.yaml:1: now "2026-11-22" is no time like 2026-11-22T12:00:00Z`},
		},
		"no clock": {
			"scenarios: [{ name: a, action: login, client: {}, expect: { allow: true } }]\n",
			[]string{"x.yaml:1: the scenario has no clock: give now in the file or in the scenario"},
		},
		"an anchor within itself": {
			"now: &a [*a]\n", []string{"x.yaml:1: the file is nested too deeply or too large; anchors may not contain themselves"},
		},
		"a scenario that is text": {head + "  - plain\n", []string{"x.yaml:5: a scenario must be an object, not text"}},
		"nothing that a scenario needs": {
			head + "  - {}\n",
			[]string{
				"x.yaml:5: the scenario has no action; there are login, append, mediation, rollout, risk",
				"x.yaml:5: the scenario has no client", "x.yaml:5: the scenario has no name",
			},
		},
		"expectations that are empty": {
			head + plainScenario + "  - { name: a, action: login, client: WIN, expect: {} }\n",
			[]string{"x.yaml:6: the scenario expects nothing, so it could not fail"},
		},
		"keys of another action": {
			head + "  - { name: a, action: mediation, client: WIN, strategy: standard, expect: { allow: true, kind: auto } }\n",
			[]string{
				`x.yaml:5: a scenario of action mediation has no key "strategy"; there are name, action, now, client, env, user, passkeys, process, ` +
					`parameters, log, expect`,
				`x.yaml:5: expect of action mediation has no key "kind"`,
			},
		},
		"a tag of another action": {
			head + "  - { name: a, action: rollout, client: WIN, expect: { tag: user-no-pks } }\n",
			[]string{
				`x.yaml:5: unknown tag of rollout "user-no-pks"; there are default-deny, rollout-allowed, rollout-kill-switch, rollout-rule-blocked, ` +
					`rollout-sampled-out, rollout-identifier-not-listed`,
			},
		},
		"a rollout of something else": {
			head + "  - { name: a, action: rollout, about: lgin, client: WIN, flags: { beta: 1 }, expect: { allow: true } }\n",
			[]string{"x.yaml:5: flags.beta must be text, not a number; put it in quotes", `x.yaml:5: unknown about "lgin"; did you mean "login"?`},
		},
		"an unknown key of a named client": {
			strings.Replace(head, "privateMode", "privatMode", 1) + plainScenario,
			[]string{`x.yaml:2: client has no key "privatMode"; did you mean "privateMode"?`},
		},
		"an authenticator that is none": {
			"authenticators: { yubikey: { status: ok } }\n" + head + plainScenario,
			[]string{`x.yaml:1: authenticator "yubikey" is no AAGUID`},
		},
		"an authenticator of no model": {
			"authenticators: { 00000000-0000-0000-0000-000000000000: { status: ok } }\n" + head + plainScenario,
			[]string{"x.yaml:1: an AAGUID of zeros is no model"},
		},
		"an authenticator with what nobody says of it": {
			"authenticators: { 2fc0579f-8113-47ea-b116-bb5a8db9202a: { status: stolen, level: 7 } }\n" + head + plainScenario,
			[]string{
				"x.yaml:1: level must be 0 to 6: 1 = L1, 2 = L1+, to 6 = L3+",
				`x.yaml:1: unknown status "stolen"; there are unknown, ok, update, retired, compromised, revoked`,
			},
		},
		"a passkey that somebody else vouches for": {
			strings.Replace(head, "createdOS: ", "attested: yes, createdOS: ", 1) + plainScenario,
			[]string{`x.yaml:3: unknown attested "yes"; there are none, self, unverified, verified`},
		},
		"an unknown key of a named passkey": {
			strings.Replace(head, "createdOS", "createdOn", 1) + plainScenario,
			[]string{`x.yaml:3: a passkey has no key "createdOn"; did you mean "createdOS"?`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantProblems(t, c.file, c.want)
		})
	}
}

func TestWhatIsWrongWithAScenarioIsSaid(t *testing.T) {
	t.Parallel()
	// Each case is the scenario's keys beside name and action; what is wrong is in line 5.
	for name, c := range map[string]struct {
		action, keys string
		want         []string
	}{
		"an unknown client":        {"login", "client: MAC", []string{`unknown client "MAC"; there are WIN`}},
		"an unknown client in use": {"login", "client: { use: WIM }", []string{`unknown client "WIM"; did you mean "WIN"?`}},
		"a misspelt signal": {
			"login", "client: { use: WIN, privatMode: true }",
			[]string{`client has no key "privatMode"; did you mean "privateMode"?`},
		},
		"a misspelt signal further in": {
			"login", "client: { use: WIN, nativeMeta: { bild: x } }",
			[]string{`client.nativeMeta has no key "bild"; did you mean "build"?`},
		},
		"a signal of the wrong type": {
			"login", "client: { use: WIN, privateMode: 1 }", []string{"client.privateMode must be true or false, not a number"},
		},
		"an object where a word belongs": {
			"login", "client: { use: WIN, userAgent: { a: b } }", []string{"client.userAgent must be text, not an object"},
		},
		"a number as environment": {"login", "client: WIN, env: 1", []string{"env must be text, not a number; put it in quotes"}},
		"a misspelt key": {
			"login", "client: WIN, passkey: []",
			[]string{`a scenario of action login has no key "passkey"; did you mean "passkeys"?`},
		},
		"an unknown status": {
			"login", "client: WIN, user: { status: blocked }",
			[]string{`unknown status "blocked"; there are active, pending, disabled`},
		},
		"an unknown strategy": {"login", "client: WIN, strategy: max", []string{`unknown strategy "max"; did you mean "maximize"?`}},
		"an unknown flag": {
			"append", "client: WIN, flags: { force: true }",
			[]string{`flags has no key "force"; did you mean "forcePasskeyAppend"?`},
		},
		"a flag of the wrong type": {
			"append", "client: WIN, flags: { askForInAppAppend: true }",
			[]string{"flags.askForInAppAppend must be text, not true or false; put it in quotes"},
		},
		"an unknown passkey":        {"login", "client: WIN, passkeys: [helo]", []string{`unknown passkey "helo"; did you mean "hello"?`}},
		"a passkey that is nothing": {"login", "client: WIN, passkeys: [{}]", []string{"the passkey has no credentialID"}},
		"passkeys that are no list": {"login", "client: WIN, passkeys: hello", []string{"passkeys must be a list, not text"}},
		"a credential ID that is none": {
			"login", "client: WIN, passkeys: [{ use: hello, credentialID: 'a b' }]",
			[]string{`credentialID "a b" is no base64url without padding`},
		},
		"an AAGUID that is none": {
			"login", "client: WIN, passkeys: [{ use: hello, aaguid: hello }]",
			[]string{`aaguid "hello" is no UUID; a provider by its name is a provider`},
		},
		"provider beside aaguid": {
			"login", "client: WIN, passkeys: [{ use: hello, provider: Bitwarden, aaguid: d548826e-79b4-db40-a3d8-11116f7e8349 }]",
			[]string{`provider "Bitwarden" beside an aaguid, which says it too`},
		},
		"empty provider": {
			"login", "client: WIN, passkeys: [{ use: hello, provider: \"\" }]", []string{`provider is empty: it is a name of the bundle's aaguids`},
		},
		"an unknown transport": {
			"login", "client: WIN, passkeys: [{ use: hello, transports: [usb, bluetooth] }]",
			[]string{`unknown transport "bluetooth"; there are ble, cable, hybrid, internal, nfc, smart-card, usb`},
		},
		"a passkey deleted badly": {
			"login", "client: WIN, passkeys: [{ use: hello, deleted: yesterday }]",
			[]string{`deleted "yesterday" is neither an offset like -5d or -1h30m, of ms, s, m, h and d, nor a time like 2026-11-22T12:00:00Z`},
		},
		"parameters that are no object": {"login", "client: WIN, parameters: [a]", []string{"parameters must be an object, not a list"}},
		"an unknown event": {
			"login", "client: WIN, log: [{ at: -1d, type: login-errors }]",
			[]string{`unknown type "login-errors"; did you mean "login-error"?`},
		},
		"an event without type": {"login", "client: WIN, log: [{ at: -1d }]", []string{"the log entry has no type"}},
		"an event without time": {
			"login", "client: WIN, log: [{ type: login-error }]", []string{"the log entry does not say when it happened (at)"},
		},
		"an offset without unit": {
			"login", "client: WIN, log: [{ at: -5, type: login-error }]",
			[]string{`at "-5" is neither an offset like -5d or -1h30m, of ms, s, m, h and d, nor a time like 2026-11-22T12:00:00Z`},
		},
		"an offset of an unknown unit": {
			"login", "client: WIN, log: [{ at: -5w, type: login-error }]",
			[]string{`at "-5w" is neither an offset like -5d or -1h30m, of ms, s, m, h and d, nor a time like 2026-11-22T12:00:00Z`},
		},
		"an offset of a million years": {
			"login", "client: WIN, log: [{ at: -365000000d, type: login-error }]",
			[]string{`at "-365000000d" is more than 100 years away`},
		},
		"a time before computers": {
			"login", "client: WIN, log: [{ at: 1960-01-01T00:00:00Z, type: login-error }]", []string{"at lies before 1970"},
		},
		"a month too many": {
			"login", "client: WIN, log: [{ at: 2026-13-01T00:00:00Z, type: login-error }]",
			[]string{`at "2026-13-01T00:00:00Z" is no time like 2026-11-22T12:00:00Z`},
		},
		"a key of another event": {
			"login", "client: WIN, log: [{ at: -1d, type: login-denied, route: local }]",
			[]string{`a log entry of type login-denied has no key "route"; there are at, type, id, deleted, user, process, env`},
		},
		"an unknown route": {
			"login", "client: WIN, log: [{ at: -1d, type: login-offered, route: hybrid }]",
			[]string{`unknown route "hybrid"; there are local, cda, security-key`},
		},
		"an unknown kind": {
			"login", "client: WIN, log: [{ at: -1d, type: append-offered, kind: after-hybrids }]",
			[]string{`unknown kind "after-hybrids"; did you mean "after-hybrid"?`},
		},
		"an unknown credential": {
			"login", "client: WIN, log: [{ at: -1d, type: login-error, credential: bitw }]",
			[]string{`unknown credential "bitw"; there are hello`},
		},
		"an end that the wire refuses": {
			"login", "client: WIN, log: [{ at: -1d, type: user-login-blacklisted, expires: 0 }]",
			[]string{"expires must be a Unix time in seconds above zero, or in ms above 100000000000"},
		},
		"an end that is a word": {
			"login", "client: WIN, log: [{ at: -1d, type: user-login-blacklisted, expires: soon }]",
			[]string{`expires "soon" is neither an offset like -5d or -1h30m, of ms, s, m, h and d, nor a time like 2026-11-22T12:00:00Z`},
		},
		"another account without a name": {
			"login", "client: WIN, log: [{ at: -1d, type: login-error, user: 7 }]",
			[]string{"user must be text, not a number; put it in quotes"},
		},
		"an unknown expectation": {
			"login", "client: WIN, expect: { allowed: true }",
			[]string{`expect of action login has no key "allowed"; did you mean "allow"?`},
		},
		"an expectation of another type": {"login", "client: WIN, expect: { allow: 'yes' }", []string{"allow must be true or false, not text"}},
		"an unknown decision tag": {
			"login", "client: WIN, expect: { tag: user-no-pk }",
			[]string{`unknown decision tag "user-no-pk"; did you mean "user-no-pks"?`},
		},
		"an unknown hint": {
			"login", "client: WIN, expect: { hints: [phone] }",
			[]string{`unknown hint "phone"; there are client-device, hybrid, security-key`},
		},
		"a passkey of somebody else": {
			"login", "client: WIN, expect: { allowCredentials: [hello] }",
			[]string{`unknown passkey of the account "hello"; there is none`},
		},
		"a reason the wire has not": {
			"append", "client: WIN, expect: { reason: cooldown }",
			[]string{`unknown reason "cooldown"; there are passkey_already_exists, passkeys_not_supported, ""`},
		},
		"an unknown nudge count": {
			"append", "client: WIN, expect: { history: { defaultCounts: 1 } }",
			[]string{`history has no key "defaultCounts"; did you mean "defaultCount"?`},
		},
		"a count that is true": {
			"append", "client: WIN, expect: { history: { defaultCount: true } }",
			[]string{"history.defaultCount must be a whole number, not true or false"},
		},
		"an unknown fact": {
			"login", "client: WIN, expect: { facts: { client.oz: windows } }",
			[]string{`there is no fact "client.oz"; the bundle's schemas describe all, such as client.os`},
		},
		"a reach that there is not": {
			"login", "client: WIN, passkeys: [hello], expect: { passkeys: { hello: { local: perhaps } } }",
			[]string{`unknown local "perhaps"; there are likely, uncertain, none`},
		},
		"a passkey of nobody": {
			"login", "client: WIN, expect: { passkeys: { hello: { local: likely } } }",
			[]string{`passkeys has no key "hello"; there is none`},
		},
		"a moment that is none": {
			"login", "client: WIN, expect: { nextEligibleAt: soon }",
			[]string{`nextEligibleAt "soon" is neither an offset like -5d or -1h30m, of ms, s, m, h and d, nor a time like 2026-11-22T12:00:00Z`},
		},
		"an unknown detection tag": {
			"login", "client: WIN, expect: { notDetectionTags: [history/clock-skewed] }",
			[]string{`unknown detection tag "history/clock-skewed"; did you mean "history/clock-skew"?`},
		},
		"a detection tag of no category": {
			"login", "client: WIN, expect: { detectionTags: [availability-likely] }",
			[]string{`unknown detection tag "availability-likely"; did you mean "passkey/availability-likely"?`},
		},
		"several things at once": {"login", "client: MAC, env: 5, log: [{ at: x, type: y }]", []string{
			`at "x" is neither an offset like -5d or -1h30m, of ms, s, m, h and d, nor a time like 2026-11-22T12:00:00Z`,
			"env must be text, not a number; put it in quotes", `unknown client "MAC"; there are WIN`, `unknown type "y"`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !strings.Contains(c.keys, "expect:") {
				c.keys += ", expect: { allow: true }"
			}
			want := make([]string, len(c.want))
			for i := range c.want {
				want[i] = "x.yaml:5: " + c.want[i]
			}
			wantProblems(t, head+"  - { name: a, action: "+c.action+", "+c.keys+" }\n", want)
		})
	}
}

func wantProblems(t *testing.T, file string, want []string) {
	t.Helper()
	_, problems := Parse("x.yaml", []byte(file))
	if diff := cmp.Diff(strings.Join(want, "\n"), problems.Error()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTheEndOfAnEventIsWhatWouldBeSent(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]int64{
		"1s": 1795348801, "2026-11-22T12:00:01Z": 1795348801, "1795348801": 1795348801, "1795348801000": 1795348801000,
		"2026-11-22T12:00:00.5Z": 1795348800500,
	} {
		log := "  - { name: a, action: login, client: WIN, expect: { allow: true },\n" +
			"      log: [{ at: -1d, type: login-error, expires: " + given + " }] }\n"
		scenarios, problems := Parse("x.yaml", []byte(head+log))
		if len(problems) > 0 {
			t.Errorf("%s: %v", given, problems)
			continue
		}
		if got := scenarios[0].Events[0].Expires; got != want {
			t.Errorf("%s was read as %d, want %d", given, got, want)
		}
	}
}

// one parses a file with one scenario behind head.
func one(t *testing.T, keys string) Scenario {
	t.Helper()
	scenarios, problems := Parse("x.yaml", []byte(head+"  - { name: a, expect: { allow: true }, "+keys+" }\n"))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return scenarios[0]
}

func TestChangesAreMergedOverNamedThings(t *testing.T) {
	t.Parallel()
	s := one(
		t,
		"action: login, client: { use: WIN, privateMode: null, webdriver: true, nativeMeta: { build: '2', model: X, brand: null }, "+
			"parsedDeviceInfo: { osName: iOS, osVersion: null } }",
	)
	yes, build, model := true, "2", "X"
	want := rest.ClientInformation{
		UserAgent:        "Mozilla/5.0",
		Webdriver:        &yes,
		NativeMeta:       &rest.NativeMeta{Build: &build, Model: &model},
		ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "iOS"},
	}
	if diff := cmp.Diff(want, s.Question.Client); diff != "" {
		t.Error(diff)
	}
	plain := one(t, "action: login, client: WIN")
	if plain.Question.Client.PrivateMode == nil || *plain.Question.Client.NativeMeta.Build != "1" {
		t.Errorf("one scenario's changes reached another's client: %+v", plain.Question.Client)
	}
	own := one(t, "action: login, client: { userAgent: curl }")
	if diff := cmp.Diff(rest.ClientInformation{UserAgent: "curl"}, own.Question.Client); diff != "" {
		t.Errorf("a client of its own: %s", diff)
	}
}

func TestPasskeysAreThoseTheAccountHasNow(t *testing.T) {
	t.Parallel()
	s := one(
		t,
		"action: login, client: WIN, passkeys: [hello, { use: hello, credentialID: YWJj, deleted: -1d, transports: [usb] }, { use: hello, "+
			"credentialID: ZGVm, deleted: 1d, created: 2026-11-01T00:00:00Z }]",
	)
	a := s.Question.Account
	if len(a.Credentials) != 2 || a.Credentials[0].ID != "cre-1" || a.Credentials[1].ID != "cre-3" {
		t.Fatalf("credentials: %+v", a.Credentials)
	}
	if want := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC).UnixMilli(); a.Credentials[1].CreatedMs != want {
		t.Errorf("created %d, want %d", a.Credentials[1].CreatedMs, want)
	}
	if len(a.Deleted) != 1 || a.Deleted[0].ID != "cre-2" || string(a.Deleted[0].CredentialID) != "abc" ||
		a.Deleted[0].DeletedMs != s.Now.Add(-24*time.Hour).UnixMilli() {
		t.Errorf("deleted: %+v", a.Deleted)
	}
}

func TestWhoAndWhere(t *testing.T) {
	t.Parallel()
	type where = service.Environment
	at := func(want where) func(Scenario) bool {
		return func(s Scenario) bool { return s.Question.Environment == want }
	}
	for keys, check := range map[string]func(Scenario) bool{
		"":                                       at(where{}),
		"env: none":                              at(where{}),
		"env: forged":                            at(where{Rejected: true}),
		"env: E1":                                at(where{ID: "E1", Known: true}),
		"env: E1, client: { privateMode: true }": at(where{ID: "E1"}),
		"user: { absent: true }":                 func(s Scenario) bool { return s.Question.Account == nil },
		"user: { status: disabled }":             func(s Scenario) bool { return s.Question.Account.Status == account.StatusDisabled },
		"user: { lookupFailed: true }":           func(s Scenario) bool { return s.Question.LookupFailed },
		"now: 2025-01-01T01:00:00+01:00": func(s Scenario) bool {
			return s.Now.Equal(time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC))
		},
		"process: p0": func(s Scenario) bool { return s.Question.Process == "p0" },
		"log: [{ at: -1d, type: login-error, process: this-process }]": func(s Scenario) bool {
			return s.Question.Process != "" && s.Question.Process != "this-process"
		},
	} {
		if !strings.Contains(keys, "client:") {
			keys += ", client: WIN"
		}
		if !check(one(t, "action: login, "+strings.TrimPrefix(keys, ", "))) {
			t.Errorf("%s was read wrongly", keys)
		}
	}
}

func TestTheLogIsWhatTheEventsServiceWouldHold(t *testing.T) {
	t.Parallel()
	s := one(t, `action: login, client: WIN, passkeys: [hello, { use: hello, credentialID: YWJj, created: -2d }], log: [
      { at: -1d, type: login-error, process: p1 },
      { at: -1d, type: login-offered, route: cda, process: p1, challenge: c1, env: E1 },
      { at: -23h, type: login-completed, ceremonyType: cda, credential: hello, challenge: c1, env: none },
      { at: -22h, type: append-offered, process: p2, kind: auto },
      { at: -21h, type: append-completed, process: p2 },
      { at: -2d, type: login-error, process: p1, user: somebody },
      { at: -20h, type: login-denied, deleted: -1h },
      { at: -20h, type: login-denied, process: p3, deleted: 1h },
      { at: -3h, type: login-no-credentials, id: mine, deleted: -2h },
      { at: -1h, type: login-no-credentials, id: mine }]`)
	if diff := cmp.Diff([]event.Event{
		{ID: "log-1000001", Type: event.LoginError, Process: "p1", Ceremony: "was-1000000", Route: event.CDA},
		{ID: "log-1000002", Type: event.LoginCompleted, Credential: "cre-1", Challenge: "c1", Ceremony: "was-1000000", Route: event.CDA},
		{ID: "log-1000003", Type: event.AppendOffered, Process: "p2", Ceremony: "was-1000003", Kind: event.KindAuto},
		{ID: "log-1000004", Type: event.AppendCompleted, Process: "p2", Ceremony: "was-1000003", Kind: event.KindAuto},
		{ID: "mine", Type: event.LoginNoCredentials},
		{ID: "deletion-of-mine", Type: event.Deleted, Deletes: "mine"},
	}, undated(s.Events)); diff != "" {
		t.Errorf("events: %s", diff)
	}
	if diff := cmp.Diff([]event.Event{
		{
			ID:          "log-1000000",
			Type:        event.LoginOffered,
			Process:     "p1",
			Challenge:   "c1",
			Environment: "E1",
			Ceremony:    "was-1000000",
			Route:       event.CDA,
		},
		{ID: "log-1000006", Type: event.LoginDenied, Process: "p3"},
	}, undated(s.Offers)); diff != "" {
		t.Errorf("offers: %s", diff)
	}
	if used := s.Question.Account.Credentials[0]; used.LastUsedMs != s.Now.Add(-23*time.Hour).UnixMilli() || len(used.UsedOn) != 0 {
		t.Errorf("a cross-device login was noted as %+v", used)
	}
}

func undated(events []event.Event) []event.Event {
	plain := make([]event.Event, len(events))
	for i, e := range events {
		e.CreatedMs, e.Project, e.User, e.Sighted = 0, "", "", nil
		plain[i] = e
	}
	return plain
}

func TestAPasskeyUsedWhereAnotherWasMadeWasUsedOnThatSystem(t *testing.T) {
	t.Parallel()
	const use = "action: login, client: WIN, passkeys: [{ use: hello, credentialID: YWJj, env: E7 }], log: [{ at: -1d, type: " +
		"login-completed, ceremonyType: local, credential: hello, env: E9"
	if s := one(t, use+" }]"); !cmp.Equal(s.Question.Account.Credentials[0].UsedOn, []string{"Windows"}) {
		t.Errorf("used on %v", s.Question.Account.Credentials[0].UsedOn)
	}
	if s := one(t, use+", deleted: -1h }]"); len(s.Question.Account.Credentials[0].UsedOn) != 0 {
		t.Errorf("a deleted login still shows: used on %v", s.Question.Account.Credentials[0].UsedOn)
	}
}

func TestEveryWordOfTheVocabularyIsOneOfTheWire(t *testing.T) {
	t.Parallel()
	for _, tag := range vocabulary.DecisionTags {
		if !rest.DecisionTag(tag).Valid() {
			t.Errorf("decision tag %s", tag)
		}
	}
	for _, name := range vocabulary.Transports {
		if name == "cable" {
			continue // of stored passkeys alone
		}
		if !rest.CredentialTransport(name).Valid() {
			t.Errorf("transport %s", name)
		}
	}
}

func TestEverySignalOfTheWireCanBeWritten(t *testing.T) {
	t.Parallel()
	// The reader would panic at a field of a kind that it does not know.
	var write func(reflect.Type) string
	write = func(kind reflect.Type) string {
		switch kind.Kind() {
		case reflect.Pointer:
			return write(kind.Elem())
		case reflect.Struct:
			var fields []string
			for name, i := range strictyaml.JSONFields(kind) {
				fields = append(fields, name+": "+write(kind.Field(i).Type))
			}
			return "{ " + strings.Join(fields, ", ") + " }"
		case reflect.Bool:
			return "true"
		case reflect.String:
			switch kind {
			case reflect.TypeFor[rest.ClientEnvHandleMetaSource]():
				return "ls"
			case reflect.TypeFor[rest.PasskeyIntelFlagsLoginMethod]():
				return "code"
			default:
				return "text"
			}
		default:
			return "7"
		}
	}
	one(t, "action: login, client: "+write(reflect.TypeFor[rest.ClientInformation]()))
	one(t, "action: append, client: WIN, flags: "+write(reflect.TypeFor[rest.PasskeyIntelFlags]()))
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(head + plainScenario))
	f.Add([]byte("now: &a [*a]\n"))
	f.Add([]byte("clients: { A: &a { userAgent: x }, B: { <<: *a, userAgent: null } }\nscenarios: [{}, 1, [], null]\n"))
	f.Add(
		[]byte(
			head + "  - { name: a, now: 1999-01-01T00:00:00Z, action: append, client: { use: WIN }, log: [{ at: -1d2h, type: append-offered, " +
				"kind: auto, deleted: 1s }], parameters: { a: [1] }, expect: { history: { autoCount: 1 } } }\n",
		),
	)
	if own, err := os.ReadFile("../../../../../policies/scenarios/default/scenarios.yaml"); err == nil {
		f.Add(own)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		scenarios, problems := Parse("x.yaml", content)
		if len(problems) == 0 && len(scenarios) == 0 {
			t.Fatal("accepted without a scenario")
		}
		lines := strings.Count(string(content), "\n") + 2
		for _, p := range problems {
			if p.File != "x.yaml" || p.Line < 0 || p.Line > lines || p.Message == "" {
				t.Fatalf("problem %+v in a file of %d lines", p, lines)
			}
		}
	})
}
