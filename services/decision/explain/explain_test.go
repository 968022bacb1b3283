package explain_test

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

func base() facts.Facts {
	return facts.Facts{
		Complete: true, Account: "active",
		Client:       facts.Client{OS: "windows", OSVersion: 11, Browser: "chrome", Desktop: true},
		Support:      facts.Support{WebAuthn: true, UVPA: true, BLE: "on", ConditionalGet: true, ConditionalCreate: true, Hybrid: "yes"},
		Environment:  facts.Environment{Known: true, Listed: facts.ListedNot},
		AccountFacts: &facts.AccountFacts{Credentials: facts.Counts{Total: 1, Uncertain: 1}},
	}
}

func loginFacts(change func(*facts.Facts)) []byte {
	f := base()
	f.Strategy, f.Source = "standard", facts.SourceUnknown
	change(&f)
	return raw(f)
}

func appendFacts(change func(*facts.Facts)) []byte {
	f := base()
	situation := detect.DefaultSituation
	f.Flags, f.Situation, f.Process, f.Nudges = &facts.Flags{}, &situation, &facts.Process{
		Outcome: history.OutcomeNotOffered,
	}, &facts.Nudges{
		Spaced: true,
	}
	change(&f)
	return raw(f)
}

func mediationFacts(change func(*facts.Facts)) []byte {
	f := base()
	f.Account, f.AccountFacts = "", nil
	change(&f)
	return raw(f)
}

func rolloutFacts(change func(*facts.Facts)) []byte {
	f := base()
	f.Account, f.AccountFacts = "", nil
	f.Rollout = &facts.Rollout{Action: "login", Identifier: facts.NotNamed, BrowserVersion: 142}
	change(&f)
	return raw(f)
}

func raw(f facts.Facts) []byte {
	encoded, err := json.Marshal(&f)
	if err != nil {
		panic(err)
	}
	return encoded
}

func load(t *testing.T, source fs.FS) *explain.Policy {
	t.Helper()
	policy, err := explain.Load(t.Context(), source)
	if err != nil {
		t.Fatal(err)
	}
	return policy
}

