package explain_test

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// edited returns the default bundle without its tests and with other content of some files.
func edited(t *testing.T, change map[string]func(string) string) fstest.MapFS {
	t.Helper()
	files := policiestest.Files(t)
	for name, edit := range change {
		before := ""
		if file, ok := files[name]; ok {
			before = string(file.Data)
		}
		after := edit(before)
		if after == before {
			t.Fatalf("%s was not changed", name)
		}
		files[name] = &fstest.MapFile{Data: []byte(after)}
	}
	return files
}

// crafted is a login table as somebody else might write it.
const crafted = `# METADATA
# schemas:
#   - input: schema.login
package keyward.login

import data.keyward.parameters as settings
import data.keyward.shared

# METADATA
# title: The table
# entrypoint: true
# scope: document
default decision := {"rule": "X9", "allow": false, "tag": "default-deny", "route": "",
	"isCDACandidate": false, "preferImmediatelyAvailable": false, "credentials": [], "hints": []}

decision := no("X0", "default-deny") if shared.incomplete

else := no("X1", "env-blacklisted") if {
	some barred in ["webdriver", "address"]
	input.environment.listed == barred
}

else := no("X2", "user-negative-env-history") if tired

else := no("X3", "user-no-pks") if count([n | some n in input.credentials; n > 0]) == 0

else := no("X4", "user-env-no-pks") if {
	total := input.credentials.total
	reachable := input.credentials.likely + input.credentials.uncertain
	reachable < total
}

else := no("X5", "env-no-pk-support") if every n in [input.pair.cdaStreak, input.pair.localStreak] { n > 5 }

else := yes("X6", "user-platform-pk-high-confidence", preferred_route) if not shared.incomplete

# Somebody is tired of failures.
tired if worst >= settings.streakThreshold

worst := max([input.pair.localStreak, input.pair.cdaStreak])

preferred_route := "local" if input.support.uvpa

no(name, why) := answer(name, why, false, "")

yes(name, why, way) := answer(name, why, true, way)

answer(name, why, allowed, way) := {
	"rule": name,
	"allow": allowed,
	"tag": why,
	"route": way,
	"isCDACandidate": false,
	"preferImmediatelyAvailable": false,
	"credentials": [],
	"hints": [],
}
`

const shared = `package keyward.shared

# METADATA
# title: Not everything is known
incomplete if not input.complete

incomplete if {
	input.account == "disabled"
}
`

