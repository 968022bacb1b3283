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
	"github.com/keyward/keyward/services/decision/internal/recognition"
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
			"A passkey worked here, and the newest route that still leads to one is open",
			`user_positive_env_history holds: pair.firstWin is "local", not empty, and pair.noCredentials is false, and ` +
				`pair.localStreak is 1, below streakThreshold (2)`,
		},
		"worked over another device, and has failed once since": {
			explain.Login, loginFacts(func(f *facts.Facts) {
				f.Pair.FirstWin, f.Pair.CDAStreak, f.CDA.Client = "cda", 1, true
			}), "L6",
			"A passkey worked here, and the newest route that still leads to one is open",
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
			"The environment is barred softly, and no passkey has worked there lately",
			`env_blacklisted holds: environment.listed is "restricted-browser", not "none", and pair.positive is false`,
		},
		"on a list that proofs outweigh, and what worked there is closed": {
			explain.Login, loginFacts(func(f *facts.Facts) {
				f.Environment.Listed, f.Pair.Positive, f.Pair.FirstWin, f.Pair.LocalStreak = "restricted-browser", true, "local", 2
				f.CDA.Route = true
			}), "L8",
			"The environment is barred softly, and no route by which a passkey worked there is open",
			`env_blacklisted holds: environment.listed is "restricted-browser", not "none", and pair.positive is true`,
		},
		"the client said that it has none, and nothing failed": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Pair.LocalStreak, f.Pair.NoCredentials = 2, true }), "L7a",
			"The client said that it has no passkey of the account, and neither a phone nor a security key is left",
			`user_negative_env_history holds: pair.noCredentials is true, and credentials.uncertain is 1, above 0, ` +
				`and source is "unknown", not among explicitSources (["one-tap","button","other-device"]), ` +
				`and cda.route is false, and credentials.securityKey is 0, not above 0`,
		},
		"the client said that it has none, and the user asked": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Pair.LocalStreak, f.Pair.NoCredentials, f.Source = 2, true, "button" }), "L12b",
			"The user asked for a passkey, and one may be on this client, although the client said that it has none",
			`user_platform_pk_high_confidence_again holds: pair.noCredentials is true, and source is "button", ` +
				`among explicitSources (["one-tap","button","other-device"]), and credentials.uncertain is 1, above 0`,
		},
		"the client said that it has none, and could create one": {
			explain.Append, appendFacts(func(f *facts.Facts) {
				f.Pair.LocalStreak, f.Pair.NoCredentials, f.Pair.Lost, f.Credentials.Likely = 2, true, true, 1
			}), "A10a",
			"No passkey login was offered since the passkey of this client is lost",
			`process_pk_login_not_offered_lost holds: lost_passkey holds: process.outcome is "not-offered", and pair.lost is true, ` +
				`and pair.noCredentials is true, and credentials.likely is 1, above 0, and nudges.afterError.cooldown is false`,
		},
		"another device is wanted, and no way leads to one": {
			explain.Login, loginFacts(func(f *facts.Facts) { f.Source = "other-device" }), "L4a",
			"The user asked for another device, none can be reached, and there is no security key",
			`source is "other-device", and user_env_no_pks_elsewhere holds: cda.route is false, and credentials.total is 1, above 0, ` +
				`and credentials.securityKey is 0`,
		},
		"another device is wanted, and keys are not": {
			explain.Login,
			loginFacts(func(f *facts.Facts) { f.Source, f.Strategy, f.Credentials.SecurityKey = "other-device", "minimize", 1 }), "L4a",
			"The user asked for another device, none can be reached, and the security key may not be used",
			`source is "other-device", and user_env_no_pks_elsewhere holds: cda.route is false, and credentials.securityKey is 1, above 0, ` +
				`and strategy is "minimize", ` +
				`and pair.positiveSecurityKey is false`,
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
		explain.Circumstances{Lists: []recognition.Match{
			{Parameter: "blockedOperatingSystems[0]", Entry: "macOS < 14", Client: "15 (hint)"},
			{Parameter: "blockedBrowsers[1]", Entry: "Firefox < 150", Client: "140 (parse)", Bars: true},
		}})
	if err != nil {
		t.Fatal(err)
	}
	if want := `env_blacklisted_hard holds: environment.listed is "browser", not "none" ("What bars the environment"): ` +
		`blockedBrowsers[1] Firefox < 150, client 140 (parse), ` +
		`and environment.listed is "browser", not among softBars (["restricted-browser"]) ("What bars the environment")`; e.Row.Reason != want {
		t.Errorf("got %q, want %q", e.Row.Reason, want)
	}
}

