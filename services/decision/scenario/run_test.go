package scenario

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/scenario/internal/logged"
	"github.com/keyward/keyward/services/decision/scenario/internal/written"
)

// world defines clients and passkeys for the cases below.
const world = `now: 2026-11-22T12:00:00Z
clients:
  MAC:
    remoteAddress: "203.0.113.10"
    userAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"
    parsedDeviceInfo: { browserName: Safari, browserVersion: "18.1", osName: macOS, osVersion: "15.1" }
    bluetoothAvailable: true
    userVerifyingPlatformAuthenticatorAvailable: true
    conditionalMediationAvailable: true
    clientCapabilities: { hybridTransport: true, conditionalCreate: true }
  OLD: { userAgent: "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1)" }
credentials:
  apple: { credentialID: YXBwbGU, aaguid: fbfc3007-154e-4ecc-8c0b-6e020557d7bd, transports: [internal, hybrid], ` +
	`backupEligible: true, backupState: true, createdOS: iOS, created: -90d, env: E10 }
  other: { credentialID: b3RoZXI, aaguid: fbfc3007-154e-4ecc-8c0b-6e020557d7bd, transports: [internal, hybrid], ` +
	`backupEligible: true, backupState: true, createdOS: iOS, created: -90d, env: E10 }
scenarios:
`

