package invariant

import (
	"context"
	"errors"
	"maps"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/invariant/internal/situation"
	"github.com/keyward/keyward/services/decision/scenario"
)

// manySituations says how many situations the default bundle is held against, for a run that may take minutes.
const manySituations = "KEYWARD_INVARIANT_SITUATIONS"

func load(t *testing.T, files fstest.MapFS) *engine.Engine {
	t.Helper()
	e, err := engine.Load(t.Context(), files, engine.Options{Admitted: true, MemoEntries: 1 << 14, EvalTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestTheDefaultBundleKeepsEveryInvariant(t *testing.T) {
	t.Parallel()
	const usual = 1000
	situations := usual
	if text := os.Getenv(manySituations); text != "" {
		var err error
		if situations, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	e, err := engine.Load(t.Context(), policies.Bundle, engine.Options{Admitted: true, MemoEntries: 1 << 14, EvalTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for name, parameters := range map[string]map[string]any{
		"as it is": nil,
		"with every switch the other way": {
			"securityKeyLogin": "deny", "embeddedWebviews": "deny", "webImmediate": true, "softBars": []any{}, "offerWhereLikely": true,
			"appendAfterSecurityKey": true, "deviceLocalTreatmentShare": 10000, "autoDesktop": true, "streakThreshold": 1,
			"explicitSources": []any{"error-hard"}, "nudgeBudget": map[string]any{"day": 1, "month": 3, "year": 5},
		},
	} {
		report, err := Sample(t.Context(), e, policies.Bundle, Options{Situations: situations, Seed: 1, Parameters: parameters})
		if err != nil {
			t.Fatal(err)
		}
		if report.Situations != situations {
			t.Fatalf("%s: %d situations were sampled, want %d", name, report.Situations, situations)
		}
		for _, r := range report.Invariants {
			t.Logf("%s: %s broken in %d of %d situations", name, r.Name, r.Broken, report.Situations)
			if r.Broken > 0 {
				t.Errorf("%s: %s, that %s, is broken:\n%s", name, r.Name, r.Says, r.Scenario)
			}
		}
	}
}

// What is sampled has to be what a scenario file with the same words means, and it has to be various.
func TestASituationMeansTheSameAsAScenario(t *testing.T) {
	t.Parallel()
	e := load(t, policiestest.Files(t))
	opened, err := scenario.Of(e, policiestest.Files(t))
	if err != nil {
		t.Fatal(err)
	}
	const situations = 150
	rows := map[string]bool{}
	for n := range uint64(situations) {
		s := situation.Sample(2, n, nil)
		base := &trial{ctx: t.Context(), engine: e}
		told := base.of(s)
		l, c := told.login(s, s.Strategy), told.creation(s)
		rows[l.Rule], rows[c.Rule] = true, true
		text, err := draft.Text("", told.written(&asked{s, login, []draft.Expected{
			{Key: "rule", Value: l.Rule}, {Key: "allow", Value: l.Allow}, {Key: "facts", Value: uncounted(l.basis.Facts.Flat())},
		}}, "login"), told.written(&asked{s, creation, []draft.Expected{
			{Key: "rule", Value: c.Rule}, {Key: "allow", Value: c.Allow}, {Key: "kind", Value: string(c.Kind)},
			{Key: "facts", Value: uncounted(c.basis.Facts.Flat())},
		}}, "creation"))
		if err != nil {
			t.Fatal(err)
		}
		report := run(t, opened, string(text))
		for _, r := range report.Scenarios {
			if !r.Passed {
				t.Errorf("situation %d, %s: %s %v\n%s", n, r.Name, r.Error, r.Mismatches, text)
			}
		}
	}
	const various = 25
	if len(rows) < various {
		t.Errorf("only the rows %v answered", rows)
	}
}

// uncounted leaves out what is counted beside a user's own history: a situation says nothing of it, and a file has no loss.
func uncounted(facts map[string]any) map[string]any {
	maps.DeleteFunc(facts, func(path string, _ any) bool {
		return path == "environment.users" || strings.HasPrefix(path, "velocity.")
	})
	return facts
}

func run(t *testing.T, bundle *scenario.Bundle, text string) *scenario.Report {
	t.Helper()
	suite, err := scenario.Parse("counterexample.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	report, err := bundle.Run(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// spoilt breaks an invariant by an edit of the default bundle.
type spoilt struct {
	name, invariant string
	file            string
	old, new        string
}

// above is an edit that puts a row above another.
func above(file, row, added string) (in, old, replacement string) {
	old = `else := deny("` + row + `"`
	return file, old, added + "\n\n" + old
}

func ruined(name, invariant, row, added string) spoilt {
	file := "login/login.rego"
	if row[0] == 'A' {
		file = "append/append.rego"
	}
	s := spoilt{name: name, invariant: invariant}
	s.file, s.old, s.new = above(file, row, added)
	return s
}

// spoiltBundles are edits that do not get into each other's way, one bundle each.
func spoiltBundles() [][]spoilt {
	const loginRules, appendRules = "login/login.rego", "append/append.rego"
	return [][]spoilt{
		{{
			"a login that names no passkey", "I1", loginRules,
			`default local_credentials := ["likely", "uncertain", "remote", "security-key"]`, `default local_credentials := ["none"]`,
		}},
		{{
			"an app that is given no list", "I1", loginRules,
			"local_credentials := [] if {\n	browser_immediate\n", "local_credentials := [] if {\n	input.client.native == true\n",
		}},
		{
			{
				"keys though they are denied", "I2", loginRules,
				"	input.strategy != \"minimize\"\n	data.keyward.parameters.securityKeyLogin == \"allow\"\n", "	input.strategy != \"minimize\"\n",
			},
			{"", "", "data.json", `"securityKeyLogin": "allow"`, `"securityKeyLogin": "deny"`},
		},
		{
			{
				"keys that are named though they are denied", "I2", loginRules,
				"} else := [\"likely\", \"uncertain\", \"remote\"] if {\n	data.keyward.parameters.securityKeyLogin == \"deny\"\n}\n\n# METADATA\n" +
					"# title: Which passkeys to name, in this order, if a passkey of another", "}\n\n# METADATA\n# title: Which passkeys of another",
			},
			{"", "", "data.json", `"securityKeyLogin": "allow"`, `"securityKeyLogin": "deny"`},
		},
		{{
			"a key though other devices are kept to a minimum", "I2", loginRules,
			"	input.strategy != \"minimize\"\n	data.keyward.parameters.securityKeyLogin == \"allow\"\n",
			"	data.keyward.parameters.securityKeyLogin == \"allow\"\n",
		}},
		{
			ruined(
				"a creation refused for a passkey that is gone", "I10", "A11",
				`else := deny("A10z", "user-positive-env-history", "passkey_already_exists") if input.process.outcome == "not-offered"`,
			),
		},
		{{
			"a route to a key that there is not", "I2", loginRules,
			`"L11", "user-platform-pk-high-confidence", "local"`, `"L11", "user-platform-pk-high-confidence", "security-key"`,
		}},
		{
			{
				"immediate mediation where a passkey may be", "I3", loginRules,
				"	input.client.native == true\n	input.credentials.likely > 0\n", "	input.client.native == true\n",
			},
			{
				"force past a bar", "I6", appendRules,
				`else := deny("A1a", "env-blacklisted", "env_blacklisted") if env_blacklisted_hard`, "",
			},
		},
		{ruined("maximize stricter than standard", "I4", "L8", `else := deny("L7z", "default-deny") if input.strategy == "maximize"`)},
		{
			{
				"barred users", "I5", loginRules,
				"user_login_blacklisted if input.blacklist.login == true", "user_login_blacklisted if false",
			},
			ruined(
				"offers for those who want none", "I12", "A3",
				`else := offer("A2z", "default-deny", "default") if input.blacklist.appendAfterError`,
			),
		},
		{ruined(
			"offers for those who failed", "I7", "L2", `else := allow("L1z", "user-security-key", "local") if input.pair.localStreak > 0`,
		)},
		{ruined("refusals for those who succeeded", "I8", "L2", `else := deny("L1z", "default-deny") if input.pair.positive`)},
		{
			ruined("refusals for those who have many", "I9", "L2", `else := deny("L1z", "default-deny") if input.credentials.total > 2`),
			{
				"a dead end", "I13", appendRules,
				"	input.pair.existsHere == true\n	input.pair.lost == false\n", "	input.pair.existsHere == true\n",
			},
		},
		{
			{
				"an unknown user told apart", "I10", loginRules,
				`input.account in {"pending", "disabled"}`, `input.account in {"pending", "disabled", "unknown"}`,
			},
			{"a creation anywhere", "I16", appendRules, `"attachment": "platform"`, `"attachment": ""`},
		},
		{ruined("strangers told apart", "I11", "L2", `else := deny("L1z", "default-deny") if not input.environment.known`)},
		{ruined(
			"an old system for one that is not known", "I15", "L2",
			"else := deny(\"L1z\", \"default-deny\") if {\n	input.client.os == \"windows\"\n	input.client.osVersion < 11\n}",
		)},
		{ruined(
			"an old system for one that is not known, where something has failed here", "I15", "L2",
			"else := deny(\"L1z\", \"default-deny\") if {\n	input.pair.lost == true\n	input.client.osVersion == 0\n}",
		)},
		{
			{
				"offers after a login over another device only while they pause", "I12", appendRules,
				"process_pk_login_cross_platform_completed if {\n	input.process.outcome == \"cda\"\n	input.nudges.afterHybrid.cooldown == false",
				"process_pk_login_cross_platform_completed if {\n	input.process.outcome == \"cda\"\n	input.nudges.afterHybrid.cooldown == true",
			},
			{
				"", "", appendRules,
				"completed_paused if {\n	input.process.outcome == \"cda\"\n	input.nudges.afterHybrid.cooldown == true",
				"completed_paused if {\n	input.process.outcome == \"cda\"\n	input.nudges.afterHybrid.cooldown == false",
			},
		},
		{
			{
				"a pause after unfinished logins that never ends on desktops", "I19", appendRules,
				"process_pk_login_incomplete if {\n	input.process.outcome == \"incomplete\"\n",
				"process_pk_login_incomplete if {\n	input.process.outcome == \"incomplete\"\n	input.client.mobile == true\n",
			},
			{
				"", "", appendRules,
				"process_pk_login_incomplete_paused if {\n	input.process.outcome == \"incomplete\"\n	input.nudges.afterError.cooldown == true\n",
				"process_pk_login_incomplete_paused if {\n	input.process.outcome == \"incomplete\"\n",
			},
		},
		{{
			"a third failure of a security key that opens it again", "I7", loginRules,
			"security_key_failing if input.pair.securityKeyStreak >= data", "security_key_failing if input.pair.securityKeyStreak == data",
		}},
		{{
			"a login refused with a tag of creations", "I17", loginRules,
			`deny("L7b", "user-negative-env-history")`, `deny("L7b", "user-append-blacklisted")`,
		}},
		{{
			"a creation refused with a tag of logins", "I17", appendRules,
			`deny("A13", "process-pk-login-not-offered", "cooldown") if process_pk_login_not_offered_paused`,
			`deny("A13", "user-env-no-pks", "cooldown") if process_pk_login_not_offered_paused`,
		}},
		{{
			"a refusal of a paused offer that has a kind", "I16", appendRules,
			`else := deny("A11", "process-pk-login-cross-platform-completed", "cooldown")`,
			`else := object.union(deny("A11", "process-pk-login-cross-platform-completed", "cooldown"), {"kind": "default"})`,
		}},
		{{"a row that is put together", "I17", loginRules, `else := deny("L3"`, `else := deny(concat("", ["L", "3z"])`}},
	}
}

func TestAnInvariantThatIsBrokenIsFoundAndShown(t *testing.T) {
	t.Parallel()
	for _, edits := range spoiltBundles() {
		t.Run(edits[0].name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			for _, c := range edits {
				policiestest.Edit(t, files, c.file, c.old, c.new)
			}
			e := load(t, files)
			opened, err := scenario.Of(e, files)
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range edits {
				if c.invariant == "" {
					continue // it is for another edit to show
				}
				checkShown(t, opened, search(t, e, files, c.invariant))
			}
		})
	}
}

// checkShown checks that what is shown is small, and that its last scenario fails.
func checkShown(t *testing.T, bundle *scenario.Bundle, found Result) {
	t.Helper()
	reproduced := run(t, bundle, found.Scenario)
	for i, r := range reproduced.Scenarios {
		if last := i == len(reproduced.Scenarios)-1; r.Passed == last {
			t.Errorf("%s: passed %t: %s %v\n%s", r.Name, r.Passed, r.Error, r.Mismatches, found.Scenario)
		}
	}
	const small = 40
	if lines := strings.Count(found.Scenario, "\n"); lines > small*len(reproduced.Scenarios) {
		t.Errorf("%d lines are not small:\n%s", lines, found.Scenario)
	}
}

// search samples until the invariant is broken.
func search(t *testing.T, e *engine.Engine, files fstest.MapFS, invariant string) Result {
	t.Helper()
	const few, tries = 60, 20
	for seed := range uint64(tries) {
		report, err := Sample(t.Context(), e, files, Options{Situations: few, Seed: seed})
		if err != nil {
			t.Fatal(err)
		}
		found := result(t, report, invariant)
		if found.Broken == 0 {
			continue
		}
		if err := report.Err(); !errors.Is(err, ErrBroken) || !strings.Contains(err.Error(), invariant+", that "+found.Says) {
			t.Errorf("err = %v", err)
		}
		return found
	}
	t.Fatalf("%s is not broken in %d situations", invariant, few*tries)
	return Result{}
}

func result(t *testing.T, report *Report, name string) Result {
	t.Helper()
	for _, r := range report.Invariants {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no invariant %s", name)
	return Result{}
}

func TestAWaiverThatCannotBeMeantIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "data.json", `"keyward": {`, `"keyward": {"invariants": {"waived": {"I5": ""}},`)
	var place *bundlefile.Error
	_, err := Sample(t.Context(), load(t, files), files, Options{})
	if !errors.As(err, &place) || place.File != "data.json" || place.Line == 0 {
		t.Errorf("err = %v", err)
	}
}

func TestWhatIsWaivedIsNotReported(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	policiestest.Edit(
		t, files, "login/login.rego", "user_login_blacklisted if input.blacklist.login == true", "user_login_blacklisted if false",
	)
	policiestest.Edit(t, files, "data.json", `"keyward": {`, `"keyward": {"invariants": {"waived": {"I5": "nobody is barred here"}},`)
	report, err := Sample(t.Context(), load(t, files), files, Options{Situations: 50})
	if err != nil || report.Err() != nil || result(t, report, "I5").Waived != "nobody is barred here" {
		t.Errorf("%v, %v", err, report.Err())
	}
}

func TestEveryInvariantThatIsBrokenIsShownInOneFile(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	for _, c := range []spoilt{spoiltBundles()[0][0], spoiltBundles()[6][0]} {
		policiestest.Edit(t, files, c.file, c.old, c.new)
	}
	e := load(t, files)
	opened, err := scenario.Of(e, files)
	if err != nil {
		t.Fatal(err)
	}
	report, err := Sample(t.Context(), e, files, Options{Situations: 400, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	broken := map[string]bool{}
	for _, one := range report.Invariants {
		if one.Broken > 0 {
			broken[one.Name] = true
			if !strings.Contains(report.Scenarios, "# "+one.Name+": "+one.Says+"\n") {
				t.Errorf("%s is not shown", one.Name)
			}
		}
	}
	if len(broken) < 2 {
		t.Fatalf("only %v are broken", broken)
	}
	failed := map[string]bool{}
	for _, r := range run(t, opened, report.Scenarios).Scenarios {
		if r.Error != "" {
			t.Errorf("%s: %s", r.Name, r.Error)
		}
		if !r.Passed {
			name, _, _ := strings.Cut(r.Name, " ")
			failed[name] = true
		}
	}
	if !maps.Equal(failed, broken) {
		t.Errorf("%v fail, %v are broken:\n%s", failed, broken, report.Scenarios)
	}
}

func TestTheSameSeedFindsTheSame(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	spoilt := spoiltBundles()[0][0]
	policiestest.Edit(t, files, spoilt.file, spoilt.old, spoilt.new)
	e := load(t, files)
	var found [2]string
	for i := range found {
		report, err := Sample(t.Context(), e, files, Options{Situations: 30, Seed: 7})
		if err != nil {
			t.Fatal(err)
		}
		found[i] = result(t, report, spoilt.invariant).Scenario
	}
	if found[0] != found[1] || found[0] == "" {
		t.Errorf("%s\nand then\n%s", found[0], found[1])
	}
}

func TestSamplingEndsWithItsTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	files := policiestest.Files(t)
	report, err := Sample(ctx, load(t, files), files, Options{Situations: 1_000_000_000})
	if err != nil || report.Situations != 0 || !report.Cut() || report.Err() != nil {
		t.Errorf("%v, %v: what was cut off counts for nothing", report, err)
	}
}

// The names are those that the documents have.
func TestInvariantsAreNumbered(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^I[1-9][0-9]?$`)
	for i, c := range claims() {
		if !form.MatchString(c.name) || c.name != "I"+strconv.Itoa(i+1) {
			t.Errorf("%d is %s", i+1, c.name)
		}
	}
}
