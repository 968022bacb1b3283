package explain

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/explain/internal/source"
)

// condition explains one condition in its place. holds says whether it does.
func (i *inquiry) condition(s scope, expr *ast.Expr, holds bool) Condition {
	c := Condition{Text: source.Text(expr), Holds: holds, File: s.module.Package.Location.File, Line: expr.Loc().Row}
	if len(expr.With) > 0 || expr.IsEvery() || source.Declaration(expr) {
		return i.asWritten(s, c, expr)
	}
	if !holds && len(i.tried(s, expr)) > 0 {
		i.nested(s, &c, expr)
		return i.asWritten(s, c, expr)
	}
	positive := expr
	if expr.Negated {
		positive = expr.Copy()
		positive.Negated = false
		holds = !holds
	}
	if defs, arguments, ok := i.asked(s, positive); ok {
		return i.asking(s, c, positive, defs, arguments, holds)
	}
	return i.leaf(s, c, positive, holds)
}

// asked returns the definitions that an expression asks, if it does nothing else, with the values of the arguments.
func (i *inquiry) asked(s scope, expr *ast.Expr) ([]*source.Definition, []*ast.Term, bool) {
	if operator := source.OperatorOf(expr); operator != nil {
		return i.called(s, operator, expr.Operands())
	}
	term, ok := expr.Terms.(*ast.Term)
	if !ok {
		return nil, nil, false
	}
	return i.askedBy(s, term)
}

// askedBy does the same for a term.
func (i *inquiry) askedBy(s scope, term *ast.Term) ([]*source.Definition, []*ast.Term, bool) {
	switch v := term.Value.(type) {
	case ast.Call:
		operator, ok := v[0].Value.(ast.Ref)
		if !ok {
			return nil, nil, false
		}
		return i.called(s, operator, v[1:])
	case ast.Var:
		if _, local := s.bindings[v]; local {
			return nil, nil, false
		}
		return i.named(s, ast.Ref{term})
	case ast.Ref:
		if head, ok := v[0].Value.(ast.Var); ok {
			if _, local := s.bindings[head]; local {
				return nil, nil, false
			}
		}
		return i.named(s, v)
	}
	return nil, nil, false
}

func (i *inquiry) named(s scope, ref ast.Ref) ([]*source.Definition, []*ast.Term, bool) {
	if len(ref) == 1 && ast.RootDocumentNames.Contains(ref[0]) {
		return nil, nil, false
	}
	defs := i.rules.Find(source.Plug(i.rules.Resolve(ref, s.module), s.bindings))
	return defs, nil, len(defs) > 0
}

func (i *inquiry) called(s scope, operator ast.Ref, operands []*ast.Term) ([]*source.Definition, []*ast.Term, bool) {
	defs := i.rules.At(i.rules.Resolve(operator, s.module).String())
	if len(defs) == 0 {
		return nil, nil, false
	}
	arguments := make([]*ast.Term, 0, len(operands))
	for _, operand := range operands {
		value, ok := i.value(s, operand)
		if !ok {
			return nil, nil, false
		}
		arguments = append(arguments, value)
	}
	return defs, arguments, true
}

// asking explains a condition that asks a rule.
func (i *inquiry) asking(s scope, c Condition, expr *ast.Expr, defs []*source.Definition, arguments []*ast.Term, holds bool) Condition {
	c.Rule, c.Title = defs[0].Name(), told(defs, holds)
	c.facts.join(i.facts(s, expr))
	c.parameters.join(i.parameters(s, expr))
	because, held := i.rule(defs, arguments, holds, s.depth+1)
	c.Because = because
	if holds && held != nil && held.Title() != "" {
		c.Title = held.Title()
	}
	if said := settled(defs, because); !holds && said != "" {
		c.Title = said
	}
	for _, one := range because {
		c.facts.join(one.facts)
		c.parameters.join(one.parameters)
	}
	switch {
	case len(because) > 0:
		c.Reason = i.joined(c, holds)
	case holds && held != nil:
		c.Reason = source.Text(expr) + " always holds"
	case holds:
		c.Reason = source.Text(expr) + " holds"
	case len(arguments) > 0:
		c.Reason = "no definition of " + c.Rule + " is for " + listed(arguments)
	default:
		c.Reason = source.Text(expr) + " does not hold"
	}
	return c
}

// asExpr makes a condition of the value of a definition.
func asExpr(value *ast.Term, d *source.Definition) *ast.Expr {
	expr := ast.NewExpr(value)
	if call, ok := value.Value.(ast.Call); ok {
		expr = ast.NewExpr([]*ast.Term(call))
	}
	expr.SetLocation(d.Rule.Loc())
	return expr
}

// titles says what a rule means; each of its definitions may have a title of its own.
func titles(defs []*source.Definition) string {
	var all []string
	for _, d := range defs {
		if title := d.Title(); title != "" && !slices.Contains(all, title) && !d.Rule.Default {
			all = append(all, title)
		}
	}
	return strings.Join(all, "; or ")
}

// notSo stands before the title of a rule that does not hold and has no sentence for that.
const notSo = "Not so: "

// told says what is so where a rule holds, or does not.
func told(defs []*source.Definition, holds bool) string {
	title := titles(defs)
	if holds || title == "" {
		return title
	}
	for _, d := range defs {
		if otherwise := d.Otherwise(); len(otherwise) > 0 {
			return strings.Join(otherwise, "; or ")
		}
	}
	return notSo + title
}

