package given

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/naming"
	"github.com/keyward/keyward/services/decision/internal/vocabulary"
)

// Context is what a caller added to a question, sorted by name. The JSON form is an object.
type Context []Member

// Member is one value of a context: a bool, an int64, a string, a []string that is sorted and has each once, or a Context.
type Member struct {
	Name  string
	Value any
}

// normal returns a context as it counts: sorted.
func normal(members []Member) Context {
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.Name, b.Name) })
	return members
}

// find returns the value of a name; nil = there is none.
func (c Context) find(name string) any {
	at, there := slices.BinarySearchFunc(c, name, func(m Member, name string) int { return cmp.Compare(m.Name, name) })
	if !there {
		return nil
	}
	return c[at].Value
}

// MarshalJSON implements json.Marshaler.
func (c Context) MarshalJSON() ([]byte, error) { return c.AppendJSON(nil), nil }

// AppendJSON appends the JSON form.
func (c Context) AppendJSON(to []byte) []byte {
	to = append(to, '{')
	for i, m := range c {
		if i > 0 {
			to = append(to, ',')
		}
		to = appendValue(append(naming.AppendText(to, m.Name), ':'), m.Value)
	}
	return append(to, '}')
}

func appendValue(to []byte, value any) []byte {
	switch v := value.(type) {
	case bool:
		return strconv.AppendBool(to, v)
	case int64:
		return strconv.AppendInt(to, v, 10)
	case string:
		return naming.AppendText(to, v)
	case []string:
		to = append(to, '[')
		for i, text := range v {
			if i > 0 {
				to = append(to, ',')
			}
			to = naming.AppendText(to, text)
		}
		return append(to, ']')
	case Context:
		return v.AppendJSON(to)
	default:
		return append(to, "null"...)
	}
}

// errForm says that a record has a context of a form that none has.
var errForm = errors.New("a context holds booleans, integers, texts, lists of texts and objects of these")

// UnmarshalJSON implements json.Unmarshaler: of what was recorded, and so has been read by a schema before.
func (c *Context) UnmarshalJSON(raw []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil {
		return err
	}
	read, err := recorded(members)
	*c = read
	return err
}

func recorded(members map[string]any) (Context, error) {
	all := make([]Member, 0, len(members))
	for name, value := range members {
		m := Member{Name: name}
		switch v := value.(type) {
		case bool, string:
			m.Value = v
		case json.Number:
			n, err := v.Int64()
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, errForm)
			}
			m.Value = n
		case []any:
			texts := make([]string, len(v))
			for i := range v {
				text, isText := v[i].(string)
				if !isText {
					return nil, fmt.Errorf("%s: %w", name, errForm)
				}
				texts[i] = text
			}
			m.Value = texts
		case map[string]any:
			inner, err := recorded(v)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			m.Value = inner
		default:
			return nil, fmt.Errorf("%s: %w", name, errForm)
		}
		all = append(all, m)
	}
	return normal(all), nil
}

// Term returns the context as a policy reads it.
func (c Context) Term() *ast.Term {
	items := make([][2]*ast.Term, len(c))
	for i, m := range c {
		items[i] = [2]*ast.Term{vocabulary.Term(m.Name), termOf(m.Value)}
	}
	return ast.ObjectTerm(items...)
}

func termOf(value any) *ast.Term {
	switch v := value.(type) {
	case bool:
		return ast.InternedTerm(v)
	case int64:
		return ast.InternedTerm(v)
	case string:
		return vocabulary.Term(v)
	case []string:
		all := make([]*ast.Term, len(v))
		for i, text := range v {
			all[i] = vocabulary.Term(text)
		}
		return ast.ArrayTerm(all...)
	case Context:
		return v.Term()
	default:
		return ast.NullTerm()
	}
}

// AppendKey appends what tells contexts apart, or what tells one of their values.
func (c Context) AppendKey(to []byte, one string) []byte {
	if one != "" {
		value := c.find(one)
		if to = naming.AppendBool(to, value != nil); value != nil {
			to = naming.AppendString(to, string(appendValue(nil, value)))
		}
		return to
	}
	to = binary.AppendUvarint(to, uint64(len(c)))
	for _, m := range c {
		to = naming.AppendString(naming.AppendString(to, m.Name), string(appendValue(nil, m.Value)))
	}
	return to
}

// Flat puts the values by their paths into a map: each is a bool, an int64 or a string; of lists the JSON form.
func (c Context) Flat(at string, into map[string]any) {
	for _, m := range c {
		path := at + "." + m.Name
		switch v := m.Value.(type) {
		case Context:
			v.Flat(path, into)
		case []string:
			into[path] = string(appendValue(nil, v))
		default:
			into[path] = v
		}
	}
}
