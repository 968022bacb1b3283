// Package comparison finds what the rules of a policy compare facts with: numbers and texts that they write, or numbers that they read from
// the policy's data. It promises to see through the names that rules give to either side. It is pure.
package comparison

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Comparison is where rules compare a value of the input with a number that they write, or that they read from the bundle's data, or with a
// text that they write.
type Comparison struct {
	Path     string // of the value, dotted
	Operator string // as it is written with the value on the left
	Number   int64
	Text     string // instead of the number, of those of Texts
	Named    string // the data that the number is from; empty = it is written there
	File     string
	Line     int
}

// swapped are the comparisons by what they are when their sides change places.
var swapped = map[string]string{"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}

// reader knows the data that rules read.
type reader struct {
	data  map[string]any
	texts bool // are looked for, and no numbers
}

// Find returns all comparisons with whole numbers in rules, which are given by file. A number of the data counts as it is for every
// project.
func Find(modules map[string]*ast.Module, data map[string]any) []Comparison {
	return (&reader{data: data}).find(modules)
}

// Texts returns all comparisons with texts that rules write, which are given by file.
func Texts(modules map[string]*ast.Module) []Comparison { return (&reader{texts: true}).find(modules) }

func (b *reader) find(modules map[string]*ast.Module) []Comparison {
	var found []Comparison
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		of := ofModule(modules[file])
		for _, rule := range modules[file].Rules {
			found = append(found, b.inRule(rule, of.with(rule))...)
		}
	}
	return found
}

func (b *reader) inRule(rule *ast.Rule, known names) []Comparison {
	var found []Comparison
	compare := func(terms []*ast.Term, place *ast.Location) {
		const sides = 2
		if len(terms) != sides+1 {
			return
		}
		operator := infix(terms[0])
		turned, compares := swapped[operator]
		one, other := known.meant(terms[1]), known.meant(terms[2])
		left, right := inputPath(one), inputPath(other)
		switch {
		case operator == In && left != "":
			found = append(found, b.contained(left, other, place)...)
		case !compares || (left == "") == (right == ""):
		case left != "":
			found = append(found, b.compared(left, operator, other, place)...)
		default:
			found = append(found, b.compared(right, turned, one, place)...)
		}
	}
	ast.WalkTerms(rule, func(term *ast.Term) bool {
		if call, ok := term.Value.(ast.Call); ok {
			compare(call, term.Location)
		}
		return false
	})
	ast.WalkExprs(rule, func(expr *ast.Expr) bool {
		if terms, ok := expr.Terms.([]*ast.Term); ok {
			compare(terms, expr.Location)
		}
		return false
	})
	return found
}

// infix is how an operator is written; empty = it is none.
func infix(operator *ast.Term) string {
	ref, ok := operator.Value.(ast.Ref)
	if !ok {
		return ""
	}
	if builtin, known := ast.BuiltinMap[ref.String()]; known {
		return builtin.Infix
	}
	return ""
}

// inputPath is the path of a value of the input, dotted; empty = the term is another.
func inputPath(term *ast.Term) string {
	ref, ok := term.Value.(ast.Ref)
	if !ok || !ref.IsGround() || !ref.HasPrefix(ast.InputRootRef) || len(ref) == 1 {
		return ""
	}
	return dotted(ref[1:])
}

func dotted(ref ast.Ref) string {
	names := make([]string, len(ref))
	for i, term := range ref {
		name, _ := term.Value.(ast.String)
		names[i] = string(name)
	}
	return strings.Join(names, ".")
}

// In is the operator of a value in a set or list.
const In = "in"

// contained returns a comparison for each whole number of the set or list that a value is looked for in.
func (b *reader) contained(path string, within *ast.Term, place *ast.Location) []Comparison {
	var found []Comparison
	each := func(one *ast.Term) { found = append(found, b.compared(path, In, one, place)...) }
	switch value := within.Value.(type) {
	case ast.Set:
		value.Foreach(each)
	case *ast.Array:
		value.Foreach(each)
	case ast.Ref:
		each(within)
	}
	return found
}

func (b *reader) compared(path, operator string, with *ast.Term, place *ast.Location) []Comparison {
	one := Comparison{Path: path, Operator: operator}
	if place != nil {
		one.File, one.Line = strings.TrimPrefix(place.File, "/"), place.Row
	}
	var found []Comparison
	switch value := with.Value.(type) {
	case ast.String:
		if b.texts {
			one.Text = string(value)
			found = append(found, one)
		}
	case ast.Number:
		if n, whole := value.Int64(); whole && !b.texts {
			one.Number = n
			found = append(found, one)
		}
	case ast.Ref:
		if b.texts || !value.IsGround() || !value.HasPrefix(ast.DefaultRootRef) {
			break
		}
		one.Named = dotted(value[1:])
		for _, n := range b.numbers(strings.Split(one.Named, ".")) {
			one.Number = n
			found = append(found, one)
		}
	}
	return found
}

// numbers returns the whole numbers at a path of the data, or in a list there, sorted: those of the bundle, and those that projects have
// instead.
func (b *reader) numbers(path []string) []int64 {
	all := map[int64]bool{}
	take := func(from any, path []string) {
		for _, name := range path {
			within, _ := from.(map[string]any)
			from = within[name]
		}
		list, isList := from.([]any)
		if !isList {
			list = []any{from}
		}
		for _, one := range list {
			if number, ok := one.(json.Number); ok {
				if n, err := number.Int64(); err == nil {
					all[n] = true
				}
			}
		}
	}
	take(b.data, path)
	if len(path) > 2 && path[0] == "keyward" && path[1] == "parameters" {
		space, _ := b.data["keyward"].(map[string]any)
		projects, _ := space["projects"].(map[string]any)
		for _, project := range projects {
			take(project, path[1:])
		}
	}
	return slices.Sorted(maps.Keys(all))
}
