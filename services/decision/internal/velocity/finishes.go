package velocity

import (
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/bundle"
)

// finish is the stage at which a passkey has been used.
const finish = "login-finish"

// checkUsed refuses that rules read a counter of the passkey that is used where there is none: those of others than risk, and those of risk
// that do not say that a login ends, or read the passkey.
func checkUsed(modules map[string]*ast.Module, name string) []error {
	read := ast.MustParseRef("input." + Name + "." + name)
	var refused []error
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		module := modules[file]
		for _, rule := range module.Rules {
			for part := rule; part != nil; part = part.Else {
				at := readAt(part, read)
				if at == nil || finishing(module) && atFinish(module, part.Body, len(module.Rules)) {
					continue
				}
				refused = append(refused, &bundle.Error{
					File: strings.TrimPrefix(at.File, "/"), Line: at.Row,
					Message: read.String() + " counts for the passkey of a finished login, and is asked for where there is none",
					Advice:  `read it in rules of risk alone, beside input.stage == "` + finish + `"`,
				})
			}
		}
	}
	return refused
}

// finishing reports whether rules of a module judge the ends of ceremonies, too.
func finishing(module *ast.Module) bool {
	return slices.ContainsFunc(module.Package.Path, func(part *ast.Term) bool { return part.Equal(ast.StringTerm(finishes)) })
}

// readAt returns where a part of a rule reads a value; nil = nowhere.
func readAt(part *ast.Rule, value ast.Ref) *ast.Location {
	var at *ast.Location
	look := func(node any) {
		ast.WalkTerms(node, func(term *ast.Term) bool {
			if ref, ok := term.Value.(ast.Ref); ok && ref.HasPrefix(value) && at == nil {
				at = term.Location
			}
			return false
		})
	}
	look(part.Head)
	look(part.Body)
	return at
}

// atFinish reports whether a body holds at the end of a login alone. It looks through so many rules.
func atFinish(module *ast.Module, body ast.Body, rules int) bool {
	return slices.ContainsFunc(body, func(expr *ast.Expr) bool {
		return !expr.Negated && (isFinish(expr) || readsUsed(expr) || rules > 0 && namesFinish(module, expr, rules-1))
	})
}

var (
	stage    = ast.MustParseTerm("input.stage")
	used     = ast.MustParseRef("input.used")
	atTheEnd = ast.StringTerm(finish)
)

// isFinish reports whether an expression says the stage.
func isFinish(expr *ast.Expr) bool {
	const sides = 2
	operator := expr.Operator()
	if operator == nil || len(expr.Operands()) != sides {
		return false
	}
	one, other := expr.Operand(0), expr.Operand(1)
	switch operator.String() {
	case ast.Equal.Name, ast.Equality.Name:
		return one.Equal(stage) && other.Equal(atTheEnd) || one.Equal(atTheEnd) && other.Equal(stage)
	case ast.Member.Name:
		set, ok := other.Value.(ast.Set)
		return ok && one.Equal(stage) && set.Len() == 1 && set.Contains(atTheEnd)
	default:
		return false
	}
}

// readsUsed reports whether an expression is nothing without a passkey that is used.
func readsUsed(expr *ast.Expr) bool {
	found := false
	ast.NewGenericVisitor(func(node any) bool {
		switch node := node.(type) {
		case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension, *ast.Every:
			return true // which are something without one, too
		case ast.Ref:
			found = found || node.HasPrefix(used)
		}
		return found
	}).Walk(expr)
	return found
}

// namesFinish reports whether an expression is the name of rules that all hold at the end of a login alone.
func namesFinish(module *ast.Module, expr *ast.Expr, rules int) bool {
	term, ok := expr.Terms.(*ast.Term)
	if !ok {
		return false
	}
	name, ok := term.Value.(ast.Var)
	if !ok {
		return false
	}
	named := 0
	for _, rule := range module.Rules {
		if rule.Head.Name != name {
			continue
		}
		if named++; rule.Default || rule.Else != nil || !atFinish(module, rule.Body, rules) {
			return false
		}
	}
	return named > 0
}