// What is yes or no is told by a sentence that is true of it. Where a bundle from before has no sentence for no, nothing is told; the one
// for yes is held free of denials, for the reader who turns it round.
func TestEveryBooleanOfTheSchemasHasASentenceForEither(t *testing.T) {
	t.Parallel()
	denial := regexp.MustCompile(`\b(not|no|none|never|nothing|nobody|without)\b`)
	found := 0
	err := fs.WalkDir(policies.Bundle, "schemas", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		each(schemaOf(t, name), func(node map[string]any) {
			if node["type"] != "boolean" {
				return
			}
			found++
			so, otherwise := text(node["description"]), text(node["x-otherwise"])
			if !strings.HasSuffix(so, ".") || !strings.HasSuffix(otherwise, ".") || so == otherwise || strings.HasPrefix(so, "Whether") {
				t.Errorf("%s: %q, otherwise %q: either is to be a sentence", name, so, otherwise)
			}
			if strings.HasPrefix(name, "schemas/output/") {
				return
			}
			if denial.MatchString(so) {
				t.Errorf("%s: %q denies, which read with false is a double negation", name, so)
			}
		})
		return nil
	})
	if err != nil || found < 100 {
		t.Errorf("%d booleans, %v", found, err)
	}
}

// A rule that another asks with not is told where it does not hold, so it says what is so then.
func TestEveryRuleThatIsAskedWithNotSaysWhatIsSoOtherwise(t *testing.T) {
	t.Parallel()
	asked := regexp.MustCompile(`(?m)^[^#\n]*\bnot ([a-z_]+)(?:\n| (\w*))`)
	found := 0
	for name, file := range policiestest.Files(t) {
		if !strings.HasSuffix(name, ".rego") {
			continue
		}
		for _, one := range asked.FindAllStringSubmatch(string(file.Data), -1) {
			if one[2] == "in" { // a value that is in no list
				continue
			}
			found++
			says := regexp.MustCompile(`(?m)^#   otherwise:(?: .+\n|\n(?:#     - .+\n)+)` + one[1] + ` `)
			if !says.Match(file.Data) {
				t.Errorf("%s: %s is asked with not, and has no custom.otherwise in its METADATA", name, one[1])
			}
		}
	}
	if found == 0 {
		t.Error("no rule is asked with not")
	}
}

func schemaOf(t *testing.T, name string) (schema map[string]any) {
	t.Helper()
	raw, err := fs.ReadFile(policies.Bundle, name)
	if err == nil {
		err = json.Unmarshal(raw, &schema)
	}
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func text(value any) string {
	said, _ := value.(string)
	return said
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

func TestARowIsToldInPlainWords(t *testing.T) {
	t.Parallel()
	policy := load(t, policiestest.Files(t))
	for name, c := range map[string]struct {
		facts []byte
		row   string
		want  []string
	}{
		"what a rule asks, each by its title or by the sentence for where it does not hold": {
			loginFacts(func(f *facts.Facts) { f.Pair.LocalStreak, f.Pair.LastFailedRoute = 2, "local" }), "L7a",
			[]string{
				"A passkey may be on this client, so it can fail again", "Passkeys of this device failed here as often as the threshold",
				"The user did not ask for it by what they pressed", "No phone can be reached from here", "The account has no security key",
			},
		},
		"counts, and what is no": {
			loginFacts(func(f *facts.Facts) { f.Credentials = facts.Counts{Total: 1} }), "L13",
			[]string{
				"Active passkeys of the account: 1", "Passkeys that are expected on this client: 0", "Passkeys that may be on this client: 0",
				"Security keys of the account: 0", "No login with the help of another device is open under the request's strategy",
			},
		},
		"a word of a list": {
			loginFacts(func(f *facts.Facts) { f.Environment.Listed = "address" }), "L1a",
			[]string{"What bars the environment: address", "What bars the environment has no exceptions"},
		},
		"a word that its description explains": {
			loginFacts(func(f *facts.Facts) { f.Source, f.CDA.Route, f.Credentials.Total = "other-device", true, 1 }), "L4a",
			[]string{
				"How the login start came about, as its caller says: other-device",
				"A login with the help of another device is open under the request's strategy",
			},
		},
		"what the title says is not said again": {loginFacts(func(f *facts.Facts) { f.Complete = false }), "L0", nil},
	} {
		e, err := policy.Explain(t.Context(), explain.Login, "", c.facts)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.want, e.Row.Story); diff != "" || e.Row.Name != c.row {
			t.Errorf("%s: %s\n%s", name, e.Row.Name, diff)
		}
	}
}
