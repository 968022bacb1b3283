package text_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/explain/text"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// settled is a condition that says no more than the one that it asks.
func settled(reason string, line int) explain.Condition {
	inner := explain.Condition{Reason: reason, File: "lib.rego", Line: line}
	return explain.Condition{Reason: reason, File: "login.rego", Line: 1, Because: []explain.Condition{inner}}
}

func TestAnExplanationIsWritten(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of   explain.Explanation
		want string
	}{
		"with all that there is to say": {
			explain.Explanation{
				Action: "login", Revision: "abc", Answer: map[string]any{"allow": true}, Note: "Something is left out.",
				Row: explain.Row{
					Name: "L2", Tag: "ok", Title: "It works", File: "login.rego", Line: 7,
					Conditions: []explain.Condition{{Reason: "both", Because: []explain.Condition{
						{Reason: "streak is 1", File: "login.rego", Line: 8}, settled("count is 2", 9),
					}}},
					Details:    []explain.Condition{settled("gate is open", 3)},
					Facts:      []explain.Reading{{Name: "pair.streak", Value: 1, Given: true, Description: "In a row"}, {Name: "rollout"}},
					Parameters: []explain.Reading{{Name: "streakThreshold", Value: 2, Given: true}},
				},
				Above: []explain.Row{
					{Name: "L0", Tag: "first", Reason: "a is false", File: "login.rego", Line: 2},
					{Name: "L1", Tag: "bar", Reason: "b is false", File: "login.rego", Line: 4, Conditions: []explain.Condition{settled("b is false", 5)}},
				},
				Client: &recognition.Identity{System: recognition.Part{
					Name: "macOS", From: recognition.FromHint, Version: "13.7", VersionFrom: recognition.FromHint,
				}},
				Lists: []recognition.Match{
					{Parameter: "blockedOperatingSystems[0]", Entry: "macOS < 14", Client: "13.7 (hint)", Bars: true},
					{Parameter: "blockedBrowsers[2]", Entry: "Chrome < 120", Client: "142 (user agent)"},
				},
				Passkeys: []detect.Reach{
					{Credential: "cre-1", Class: facts.ClassApple, Authenticator: "iCloud", Availability: detect.Likely, LocalReason: "synced-here",
						ByPhoneReason: "made-on-phone", Why: "iOS has it", History: []string{"it failed at noon"}},
				},
				Causes: &causes.Found{
					Rule: "L2", Reason: "failing_here", NextEligibleAt: &noon,
					Worked: []causes.Win{
						{How: "worked", Credential: "cre-1", Provider: "iCloud", Route: "cda", At: noon, Used: true},
						{How: "said-to-exist", Credential: "cre-2", Route: "local", At: noon, PassedOver: "manager-absent"},
						{How: "made", Credential: "cre-3", Route: "security-key", At: noon},
					},
					Counted: []causes.Count{
						{Of: "local-streak", Number: 3, Threshold: 2, WindowSeconds: 86400, Until: &noon, Events: []causes.Event{
							{ID: "pke-1", Type: "login-error", At: noon, Route: "local", Ceremony: "was-1", Credential: "cre-1"},
						}},
						{Of: "login-blacklist", Number: 1, Events: []causes.Event{{ID: "pke-2", Type: "user-login-blacklisted", At: noon}}},
					},
					Changes: []causes.Change{
						{Of: "strategy", To: "maximize", Allow: true, Row: "L12", Tag: "t"},
						{Of: "time", To: "2026", Row: "L13", Tag: "t", Reason: "unreachable"},
						{Of: "bar", To: "blockedBrowsers without Chrome", Row: "L9", Allow: true, Tag: "t"},
					},
				},
			},
			`login: allowed   row L2   tag ok   revision abc

Something is left out.

L2  ok answered   login.rego:7
    It works
    because streak is 1   login.rego:8
        and count is 2   lib.rego:9

What shaped its answer
    gate is open  lib.rego:3

Facts it read
    pair.streak  1  In a row
    rollout      not given

Parameters it read
    streakThreshold  2

The client
    system   macOS 13.7 (hint)
    browser  unknown

Lists that name the client
    blockedOperatingSystems[0] macOS < 14, client 13.7 (hint)
    blockedBrowsers[2] Chrome < 120, client 142 (user agent), which it does not bar

Passkeys of the account
    cre-1  a passkey of Apple's (iCloud)  expected here: iOS has it [synced-here; by phone: made-on-phone]
                                          it failed at noon

Refused for this reason until 2026-11-22T12:00:00Z [failing_here]

What worked here
    iCloud (cre-1) worked, by another device, 2026-11-22T12:00:00Z: the answer rests on it
    a passkey (cre-2) is here, as the client said, on this device, 2026-11-22T12:00:00Z: passed over [manager-absent]
    a passkey (cre-3) was created, by security key, 2026-11-22T12:00:00Z

What was counted
    Failures with this device: 3 (2 decide) within 1 d, until 2026-11-22T12:00:00Z
        2026-11-22T12:00:00Z  pke-1  login-error  route local  ceremony was-1  passkey cre-1
        and 2 older
    Logins barred: 1
        2026-11-22T12:00:00Z  pke-2  user-login-blacklisted

What would change the answer
    with strategy maximize: allowed [row L12, tag t]
    from 2026 on: not allowed, for another reason [unreachable, row L13, tag t]
    with blockedBrowsers without Chrome: allowed [row L9, tag t]

Rows above it
    L0  first  did not match: a is false  login.rego:2
    L1  bar    did not match: b is false  lib.rego:5
`,
		},
		"of a bundle without rules": {
			explain.Explanation{
				Action: "rollout", Revision: "abc", Answer: map[string]any{"allow": false},
				Row: explain.Row{Name: "none", Tag: "t", Reason: "the bundle has no rules for this action"},
			},
			"rollout: not allowed   row none   tag t   revision abc\n\nnone  t answered   \n    because the bundle has no rules for this action\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := text.Write(&out, &c.of); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			broken := &full{left: len(c.want) - 1}
			if err := text.Write(broken, &c.of); !errors.Is(err, errFull) {
				t.Errorf("to a writer that is full: %v", err)
			}
		})
	}
}

