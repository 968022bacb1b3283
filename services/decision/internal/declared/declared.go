// Package declared knows the facts whose names a bundle's data declares: labels of users, lists, counters. It promises that a rule which
// misspells one is refused when the bundle is loaded, and told the right name; and holds their values. It is pure.
package declared

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Names are the names that a bundle's data declares, sorted, by the fact that has them.
type Names map[string][]string

// The facts.
const (
	labels = "user.labels"
	lists  = "request.lists"
	counts = "velocity"
)

// context is the fact that a schema of its own describes.
const context = "context"

// In returns the names that data.keyward declares.
func In(space map[string]any) Names {
	listed, _ := space["lists"].(map[string]any)
	velocity, _ := space["velocity"].(map[string]any)
	counters, _ := velocity["counters"].(map[string]any)
	return Names{
		labels: labelsIn(space), lists: slices.Sorted(maps.Keys(listed)),
		counts: append(slices.Sorted(maps.Keys(counters)), completeCounts), // which is there without any counter, too
	}
}

// completeCounts is whether nothing is missing from any counter.
const completeCounts = "complete"

// kindOf is the type of a fact with a name, as JSON Schema has it.
func kindOf(fact, name string) string {
	if fact == counts && name != completeCounts {
		return "integer"
	}
	return "boolean"
}

// labelsIn returns the names that the parameters of the bundle or of one of its projects declare as labels of users, sorted.
func labelsIn(space map[string]any) []string {
	names := map[string]bool{}
	add := func(parameters any) {
		given, _ := parameters.(map[string]any)
		risk, _ := given["risk"].(map[string]any)
		hours, _ := risk["officeHours"].(map[string]any)
		for _, from := range [...]map[string]any{given, hours} {
			list, _ := from["labels"].([]any)
			for _, name := range list {
				if text, ok := name.(string); ok {
					names[text] = true
				}
			}
		}
		least, _ := risk["requireAal"].(map[string]any)
		for name := range least {
			names[name] = true
		}
	}
	add(space["parameters"])
	projects, _ := space["projects"].(map[string]any)
	for _, project := range projects {
		own, _ := project.(map[string]any)
		add(own["parameters"])
	}
	return slices.Sorted(maps.Keys(names))
}

// Narrow makes a schema of an input know the names that there are, so that a rule that misspells one is refused and told the right name.
// Without any there is nothing to compare with. What callers may add, the bundle describes by a schema of its own.
func (n Names) Narrow(schema any, of func(name string) (file string, content []byte)) {
	if _, described := of(context); described != nil {
		narrowContext(schema, described)
	}
	for fact, names := range n {
		described := schema
		for name := range strings.SplitSeq(fact, ".") {
			within, _ := described.(map[string]any)
			below, _ := within["properties"].(map[string]any)
			described = below[name]
		}
		found, ok := described.(map[string]any)
		if !ok || len(names) == 0 {
			continue
		}
		properties := make(map[string]any, len(names))
		for _, name := range names {
			properties[name] = map[string]any{"type": kindOf(fact, name)}
		}
		found["properties"], found["additionalProperties"] = properties, false
	}
}

func narrowContext(schema any, described []byte) {
	within, _ := schema.(map[string]any)
	below, _ := within["properties"].(map[string]any)
	if _, known := below[context].(map[string]any); !known {
		return
	}
	var narrow map[string]any
	if json.Unmarshal(described, &narrow) == nil { // which is looked at elsewhere
		narrow["additionalProperties"] = false
		below[context] = narrow
	}
}

// Misspelt is where a rule reads a name that nothing declares.
type Misspelt struct {
	File    string
	Line    int
	Message string
	Advice  string
}

// Undeclared returns where rules, which are given by file, read a list or a label although none is declared, so that Narrow has nothing to
// compare with.
func (n Names) Undeclared(modules map[string]*ast.Module) []Misspelt {
	var found []Misspelt
	for _, of := range [...]struct{ fact, one, advice string }{
		{lists, "list", "declare the list in data.keyward.lists, or correct its name"},
		{labels, "label", "declare the label in data.keyward.parameters.labels, or correct its name"},
	} {
		if len(n[of.fact]) > 0 {
			continue
		}
		read := ast.MustParseRef("input." + of.fact)
		for _, file := range slices.Sorted(maps.Keys(modules)) {
			ast.WalkRefs(modules[file], func(ref ast.Ref) bool {
				if !ref.HasPrefix(read) || len(ref) == len(read) {
					return false
				}
				name, constant := ref[len(read)].Value.(ast.String)
				if !constant {
					return false
				}
				one := Misspelt{File: file, Message: fmt.Sprintf("%s: there is no %s %q", ref, of.one, string(name)), Advice: of.advice}
				if ref[0].Location != nil {
					one.Line = ref[0].Location.Row
				}
				found = append(found, one)
				return false
			})
		}
	}
	return found
}