func TestEveryRowSaysWhyItAnsweredAndThoseAboveWhyNot(t *testing.T) {
	t.Parallel()
	policy := load(t, policiestest.Files(t))
	for name, c := range map[string]struct {
		action string
		facts  []byte
		row    string
		reason []string          // parts of why it answered
		above  map[string]string // row -> why it did not match; of rows that occur twice the first
		facts2 map[string]any    // facts it read
		params []string          // parameters it read
	}{
		"L0: a lookup failed": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Complete = false }), "L0",
			[]string{"complete is false"}, nil, map[string]any{"complete": false}, nil,
		},
		"L0: the account is disabled": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Account = "disabled" }), "L0",
			[]string{`account is "disabled", among "disabled", "pending"`}, nil, map[string]any{"account": "disabled"}, nil,
		},
		"L2: nothing reachable": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Support.UVPA, f.Credentials = false, facts.Counts{Total: 1} }), "L2",
			[]string{"support.uvpa is false", "credentials.securityKey is 0", "cda.route is false"},
			map[string]string{"L0": `complete is true ("`, "L1": `support.webauthn is true ("`}, map[string]any{"support.uvpa": false}, nil,
		},
		"L3: no passkey": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Credentials = facts.Counts{} }), "L3",
			[]string{"credentials.total is 0"}, map[string]string{"L2": "support.uvpa is true"}, map[string]any{
				"credentials.total": json.Number("0"),
			}, nil,
		},
		"L4: barred": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Blacklist.Login = true }), "L4",
			[]string{"blacklist.login is true"}, map[string]string{"L3": "credentials.total is 1, not 0"}, nil, nil,
		},
		"L6: it worked here": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Pair.FirstWin, f.Pair.LocalStreak = "local", 1 }), "L6",
			[]string{`pair.firstWin is "local"`, "pair.localStreak is 1, below streakThreshold (2)"},
			map[string]string{"L4": "blacklist.login is false"},
			map[string]any{"pair.firstWin": "local", "pair.localStreak": json.Number("1")}, []string{"streakThreshold"},
		},
		"L7a: it failed here; the streak speaks against L6, too": {
			explain.Login, loginFacts(func(f *facts.Facts) {
				f.Pair.FirstWin, f.Pair.LocalStreak, f.Pair.LastFailedRoute = "local", 2, "local"
			}), "L7a",
			[]string{"pair.localStreak is 2, at least streakThreshold (2)"},
			map[string]string{"L6": "pair.localStreak is 2, at least streakThreshold (2)"},
			map[string]any{"pair.localStreak": json.Number("2")}, []string{"streakThreshold"},
		},
		"L8: barred environment": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Environment.Listed = "restricted-browser" }), "L8",
			[]string{`environment.listed is "restricted-browser", not "none"`}, map[string]string{"L6": `pair.firstWin is ""`}, nil, nil,
		},
		"L9: expected here": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Credentials = facts.Counts{Total: 2, Likely: 2} }), "L9",
			[]string{"credentials.likely is 2, above 0", "pair.localStreak is 0, below streakThreshold (2)"},
			map[string]string{"L8": `environment.listed is "none"`, "L7a": "pair.noCredentials is false"},
			map[string]any{"credentials.likely": json.Number("2")}, []string{"streakThreshold"},
		},
		"L13: out of reach": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Credentials = facts.Counts{Total: 1} }), "L13",
			[]string{"credentials.total is 1"}, map[string]string{
				"L9":  "credentials.likely is 0, not above 0",
				"L11": "credentials.uncertain is 0, not above 0",
			}, nil, nil,
		},
		"A2: on request": {
			explain.Append, appendFacts(func(f *facts.Facts) { f.Flags.Force = true }), "A2",
			[]string{"flags.force is true"}, map[string]string{"A0": `complete is true`}, nil, nil,
		},
		"A10: one exists": {
			explain.Append, appendFacts(func(f *facts.Facts) { f.Pair.ExistsHere = true }), "A10",
			[]string{"pair.existsHere is true", "process.missingEvidence is false"},
			map[string]string{"A2": `flags.force is false ("`, "A9": `process.outcome is "not-offered", not "local"`}, nil, nil,
		},
		"A13: the gate is closed": {
			explain.Append, appendFacts(func(f *facts.Facts) { f.Nudges.Default = facts.Nudge{Declines: 3, Cooldown: true} }), "A13",
			[]string{
				"nudges.default.cooldown is true",
			}, map[string]string{"A10": "pair.existsHere is false"}, map[string]any{"nudges.default.cooldown": true}, nil,
		},
		"M4: offered": {
			explain.Mediation, mediationFacts(func(*facts.Facts) {}), "M4",
			[]string{"environment.listed"}, map[string]string{"M1": "support.webauthn is true", "M2": "support.conditionalGet is true"}, nil, nil,
		},
		"M2: no autofill": {
			explain.Mediation, mediationFacts(func(f *facts.Facts) { f.Support.ConditionalGet = false }), "M2",
			[]string{"support.conditionalGet is false"}, nil, nil, nil,
		},
		"R5: switched on": {
			explain.Rollout, rolloutFacts(func(f *facts.Facts) { f.Rollout.Identifier = facts.Unlisted }), "R5",
			[]string{`rollout.killSwitch[rollout.action] is false`, `verdict is "none", not "block"`},
			map[string]string{
				"R0": "complete is true",
				"R2": `verdict is "none", not "block"`,
				"R4": "rollout.requireAllowlistedIdentifier is false",
			}, map[string]any{"rollout.action": "login"}, nil,
		},
		"R0: nothing that anybody asks for": {
			explain.Rollout, rolloutFacts(
				func(f *facts.Facts) { f.Complete = false },
			), "R0", []string{"complete is false"}, nil, map[string]any{"complete": false}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := policy.CheckFacts(c.action, c.facts); err != nil {
				t.Fatal(err)
			}
			e, err := policy.Explain(t.Context(), c.action, "", c.facts)
			if err != nil {
				t.Fatal(err)
			}
			if e.Row.Name != c.row || e.Answer["rule"] != c.row || !e.Row.Matched || e.Row.Tag != e.Answer["tag"] || e.Row.Title == "" ||
				e.Row.Line == 0 {
				t.Errorf("row %+v answered %v", e.Row, e.Answer)
			}
			for _, part := range c.reason {
				if !strings.Contains(e.Row.Reason, part) {
					t.Errorf("reason %q lacks %q", e.Row.Reason, part)
				}
			}
			reasons := map[string]string{}
			for _, row := range e.Above {
				if _, again := reasons[row.Name]; !again {
					reasons[row.Name] = row.Reason
				}
				if row.Matched || row.Reason == "" || row.Name == "" || row.Tag == "" || len(row.Conditions) != 1 || row.Conditions[0].Holds {
					t.Errorf("row above %+v", row)
				}
			}
			for row, want := range c.above {
				if !strings.HasPrefix(reasons[row], want) {
					t.Errorf("row %s did not match because %q, want %q", row, reasons[row], want)
				}
			}
			read := map[string]any{}
			for _, one := range e.Row.Facts {
				read[one.Name] = one.Value
				if !one.Given || one.Description == "" {
					t.Errorf("fact %+v", one)
				}
			}
			for fact, want := range c.facts2 {
				if diff := cmp.Diff(want, read[fact]); diff != "" {
					t.Errorf("fact %s: %s", fact, diff)
				}
			}
			for _, want := range c.params {
				found := false
				for _, one := range e.Row.Parameters {
					found = found || (one.Name == want && one.Given && one.Description != "")
				}
				if !found {
					t.Errorf("parameter %s is not among %+v", want, e.Row.Parameters)
				}
			}
		})
	}
}

