package explain_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/explain"
	terminal "github.com/keyward/keyward/services/decision/explain/text"
	"github.com/keyward/keyward/services/decision/scenario"
)

// meaning is what a schema says of what is yes or no, by the value.
type meaning map[bool]string

// meanings are what the schemas say of the facts of an action, and of the parameters, that are yes or no, by their paths.
func meanings(t *testing.T, action string) map[string]meaning {
	t.Helper()
	found := map[string]meaning{}
	var below func(at string, schema map[string]any)
	below = func(at string, schema map[string]any) {
		properties, _ := schema["properties"].(map[string]any)
		for name, one := range properties {
			inner, _ := one.(map[string]any)
			if inner["type"] == "boolean" {
				found[at+name] = meaning{true: sentence(inner["description"]), false: sentence(inner["x-otherwise"])}
			}
			below(at+name+".", inner)
		}
	}
	below("", schemaOf(t, "schemas/"+action+".jsonschema"))
	below("", schemaOf(t, "schemas/parameters.jsonschema"))
	return found
}

func sentence(written any) string { return strings.TrimSuffix(text(written), ".") }

func TestNoLineOfAnyScenarioShowsASentenceThatItsValueContradicts(t *testing.T) {
	t.Parallel()
	policy := load(t, policiestest.Files(t))
	bundle := scenario.By(policy.Engine())
	suite, err := scenario.Own(policies.Bundle, "policies")
	if err != nil {
		t.Fatal(err)
	}
	report, err := bundle.Run(t.Context(), suite)
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]map[string]meaning{}
	for _, action := range explain.Actions() {
		known[action] = meanings(t, action)
	}
	lines, denials := 0, otherwises(t)
	for i := range report.Scenarios {
		s := &report.Scenarios[i]
		found, err := bundle.Facts(t.Context(), suite, s.Name, nil)
		if err != nil {
			t.Fatal(err)
		}
		input, err := json.Marshal(found.Facts)
		if err != nil {
			t.Fatal(err)
		}
		e, err := policy.Explain(t.Context(), s.Action, "", input)
		if err != nil {
			t.Fatal(err)
		}
		lines += truthful(t, s.Name, e, known[s.Action], denials)
	}
	if lines < 1000 {
		t.Errorf("looked at %d sentences alone", lines)
	}
}

// described is a value of yes or no in a sentence or a list, with the sentence that stands behind it.
var described = regexp.MustCompile(`([\w.]+)(?: is |  +)(true|false)(?: \("([^"]*)"\)|  +(.*))?`)

// truthful holds every line of an explanation against what the schemas say of the values in it, and returns how many sentences it has held.
func truthful(t *testing.T, name string, e *explain.Explanation, known map[string]meaning, denials map[string]bool) (held int) {
	t.Helper()
	var written strings.Builder
	if err := terminal.Write(&written, e); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(written.String()) {
		for _, one := range described.FindAllStringSubmatch(strings.TrimRight(line, "\n"), -1) {
			said := one[3] + one[4]
			meant, ok := known[one[1]]
			if !ok || said == "" {
				continue
			}
			held++
			if said != meant[one[2] == "true"] {
				t.Errorf("%s: %q", name, strings.TrimSpace(line))
			}
		}
	}
	for _, row := range append(e.Above, e.Row) {
		toldPlainly(t, name, &row)
		for _, reading := range append(row.Facts, row.Parameters...) {
			value, isSo := reading.Value.(bool)
			if meant, ok := known[reading.Name]; ok && isSo && reading.Description != meant[value] {
				t.Errorf("%s: %s is %t and told as %q", name, reading.Name, value, reading.Description)
			}
		}
		for _, c := range append(row.Conditions, row.Details...) {
			consistent(t, name, c, denials)
		}
	}
	return held
}

// identifier is how rules, facts and parameters are named: no word of a sentence has an underscore, a dot or a capital within.
var identifier = regexp.MustCompile(`\b[a-z]+(_[a-z]+|\.[a-z]|[A-Z])\w*`)

// toldPlainly holds the story of a row to what a reader without the bundle can read: sentences, few, without names of rules or facts.
func toldPlainly(t *testing.T, name string, row *explain.Row) {
	t.Helper()
	if len(row.Story) == 0 && row.Title == "" {
		t.Errorf("%s: of %s there is no story", name, row.Name)
	}
	if len(row.Story) > 8 {
		t.Errorf("%s: nobody reads the story of %s: %q", name, row.Name, row.Story)
	}
	for _, said := range row.Story {
		if identifier.MatchString(said) || strings.Contains(said, " holds") {
			t.Errorf("%s: the story of %s is not plain: %q", name, row.Name, said)
		}
	}
}

// otherwises are what rules of the bundle say of themselves where they do not hold.
func otherwises(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for name, file := range policiestest.Files(t) {
		if !strings.HasSuffix(name, ".rego") {
			continue
		}
		for _, one := range regexp.MustCompile(`(?m)^# +(?:otherwise:|-) (.*)$`).FindAllStringSubmatch(string(file.Data), -1) {
			all[one[1]] = true
		}
	}
	return all
}

// consistent holds the title that a condition has of its rule against whether that rule holds.
func consistent(t *testing.T, name string, c explain.Condition, denials map[string]bool) {
	t.Helper()
	holds := c.Holds != strings.HasPrefix(c.Text, "not ")
	if c.Title != "" && holds == (denials[c.Title] || strings.HasPrefix(c.Title, "Not so: ")) {
		t.Errorf("%s: %s, which holds: %t, is told as %q", name, c.Text, c.Holds, c.Title)
	}
	for _, inner := range c.Because {
		consistent(t, name, inner, denials)
	}
}