func TestAnEditedBundleIsExplained(t *testing.T) {
	t.Parallel()
	policy := load(t, edited(t, map[string]func(string) string{
		"login/login.rego":   func(string) string { return crafted },
		"shared/shared.rego": func(string) string { return shared },
	}))
	type said struct{ Row, Tag, Reason string }
	for name, c := range map[string]struct {
		change func(*facts.Facts)
		row    said
		above  []said
		facts  []string
		params []string
	}{
		"through an import and a computed value": {
			func(f *facts.Facts) { f.Pair.CDAStreak = 3 },
			said{"X2", "user-negative-env-history", "worst is 3, at least settings.streakThreshold (2)"},
			[]said{
				{"X0", "default-deny", `complete is true, and account is "active", not "disabled"`},
				{"X1", "env-blacklisted", `input.environment.listed == barred does not hold for any barred: environment.listed is "none"`},
			},
			[]string{"pair.localStreak", "pair.cdaStreak"}, []string{"streakThreshold"},
		},
		"by local variables": {
			func(f *facts.Facts) { f.Credentials = facts.Counts{Total: 3, Likely: 1} },
			said{"X4", "user-env-no-pks", "reachable is 1, below total (3)"},
			[]said{
				{"X0", "default-deny", `complete is true, and account is "active", not "disabled"`},
				{"X1", "env-blacklisted", `input.environment.listed == barred does not hold for any barred: environment.listed is "none"`},
				{"X2", "user-negative-env-history", "worst is 0, below settings.streakThreshold (2)"},
				{"X3", "user-no-pks", `count([n | some n in credentials; n > 0]) is 2, not 0`},
			},
			[]string{"credentials.likely", "credentials.uncertain", "credentials.total"}, nil,
		},
		"past a condition without words, with a detail of its answer": {
			func(*facts.Facts) {},
			said{"X6", "user-platform-pk-high-confidence", `complete is true, and account is "active", not "disabled"`},
			nil, []string{"complete", "account", "support.uvpa"}, nil,
		},
		"a row whose value is undefined falls to the default": {
			func(f *facts.Facts) { f.Support.UVPA = false },
			said{"X9", "default-deny", "no row above it matched, so the default of the table answered"},
			nil, nil, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := policy.Explain(t.Context(), explain.Login, "", loginFacts(c.change))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.row, said{e.Row.Name, e.Row.Tag, bare(e.Row.Reason)}); diff != "" {
				t.Error(diff)
			}
			var above []said
			for _, row := range e.Above {
				above = append(above, said{row.Name, row.Tag, bare(row.Reason)})
			}
			if c.above != nil {
				if diff := cmp.Diff(c.above, above); diff != "" {
					t.Error(diff)
				}
			}
			if name == "a row whose value is undefined falls to the default" {
				want := said{
					"X6",
					"user-platform-pk-high-confidence",
					`its value yes("X6", "user-platform-pk-high-confidence", preferred_route) is undefined: support.uvpa is false`,
				}
				if diff := cmp.Diff(want, above[len(above)-1]); diff != "" {
					t.Error(diff)
				}
			}
			if diff := cmp.Diff(c.facts, names(e.Row.Facts)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(c.params, names(e.Row.Parameters)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// bare leaves out what the schema says of facts.
func bare(reason string) string {
	return regexp.MustCompile(` \("[^)]*"\)`).ReplaceAllString(reason, "")
}

func names(all []explain.Reading) []string {
	var list []string
	for _, one := range all {
		list = append(list, one.Name)
	}
	return list
}

func TestAConditionWithoutWordsIsShownAsItIsWritten(t *testing.T) {
	t.Parallel()
	policy := load(t, edited(t, map[string]func(string) string{
		"login/login.rego":   func(string) string { return crafted },
		"shared/shared.rego": func(string) string { return shared },
	}))
	e, err := policy.Explain(t.Context(), explain.Login, "", loginFacts(func(*facts.Facts) {}))
	if err != nil {
		t.Fatal(err)
	}
	got := e.Above[len(e.Above)-1]
	want := "every n in [input.pair.cdaStreak, input.pair.localStreak] { n > 5 } does not hold: pair.cdaStreak is 0, pair.localStreak is 0"
	if got.Name != "X5" || got.Reason != want {
		t.Errorf("row %s: %s\nwant %s", got.Name, got.Reason, want)
	}
}

func TestAProjectsOwnParametersAreExplained(t *testing.T) {
	t.Parallel()
	policy := load(t, edited(t, map[string]func(string) string{"data.json": func(data string) string {
		var all map[string]map[string]any
		if err := json.Unmarshal([]byte(data), &all); err != nil {
			t.Fatal(err)
		}
		all["keyward"]["projects"] = map[string]any{"pro-7": map[string]any{"parameters": map[string]any{"streakThreshold": 1}}}
		changed, err := json.Marshal(all)
		if err != nil {
			t.Fatal(err)
		}
		return string(changed)
	}}))
	facts := loginFacts(func(f *facts.Facts) { f.Pair.LocalStreak, f.Pair.LastFailedRoute = 1, "local" })
	mine, err := policy.Explain(t.Context(), explain.Login, "pro-7", facts)
	if err != nil {
		t.Fatal(err)
	}
	if mine.Row.Name != "L7a" || !strings.Contains(mine.Row.Reason, "pair.localStreak is 1, at least streakThreshold (1)") {
		t.Errorf("%s: %s", mine.Row.Name, mine.Row.Reason)
	}
	others, err := policy.Explain(t.Context(), explain.Login, "pro-8", facts)
	if err != nil {
		t.Fatal(err)
	}
	if others.Row.Name != "L11" {
		t.Errorf("%s: %s", others.Row.Name, others.Row.Reason)
	}
}

func TestABundleThatTheServerRefusesIsRefused(t *testing.T) {
	t.Parallel()
	_, err := explain.Load(
		t.Context(),
		edited(t, map[string]func(string) string{"login/login.rego": func(rego string) string { return rego + "\nnonsense if {\n" }}),
	)
	var place *bundle.Error
	if !errors.As(err, &place) || place.File != "login/login.rego" || place.Line == 0 {
		t.Errorf("got %v, want an error with file and line", err)
	}
}