// settled is the sentence that a rule has for the condition of it that fails; empty = it has none of its own for that condition.
func settled(defs []*source.Definition, because []Condition) string {
	if len(because) != 1 {
		return ""
	}
	for _, d := range defs {
		said := d.Otherwise()
		at := slices.IndexFunc(d.Rule.Body, func(expr *ast.Expr) bool { return source.Text(expr) == because[0].Text })
		if at >= 0 && len(said) == len(d.Rule.Body) {
			return said[at]
		}
	}
	return ""
}

// mostSaid is how many conditions of a rule are told one by one. A rule with more of them is named by its title, if it has one: nobody
// reads ten.
const mostSaid = 6

// joined makes one sentence of the conditions of a rule. All of them count: if it holds they all do, if not none of its definitions does.
func (i *inquiry) joined(c Condition, holds bool) string {
	said := make([]string, 0, len(c.Because))
	seen := map[string]bool{}
	for _, one := range c.Because {
		if !seen[one.Reason] {
			seen[one.Reason] = true
			said = append(said, one.Reason)
		}
	}
	sentence := strings.Join(said, ", and ")
	if holds && len(said) > mostSaid && c.Title != "" {
		return c.Rule + ` holds ("` + c.Title + `")`
	}
	if holds && len(said) > 1 {
		return c.Rule + " holds: " + sentence
	}
	return sentence
}

// Rule explains why a rule holds, by the conditions of the definition that does, or why not, by the first condition that fails in each.
// settled is the definition that gave the value, if one did.
func (i *inquiry) rule(
	defs []*source.Definition, arguments []*ast.Term, holds bool, depth int,
) (because []Condition, settled *source.Definition) {
	if depth > maxDepth {
		return nil, nil
	}
	for _, first := range defs {
		if first.Rule.Default {
			continue
		}
		for _, d := range first.Chain() {
			o := i.judge(d, arguments, depth)
			switch {
			case !o.applicable:
			case o.failed != nil:
				if !holds {
					because = append(because, i.condition(o.before, o.failed, false))
				}
			case !o.matched:
				if !holds {
					because = append(because, i.valueless(o))
				}
			case truthy(o.value) == holds:
				because = i.held(o)
				if value := o.Rule.Head.Value; value != nil && !source.Constant(value) {
					because = append(because, i.condition(o.scope, asExpr(value, d), holds))
				}
				return because, d
			}
			if o.matched {
				break
			}
		}
	}
	return because, nil
}

func truthy(value *ast.Term) bool { return value.Value.Compare(ast.Boolean(false)) != 0 }

// held explains the conditions of a definition that hold, each in the scope of all.
func (i *inquiry) held(o outcome) []Condition {
	var all []Condition
	for _, expr := range o.held {
		if trivial(expr) {
			continue
		}
		c := i.condition(o.scope, expr, true)
		if binds(expr) && len(c.Because) == 0 {
			continue
		}
		all = append(all, c)
	}
	return all
}

// trivial reports whether an expression is the body of a rule without one.
func trivial(expr *ast.Expr) bool {
	term, ok := expr.Terms.(*ast.Term)
	return ok && !expr.Negated && term.Value.Compare(ast.Boolean(true)) == 0
}

// binds reports whether an expression only names a value.
func binds(expr *ast.Expr) bool { return expr.IsAssignment() && !expr.Negated }

// valueless explains a definition whose conditions hold, but whose value is undefined.
func (i *inquiry) valueless(o outcome) Condition {
	value := o.Rule.Head.Value
	c := Condition{
		Text: source.Text(value), File: o.Module.Package.Location.File, Line: o.Rule.Loc().Row,
		Reason: "its value " + source.Text(value) + " is undefined",
	}
	if undefined, ok := i.undefined(o.scope, value); ok {
		c.Reason += ": " + undefined.Reason
		c.Because = []Condition{undefined}
		c.facts, c.parameters = undefined.facts, undefined.parameters
	}
	return c
}

// undefined finds the first part of a node that has no value and explains it.
func (i *inquiry) undefined(s scope, node any) (Condition, bool) {
	var found *Condition
	source.WalkTerms(node, func(term *ast.Term) bool {
		if found != nil || source.Closed(term) {
			return true
		}
		c := Condition{Text: source.Text(term), File: s.module.Package.Location.File, Line: line(term, s)}
		if ref, ok := term.Value.(ast.Ref); ok && ref[0].Equal(ast.InputRootDocument) {
			if _, given := i.value(s, term); !given {
				c.Reason = i.facts(s, term).missing()
				c.facts = i.facts(s, term)
				found = &c
			}
			return true
		}
		defs, arguments, ok := i.askedBy(s, term)
		if !ok {
			return false
		}
		if _, defined := i.value(s, term); defined {
			return false
		}
		asking := i.asking(s, c, ast.NewExpr(term), defs, arguments, false)
		found = &asking
		return true
	})
	if found == nil {
		return Condition{}, false
	}
	return *found, true
}

func (r *readings) missingNames() []string {
	var names []string
	for _, name := range r.names {
		if !r.values[name].Given {
			names = append(names, name)
		}
	}
	return names
}

func (r readings) missing() string {
	return strings.Join(r.missingNames(), ", ") + " is not given"
}

func line(term *ast.Term, s scope) int {
	if term.Location != nil && term.Location.Row > 0 {
		return term.Location.Row
	}
	return s.module.Package.Location.Row
}
