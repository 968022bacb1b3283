package facts

import (
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/naming"
	"github.com/keyward/keyward/services/decision/internal/vocabulary"
)

// usualMembers is how many members an object of the facts has at most without costing an allocation.
const usualMembers = 24

// Value returns the facts as a policy's input.
func (f *Facts) Value() ast.Value { return root.object(f) }

func (m *member) object(f *Facts) ast.Value {
	var room [usualMembers][2]*ast.Term
	items := room[:0]
	for i := range m.members {
		inner := &m.members[i]
		if inner.present == nil || inner.present(f) {
			items = append(items, [2]*ast.Term{inner.key, inner.value(f)})
		}
	}
	return ast.NewObject(items...)
}

func (m *member) value(f *Facts) *ast.Term {
	switch m.kind {
	case boolean:
		return ast.InternedTerm(m.boolean(f))
	case integer:
		return ast.InternedTerm(m.integer(f))
	case text:
		return vocabulary.Term(m.text(f))
	case arms:
		all := m.arms(f)
		items := make([][2]*ast.Term, len(all))
		for i, one := range all {
			items[i] = [2]*ast.Term{vocabulary.Term(one.Experiment), vocabulary.Term(string(one.Arm))}
		}
		return ast.ObjectTerm(items...)
	case names:
		all := m.names(f)
		items := make([][2]*ast.Term, len(all))
		for i, one := range all {
			items[i] = [2]*ast.Term{vocabulary.Term(one.Name), ast.InternedTerm(one.Has)}
		}
		return ast.ObjectTerm(items...)
	case items:
		return m.items(f).term()
	case tallies:
		return m.tallies(f).Term()
	case added:
		return m.added(f).Term()
	default:
		return ast.NewTerm(m.object(f))
	}
}

// AppendJSON appends the facts as encoding/json would write them.
func (f *Facts) AppendJSON(to []byte) []byte { return root.appendJSON(to, f) }

func (m *member) appendJSON(to []byte, f *Facts) []byte {
	switch m.kind {
	case boolean:
		return strconv.AppendBool(to, m.boolean(f))
	case integer:
		return strconv.AppendInt(to, int64(m.integer(f)), 10)
	case text:
		return naming.AppendText(to, m.text(f))
	case arms:
		open := len(to)
		to = append(to, '{')
		for _, one := range m.arms(f) {
			to = naming.AppendText(to, one.Experiment)
			to = naming.AppendText(append(to, ':'), string(one.Arm))
			to = append(to, ',')
		}
		return closed(to, open)
	case names:
		open := len(to)
		to = append(to, '{')
		for _, one := range m.names(f) {
			to = strconv.AppendBool(append(naming.AppendText(to, one.Name), ':'), one.Has)
			to = append(to, ',')
		}
		return closed(to, open)
	case items:
		return m.items(f).appendJSON(to)
	case tallies:
		return m.tallies(f).AppendJSON(to)
	case added:
		return m.added(f).AppendJSON(to)
	}
	open := len(to)
	to = append(to, '{')
	for i := range m.members {
		inner := &m.members[i]
		if inner.present != nil && !inner.present(f) {
			continue
		}
		to = append(to, inner.quoted...)
		to = append(inner.appendJSON(to, f), ',')
	}
	return closed(to, open)
}

// closed ends the object that was opened at an index: a last comma makes room for the brace.
func closed(to []byte, open int) []byte {
	if len(to) == open+1 {
		return append(to, '}')
	}
	to[len(to)-1] = '}'
	return to
}