func TestTheRowsOfARolloutAreExplainedByItsParameters(t *testing.T) {
	t.Parallel()
	policy := load(t, edited(t, map[string]func(string) string{"data.json": func(data string) string {
		return strings.NewReplacer(
			`"append": false, "manage": false}`,
			`"append": true, "manage": false}`,
			`"requireAllowlistedIdentifier": false`,
			`"requireAllowlistedIdentifier": true`,
			`"rules": {}`,
			`"rules": {"macs": {"salience": 1, "verdict": "block", "os": ["macos"]}, "few": {"salience": 0, "verdict": "sample", "share": 10}}`,
		).Replace(data)
	}}))
	for row, c := range map[string]struct {
		change func(*facts.Facts)
		reason string
		facts  []string
	}{
		"R1": {func(f *facts.Facts) { f.Rollout.Action = "append" }, "killSwitch", []string{"rollout.action"}},
		"R2": {func(f *facts.Facts) { f.Client.OS = "macos" }, `"block"`, []string{"client.os"}},
		"R3": {func(f *facts.Facts) {
			f.Rollout.Samples = facts.Assignments{{Experiment: "few", Arm: facts.Control}}
		}, `"sample"`, []string{"rollout.samples"}},
		"R4": {func(f *facts.Facts) {
			f.Rollout.Samples, f.Rollout.Identifier = facts.Assignments{{Experiment: "few", Arm: facts.Treatment}}, facts.Unlisted
		}, `rollout.identifier is "unlisted"`, []string{"rollout.identifier"}},
	} {
		e, err := policy.Explain(t.Context(), explain.Rollout, "", rolloutFacts(c.change))
		if err != nil {
			t.Fatal(err)
		}
		if e.Row.Name != row || e.Row.Title == "" || e.Note != "" || !strings.Contains(e.Row.Reason, c.reason) {
			t.Errorf("%s: %+v", row, e)
		}
		for _, want := range c.facts {
			if !slices.ContainsFunc(e.Row.Facts, func(one explain.Reading) bool { return strings.HasPrefix(one.Name, want) }) {
				t.Errorf("%s: fact %s is not among %+v", row, want, e.Row.Facts)
			}
		}
	}
}

func TestABundleWithoutRolloutSaysThatItLetsEverybodyIn(t *testing.T) {
	t.Parallel()
	files := edited(t, nil)
	delete(files, "rollout/rollout.rego")
	delete(files, "schemas/rollout.jsonschema")
	policy, facts := load(t, files), rolloutFacts(func(*facts.Facts) {})
	if err := policy.CheckFacts(explain.Rollout, facts); err != nil {
		t.Error(err)
	}
	e, err := policy.Explain(t.Context(), explain.Rollout, "", facts)
	if err != nil {
		t.Fatal(err)
	}
	if e.Answer["allow"] != true || e.Row.Name != "none" || e.Row.Tag != "rollout-allowed" || len(e.Above) != 0 ||
		!strings.Contains(e.Row.Reason, "no rules") {
		t.Errorf("%+v", e)
	}
}

