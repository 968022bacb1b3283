package explain_test

import (
	"encoding/json"
	"io/fs"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// What a row says of itself must be true of every fact that lets it answer: each is held here against the facts that come closest to making
// it false.
func TestTheSentencesOfARowAreTrueOfTheFactsThatLetItAnswer(t *testing.T) {
	t.Parallel()
	policy := load(t, policiestest.Files(t))
	described := regexp.MustCompile(` \("[^"]*"\)`)
	for sentence, c := range map[string]struct {
		action       string
		facts        []byte
		row          string
		title, reads string // the reason without what schemas say of the facts
	}{
		"worked here, and has failed once since": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Pair.FirstWin, f.Pair.LocalStreak = "local", 1 }), "L6",
			"A passkey worked here, and the route that it took last is open",
			`user_positive_env_history holds: pair.firstWin is "local", not empty, and pair.localStreak is 1, below streakThreshold (2)`,
		},
		"worked over another device, and has failed once since": {
			explain.Login, loginFacts(func(f *facts.Facts) {
				f.Pair.FirstWin, f.Pair.CDAStreak, f.CDA.Client = "cda", 1, true
			}), "L6",
			"A passkey worked here, and the route that it took last is open",
			`user_positive_env_history holds: pair.firstWin is "cda", not empty, and open holds: cda.client is true, and strategy is "standard", ` +
				`not "minimize", ` +
				`and pair.cdaStreak is 1, below streakThreshold (2)`,
		},
		"failed as often as the threshold": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Pair.LocalStreak, f.Pair.LastFailedRoute = 2, "local" }), "L7a",
			"Passkeys of this device failed here as often as the threshold, and neither a phone nor a security key is left",
			`user_negative_env_history holds: credentials.uncertain is 1, above 0, and pair.localStreak is 2, at least streakThreshold (2), ` +
				`and source is "unknown", not among explicitSources (["one-tap","button","other-device"]), ` +
				`and cda.route is false, and credentials.securityKey is 0, not above 0`,
		},
		"a passkey, and no way to it": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Credentials = facts.Counts{Total: 1} }), "L13",
			"There are passkeys, but none can be reached from here",
			`user_env_no_pks holds: credentials.total is 1, above 0, and credentials.likely is 0, and credentials.uncertain is 0, and ` +
				`credentials.securityKey is 0, ` +
				`and cda.route is false`,
		},
		"a passkey, and a way that no row offers": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Credentials, f.CDA.Route = facts.Counts{Total: 1}, true }), "L13",
			"There are passkeys, and no row above offers a way to one", `credentials.total is 1, above 0`,
		},
		"on a list": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Environment.Listed = "address" }), "L1a",
			"The environment is barred by configuration or automation, whatever is known of the account",
			`env_blacklisted_hard holds: environment.listed is "address", not "none", and environment.listed is "address", ` +
				`not among softBars (["restricted-browser"])`,
		},
		"on a list that proofs outweigh": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Environment.Listed = "restricted-browser" }), "L8",
			"The environment is barred softly, and nothing has worked there", `environment.listed is "restricted-browser", not "none"`,
		},
		"nothing bars autofill": {
			explain.Mediation, mediationFacts(func(*facts.Facts) {}), "M4",
			"The client shows the passkeys that it holds",
			`user_platform_pk_high_confidence holds: support.conditionalGet is true, and environment.listed is "none"`,
		},
		"nothing bars the rollout": {
			explain.Rollout, rolloutFacts(func(*facts.Facts) {}), "R5",
			"Nothing bars passkeys", `rollout_allowed holds: rollout.killSwitch[rollout.action] is false, and verdict is "none", not "block"`,
		},
		"one exists, and the current user asks": {
			explain.Append, appendFacts(func(f *facts.Facts) { *f.Situation, f.Pair.ExistsHere = "current-user", true }), "A3a",
			"The current user asks for another passkey, and one exists here that nothing in this process speaks against",
			`user_positive_env_history_of_current_user holds: situation is "current-user", and user_positive_env_history holds: pair.existsHere ` +
				`is true, ` +
				`and pair.lost is false, and process.missingEvidence is false`,
		},
		"an app asks by another trigger": {
			explain.Append, appendFacts(func(f *facts.Facts) { f.Flags.InApp, f.Process.Outcome = "other", history.OutcomeNotOffered }), "A13",
			"No passkey login was offered, and the app asks by a trigger that is not configured",
			`process_pk_login_not_offered_in_app_untaken holds: process.outcome is "not-offered", and flags.inApp is "other", not empty, ` +
				`and flags.inApp is "other", not among inAppTriggers (["after-unlock","after-cta"])`,
		},
	} {
		e, err := policy.Explain(t.Context(), c.action, "", c.facts)
		if err != nil {
			t.Fatal(err)
		}
		reads := described.ReplaceAllString(e.Row.Reason, "")
		if diff := cmp.Diff([]string{c.row, c.title, c.reads}, []string{e.Row.Name, e.Row.Title, reads}); diff != "" {
			t.Errorf("%s:\n%s", sentence, diff)
		}
		if e.Row.Title != "" && strings.Count(e.Row.Reason, " ") > 100 {
			t.Errorf("%s: nobody reads %q", sentence, e.Row.Reason)
		}
	}
}

func TestAListIsToldWithTheEntryThatBars(t *testing.T) {
	t.Parallel()
	e, err := load(
		t, policiestest.Files(t),
	).ExplainIn(t.Context(), explain.Login, "", loginFacts(func(f *facts.Facts) { f.Environment.Listed = "browser" }),
		explain.Circumstances{Barring: `blockedBrowsers has "Firefox"`})
	if err != nil {
		t.Fatal(err)
	}
	if want := `env_blacklisted_hard holds: environment.listed is "browser", not "none" ("What bars the environment"): blockedBrowsers has ` +
		`"Firefox", ` +
		`and environment.listed is "browser", not among softBars (["restricted-browser"]) ("What bars the environment")`; e.Row.Reason != want {
		t.Errorf("got %q, want %q", e.Row.Reason, want)
	}
}

// A fact that is false, or none, is told with the words of its schema behind it. Words that deny make that a double negation.
func TestNoFactThatCanBeFalseIsDescribedByADenial(t *testing.T) {
	t.Parallel()
	denial := regexp.MustCompile(`\b(not|no|none|never|nothing|nobody|without)\b`)
	for _, name := range []string{"login", "append", "mediation", "rollout", "parameters"} {
		raw, err := fs.ReadFile(policies.Bundle, "schemas/"+name+".jsonschema")
		if err != nil {
			t.Fatal(err)
		}
		var schema any
		if err := json.Unmarshal(raw, &schema); err != nil {
			t.Fatal(err)
		}
		found := 0
		each(schema, func(node map[string]any) {
			description, ok := node["description"].(string)
			if !ok || node["type"] != "boolean" {
				return
			}
			found++
			if denial.MatchString(description) {
				t.Errorf("%s: %q", name, description)
			}
		})
		if found == 0 {
			t.Errorf("%s describes no fact that is yes or no", name)
		}
	}
}

func each(node any, visit func(map[string]any)) {
	switch v := node.(type) {
	case map[string]any:
		visit(v)
		for _, inner := range v {
			each(inner, visit)
		}
	case []any:
		for _, inner := range v {
			each(inner, visit)
		}
	}
}
