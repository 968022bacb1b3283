package cli_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/scenario"
)

// unmet are the rows that no crowd leads to, and why.
var unmet = map[string]string{
	"login L0":     "an account that is not active gets no decision, and looking up fails on an overloaded machine alone",
	"login L14":    "guards edited bundles",
	"append A0":    "as L0",
	"append A8":    "the experiment has no treatment arm by default",
	"append A14":   "guards edited bundles",
	"mediation M0": "looking up fails on an overloaded machine alone",
	"mediation M5": "guards edited bundles",
}

// A backend's calls ask nothing of the rollout: R0 to R6 are met by the processes of the Frontend API.
func TestACrowdMeetsEveryRowThatTrafficCan(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	environ, _ := server(t)
	if crowd := run(t, environ, "demo", "--users", "300", "--seed", "7"); crowd.code != cli.ExitOK {
		t.Fatalf("demo: %s\n%s", crowd.err, crowd.out)
	}
	rows := rowsOf(t, scenario.Login, scenario.Append, scenario.Mediation)
	lacking := func(met map[string]int) []string {
		return slices.DeleteFunc(slices.Clone(rows), func(row string) bool { return met[row] > 0 || unmet[row] != "" })
	}
	met := decidedBy(t, environ)
	// Decisions are recorded behind the answers.
	for deadline := time.Now().Add(time.Minute); len(lacking(met)) > 0 && time.Now().Before(deadline); met = decidedBy(t, environ) {
	}
	for _, row := range lacking(met) {
		t.Errorf("no decision met %s", row)
	}
}

// decidedBy counts the recorded decisions of each row.
func decidedBy(t *testing.T, environ []string) map[string]int {
	t.Helper()
	met := map[string]int{}
	for line := range strings.Lines(run(t, environ, "decisions", "list", "--limit", "0", "--json").out) {
		var decision struct{ Action, Rule string }
		if err := json.Unmarshal([]byte(line), &decision); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		met[decision.Action+" "+decision.Rule]++
	}
	return met
}

// rowsOf returns the rows of the default bundle's tables, each with its action: those that its scenarios reach and those that they do not.
func rowsOf(t *testing.T, actions ...string) []string {
	t.Helper()
	bundle, err := scenario.Open(t.Context(), policies.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	suite, err := scenario.Own(policies.Bundle, "policies")
	if err != nil {
		t.Fatal(err)
	}
	report, err := bundle.Run(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]bool{}
	for i := range report.Scenarios {
		r := &report.Scenarios[i]
		rows[r.Action+" "+r.Rule] = slices.Contains(actions, r.Action)
	}
	for _, action := range actions {
		for _, row := range report.NotReached[action] {
			rows[action+" "+row] = true
		}
	}
	maps.DeleteFunc(rows, func(_ string, asked bool) bool { return !asked })
	return slices.Sorted(maps.Keys(rows))
}

func TestAnAttackIsSeenAndPeopleAreLeftInPeace(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	places := filepath.Join(t.TempDir(), "places.mmdb")
	if wrote := run(t, nil, "demo", "--places", places); wrote.code != cli.ExitOK {
		t.Fatal(wrote.err)
	}
	environ, _ := server(t, "KEYWARD_GEO_CITY_DB="+places)
	attack := run(t, environ, "demo", "--attack", "--users", "200", "--seed", "3")
	if attack.code != cli.ExitOK {
		t.Fatalf("demo: %s\n%s", attack.err, attack.out)
	}
	for who, c := range map[string]struct{ challenged, reviewed, allowed int }{ // at least, at least, at most
		"people who sign in":                {0, 0, 800},
		"passwords tried on many accounts":  {70, 0, 30},
		"a browser's handle, stolen abroad": {0, 20, 0},
		"security keys, copied":             {15, 0, 10},
	} {
		row := regexp.MustCompile(regexp.QuoteMeta(who) + ` +([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+) +([0-9]+) `).FindStringSubmatch(attack.out)
		if row == nil {
			t.Fatalf("nothing is said of %s:\n%s", who, attack.out)
		}
		var n [5]int
		for i := range n {
			n[i], _ = strconv.Atoi(row[i+1])
		}
		allowed, reviewed, challenged := n[1], n[2], n[3]+n[4]
		if allowed > c.allowed || reviewed < c.reviewed || challenged < c.challenged {
			t.Errorf("of %s, %d were allowed, %d looked at and %d challenged", who, allowed, reviewed, challenged)
		}
		if who == "people who sign in" && challenged > 0 {
			t.Errorf("of %s, %d would have been asked for more:\n%s", who, challenged, attack.out)
		}
	}
}
