package steps

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/comparison"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/given"
)

// described is what a schema says of a fact, or of what is in it.
type described struct {
	Properties map[string]*described `json:"properties"`
	Items      *described            `json:"items"`
	Enum       []json.RawMessage     `json:"enum"`
	Minimum    *int64                `json:"minimum"`
	Maximum    *int64                `json:"maximum"`
}

// schemas are those of the facts, by the package whose rules read them.
type schemas map[string]*described

// The facts that are described elsewhere.
const (
	context = "context" // by a schema of its own
	action  = "action"  // by what the bundle's data declares
)

// describe reads the schemas of the packages of rules. Others than those that OPA has read already are left out.
func describe(modules map[string]*ast.Module, data map[string]any, schema func(name string) (file string, content []byte)) schemas {
	read := func(name string) *described {
		_, content := schema(name)
		var d described
		if content == nil || json.Unmarshal(content, &d) != nil {
			return nil
		}
		return &d
	}
	all, added := schemas{}, read(context)
	for _, module := range modules {
		name := packageName(module)
		if _, known := all[name]; known {
			continue
		}
		d := read(name)
		if all[name] = d; d == nil {
			continue
		}
		if within := d.Properties[context]; within != nil && added != nil {
			d.Properties[context] = added
		}
		if asked := d.Properties[action]; asked != nil && len(asked.Enum) == 0 {
			asked.Enum = actionsIn(data)
		}
	}
	return all
}

// packageName is the last part of the package of a module: that of its schema.
func packageName(module *ast.Module) string {
	path := module.Package.Path
	name, _ := path[len(path)-1].Value.(ast.String)
	return string(name)
}

// actionsIn returns the actions of ceremonies with those that the data declares; nil if it declares none, as of a bundle from before.
func actionsIn(data map[string]any) []json.RawMessage {
	space, _ := data["keyward"].(map[string]any)
	declared, there := space["actions"].(map[string]any)
	if !there {
		return nil
	}
	var all []json.RawMessage
	for _, name := range append([]string{facts.PasskeyLogin, facts.PasskeyAppend}, slices.Sorted(maps.Keys(declared))...) {
		quoted, _ := json.Marshal(name) // a text always is
		all = append(all, quoted)
	}
	return all
}

// at returns what is said of a fact; nil = nothing.
func (d *described) at(path string) *described {
	for name := range strings.SplitSeq(path, ".") {
		if d == nil {
			return nil
		}
		d = d.Properties[name]
	}
	return d
}

// texts returns the only texts that a fact can be; nil = it can be any.
func (d *described) texts() []string {
	var all []string
	for _, one := range d.Enum {
		var text string
		if json.Unmarshal(one, &text) != nil {
			return nil
		}
		all = append(all, text)
	}
	return all
}

// excludes says why a fact is never what it is compared with; empty = it can be.
func (d *described) excludes(c *comparison.Comparison) string {
	number := c.Number
	var numbers []string
	for _, one := range d.Enum {
		if numbers = append(numbers, string(one)); string(one) == fmt.Sprint(number) {
			return ""
		}
	}
	low := d.Minimum != nil && (number < *d.Minimum || number == *d.Minimum && c.Operator == "<")
	high := d.Maximum != nil && (number > *d.Maximum || number == *d.Maximum && c.Operator == ">")
	switch {
	case len(numbers) > 0:
		return "it is one of " + strings.Join(numbers, ", ")
	case !low && !high:
		return ""
	case c.Operator != "<" && c.Operator != ">" && d.Minimum != nil && d.Maximum != nil:
		return fmt.Sprintf("it is %d to %d", *d.Minimum, *d.Maximum)
	case low:
		return fmt.Sprintf("it is never below %d", *d.Minimum)
	default:
		return fmt.Sprintf("it is never above %d", *d.Maximum)
	}
}

// checkValues refuses comparisons with what a fact can never be, by the schemas. What the data says is left to the schema of the data: a
// figure beyond all values is how a rule is turned off.
func checkValues(modules map[string]*ast.Module, data map[string]any, schema func(string) (string, []byte)) []error {
	var refused []error
	known := describe(modules, data, schema)
	of := func(c *comparison.Comparison) *described { return known[packageName(modules[c.File])].at(c.Path) }
	for _, c := range comparison.Texts(modules) {
		fact := of(&c)
		if fact == nil {
			continue
		}
		if texts := fact.texts(); texts != nil && !slices.Contains(texts, c.Text) {
			said := fmt.Sprintf("input.%s %s %q: it is never that", c.Path, c.Operator, c.Text)
			refused = append(refused, &bundlefile.Error{File: c.File, Line: c.Line, Message: said, Advice: given.NoneOf(c.Text, texts)})
		}
	}
	for _, c := range comparison.Find(modules, data) {
		fact := of(&c)
		if fact == nil || c.Named != "" || facts.Steps(c.Path) != nil {
			continue
		}
		if why := fact.excludes(&c); why != "" {
			refused = append(refused, &bundlefile.Error{
				File: c.File, Line: c.Line, Message: fmt.Sprintf("input.%s %s %d: %s", c.Path, c.Operator, c.Number, why),
				Advice: "compare with a value that the fact can have",
			})
		}
	}
	return refused
}