func defaultBundle(t testing.TB) *Bundle {
	t.Helper()
	bundle, err := Open(t.Context(), policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

func mustParse(t testing.TB, scenarios string) Suite {
	t.Helper()
	suite, err := Parse("x.yaml", []byte(world+scenarios))
	if err != nil {
		t.Fatal(err)
	}
	return suite
}

func mustRun(t testing.TB, bundle *Bundle, suite Suite) *Report {
	t.Helper()
	report, err := bundle.Run(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

func TestTheBundlesOwnScenariosPass(t *testing.T) {
	t.Parallel()
	suite, err := Own(policies.Bundle, "policies")
	if err != nil {
		t.Fatal(err)
	}
	if suite.Len() == 0 {
		t.Fatal("the bundle has no scenarios")
	}
	report := mustRun(t, defaultBundle(t), suite)
	for i := range report.Scenarios {
		r := &report.Scenarios[i]
		if !r.Passed {
			t.Errorf("%s:%d %s: %s", r.File, r.Line, r.Name, r.Summary())
		}
	}
	if report.Total != suite.Len() || report.Passed+report.Failed != report.Total || len(report.Scenarios) != report.Total {
		t.Errorf("%d scenarios, but %d passed and %d failed of %d", suite.Len(), report.Passed, report.Failed, report.Total)
	}
}

// The rows that guard edited bundles are the only ones that no scenario can reach.
func TestEveryRowOfTheBundleAnswersThreeScenarios(t *testing.T) {
	t.Parallel()
	const atLeast = 3
	guards := map[string]bool{"L14": true, "A14": true, "M5": true, "R6": true}
	suite, err := Own(policies.Bundle, "policies")
	if err != nil {
		t.Fatal(err)
	}
	bundle := defaultBundle(t)
	answered := map[string]int{}
	for _, r := range mustRun(t, bundle, suite).Scenarios {
		answered[r.Action+" "+r.Rule]++
	}
	for _, action := range written.Actions() {
		for _, row := range bundle.rows[action] {
			switch n := answered[action+" "+row]; {
			case guards[row] && n > 0:
				t.Errorf("%s of %s guards edited bundles, and answers %d scenarios", row, action, n)
			case !guards[row] && n < atLeast:
				t.Errorf("%s of %s answers %d scenarios, want at least %d", row, action, n, atLeast)
			}
		}
	}
}

func TestEveryTagThatIsDetectedCanBeExpected(t *testing.T) {
	t.Parallel()
	bundle := defaultBundle(t)
	suite, err := Own(policies.Bundle, "policies")
	if err != nil {
		t.Fatal(err)
	}
	for i := range suite.scenarios {
		actual, _, err := ask(t.Context(), &suite.scenarios[i], bundle.engine)
		if err != nil {
			t.Fatal(err)
		}
		detected, _ := actual[written.KeyDetectionTags].([]string)
		for _, tag := range detected {
			if !written.DetectionTag(tag) {
				t.Errorf("%s: %s is not in the vocabulary", suite.scenarios[i].Name, tag)
			}
		}
	}
}

func TestScenariosMeanWhatTheFormatSays(t *testing.T) {
	t.Parallel()
	bundle := defaultBundle(t)
	// Of every key that is expected here another value is tried too, and must fail.
	for name, keys := range map[string]string{
		"an offset and a time mean the same": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: 2026-11-20T12:00:00Z, type: user-login-blacklisted, expires: 2026-11-22T12:00:01Z }],
			expect: { rule: L4, allow: false, tag: user-login-blacklisted, detectionTags: [history/login-blacklisted] }`,
		"an event that has expired is over": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -2d, type: user-login-blacklisted, expires: 1795348800 }],
			expect: { rule: L9, notDetectionTags: [history/login-blacklisted] }`,
		"an end in ms is one": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -2d, type: user-login-blacklisted, expires: 1795348800001 }],
			expect: { rule: L4 }`,
		"a deleted event never was": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -2d, type: user-login-blacklisted, deleted: -1s }],
			expect: { rule: L9 }`,
		"an event deleted tomorrow still is": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -2d, type: user-login-blacklisted, deleted: 1d }],
			expect: { rule: L4 }`,
		"another account's events change nothing": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -2d, type: user-login-blacklisted, user: other }],
			expect: { rule: L9 }`,
		"an event twice counts once": `action: append, client: MAC, env: E1,
			log: [{ at: -1d, type: append-explicit-abort, id: a }, { at: -1d, type: append-explicit-abort, id: a },
			    { at: -2d, type: append-explicit-abort }],
			expect: { history: { defaultCount: 2, defaultCooldown: false } }`,
		"an append event takes its kind from its offer": `action: append, client: MAC, env: E1,
			log: [{ at: -1d, type: append-explicit-abort, process: p }, { at: -1d, type: append-offered, kind: auto, process: p }],
			expect: { history: { autoCount: 1, defaultCount: 0, autoCooldown: true } }`,
		"a success takes the offer that it answers": `action: append, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -1h, type: append-offered, kind: conditional-create, process: p, challenge: c },
			    { at: -1h, type: append-completed, credential: apple, process: p, challenge: c }],
			expect: { history: { conditionalCreateCooldown: false } }`,
		"a success makes the environment positive": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -1d, type: login-completed, ceremonyType: local, credential: apple, env: E1 }],
			expect: { rule: L6, allow: true, detectionTags: [clientEnv/positive], allowCredentials: [apple], hints: [client-device],
			    isCDACandidate: false, preferImmediatelyAvailable: false }`,
		"a deleted passkey's success does not": `action: login, client: MAC, env: E1, passkeys: [{ use: apple, deleted: -1h }, other],
			log: [{ at: -1d, type: login-completed, ceremonyType: local, credential: apple, env: E1 }],
			expect: { rule: L9, allowCredentials: [other], notDetectionTags: [clientEnv/positive] }`,
		"a deleted passkey's failures do not count": `action: login, client: MAC, env: E1, passkeys: [{ use: apple, deleted: -1h }, other],
			log: [{ at: -3d, type: login-error, credential: apple, env: E1 }, { at: -2d, type: login-error, credential: apple, env: E1 }],
			expect: { rule: L9, notDetectionTags: [history/local-streak-2] }`,
		"an active passkey's failures do": `action: login, client: MAC, env: E1, passkeys: [apple, other],
			log: [{ at: -3d, type: login-error, credential: apple, env: E1 }, { at: -2d, type: login-error, credential: apple, env: E1 }],
			expect: { rule: L7a, detectionTags: [history/local-streak-2], allowCredentials: [], hints: [] }`,
		"the only passkey deleted": `action: login, client: MAC, env: E1, passkeys: [{ use: apple, deleted: -1d }],
			expect: { rule: L3, tag: user-no-pks }`,
		"no handle, no history": `action: login, client: MAC, env: none, passkeys: [apple],
			log: [{ at: -3d, type: login-error, env: E1 }, { at: -2d, type: login-error, env: E1 }],
			expect: { rule: L9, detectionTags: [clientEnv/unknown] }`,
		"a forged handle is noticed": `action: login, client: MAC, env: forged, passkeys: [apple],
			expect: { rule: L9, detectionTags: [clientEnv/handle-rejected] }`,
		"a disabled user gets no answer": `action: login, client: MAC, env: E1, passkeys: [apple], user: { status: disabled },
			expect: { rule: L0, tag: default-deny }`,
		"a lookup that failed": `action: login, client: MAC, env: E1, passkeys: [apple], user: { lookupFailed: true },
			expect: { rule: L0 }`,
		"an unknown user": `action: login, client: MAC, env: E1, user: { absent: true },
			expect: { rule: L3 }`,
		"parameters are overridden within objects": `action: append, client: MAC, env: E1,
			parameters: { default: { count: 1 } },
			log: [{ at: -1d, type: append-explicit-abort }],
			expect: { allow: false, history: { defaultCooldown: true } }`,
		"the same without the override": `action: append, client: MAC, env: E1,
			log: [{ at: -1d, type: append-explicit-abort }],
			expect: { allow: true, history: { defaultCooldown: false }, kind: default, attachment: platform, excludeCredentials: [],
			    hints: [client-device], reason: '', isRestrictedBrowser: false }`,
		"excluded passkeys in any order": `action: append, client: MAC, env: E1, flags: { forcePasskeyAppend: true }, passkeys: [other, apple],
			expect: { rule: A2, excludeCredentials: [apple, other], attachment: '', tag: passkey-list-initiated-process, kind: default }`,
		"a reason that the wire knows": `action: append, client: OLD, env: E1,
			expect: { rule: A1, reason: passkeys_not_supported, allow: false }`,
		"mediation": `action: mediation, client: MAC,
			expect: { allow: true, allowCredentials: [], rule: M4 }`,
		"mediation in an old browser": `action: mediation, client: OLD,
			expect: { allow: false, tag: env-no-pk-support }`,
		"a rollout": `action: rollout, client: MAC,
			expect: { allow: true, rule: R5, tag: rollout-allowed, reason: '' }`,
		"a rollout that ends with who is named": `action: rollout, about: append, client: MAC, identifier: eve,
			parameters: { rollout: { requireAllowlistedIdentifier: true } },
			expect: { allow: false, rule: R4, tag: rollout-identifier-not-listed }`,
		"a rollout by rules": `action: rollout, about: manage, client: MAC, flags: { beta: 'on' },
			parameters: { rollout: { rules: { beta: { salience: 0, verdict: block, flags: { beta: 'on' } } } } },
			expect: { allow: false, rule: R2, reason: beta }`,
		"facts by their paths": `action: login, client: MAC, env: E1, passkeys: [apple],
			expect: { facts: { client.os: macos, credentials.likely: 1, environment.known: true,
			    experiments.device-local-platform-passkey: control } }`,
		"where a passkey may be": `action: login, client: MAC, env: E1, passkeys: [apple, other],
			expect: { passkeys: { apple: { local: likely, byPhone: high }, other: { local: likely } } }`,
		"declines end a pause later": `action: append, client: MAC, env: E1,
			log: [{ at: -25d, type: append-explicit-abort }, { at: -20d, type: append-explicit-abort },
			    { at: -10d, type: append-explicit-abort }],
			expect: { allow: false, nextEligibleAt: 20d }`,
		"failures that are forgotten": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -3d, type: login-error, env: E1 }, { at: -2d, type: login-error, env: E1 }],
			expect: { rule: L7a, nextEligibleAt: 27d }`,
		"a bar that ends": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -2d, type: user-login-blacklisted, expires: 90m }],
			expect: { rule: L4, nextEligibleAt: 2026-11-22T13:30:00Z }`,
		"a bar without an end": `action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -2d, type: user-login-blacklisted, expires: 90m }, { at: -1d, type: user-login-blacklisted }],
			expect: { rule: L4, nextEligibleAt: '' }`,
		"a passkey that exists is no matter of time": `action: append, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: -1d, type: login-completed, ceremonyType: local, credential: apple, env: E1 }],
			expect: { rule: A10, nextEligibleAt: '' }`,
		"a pause after a phone's login, in its process": `action: append, client: MAC, env: E1, process: p, passkeys: [apple],
			log: [{ at: -1m, type: login-offered, route: cda, process: p, challenge: c, env: E1 },
			    { at: -30s, type: login-completed, ceremonyType: cda, credential: apple, process: p, challenge: c, env: E1 },
			    { at: -9d, type: append-offered, kind: after-hybrid, process: a },
			    { at: -9d, type: append-explicit-abort, process: a },
			    { at: -8d, type: append-offered, kind: after-hybrid, process: b },
			    { at: -8d, type: append-explicit-abort, process: b },
			    { at: -7d, type: append-offered, kind: after-hybrid, process: d },
			    { at: -7d, type: append-explicit-abort, process: d }],
			expect: { rule: A11, allow: false, nextEligibleAt: 23d }`,
		"an app's moment too soon after the last": `action: append, client: MAC, env: E1, flags: { askForInAppAppend: after-unlock },
			log: [{ at: -23h, type: append-offered, kind: default }],
			expect: { allow: false, nextEligibleAt: 1h }`,
		"an app's moment that nobody configured": `action: append, client: MAC, env: E1, flags: { askForInAppAppend: after-splash },
			log: [{ at: -23h, type: append-offered, kind: default }],
			expect: { allow: false, nextEligibleAt: '' }`,
		"a clock of its own": `now: 2030-01-01T00:00:00Z, action: login, client: MAC, env: E1, passkeys: [apple],
			log: [{ at: 2026-11-20T12:00:00Z, type: login-error, env: E1 }, { at: 2026-11-21T12:00:00Z, type: login-error, env: E1 }],
			expect: { rule: L9 }`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			suite := mustParse(t, "  - { name: a, "+strings.Join(strings.Fields(keys), " ")+" }\n")
			report := mustRun(t, bundle, suite)
			if !report.Scenarios[0].Passed {
				t.Fatalf("answered by %s: %s\n%s", report.Scenarios[0].Rule, report.Scenarios[0].Summary(), report.Scenarios[0].Facts)
			}
			for i := range suite.scenarios[0].Expectations {
				otherwise := Suite{scenarios: []written.Scenario{suite.scenarios[0]}}
				s := &otherwise.scenarios[0]
				s.Expectations = slices.Clone(s.Expectations)
				s.Expectations[i].Want = another(s.Expectations[i])
				r := mustRun(t, bundle, otherwise).Scenarios[0]
				if r.Passed || len(r.Mismatches) == 0 || !strings.HasPrefix(r.Mismatches[0].Key, s.Expectations[i].Key) {
					t.Errorf("with %s %v it still passes: %+v", s.Expectations[i].Key, s.Expectations[i].Want, r.Mismatches)
				}
			}
		})
	}
}

// another returns an expectation that contradicts the one given.
func another(e written.Expectation) any {
	switch want := e.Want.(type) {
	case bool:
		return !want
	case string:
		return want + "x"
	case []string:
		if e.Key == written.KeyNotDetectionTags {
			return []string{"support/webauthn"}
		}
		return append(slices.Clone(want), "x")
	case map[string]any:
		changed := map[string]any{}
		for name, value := range want {
			switch v := value.(type) {
			case bool:
				changed[name] = !v
			case string:
				changed[name] = v + "x"
			case int64:
				changed[name] = v + 1
			}
		}
		return changed
	default:
		return nil
	}
}

func TestTheOrderOfTheLogMeansNothing(t *testing.T) {
	t.Parallel()
	bundle := defaultBundle(t)
	pick := func(t *rapid.T, label string, words ...string) string { return rapid.SampledFrom(words).Draw(t, label) }
	draw := rapid.Custom(func(t *rapid.T) map[string]string {
		e := map[string]string{
			"type": pick(t, "type", logged.Types()...), "at": pick(t, "at", "-1d", "-2d", "-2h", "-61m", "-1h", "-1m", "0s", "10m"),
		}
		allowed := logged.KeysOf(e["type"])
		for key, words := range map[string][]string{
			"process": {"", "p1", "p2"}, "challenge": {"", "c1", "c2"}, "env": {"", "E1", "E2"}, "credential": {"", "apple", "other"},
			"route": {"", "cda", "local"},
			"kind":  {"", "auto", "default"}, "ceremonyType": {"", "cda", "local"}, "expires": {"", "1h", "-1h"},
			"decision": {"", "d1"}, "outcome": {"fraud-confirmed", "legitimate"},
		} {
			if word := pick(t, key, words...); word != "" && slices.Contains(allowed, key) {
				e[key] = word
			}
		}
		for key, words := range map[string][]string{"id": {"", "", "x", "y"}, "user": {"", "", "somebody"}, "deleted": {"", "", "-30m"}} {
			if word := pick(t, key, words...); word != "" {
				e[key] = word
			}
		}
		return e
	})
	rapid.Check(t, func(t *rapid.T) {
		log := rapid.SliceOfN(draw, 0, 12).Draw(t, "log")
		shuffled := rapid.Permutation(log).Draw(t, "order")
		action := pick(t, "action", Login, Append)
		var answers [2]string
		for i, entries := range [][]map[string]string{log, shuffled} {
			lines, err := yaml.Marshal(entries)
			if err != nil {
				t.Fatal(err)
			}
			indented := strings.ReplaceAll("\n"+strings.TrimSpace(string(lines)), "\n", "\n      ")
			suite, err := Parse(
				"x.yaml",
				[]byte(
					world+"  - name: a\n    action: "+action+"\n    client: MAC\n    env: E1\n    process: p1\n    passkeys: [apple, other]\n    "+
						"expect: { allow: true }\n    log:"+indented+"\n",
				),
			)
			if err != nil {
				t.Fatal(err)
			}
			s := suite.scenarios[0]
			actual, _, err := ask(t.Context(), &s, bundle.engine)
			if err != nil {
				t.Fatal(err)
			}
			held, err := json.Marshal([]any{actual, s.Events, s.Offers, s.Question.Account})
			if err != nil {
				t.Fatal(err)
			}
			answers[i] = string(held)
		}
		if diff := cmp.Diff(answers[0], answers[1]); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestParametersThatTheBundleDoesNotHaveAreRefusedWithTheirLines(t *testing.T) {
	t.Parallel()
	suite := mustParse(t, `  - name: a
    action: login
    client: MAC
    parameters:
      streakThreshold: 1
      streakTreshold: 1
      autoDesktop: maybe
    expect: { allow: true }
  - { name: b, action: login, client: MAC, parameters: { clockSkewSeconds: -1 }, expect: { allow: true } }
