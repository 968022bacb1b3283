package bundle_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

func schema(t *testing.T, name string) *jsonschema.Schema {
	t.Helper()
	content, err := policies.Bundle.ReadFile("schemas/" + name + ".jsonschema")
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(name, document(t, string(content))); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func document(t *testing.T, raw string) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// appendChoices are the values that rules of append tell apart beside those of login.
var appendChoices = map[string]map[string][]any{
	"": {
		"situation": {"post-login", "post-login", "in-app", "passkey-list", "current-user"},
		"complete":  {true, true, true, false}, "account": {"active", "active", "active", "disabled"},
	},
	"client":      {"native": {true, false}, "mobile": {true, false}, "privateMode": {true, false, false, false}},
	"environment": {"listed": {"none", "none", "none", "none", "webdriver", "restricted-browser"}},
	"support":     {"webauthn": {true, true, true, false}, "uvpa": {true, true, false}, "conditionalCreate": {true, false}},
	"credentials": {"total": {0, 1}, "likely": {0, 1}},
	"pair":        {"existsHere": {true, false, false}, "createdHere": {true, false}, "lost": {true, false}, "evidenceHere": {true, false}},
	"blacklist":   {"appendAfterHybrid": {true, false}, "appendAfterError": {true, false}},
	"experiments": {"device-local-platform-passkey": {"treatment", "control"}},
	"flags": {
		"force": {true, false, false, false}, "auto": {true, false}, "conditionalCreate": {true, false, false},
		"inApp": {"", "", "after-unlock", "after-splash"}, "shownLately": {true, false, false}, "optOutAfterHybrid": {true, false, false},
		"loginMethod": {"", "", "password", "code"},
	},
	"process": {
		"outcome": {"sk", "local", "cda", "incomplete", "not-offered", "not-offered"}, "missingEvidence": {true, false},
		"credentialClass": {"", "apple", "password-manager", "unknown-provider"},
	},
	"nudges": {"spaced": {true, false}},
}

func randomAppendFacts(random *rand.Rand) map[string]any {
	facts := loginFacts()
	delete(facts, "strategy")
	for _, group := range []string{"flags", "process", "nudges"} {
		facts[group] = map[string]any{}
	}
	choose(random, facts, appendChoices)
	process, nudges := facts["process"].(map[string]any), facts["nudges"].(map[string]any)
	process["failedLocal"] = 0
	nudges["conditionalCreate"] = map[string]any{"cooldown": random.IntN(2) == 0}
	for _, kind := range []string{"default", "afterError", "afterHybrid", "auto"} {
		nudges[kind] = map[string]any{"declines": 0, "cooldown": random.IntN(3) == 0}
	}
	return facts
}

func randomMediationFacts(random *rand.Rand) map[string]any {
	facts := loginFacts()
	for _, unknown := range []string{"account", "strategy", "credentials", "cda", "securityKeyOnly", "pair", "blacklist", "experiments"} {
		delete(facts, unknown)
	}
	choose(random, facts, map[string]map[string][]any{
		"": {"complete": {true, false}}, "environment": {"listed": {"none", "webdriver"}},
		"support": {"webauthn": {true, false}, "conditionalGet": {true, false}},
	})
	return facts
}

func randomRolloutFacts(random *rand.Rand) map[string]any {
	facts := randomMediationFacts(random)
	facts["rollout"] = map[string]any{"browserVersion": 18, "samples": map[string]any{}, "flags": map[string]any{}}
	choose(random, facts, map[string]map[string][]any{"rollout": {
		"action": {"login", "append", "manage"}, "identifier": {"none", "listed", "unlisted"}, "invitation": {"", "friends"},
	}})
	return facts
}

func TestWhateverTheFactsTheAnswerFitsItsSchema(t *testing.T) {
	t.Parallel()
	b, err := bundle.Load(t.Context(), policiestest.Files(t), entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	for action, tc := range map[string]struct {
		facts func(*rand.Rand) map[string]any
		rows  []string
	}{
		"login": {randomFacts, []string{"L0", "L1", "L2", "L3", "L4", "L5", "L6", "L7a", "L7b", "L7c", "L8", "L9", "L10",
			"L11", "L12", "L12a", "L13", "L1a"}},
		"append": {randomAppendFacts, []string{"A0", "A1", "A2", "A3", "A3a", "A3b", "A4", "A5", "A6a", "A6b", "A7", "A8", "A9",
			"A10", "A11", "A12", "A13", "A1a", "A10a", "A10b"}},
		"mediation": {randomMediationFacts, []string{"M0", "M1", "M2", "M3", "M4"}},
		"rollout":   {randomRolloutFacts, []string{"R0", "R5"}}, // what the other rows turn on are parameters
	} {
		t.Run(action, func(t *testing.T) {
			t.Parallel()
			in, out := schema(t, action), schema(t, "output/"+action)
			random := rand.New(rand.NewPCG(3, 4))
			missing := slices.Clone(tc.rows)
			for range 2_000 {
				input := asInput(t, tc.facts(random))
				if err := in.Validate(document(t, input.String())); err != nil {
					t.Fatalf("the facts do not fit their own schema: %v", err)
				}
				answer, err := b.Eval(t.Context(), time.Minute, "data.keyward."+action+".decision", input)
				if err != nil {
					t.Fatal(err)
				}
				if err := out.Validate(document(t, answer.String())); err != nil {
					t.Fatalf("to %s it answers %s: %v", input, answer, err)
				}
				if !slices.Contains(tc.rows, rule(answer)) {
					t.Fatalf("to %s it answers %s, which no facts should reach", input, answer)
				}
				missing = slices.DeleteFunc(missing, func(row string) bool { return row == rule(answer) })
			}
			if len(missing) > 0 {
				t.Errorf("no facts led to %v", missing)
			}
		})
	}
}

func TestAnOfferWithoutItsOptionsDoesNotFitTheSchema(t *testing.T) {
	t.Parallel()
	login, created := schema(t, "output/login"), schema(t, "output/append")
	const (
		denied = `{"rule": "L1", "allow": false, "tag": "env-no-pk-support", "route": "%s", "isCDACandidate": false, ` +
			`"preferImmediatelyAvailable": false, "credentials": [], "hints": []}`
		offered = `{"rule": "A2", "allow": true, "tag": "passkey-list-initiated-process", "kind": "%s",
			"variant": "default", "auto": false, "conditional": false,
			"manualAllowed": false, "isRestrictedBrowser": false, "reason": "", "attachment": "", "hints": [], "userVerification": "required"}`
	)
	for _, tc := range []struct {
		schema *jsonschema.Schema
		answer string
		fits   bool
	}{
		{login, fmt.Sprintf(denied, ""), true},
		{login, fmt.Sprintf(denied, "local"), false},
		{created, fmt.Sprintf(offered, "default"), true},
		{created, fmt.Sprintf(offered, ""), false},
	} {
		if err := tc.schema.Validate(document(t, tc.answer)); (err == nil) != tc.fits {
			t.Errorf("%s: %v", tc.answer, err)
		}
	}
}

func TestTheSchemaOfProjectsTakesOverridesOnly(t *testing.T) {
	t.Parallel()
	projects := schema(t, "projects")
	for raw, fits := range map[string]bool{
		`{}`: true,
		`{"pro-1": {"parameters": {"streakThreshold": 3, "default": {"count": 1}}}}`: true,
		`{"pro-1": {"parameters": {}, "rules": {}}}`:                                 false,
		`{"pro-1": {}}`:                false,
		`{"main": {"parameters": {}}}`: false,
	} {
		if err := projects.Validate(document(t, raw)); (err == nil) != fits {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// Explanations print titles and rows; a row that lost its own would be explained by nothing.
func TestEveryConditionOfATableIsNamedAfterItsTagAndDescribed(t *testing.T) {
	t.Parallel()
	for _, action := range []string{"login", "append", "mediation", "rollout"} {
		content, err := policies.Bundle.ReadFile(action + "/" + action + ".rego")
		if err != nil {
			t.Fatal(err)
		}
		module := ast.MustParseModuleWithOpts(string(content), ast.ParserOptions{ProcessAnnotation: true})
		named := map[string][]*ast.Rule{}
		for _, r := range module.Rules {
			named[r.Head.Name.String()] = append(named[r.Head.Name.String()], r)
		}
		rows := 0
		for _, r := range named["decision"] {
			for row := r; row != nil && !row.Default; row = row.Else {
				rows++
				call, ok := row.Head.Value.Value.(ast.Call)
				before, condition := row.Body[:len(row.Body)-1], row.Body[len(row.Body)-1]
				if !ok || slices.ContainsFunc(before, func(e *ast.Expr) bool { return !comparison(e) }) {
					t.Fatalf("%s:%d: not a row of a name and an answer", action, row.Loc().Row)
				}
				id, tag, name := text(call[1]), text(call[2]), condition.Terms.(*ast.Term).String()
				if !strings.HasPrefix(name, strings.ReplaceAll(tag, "-", "_")) {
					t.Errorf("%s: %s yields the tag %s", id, name, tag)
				}
				if len(named[name]) == 0 {
					t.Errorf("%s: there is no rule %s", id, name)
				}
				for _, condition := range named[name] {
					described(t, condition, id)
				}
			}
		}
		if rows < 5 {
			t.Errorf("%s has %d rows", action, rows)
		}
		for name, rules := range named {
			if name != "decision" && len(rules[0].Annotations) == 0 {
				t.Errorf("%s/%s says nowhere what it means", action, name)
			}
		}
	}
}

// comparison reports whether a condition is one that OPA's index of rules knows: a fact that equals a constant.
func comparison(e *ast.Expr) bool {
	if e.Negated || !e.OperatorTerm().Equal(ast.NewTerm(ast.Equal.Ref())) {
		return false
	}
	fact, ok := e.Operand(0).Value.(ast.Ref)
	return ok && fact.HasPrefix(ast.InputRootRef) && ast.IsConstant(e.Operand(1).Value)
}

func described(t *testing.T, condition *ast.Rule, row string) {
	t.Helper()
	if len(condition.Annotations) != 1 {
		t.Errorf("%s: %s has %d annotations", row, condition.Head.Name, len(condition.Annotations))
		return
	}
	a := condition.Annotations[0]
	if a.Title == "" || strings.HasSuffix(a.Title, ".") || a.Custom["row"] != row {
		t.Errorf("%s: %s has the title %q and the row %v", row, condition.Head.Name, a.Title, a.Custom["row"])
	}
}

func text(term *ast.Term) string {
	s, _ := term.Value.(ast.String)
	return string(s)
}

// Explanations print them instead of the facts' names.
func TestEveryFactAndParameterIsDescribedInPlainWords(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"login", "append", "mediation", "rollout", "parameters", "projects", "output/login", "output/append", "output/mediation",
		"output/rollout",
	} {
		content, err := policies.Bundle.ReadFile("schemas/" + name + ".jsonschema")
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasSuffix(content, []byte("}\n")) {
			t.Errorf("%s does not end in a line", name)
		}
		undescribed(t, name, document(t, string(content)))
	}
}

func undescribed(t *testing.T, at string, value any) {
	t.Helper()
	object, ok := value.(map[string]any)
	if !ok {
		return
	}
	properties, _ := object["properties"].(map[string]any)
	for name, property := range properties {
		place := at + "." + name
		if words, _ := property.(map[string]any)["description"].(string); words == "" || !strings.HasSuffix(words, ".") {
			t.Errorf("%s has no description that is a sentence: %q", place, words)
		}
		undescribed(t, place, property)
	}
	for _, below := range []string{"items", "additionalProperties"} {
		undescribed(t, at+"."+below, object[below])
	}
}
