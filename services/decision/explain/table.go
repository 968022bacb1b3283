package explain

import (
	"cmp"
	"reflect"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/explain/internal/source"
)

// table explains the rows of a decision table, which are the definitions of its entrypoint from the top: the one that answered and those
// above it. The note says what is wrong with that, if anything is.
func (i *inquiry) table(entrypoint string, answer map[string]any) (answered Row, above []Row, note string) {
	above = []Row{}
	for _, first := range i.rows(entrypoint) {
		if first.Rule.Default {
			continue
		}
		for _, d := range first.Chain() {
			o := i.judge(d, nil, 0)
			row := i.row(o)
			if !o.matched {
				above = append(above, row)
				continue
			}
			row.answered(answer)
			return row, above, i.note(reflect.DeepEqual(plain(o.value.Value), answer))
		}
	}
	last, value := i.lastRow(entrypoint, answer)
	return last, above, i.note(value == nil || reflect.DeepEqual(plain(value.Value), answer))
}

// note warns of an explanation that is not the whole truth.
func (i *inquiry) note(agrees bool) string {
	switch {
	case i.steps > maxSteps:
		return "The rules take too many steps to follow; conditions that were not looked at are left out."
	case !agrees:
		return "The rules could not be followed to this answer; another row than the one shown may have given it."
	}
	return ""
}

// rows returns the definitions of the table. An entrypoint that only passes on what another rule says leads to that rule.
func (i *inquiry) rows(entrypoint string) []*source.Definition {
	defs := i.rules.At(entrypoint)
	for range maxDepth {
		var only *source.Definition
		for _, d := range defs {
			if d.Rule.Default {
				continue
			}
			if only != nil {
				return defs
			}
			only = d
		}
		if only == nil || only.Rule.Else != nil || only.Rule.Head.Value == nil {
			return defs
		}
		next, arguments, ok := i.askedBy(scope{module: only.Module}, only.Rule.Head.Value)
		if !ok || len(arguments) > 0 {
			return defs
		}
		defs = next
	}
	return defs
}

// Row explains one row by its outcome.
func (i *inquiry) row(o outcome) Row {
	row := Row{
		Name: i.rules.ConstantMember(o.Rule.Head.Value, "rule", o.Module), Tag: i.rules.ConstantMember(o.Rule.Head.Value, "tag", o.Module),
		File: o.Module.Package.Location.File, Line: o.Rule.Loc().Row, Matched: o.matched,
	}
	for _, expr := range o.Rule.Body {
		defs, _, ok := i.asked(o.scope, expr)
		if !ok {
			continue
		}
		row.Title = cmp.Or(row.Title, told(defs, !expr.Negated))
		row.Name = cmp.Or(row.Name, defs[0].Row())
	}
	switch {
	case o.matched:
		row.Conditions = i.held(o)
		// Of a rule with several definitions, the title of the one that holds.
		for at := range slices.Values(row.Conditions) {
			if at.Title != "" {
				row.Title = at.Title
				break
			}
		}
		row.Details = i.details(o.scope, o.Rule.Head.Value)
	case o.failed != nil:
		row.Conditions = []Condition{i.condition(o.before, o.failed, false)}
	default:
		row.Conditions = []Condition{i.valueless(o)}
	}
	var facts, parameters readings
	for _, c := range append(row.Conditions, row.Details...) {
		facts.join(c.facts)
		parameters.join(c.parameters)
	}
	if o.matched {
		facts.join(i.facts(o.scope, o.Rule.Head.Value))
		parameters.join(i.parameters(o.scope, o.Rule.Head.Value))
	}
	row.Facts, row.Parameters = facts.list(), parameters.list()
	row.Reason, row.Story = whyOf(row.Conditions), story(row.Title, row.Conditions)
	if row.Reason == "" {
		row.Reason = "it has no condition"
	}
	return row
}

func whyOf(conditions []Condition) string {
	said := ""
	for n, c := range conditions {
		if n > 0 {
			said += ", and "
		}
		said += c.Reason
	}
	return said
}

// answered takes what is known of the row that answered from its answer.
func (r *Row) answered(answer map[string]any) {
	if name, ok := answer["rule"].(string); ok {
		r.Name = name
	}
	if tag, ok := answer["tag"].(string); ok {
		r.Tag = tag
	}
}

// lastRow is the default of the table, which answers when no row matches.
func (i *inquiry) lastRow(entrypoint string, answer map[string]any) (row Row, value *ast.Term) {
	row = Row{Matched: true, Reason: "no row above it matched, so the default of the table answered"}
	for _, d := range i.rules.At(entrypoint) {
		if d.Rule.Default {
			row.File, row.Line, row.Title = d.Module.Package.Location.File, d.Rule.Loc().Row, d.Title()
			value = d.Rule.Head.Value
		}
	}
	row.answered(answer)
	return row, value
}

// undefinedRow stands for the table of an action that the bundle has no package for.
func undefinedRow(answer map[string]any) Row {
	row := Row{Matched: true, Reason: "the bundle has no rules for this action, so everything is allowed"}
	row.answered(answer)
	return row
}

// details explain the choices within an answer: for each function or rule that it calls, which of the definitions gave the value.
func (i *inquiry) details(s scope, value *ast.Term) []Condition {
	var all []Condition
	seen := map[string]bool{}
	i.choices(s, value, func(c Condition) {
		key := c.Reason
		if !seen[key] {
			seen[key] = true
			all = append(all, c)
		}
	})
	return all
}

func (i *inquiry) choices(s scope, value *ast.Term, visit func(Condition)) {
	if value == nil || s.depth > maxDepth {
		return
	}
	source.WalkTerms(value, func(term *ast.Term) bool {
		if source.Closed(term) {
			return true
		}
		defs, arguments, ok := i.askedBy(s, term)
		if !ok {
			return false
		}
		for _, first := range defs {
			for _, d := range first.Chain() {
				o := i.judge(d, arguments, s.depth+1)
				switch {
				case !o.applicable || first.Rule.Default:
					continue
				case o.failed != nil:
					visit(i.condition(o.before, o.failed, false))
					continue
				case !o.matched:
					continue
				}
				for _, c := range i.held(o) {
					visit(c)
				}
				if o.Rule.Head.Value != nil {
					i.choices(o.scope, o.Rule.Head.Value, visit)
				}
				break
			}
		}
		return false
	})
}
