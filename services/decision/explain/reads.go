package explain

import (
	"cmp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/explain/internal/source"
	"github.com/keyward/keyward/services/decision/internal/velocity"
)

// facts are the facts that a node reads by itself, and those behind the variables it uses.
func (i *inquiry) facts(s scope, node any) readings {
	var found readings
	i.references(s, node, func(ref ast.Ref) {
		if !ref[0].Equal(ast.InputRootDocument) || len(ref) == 1 {
			return
		}
		names := source.Keys(ref)
		value, given := source.Dig(plain(i.input.Value), names)
		found.add(Reading{Name: strings.Join(names, "."), Value: value, Given: given, Description: i.describe(names, value)})
	})
	return found
}

// describe says what a fact is: what the schema has of it, or of a counter what it counts.
func (i *inquiry) describe(names []string, value any) string {
	return cmp.Or(velocity.Describe(i.data, strings.Join(names, ".")), i.schemas.Describe(i.action, names, value))
}

// Parameters are the parameters, and other data of the bundle, that a node reads by itself.
func (i *inquiry) parameters(s scope, node any) readings {
	var found readings
	space := []string{"keyward", source.Parameters}
	i.references(s, node, func(ref ast.Ref) {
		if !ref[0].Equal(ast.DefaultRootDocument) || len(ref) == 1 || len(i.rules.Find(ref)) > 0 {
			return
		}
		names := source.Keys(ref)
		value, given := source.Dig(i.data, names)
		one := Reading{Name: strings.Join(names, "."), Value: value, Given: given}
		if len(names) > len(space) && slices.Equal(names[:len(space)], space) {
			one.Name = strings.Join(names[len(space):], ".")
			one.Description = i.schemas.Describe(source.Parameters, names[len(space):], value)
		}
		found.add(one)
	})
	return found
}

// references visits the references of a node as paths, as far as they are known, and those of the conditions above that bound its
// variables.
func (i *inquiry) references(s scope, node any, visit func(ast.Ref)) {
	seen := map[ast.Var]bool{}
	var walk func(any)
	walk = func(node any) {
		ast.NewGenericVisitor(func(x any) bool {
			switch v := x.(type) {
			case ast.Ref:
				visit(source.Plug(i.rules.Resolve(v, s.module), s.bindings))
			case ast.Var:
				if seen[v] {
					return false
				}
				seen[v] = true
				for _, expr := range s.held {
					if declares(expr, v) {
						walk(expr)
					}
				}
			}
			return false
		}).Walk(node)
	}
	walk(node)
}

// declares reports whether a condition gave a variable its value.
func declares(expr *ast.Expr, v ast.Var) bool {
	if expr.IsAssignment() {
		target, ok := expr.Operand(0).Value.(ast.Var)
		return ok && target == v
	}
	if !source.Declaration(expr) {
		return false
	}
	declared := false
	source.WalkTerms(expr, func(term *ast.Term) bool {
		declared = declared || term.Value.Compare(v) == 0
		return declared
	})
	return declared
}