func TestFactsAreHeldAgainstTheSchema(t *testing.T) {
	t.Parallel()
	policy := load(t, policiestest.Files(t))
	good := string(loginFacts(func(*facts.Facts) {}))
	for name, c := range map[string]struct{ facts, want string }{
		"an unknown fact":           {strings.Replace(good, `"complete"`, `"weather":"fine","complete"`, 1), "unknown fact weather"},
		"an unknown fact below":     {strings.Replace(good, `"localStreak"`, `"streak":1,"localStreak"`, 1), "unknown fact pair.streak"},
		"a missing fact":            {strings.Replace(good, `"localStreak":0,`, ``, 1), "missing fact pair.localStreak"},
		"a fact of the wrong type":  {strings.Replace(good, `"complete":true`, `"complete":"yes"`, 1), "fact complete: got string, want boolean"},
		"a word that is not one":    {strings.Replace(good, `"standard"`, `"often"`, 1), "fact strategy: value must be one of"},
		"something else altogether": {`[]`, "the facts: got array, want object"},
		"no JSON":                   {`{`, "not a JSON document"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if err := policy.CheckFacts(explain.Login, []byte(c.facts)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	if err := policy.CheckFacts(explain.Login, []byte(good)); err != nil {
		t.Error(err)
	}
	if err := policy.CheckFacts("logout", []byte(good)); err == nil {
		t.Error("an unknown action was taken")
	}
}

// random draws a value for every fact: of those that a rule may tell apart.
func random(r *rand.Rand, into reflect.Value) {
	switch into.Kind() {
	case reflect.Bool:
		into.SetBool(r.IntN(2) == 0)
	case reflect.Int:
		into.SetInt(int64(r.IntN(4)))
	case reflect.String:
		words := map[string][]string{
			"Status": {"active", "active", "active", "pending", "unknown"}, "Listing": {"none", "none", "none", "webdriver", "restricted-browser"},
			"Route": {"", "local", "cda", "security-key"}, "Outcome": {"local", "cda", "sk", "incomplete", "not-offered"},
			"Membership": {"none", "listed", "unlisted"}, "Class": {
				"apple", "password-manager", "unknown-provider", "windows-hello",
			}, "string": {"standard", "minimize", "maximize"},
		}[into.Type().Name()]
		if len(words) > 0 {
			into.SetString(words[r.IntN(len(words))])
		}
	case reflect.Struct:
		for n := range into.NumField() {
			if into.Type().Field(n).IsExported() {
				random(r, into.Field(n))
			}
		}
	case reflect.Pointer:
		if !into.IsNil() {
			random(r, into.Elem())
		}
	}
}

func TestAnExplanationAgreesWithTheAnswerWhateverTheFactsAre(t *testing.T) {
	t.Parallel()
	policy := load(t, policiestest.Files(t))
	seen := map[string]bool{}
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 400 {
		change := func(f *facts.Facts) {
			random(r, reflect.ValueOf(f).Elem())
			f.Complete, f.Support.WebAuthn, f.Support.UVPA = r.IntN(20) > 0, r.IntN(10) > 0, r.IntN(5) > 0
			f.Support.BLE, f.Support.Hybrid = "on", "yes"
		}
		action, document := explain.Login, loginFacts(change)
		switch n % 6 {
		case 5:
			action, document = explain.Rollout, rolloutFacts(
				func(f *facts.Facts) { change(f); f.Account, f.Strategy, f.Rollout.Action = "", "", "manage" },
			)
		case 0, 1:
			action, document = explain.Append, appendFacts(func(f *facts.Facts) { change(f); f.Strategy, *f.Situation = "", "post-login" })
		case 2:
			action, document = explain.Mediation, mediationFacts(func(f *facts.Facts) { change(f); f.Account, f.Strategy = "", "" })
		}
		e, err := policy.Explain(t.Context(), action, "", document)
		if err != nil {
			t.Fatal(err)
		}
		seen[e.Row.Name] = true
		if e.Note != "" || !e.Row.Matched || len(e.Row.Facts) == 0 || strings.Contains(e.Row.Reason, "does not hold: ,") {
			t.Errorf("%s %s: %+v", action, document, e)
		}
		for _, row := range e.Above {
			if row.Matched || row.Reason == "" || len(row.Facts)+len(row.Parameters) == 0 {
				t.Errorf("%s %s: row above %+v", action, document, row)
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d rows answered: %v", len(seen), seen)
	}
}

func TestAnExplanationEndsWithItsContext(t *testing.T) {
	t.Parallel()
	policy := load(t, policiestest.Files(t))
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if _, err := policy.Explain(ctx, explain.Login, "", loginFacts(func(*facts.Facts) {})); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}
