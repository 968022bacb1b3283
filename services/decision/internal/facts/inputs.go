package facts

import (
	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/memo"
	"github.com/keyward/keyward/services/decision/internal/vocabulary"
)

// inputParts bounds the parts that are kept; each takes about 1 kB.
const inputParts = 4096

// Inputs makes policy inputs of facts, as Facts.Value does, and uses parts of earlier inputs again: there are few kinds of client,
// support or history, and making the objects is a good part of what a short evaluation costs. It is safe for concurrent use.
type Inputs struct {
	parts *memo.Memo
	reads []*Projection // of each member of the facts that is an object; nil of the others
}

// NewInputs returns Inputs that have made none yet.
func NewInputs() *Inputs {
	in := &Inputs{parts: memo.New(inputParts, nil), reads: make([]*Projection, len(root.members))}
	for i := range root.members {
		if m := &root.members[i]; m.kind == object || m.kind == arms {
			in.reads[i] = NewProjection([][]string{{m.name}})
		}
	}
	return in
}

// Value returns the facts as a policy's input, which must not be changed.
func (in *Inputs) Value(f *Facts) ast.Value {
	var room [usualMembers][2]*ast.Term
	items := room[:0]
	for i := range root.members {
		m := &root.members[i]
		switch {
		case m.present != nil && !m.present(f):
		case in.reads[i] == nil:
			items = append(items, [2]*ast.Term{m.key, m.value(f)})
		default:
			items = append(items, [2]*ast.Term{m.key, in.part(i, f)})
		}
	}
	return ast.NewObject(items...)
}

func (in *Inputs) part(i int, f *Facts) *ast.Term {
	const usualKey = 128
	var room [usualKey]byte
	key := in.reads[i].Append(append(room[:0], byte(i)), f)
	if known, ok := in.parts.Get(key).(*ast.Term); ok {
		return known
	}
	made := root.members[i].value(f)
	vocabulary.SortKeys(made.Value)
	in.parts.Put(key, made)
	return made
}
