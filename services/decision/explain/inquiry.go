package explain

import (
	"context"
	"errors"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/topdown"

	"github.com/keyward/keyward/services/decision/explain/internal/source"
)

// Bounds on one explanation. Rules that go beyond are shown as source text.
const (
	maxSteps = 20_000 // evaluations of conditions
	maxDepth = 16     // rules asked by rules
)

// inquiry is one explanation under way.
type inquiry struct {
	ctx     context.Context //nolint:containedctx // an inquiry lives as long as the call that made it
	rules   *source.Rules
	schemas source.Schemas
	action  string
	store   storage.Store
	reading storage.Transaction
	input   *ast.Term
	data    map[string]any
	barring string // see Circumstances
	steps   int
}

// scope is a place within a rule: what is given and holds so far.
type scope struct {
	module   *ast.Module
	given    ast.Body              // the function's arguments, bound
	held     ast.Body              // conditions above that hold
	bindings map[ast.Var]*ast.Term // of the first solution of both
	many     bool                  // there are more solutions
	depth    int
}

func (s scope) body() ast.Body { return slices.Concat(s.given, s.held) }

var (
	errEnough    = errors.New("enough")
	errExhausted = errors.New("the rules take too many steps to follow")
)

// solution is how a body can be true.
type solution struct {
	variables map[ast.Var]*ast.Term // of the first way that was found
	found     bool
	many      bool // there are more
}

// solve evaluates a body in the names of a module. An error means that it cannot be evaluated by itself.
func (i *inquiry) solve(module *ast.Module, body ast.Body) (solution, error) {
	if i.steps++; i.steps > maxSteps || i.ctx.Err() != nil {
		return solution{}, errExhausted
	}
	if len(body) == 0 {
		return solution{found: true}, nil
	}
	copied := ast.NewBody()
	for _, expr := range body {
		copied.Append(expr.Copy())
	}
	queries := i.rules.Compiler().QueryCompiler().WithContext(ast.NewQueryContext().WithPackage(module.Package).WithImports(module.Imports))
	compiled, err := queries.Compile(copied)
	if err != nil {
		return solution{}, err
	}
	var results []topdown.QueryResult
	err = topdown.NewQuery(compiled).
		WithQueryCompiler(queries).
		WithCompiler(i.rules.Compiler()).
		WithStore(i.store).
		WithTransaction(i.reading).
		WithInput(i.input).
		Iter(i.ctx, func(result topdown.QueryResult) error {
			if results = append(results, result); len(results) > 1 {
				return errEnough
			}
			return nil
		})
	if err != nil && !errors.Is(err, errEnough) {
		return solution{}, err
	}
	if len(results) == 0 {
		return solution{}, nil
	}
	variables := make(map[ast.Var]*ast.Term, len(results[0]))
	written := queries.RewrittenVars()
	for name, value := range results[0] {
		if original, ok := written[name]; ok {
			name = original
		}
		variables[name] = value
	}
	return solution{variables: variables, found: true, many: len(results) > 1}, nil
}

// answerVar cannot be the name of a variable in a policy.
const answerVar = ast.Var("the value")

// value evaluates a term; false if it is undefined or cannot be evaluated by itself.
func (i *inquiry) value(s scope, term *ast.Term) (*ast.Term, bool) {
	if source.Constant(term) {
		return term, true
	}
	if v, ok := term.Value.(ast.Var); ok {
		if bound, ok := s.bindings[v]; ok {
			return bound, true
		}
	}
	solved, err := i.solve(s.module, append(s.body(), ast.Equality.Expr(ast.NewTerm(answerVar), term)))
	if err != nil {
		return nil, false
	}
	value, ok := solved.variables[answerVar]
	return value, ok
}

// outcome is how one definition of a rule fared.
type outcome struct {
	*source.Definition
	scope      scope
	applicable bool        // its argument patterns fit
	matched    bool        // it has a value
	held       []*ast.Expr // conditions that hold
	failed     *ast.Expr   // the first that does not
	before     scope       // what held where that one failed
	value      *ast.Term   // if it matched
}

// judge follows a definition from its first condition on.
func (i *inquiry) judge(d *source.Definition, arguments []*ast.Term, depth int) outcome {
	o := outcome{Definition: d, scope: scope{module: d.Module, depth: depth}}
	patterns := d.Arguments()
	for n, pattern := range patterns {
		if n >= len(arguments) {
			return o
		}
		if _, isVar := pattern.Value.(ast.Var); isVar && !pattern.Value.(ast.Var).IsWildcard() {
			o.scope.given.Append(ast.Assign.Expr(pattern, arguments[n]))
			continue
		}
		o.scope.given.Append(ast.Equality.Expr(pattern, arguments[n]))
	}
	solved, err := i.solve(d.Module, o.scope.given)
	if o.applicable = solved.found && err == nil; !o.applicable {
		return o
	}
	o.scope.bindings = solved.variables
	for _, expr := range d.Rule.Body {
		solved, err := i.solve(d.Module, append(o.scope.body(), expr))
		if err == nil && !solved.found {
			o.failed, o.before = expr, o.scope
			return o
		}
		// A condition may use a variable that a later one binds; then both are judged there.
		if err == nil {
			o.scope.bindings, o.scope.many = solved.variables, solved.many
		}
		o.scope.held = append(slices.Clone(o.scope.held), expr)
		o.held = append(o.held, expr)
	}
	if _, err := i.solve(d.Module, o.scope.body()); err != nil {
		return o
	}
	o.value, o.matched = i.worth(o)
	return o
}

// worth is the value of a definition whose conditions hold.
func (i *inquiry) worth(o outcome) (*ast.Term, bool) {
	if o.Rule.Head.Value == nil {
		return ast.BooleanTerm(true), true
	}
	return i.value(o.scope, o.Rule.Head.Value)
}

// readings are values by name, in the order they were first read.
type readings struct {
	names  []string
	values map[string]Reading
}

func (r *readings) add(one Reading) {
	if _, ok := r.values[one.Name]; ok {
		return
	}
	if r.values == nil {
		r.values = map[string]Reading{}
	}
	r.names = append(r.names, one.Name)
	r.values[one.Name] = one
}

func (r *readings) join(other readings) {
	for _, name := range other.names {
		r.add(other.values[name])
	}
}

func (r *readings) list() []Reading {
	list := make([]Reading, 0, len(r.names))
	for _, name := range r.names {
		list = append(list, r.values[name])
	}
	return list
}