var errFull = errors.New("full")

// full takes so many bytes and no more.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.left {
		return 0, errFull
	}
	f.left -= len(p)
	return len(p), nil
}

func TestAJudgementOfRiskIsWrittenWithWhatGoesWithIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer   map[string]any
		enforced bool
		want     string
	}{
		"with nothing": {
			map[string]any{
				"action": "allow", "level": "low", "stepUp": []any{}, "exclude": []any{}, "retrySeconds": json.Number("0"),
				"obligations": map[string]any{"notifyUser": false, "maxSessionSeconds": json.Number("0"), "userVerification": ""},
			}, false, `
Risk: allow   level low   row R5   nothing is refused for it
`,
		},
		"by rules that say no more than they must": {map[string]any{"action": "allow", "level": "low"}, false, `
Risk: allow   level low   row R5   nothing is refused for it
`},
		"with everything": {
			map[string]any{
				"action": "challenge", "level": "high", "stepUp": []any{"passkey-uv", "caller"}, "exclude": []any{json.Number("0"), json.Number("2")},
				"retrySeconds": json.Number("600"),
				"obligations":  map[string]any{"notifyUser": true, "maxSessionSeconds": json.Number("3600"), "userVerification": "required"},
			}, true, `
Risk: challenge   level high   row R5   it is done
    the further proof by any of passkey-uv, caller
    not to be named: the passkeys 0, 2 of credentials.items
    worth trying again in 600 seconds
    the user should be told
    a session that comes of it lives at most 3600 seconds
    the login has to verify its user
    bot  severity 2  A program
What would change the answer
    without bot nothing would be left
`,
		},
	} {
		e := explain.Explanation{Action: explain.Risk, Answer: c.answer, Row: explain.Row{Name: "R5"}}
		if c.enforced {
			e.Risk = []service.RiskReason{{Code: "bot", Severity: 2, Title: "A program"}}
		}
		var out strings.Builder
		if err := text.WriteRisk(&out, &e, c.enforced); err != nil || out.String() != c.want {
			t.Errorf("%s: %v\n%s", name, err, cmp.Diff(c.want, out.String()))
		}
	}
}

// Whoever asks why wants to know how often, within which time and of how many that is too often: of a start as well, whose own row says
// nothing of that.
func TestAJudgementOfRiskSaysWhatWasFoundAndWhatWouldChangeIt(t *testing.T) {
	t.Parallel()
	policy, err := explain.Load(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		facts string
		want  []string
	}{
		"O6, many users from an address": {
			`{"stage": "login-start", "complete": true, "velocity": {"addressUsers": 8, "addressFailures": 9}, "familiar": {"network": "new"}}`,
			[]string{
				"velocity.addressUsers is 8, at least risk.addressUsers (8) (\"distinct users of the address, 1 h\")",
				"without address-spray severity 1 would be the worst",
			},
		},
		"O14, an ocean within an hour": {
			`{"stage": "login-start", "complete": true, "familiar": {"environment": "new", "country": "new"},
			"travel": {"located": true, "distanceKm": 10000, "kmh": 5000}}`,
			[]string{
				"travel.kmh is 5000, at least risk.travelKmh (800)", "travel.distanceKm is 10000, at least risk.travelMinKm (250)",
				"without impossible-travel severity 2 would be the worst",
			},
		},
		"what is allowed": {
			`{"stage": "login-start", "complete": true, "familiar": {"network": "new"}}`, []string{`familiar.network is "new"`},
		},
		"many browsers within a day": {
			`{"stage": "login-start", "complete": true, "velocity": {"userEnvironments": 5}}`,
			[]string{
				"velocity.userEnvironments is 5, at least risk.userEnvironments (5) (\"distinct environments of the user, 1 d\")",
				"without many-environments nothing would be left",
			},
		},
		"O25, a counter that did not go up": {
			`{"stage": "login-finish", "complete": true, "used": {"counter": "regressed", "uv": true}}`,
			[]string{`used.counter is "regressed"`, "without counter-regressed nothing would be left"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := policy.Explain(t.Context(), explain.Risk, "pro-1", []byte(c.facts))
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			if err := text.WriteRisk(&out, e, true); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("not told: %s\n%s", want, out.String())
				}
			}
			if e.Answer["action"] == "allow" && strings.Contains(out.String(), "would change") {
				t.Errorf("what is allowed needs no change:\n%s", out.String())
			}
			if strings.Contains(out.String(), "addressFailures") {
				t.Errorf("what is no reason is told:\n%s", out.String())
			}
		})
	}
}
