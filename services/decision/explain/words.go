package explain

import (
	"regexp"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/explain/internal/source"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// leaf explains a condition that asks no rule, in words if its form is known.
func (i *inquiry) leaf(s scope, c Condition, expr *ast.Expr, holds bool) Condition {
	c.facts, c.parameters = i.facts(s, expr), i.parameters(s, expr)
	i.nested(s, &c, expr)
	if !holds && !c.Holds {
		if undefined, ok := i.undefined(s, expr); ok {
			undefined.Text, undefined.Line = c.Text, c.Line
			return undefined
		}
	}
	said, ok := i.say(s, expr, holds)
	if !ok {
		return i.asWritten(s, c, expr)
	}
	c.Reason, c.plain = said+i.description(c, said), plainly(c, said)
	return c
}

// listedFact is the fact that says on what kind of list a client is; the entry is among the circumstances.
const listedFact = "environment.listed"

// barring names the entries that bar, in a sentence.
func barring(lists []recognition.Match) string {
	var all []string
	for _, m := range lists {
		if m.Bars {
			all = append(all, m.String())
		}
	}
	return strings.Join(all, "; ")
}

// description adds what the schema says of the fact or parameter that a sentence begins with. Of others that it reads, it would be said of
// the wrong one.
func (i *inquiry) description(c Condition, said string) string {
	for _, one := range append(c.facts.list(), c.parameters.list()...) {
		if one.Description != "" && strings.HasPrefix(said, one.Name+" is ") {
			if one.Name == listedFact && i.barring != "" && strings.HasSuffix(said, `not "none"`) {
				return ` ("` + source.Quoted(one.Description) + `"): ` + i.barring
			}
			return ` ("` + source.Quoted(one.Description) + `")`
		}
	}
	return ""
}

// nested adds what the rules read that a condition asks among other things.
func (i *inquiry) nested(s scope, c *Condition, node any) {
	if s.depth >= maxDepth {
		return
	}
	source.WalkTerms(node, func(term *ast.Term) bool {
		if source.Closed(term) {
			return true
		}
		defs, arguments, ok := i.askedBy(s, term)
		if !ok {
			return false
		}
		value, defined := i.value(s, term)
		because, _ := i.rule(defs, arguments, defined && truthy(value), s.depth+1)
		for _, one := range because {
			c.facts.join(one.facts)
			c.parameters.join(one.parameters)
		}
		return false
	})
}

// asWritten shows a condition as source text, with the facts it reads.
func (i *inquiry) asWritten(s scope, c Condition, expr *ast.Expr) Condition {
	c.facts.join(i.facts(s, expr))
	c.parameters.join(i.parameters(s, expr))
	verb := " holds"
	if !c.Holds {
		verb = " does not hold"
	}
	if tried := i.tried(s, expr); len(tried) > 0 && !c.Holds {
		verb += " for any " + strings.Join(tried, ", ")
	}
	var values []string
	for _, one := range append(c.facts.list(), c.parameters.list()...) {
		values = append(values, stated(one))
	}
	c.Reason, c.plain = c.Text+verb, plainly(c, "")
	if len(values) > 0 {
		c.Reason += ": " + strings.Join(values, ", ")
	}
	return c
}

// tried are the variables of a condition that stand for one value after another.
func (i *inquiry) tried(s scope, expr *ast.Expr) []string {
	if !s.many {
		return nil
	}
	var names []string
	source.WalkTerms(expr, func(term *ast.Term) bool {
		v, ok := term.Value.(ast.Var)
		if _, local := s.bindings[v]; ok && local && !slices.Contains(names, string(v)) {
			names = append(names, string(v))
		}
		return false
	})
	return names
}

func stated(one Reading) string {
	return one.Name + " is " + one.Shown()
}

// comparison is how the relation of two values is said.
type comparison struct {
	holds, fails string
	flipped      string // the operator with its sides exchanged
}

// comparisons by the name of the operator.
func comparisonOf(operator string) (comparison, bool) {
	switch operator {
	case "equal", "eq":
		return comparison{"", "not", operator}, true
	case "neq":
		return comparison{"not", "", operator}, true
	case "gt":
		return comparison{"above", "not above", "lt"}, true
	case "gte":
		return comparison{"at least", "below", "lte"}, true
	case "lt":
		return comparison{"below", "not below", "gt"}, true
	case "lte":
		return comparison{"at most", "above", "gte"}, true
	case "internal.member_2":
		return comparison{"among", "not among", ""}, true
	}
	return comparison{}, false
}

// say puts a condition into words: "pair.localStreak is 1, below streakThreshold (2)".
func (i *inquiry) say(s scope, expr *ast.Expr, holds bool) (string, bool) {
	if term, ok := expr.Terms.(*ast.Term); ok {
		return i.sayTerm(s, term)
	}
	operator := source.OperatorOf(expr)
	if operator == nil || len(expr.Operands()) != 2 {
		return "", false
	}
	left, right, name := expr.Operand(0), expr.Operand(1), operator.String()
	how, ok := comparisonOf(name)
	if !ok {
		return "", false
	}
	if source.Constant(left) && !source.Constant(right) && how.flipped != "" {
		left, right = right, left
		how, _ = comparisonOf(how.flipped)
	}
	value, ok := i.value(s, left)
	if !ok {
		return "", false
	}
	relation := how.fails
	if holds {
		relation = how.holds
	}
	said := i.name(left) + " is " + compact(plain(value.Value))
	other, ok := i.operand(s, right)
	if !ok {
		return "", false
	}
	_, yesOrNo := right.Value.(ast.Boolean)
	switch {
	case yesOrNo:
	case relation != "":
		said += ", " + relation + " " + other
	case !source.Constant(right):
		said += ", the same as " + other
	}
	return said, true
}

func (i *inquiry) sayTerm(s scope, term *ast.Term) (string, bool) {
	value, ok := i.value(s, term)
	if !ok {
		return "", false
	}
	if source.Constant(term) {
		return source.Text(term), true
	}
	return i.name(term) + " is " + compact(plain(value.Value)), true
}

// operand names a value: a constant by itself, everything else with its value behind it.
func (i *inquiry) operand(s scope, term *ast.Term) (string, bool) {
	if source.Constant(term) {
		if term.Value.Compare(ast.String("")) == 0 {
			return "empty", true
		}
		return strings.ReplaceAll(strings.Trim(compact(plain(term.Value)), "[]"), `","`, `", "`), true
	}
	value, ok := i.value(s, term)
	if !ok {
		return "", false
	}
	shown := compact(plain(value.Value))
	return i.name(term) + " (" + shown + ")", true
}

// prefixes are what every fact and parameter begins with in a rule, which says nothing to the reader.
var prefixes = regexp.MustCompile(`\b(input\.|data\.keyward\.parameters\.)`)

// Name is how a term is called in the text.
func (i *inquiry) name(term *ast.Term) string {
	return prefixes.ReplaceAllString(source.Text(term), "")
}

func listed(values []*ast.Term) string {
	shown := make([]string, 0, len(values))
	for _, value := range values {
		shown = append(shown, compact(plain(value.Value)))
	}
	return strings.Join(shown, ", ")
}
