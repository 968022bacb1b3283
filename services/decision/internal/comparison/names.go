package comparison

import (
	"maps"

	"github.com/open-policy-agent/opa/v1/ast"
)

// names are what rules call constants, and parts of the input or the data.
type names map[ast.Var]*ast.Term

// ofModule returns the names that hold in a whole file: its imports, and its rules that are nothing but another name or a constant.
func ofModule(module *ast.Module) names {
	known := names{}
	for _, one := range module.Imports {
		known[one.Name()] = one.Path
	}
	times := map[ast.Var]int{}
	for _, rule := range module.Rules {
		times[rule.Head.Name]++
	}
	for _, rule := range module.Rules {
		head := rule.Head
		if times[head.Name] > 1 || rule.Default || rule.Else != nil || head.Key != nil || len(head.Args) > 0 || len(head.Ref()) != 1 {
			continue
		}
		if body := rule.Body; len(body) == 1 && body[0].Equal(ast.NewExpr(ast.BooleanTerm(true))) && head.Value != nil {
			known[head.Name] = head.Value
		}
	}
	return known
}

// with returns these names with those that a rule gives with :=. What it calls so in two places is not known.
func (n names) with(rule *ast.Rule) names {
	known, given := maps.Clone(n), map[ast.Var]bool{}
	ast.WalkExprs(rule, func(expr *ast.Expr) bool {
		if !expr.IsAssignment() {
			return false
		}
		name, ok := expr.Operand(0).Value.(ast.Var)
		if !ok {
			return false
		}
		if known[name] = expr.Operand(1); given[name] {
			delete(known, name)
		}
		given[name] = true
		return false
	})
	for _, arg := range rule.Head.Args {
		if name, ok := arg.Value.(ast.Var); ok {
			delete(known, name)
		}
	}
	return known
}

// meant returns what a term is a name for, however many names that takes; otherwise the term.
func (n names) meant(term *ast.Term) *ast.Term {
	for range n { // no name leads to itself by more steps than there are names
		var name ast.Var
		var below ast.Ref
		switch value := term.Value.(type) {
		case ast.Var:
			name = value
		case ast.Ref:
			head, ok := value[0].Value.(ast.Var)
			if !ok {
				return term
			}
			name, below = head, value[1:]
		default:
			return term
		}
		whole, named := n[name]
		switch {
		case !named:
			return term
		case len(below) == 0:
			term = whole
		default:
			ref, ok := whole.Value.(ast.Ref)
			if !ok {
				return term
			}
			term = ast.NewTerm(ref.Concat(below))
		}
	}
	return term
}