`)
	_, err := defaultBundle(t).Run(t.Context(), suite)
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 3 {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{`^x\.yaml:21: .*streakTreshold`, `^x\.yaml:22: .*autoDesktop`, `^x\.yaml:24: .*clockSkewSeconds`} {
		if !regexp.MustCompile(want).MatchString(problems[i].Error()) {
			t.Errorf("got %s, want %s", problems[i], want)
		}
	}
}

// A name means what the AAGUID that it stands for means, to one bundle and the next.
func TestAProviderIsMeantByItsName(t *testing.T) {
	t.Parallel()
	named := func(holder string) Suite {
		return mustParse(t, `  - name: a
    action: login
    client: MAC
    passkeys:
      - { credentialID: Yml0dw, `+holder+`, transports: [internal], backupEligible: true, createdOS: Windows, created: -3d }
    expect: { rule: L11, facts: { "credentials.uncertain": 1 }, detectionTags: [passkey/password-manager] }
`)
	}
	bundle := defaultBundle(t)
	for _, holder := range []string{"aaguid: d548826e-79b4-db40-a3d8-11116f7e8349", "provider: Bitwarden", "provider: bitwarden"} {
		for range 2 {
			if r := mustRun(t, bundle, named(holder)).Scenarios[0]; !r.Passed {
				t.Errorf("%s: %s %v", holder, r.Error, r.Mismatches)
			}
		}
	}
	suite := named("provider: Bit Warden of the East")
	_, err := bundle.Run(t.Context(), suite)
	var problems Problems
	if !errors.As(err, &problems) || len(problems) != 1 || problems[0].Line != 20 || !strings.Contains(err.Error(), "Bitwarden") {
		t.Errorf("err = %v", err)
	}
	if _, err := bundle.Facts(t.Context(), suite, "a", nil); !errors.As(err, &problems) {
		t.Errorf("facts: %v", err)
	}
}

func TestReportsNameWhatWasExpectedAndWhatCame(t *testing.T) {
	t.Parallel()
	report := mustRun(t, defaultBundle(t), mustParse(t, `  - { name: good, action: login, client: OLD, expect: { rule: L1 } }
  - { name: <bad>, action: append, client: MAC, env: E1, passkeys: [apple], flags: { forcePasskeyAppend: true }, `+
		`expect: { allow: false, hints: [hybrid], excludeCredentials: [], `+
		`history: { autoCount: 2, autoCooldown: false }, detectionTags: [passkey/samsung] } }
