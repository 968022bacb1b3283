// Package naming is of facts whose members bundles name: labels of users, experiments, and counters. It promises the same JSON as
// encoding/json writes, and keys that tell different values apart. It is pure.
package naming

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/cells"
	"github.com/keyward/keyward/services/decision/internal/vocabulary"
)

// CompleteCounters is the name under which it is said whether nothing can be missing from counters. None may have it for a name.
const CompleteCounters = "complete"

// Velocity is how often what was counted, of the counters that rules read. The JSON form is an object from the name of a counter to its
// number, with Complete among them.
type Velocity struct {
	Complete bool    // nothing is missing from any counter; otherwise they are lower bounds
	Counters []Tally // sorted by name
}

// Tally is how often something was counted.
type Tally struct {
	Name  string
	Count int
}

// find returns what a counter says, and whether there is one of the name.
func (v *Velocity) find(name string) (int, bool) {
	for i := range v.Counters { // rules read few, most of which have names of another length
		if c := &v.Counters[i]; c.Name == name {
			return c.Count, true
		}
	}
	return 0, false
}

// MarshalJSON implements json.Marshaler.
func (v *Velocity) MarshalJSON() ([]byte, error) { return v.AppendJSON(nil), nil }

// AppendJSON appends the JSON form.
func (v *Velocity) AppendJSON(to []byte) []byte {
	to = strconv.AppendBool(append(to, `{"complete":`...), v.Complete)
	for _, one := range v.Counters {
		to = append(AppendText(append(to, ','), one.Name), ':')
		to = strconv.AppendInt(to, int64(one.Count), 10)
	}
	return append(to, '}')
}

// UnmarshalJSON implements json.Unmarshaler.
func (v *Velocity) UnmarshalJSON(raw []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	*v = Velocity{Counters: make([]Tally, 0, len(members))}
	for name, value := range members {
		if name == CompleteCounters {
			if err := json.Unmarshal(value, &v.Complete); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			continue
		}
		one := Tally{Name: name}
		if err := json.Unmarshal(value, &one.Count); err != nil {
			return fmt.Errorf("counter %s: %w", name, err)
		}
		v.Counters = append(v.Counters, one)
	}
	slices.SortFunc(v.Counters, func(a, b Tally) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

// Term returns them as a policy reads them.
func (v *Velocity) Term() *ast.Term {
	items := make([][2]*ast.Term, 0, len(v.Counters)+1)
	items = append(items, [2]*ast.Term{vocabulary.Term(CompleteCounters), ast.InternedTerm(v.Complete)})
	for _, one := range v.Counters {
		items = append(items, [2]*ast.Term{vocabulary.Term(one.Name), ast.InternedTerm(one.Count)})
	}
	return ast.ObjectTerm(items...)
}

// AppendKey appends what tells the counters apart, or what tells one of them: if there are any, in which of the cells it is.
func (v *Velocity) AppendKey(to []byte, one string, in *cells.Cells) []byte {
	switch one {
	case "":
		to = binary.AppendUvarint(AppendBool(to, v.Complete), uint64(len(v.Counters)))
		for _, c := range v.Counters {
			to = binary.AppendVarint(AppendString(to, c.Name), int64(c.Count))
		}
		return to
	case CompleteCounters:
		return AppendBool(to, v.Complete)
	}
	n, there := v.find(one)
	to = AppendBool(to, there)
	switch {
	case !there:
		return to
	case in != nil:
		return in.AppendNumber(to, int64(n))
	}
	return binary.AppendVarint(to, int64(n))
}
