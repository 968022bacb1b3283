package bundle_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
)

// loginFacts is a Mac without history whose account has one passkey on a device that cannot be reached: the last row that facts can reach.
func loginFacts() map[string]any {
	return map[string]any{
		"complete": true, "account": "active", "strategy": "standard",
		"client": map[string]any{
			"os":          "macos",
			"osVersion":   15,
			"browser":     "safari",
			"native":      false,
			"mobile":      false,
			"desktop":     true,
			"privateMode": false,
			"webdriver":   false,
			"device":      "desktop",
			"embedded":    false,
			"inApp":       "",
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
			"lost": false, "evidenceHere": false, "firstWin": "", "secondWin": "", "thirdWin": "",
		},
		"blacklist":   map[string]any{"login": false, "appendAfterHybrid": false, "appendAfterError": false},
		"experiments": map[string]any{"device-local-platform-passkey": "control"},
	}
}

// choices are the values that rules of login tell apart, the usual ones several times so that later rows come up too.
var choices = map[string]map[string][]any{
	"": {
		"complete": {true, true, true, true, false},
		"account":  {"active", "active", "active", "unknown", "pending", "disabled"},
		"strategy": {"standard", "minimize", "maximize"}, "securityKeyOnly": {true, false, false},
	},
	"client":      {"native": {true, false}, "privateMode": {true, false, false}},
	"support":     {"webauthn": {true, true, true, true, false}, "uvpa": {true, true, false}, "immediateGet": {true, false}},
	"environment": {"listed": {"none", "none", "none", "none", "webdriver", "restricted-browser"}},
	"credentials": {"total": {0, 1, 2, 3, 4}, "likely": {0, 0, 1}, "uncertain": {0, 0, 1}, "remote": {0, 1}, "securityKey": {0, 1}},
	"cda":         {"client": {true, false}, "remoteHigh": {true, false}, "remoteLow": {true, false}, "route": {true, false}},
	"pair": {
		"localStreak": {
			0, 0, 1, 2, 3,
		},
		"cdaStreak":           {0, 0, 1, 2},
		"securityKeyStreak":   {0, 1, 2},
		"lastFailedRoute":     {"", "local", "cda", "security-key"},
		"positive":            {true, false, false},
		"lastRoute":           {"", "local", "cda", "security-key"},
		"positiveSecurityKey": {true, false},
		"firstWin":            {"", "", "local", "cda", "security-key"},
		"secondWin":           {"", "", "local", "cda"},
		"thirdWin":            {"", "", "security-key"},
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