`))
	const summary = "allow: expected false, got true; hints: expected [hybrid], got []; excludeCredentials: expected [], got [apple]; " +
		"history.autoCount: expected 2, got 0; detectionTags: expected [passkey/samsung], got ["
	bad := report.Scenarios[1]
	if !strings.HasPrefix(bad.Summary(), summary) || bad.Rule != "A2" || len(bad.Facts) == 0 {
		t.Errorf("summary of %s: %s", bad.Rule, bad.Summary())
	}
	for name, c := range map[string]struct {
		verbose  bool
		want     []string
		wantNone []string
	}{
		"in short": {false, []string{
			"FAIL x.yaml:17 <bad> (append, answered by A2): " + summary, "\n       - allow: false\n       + allow: true\n",
			"1 of 2 scenarios passed, 1 failed; policy revision " + report.Revision, "note: no scenario was answered by L0, L1a, L2, L3,",
		}, []string{"good", "facts: "}},
		"at length": {true, []string{"ok   x.yaml:16 good (login, answered by L1)\n", `       facts: {"complete":true`}, nil},
	} {
		var text strings.Builder
		if err := report.WriteText(&text, c.verbose); err != nil {
			t.Fatal(err)
		}
		for _, want := range c.want {
			if !strings.Contains(text.String(), want) {
				t.Errorf("%s: %q is missing in\n%s", name, want, text.String())
			}
		}
		for _, none := range c.wantNone {
			if strings.Contains(text.String(), none) {
				t.Errorf("%s: %q is in\n%s", name, none, text.String())
			}
		}
	}
	var document bytes.Buffer
	if err := report.WriteJSON(&document); err != nil {
		t.Fatal(err)
	}
	var read Report
	if err := json.Unmarshal(
		document.Bytes(),
		&read,
	); err != nil || read.Failed != 1 || read.Total != 2 || read.Scenarios[1].Mismatches[0].Key != "allow" ||
		!slices.Contains(read.NotReached[Login], "L14") {
		t.Errorf("%v: %s", err, document.String())
	}
}

func TestJUnitHasASuiteForEachFile(t *testing.T) {
	t.Parallel()
	first := mustParse(t, "  - { name: good, action: login, client: OLD, expect: { rule: L1 } }\n")
	second, err := Parse("y.yaml", []byte(world+"  - { name: '<bad> ]]>', action: login, client: OLD, expect: { rule: L2 } }\n"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := mustRun(t, defaultBundle(t), Suite{scenarios: slices.Concat(first.scenarios, second.scenarios)}).WriteJUnit(&out); err != nil {
		t.Fatal(err)
	}
	type testcase struct {
		Name      string `xml:"name,attr"`
		Classname string `xml:"classname,attr"`
		Failure   *struct {
			Message string `xml:"message,attr"`
			Text    string `xml:",chardata"`
		} `xml:"failure"`
	}
	var read struct {
		Tests    int `xml:"tests,attr"`
		Failures int `xml:"failures,attr"`
		Suites   []struct {
			Name  string     `xml:"name,attr"`
			Cases []testcase `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(out.Bytes(), &read); err != nil {
		t.Fatal(err)
	}
	if read.Tests != 2 || read.Failures != 1 || len(read.Suites) != 2 || read.Suites[0].Name != "x.yaml" ||
		read.Suites[0].Cases[0].Failure != nil {
		t.Fatalf("%s", out.String())
	}
	bad := read.Suites[1].Cases[0]
	if bad.Name != "<bad> ]]>" || bad.Classname != Login || bad.Failure == nil || bad.Failure.Message != "rule: expected L2, got L1" ||
		!strings.Contains(bad.Failure.Text, "y.yaml:16, answered by L1\n- rule: L2\n+ rule: L1\n") {
		t.Errorf("%s", out.String())
	}
}

