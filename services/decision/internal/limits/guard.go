package limits

import (
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// guardName is a builtin that only compiled rules call: policies may not, and so cannot replace it either.
const guardName = "internal.keyward_bounded"

// mostParts is how many values a rule may put together in all, lists within lists counted through. The facts of a decision are some
// hundred.
const mostParts = 20_000

// A list that holds another twice, forty times over, is made in forty steps and takes 2^40 to compare, copy or write out; nothing ends
// that. So whatever a rule puts together is looked into at once, when it is still small, and the evaluation ends if it is not.
var guard = registerGuard()

func registerGuard() *ast.Term {
	declared := &ast.Builtin{Name: guardName, Decl: types.NewFunction(types.Args(types.A), types.B)}
	ast.RegisterBuiltin(declared)
	topdown.RegisterBuiltinFunc(guardName, func(bctx topdown.BuiltinContext, args []*ast.Term, iter func(*ast.Term) error) error {
		if parts(mostParts, args[0]) < 0 {
			return halt(bctx, "a rule", "such a collection")
		}
		if what := excessOfAll(args); what != "" {
			return halt(bctx, "a rule", what)
		}
		return iter(ast.InternedTerm(true))
	})
	return ast.NewTerm(declared.Ref())
}

// parts returns what is left of a budget of values once those of a term are counted, or less than nothing.
func parts(left int, term *ast.Term) int {
	left--
	each := func(inner *ast.Term) {
		if left >= 0 {
			left = parts(left, inner)
		}
	}
	switch v := term.Value.(type) {
	case *ast.Array:
		v.Foreach(each)
	case ast.Set:
		v.Foreach(each)
	case ast.Object:
		v.Foreach(func(key, value *ast.Term) { each(key); each(value) })
	}
	return left
}

// Guarded has a compiler put a guard behind all that rules put together.
func Guarded(c *ast.Compiler) *ast.Compiler {
	return c.WithStageAfterID(ast.StageBuildRequiredCapabilities, ast.CompilerStageDefinition{
		Name: "GuardCollections", MetricName: "compile_stage_guard_collections", Stage: func(c *ast.Compiler) *ast.Error {
			for _, module := range c.Modules {
				ast.NewGenericVisitor(guards{c}.guardBodies).Walk(module)
			}
			return nil
		},
	})
}

// guards puts guards into rules that a compiler is done with.
type guards struct{ compiler *ast.Compiler }

// guardBodies guards the bodies that belong to a node, and goes on to what is in them.
func (g guards) guardBodies(node any) bool {
	switch n := node.(type) {
	case *ast.Rule:
		n.Body = g.guardBody(n.Body, n.Head.Key, n.Head.Value)
	case *ast.ArrayComprehension:
		n.Body = g.guardBody(n.Body, n.Term)
	case *ast.SetComprehension:
		n.Body = g.guardBody(n.Body, n.Term)
	case *ast.ObjectComprehension:
		n.Body = g.guardBody(n.Body, n.Key, n.Value)
	case *ast.Every:
		n.Body = g.guardBody(n.Body)
	case *ast.Not:
		n.Body = g.guardBody(n.Body)
	}
	return false
}

// guardBody guards what expressions put together, and what the body is for.
func (g guards) guardBody(body ast.Body, results ...*ast.Term) ast.Body {
	all := make(ast.Body, 0, len(body))
	for _, expr := range body {
		before, after := g.operandsToGuard(expr)
		all = append(appendGuards(all, expr, before), expr)
		all = appendGuards(all, expr, after)
	}
	if len(body) > 0 {
		all = appendGuards(all, body[len(body)-1], results)
	}
	for i, expr := range all {
		expr.Index = i
	}
	return all
}

// operandsToGuard returns what there is before an expression is evaluated, and what there is by then only.
func (g guards) operandsToGuard(expr *ast.Expr) (before, after []*ast.Term) {
	for _, with := range expr.With {
		before = append(before, with.Value)
	}
	switch {
	case expr.IsEquality() && expr.Negated:
		return before, nil // it compares with what is guarded already, and binds nothing
	case expr.IsEquality():
		return before, equated(expr.Operand(0), expr.Operand(1))
	case expr.IsCall():
		terms := expr.Terms.([]*ast.Term)
		inputs := min(1+g.arity(terms[0].Value.(ast.Ref)), len(terms))
		before = append(before, terms[1:inputs]...)
		if expr.Negated {
			return before, nil
		}
		return before, terms[inputs:]
	}
	return before, nil
}

// arity returns how many operands a builtin or a function takes; what comes behind them is what it answers.
func (g guards) arity(called ast.Ref) int {
	if builtin, ok := ast.BuiltinMap[called.String()]; ok {
		return builtin.Decl.Arity()
	}
	if rules := g.compiler.GetRulesExact(called); len(rules) > 0 {
		return len(rules[0].Head.Args)
	}
	return 0
}

// equated returns what an equality makes of its sides: a list of it if a side is a comprehension, which has no variables of its own to
// guard.
func equated(left, right *ast.Term) []*ast.Term {
	if isComprehension(right) {
		left, right = right, left
	}
	if !isComprehension(left) {
		return []*ast.Term{left, right}
	}
	if _, ok := right.Value.(ast.Var); ok {
		return []*ast.Term{ast.ArrayTerm(right)}
	}
	return []*ast.Term{right}
}

func isComprehension(term *ast.Term) bool {
	switch term.Value.(type) {
	case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
		return true
	}
	return false
}

// appendGuards appends a guard for each collection that is not a constant. It looks into what a rule puts into the collection: the rest
// stands in the policy, and to build all of it a second time costs more than the guard.
func appendGuards(body ast.Body, of *ast.Expr, terms []*ast.Term) ast.Body {
	for _, term := range terms {
		if term == nil || term.IsGround() || isComprehension(term) {
			continue
		}
		if inserted := appendInserted(nil, term); len(inserted) > 0 && inserted[0] != term {
			call := ast.NewExpr([]*ast.Term{guard, ast.ArrayTerm(inserted...)})
			call.Generated, call.Location = true, of.Location
			body = append(body, call)
		}
	}
	return body
}

// appendInserted appends what is put into a collection, at each of its places, or the term if it is none.
func appendInserted(inserted []*ast.Term, term *ast.Term) []*ast.Term {
	if term.IsGround() {
		return inserted
	}
	each := func(inner *ast.Term) { inserted = appendInserted(inserted, inner) }
	switch v := term.Value.(type) {
	case *ast.Array:
		v.Foreach(each)
	case ast.Set:
		v.Foreach(each)
	case ast.Object:
		v.Foreach(func(key, value *ast.Term) { each(key); each(value) })
	default:
		return append(inserted, term)
	}
	return inserted
}
