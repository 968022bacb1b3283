package bundle_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"testing/fstest"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/bundle"
)

// The ways to write an ordered table that are held against the default bundle's. Each is a file in testdata/table; they share what the rows share.
var tables = map[string]string{
	"named conditions": login, // the default bundle
	"inline":           "data.keyward.table.inline.decision",
	"values":           "data.keyward.table.values.decision",
	"candidates":       "data.keyward.table.candidates.decision",
	"first":            "data.keyward.table.first.decision",
}

// loadTables returns the default bundle with every table in it.
func loadTables(t testing.TB) *bundle.Bundle {
	t.Helper()
	files := defaultBundle(t)
	for name, entrypoint := range tables {
		if entrypoint == login {
			continue
		}
		content, err := os.ReadFile("testdata/table/" + name + ".rego")
		if err != nil {
			t.Fatal(err)
		}
		files["table/"+name+".rego"] = &fstest.MapFile{Data: content}
		files["schemas/"+name+".json"] = files["schemas/login.json"]
	}
	references := make([]string, 0, len(tables))
	for _, entrypoint := range tables {
		references = append(references, entrypoint)
	}
	b, err := bundle.Load(t.Context(), files, bundle.Entrypoints{Required: references})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// loginFacts is a Mac without history whose account has one passkey on a device that cannot be reached: the last row that facts can reach.
func loginFacts() map[string]any {
	return map[string]any{
		"complete": true, "account": "active", "strategy": "standard",
		"client": map[string]any{
			"os": "macos", "osVersion": 15, "browser": "safari", "native": false, "mobile": false, "desktop": true, "privateMode": false, "webdriver": false,
		},
		"support": map[string]any{
			"webauthn": true, "uvpa": true, "ble": "on", "conditionalGet": true, "conditionalCreate": true, "hybrid": "yes", "immediateGet": false,
		},
		"environment":     map[string]any{"known": true, "rejected": false, "listed": "none"},
		"credentials":     map[string]any{"total": 1, "likely": 0, "uncertain": 0, "remote": 1, "securityKey": 0},
		"cda":             map[string]any{"client": true, "remoteHigh": false, "remoteLow": true, "route": false},
		"securityKeyOnly": false,
		"pair": map[string]any{
			"localStreak": 0, "cdaStreak": 0, "securityKeyStreak": 0, "noCredentials": false, "lastFailedRoute": "",
			"positive": false, "lastRoute": "", "positiveSecurityKey": false, "existsHere": false, "createdHere": false,
		},
		"blacklist":   map[string]any{"login": false, "appendAfterHybrid": false, "appendAfterError": false},
		"experiments": map[string]any{"device-local-platform-passkey": "control"},
	}
}

// choices are the values that rules of login tell apart, the usual ones several times so that later rows come up too.
var choices = map[string]map[string][]any{
	"":            {"complete": {true, true, true, true, false}, "account": {"active", "active", "active", "unknown", "pending", "disabled"}, "strategy": {"standard", "minimize", "maximize"}, "securityKeyOnly": {true, false, false}},
	"client":      {"native": {true, false}, "privateMode": {true, false, false}},
	"support":     {"webauthn": {true, true, true, true, false}, "uvpa": {true, true, false}, "immediateGet": {true, false}},
	"environment": {"listed": {"none", "none", "none", "webdriver"}},
	"credentials": {"total": {0, 1, 2, 3, 4}, "likely": {0, 0, 1}, "uncertain": {0, 0, 1}, "remote": {0, 1}, "securityKey": {0, 1}},
	"cda":         {"client": {true, false}, "remoteHigh": {true, false}, "remoteLow": {true, false}, "route": {true, false}},
	"pair": {
		"localStreak": {0, 0, 1, 2, 3}, "cdaStreak": {0, 0, 1, 2}, "securityKeyStreak": {0, 1, 2}, "lastFailedRoute": {"", "local", "cda", "security-key"},
		"positive": {true, false, false}, "lastRoute": {"", "local", "cda", "security-key"}, "positiveSecurityKey": {true, false},
	},
	"blacklist": {"login": {true, false, false, false, false}},
}

func randomFacts(random *rand.Rand) map[string]any {
	facts := loginFacts()
	choose(random, facts, choices)
	return facts
}

// choose draws in a fixed order, so that a seed stands for the same facts every time.
func choose(random *rand.Rand, facts map[string]any, from map[string]map[string][]any) {
	for _, group := range slices.Sorted(maps.Keys(from)) {
		into := facts
		if group != "" {
			into = facts[group].(map[string]any)
		}
		for _, field := range slices.Sorted(maps.Keys(from[group])) {
			into[field] = from[group][field][random.IntN(len(from[group][field]))]
		}
	}
}

func asInput(t testing.TB, facts map[string]any) ast.Value {
	t.Helper()
	value, err := ast.InterfaceToValue(facts)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func rule(answer ast.Object) string {
	row := answer.Get(ast.StringTerm("rule"))
	if row == nil {
		return ""
	}
	name, _ := row.Value.(ast.String)
	return string(name)
}

func TestEveryWayToWriteTheTableAnswersAlike(t *testing.T) {
	t.Parallel()
	b := loadTables(t)
	random := rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	for range 1_500 {
		input := asInput(t, randomFacts(random))
		want, err := b.Eval(t.Context(), time.Minute, login, input)
		if err != nil {
			t.Fatal(err)
		}
		seen[rule(want)] = true
		for name, entrypoint := range tables {
			got, err := b.Eval(t.Context(), time.Minute, entrypoint, input)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if want.Compare(got) != 0 {
				t.Fatalf("to %s the default bundle answers\n%s\nbut %s\n%s", input, want, name, got)
			}
		}
	}
	for _, row := range []string{"L0", "L1", "L2", "L3", "L4", "L5", "L6", "L7a", "L7b", "L7c", "L8", "L9", "L10", "L11", "L12", "L13"} {
		if !seen[row] {
			t.Errorf("no facts led to %s", row)
		}
	}
}

// BenchmarkTable compares the ways to write an ordered table: the first row, one in the middle, and the last that facts can reach.
func BenchmarkTable(b *testing.B) {
	loaded := loadTables(b)
	positive, incomplete := loginFacts(), loginFacts()
	incomplete["complete"] = false
	positive["pair"].(map[string]any)["positive"], positive["pair"].(map[string]any)["lastRoute"] = true, "local"
	for _, given := range []struct {
		row   string
		facts map[string]any
	}{{"L0", incomplete}, {"L6", positive}, {"L13", loginFacts()}} {
		input := asInput(b, given.facts)
		for _, name := range []string{"named conditions", "inline", "values", "candidates", "first"} {
			b.Run("row="+given.row+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					answer, err := loaded.Eval(b.Context(), time.Second, tables[name], input)
					if err != nil || rule(answer) != given.row {
						b.Fatalf("%v, %v", answer, err)
					}
				}
			})
		}
	}
}