func TestAPolicyThatFailsIsReported(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{}
	for _, name := range []string{
		"data.json", "aaguids.json", "schemas/parameters.jsonschema", "schemas/login.jsonschema", "schemas/append.jsonschema",
		"schemas/mediation.jsonschema", "append/append.rego", "mediation/mediation.rego",
	} {
		content, err := policies.Bundle.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[name] = &fstest.MapFile{Data: content}
	}
	files["login/login.rego"] = &fstest.MapFile{Data: []byte(`# METADATA
# schemas:
#   - input: schema.login
package keyward.login

# METADATA
# entrypoint: true
decision := {"rule": name, "allow": false, "tag": "default-deny", "route": "",
	"isCDACandidate": false, "preferImmediatelyAvailable": false, "credentials": [], "hints": []} if {
	name := ["X1", "X2"][_]
	name == {true: "X1", false: 7}[input.environment.known == false]
}
`)}
	bundle, err := Open(t.Context(), files)
	if err != nil {
		t.Fatal(err)
	}
	report := mustRun(t, bundle, mustParse(t, "  - { name: a, action: login, client: MAC, env: E1, expect: { allow: false } }\n"))
	if r := report.Scenarios[0]; r.Passed || r.Error == "" || !strings.Contains(r.Summary(), "data.keyward.login.decision") {
		t.Errorf("got %+v", r)
	}
}

func TestOwnScenariosAreFoundInTheBundle(t *testing.T) {
	t.Parallel()
	good := []byte(world + "  - { name: a, action: login, client: OLD, expect: { rule: L1 } }\n")
	suite, err := Own(
		fstest.MapFS{
			"scenarios/b.yaml": {Data: good}, "scenarios/a.yml": {Data: good}, "scenarios/c/any.yaml": {Data: good},
			"scenarios/README.md": {}, "c.yaml": {}, "scenarios/c/d/e.yaml": {},
		},
		"policies",
	)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for i := range suite.scenarios {
		found = append(found, suite.scenarios[i].File)
	}
	want := []string{"policies/scenarios/a.yml", "policies/scenarios/b.yaml", "policies/scenarios/c/any.yaml"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	_, err = Own(fstest.MapFS{"scenarios/a.yaml": {Data: []byte("nows: 1\n")}}, "policies")
	if err == nil || !strings.HasPrefix(err.Error(), "policies/scenarios/a.yaml:1: ") {
		t.Errorf("got %v", err)
	}
	if selected := suite.Select(regexp.MustCompile("^b")); selected.Len() != 0 {
		t.Errorf("selected %d", selected.Len())
	}
}
