package reads

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/cells"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Facts returns the values of facts that can matter, dotted. Of no Reads there are none.
func (r *Reads) Facts() []string {
	if r == nil {
		return []string{}
	}
	return facts.NewProjection(r.Paths).Paths()
}

// Key returns what of the facts tells answers apart where rules read some data: facts that agree on it share an answer. It is like the
// given one, if any, where it does not differ from it.
func (r *Reads) Key(like *facts.Projection, data map[string]any) *facts.Projection {
	if r == nil {
		return facts.NewProjection(nil)
	}
	if like == nil {
		like = facts.NewProjection(r.Paths)
	}
	return like.In(func(path string) *cells.Cells {
		in, _ := r.cells(path, data)
		return in
	})
}

// Divided is a number or text that matters, and how.
type Divided struct {
	Path  string `json:"path"`
	Cells string `json:"cells,omitempty"` // what they are; empty = its value counts
	Why   string `json:"why,omitempty"`   // it does
}

// Divided returns the numbers and texts that matter where rules read some data, in the order of the facts.
func (r *Reads) Divided(data map[string]any) []Divided {
	if r == nil {
		return nil
	}
	var all []Divided
	facts.NewProjection(r.Paths).In(func(path string) *cells.Cells {
		in, why := r.cells(path, data)
		one := Divided{Path: path, Why: why}
		if in != nil {
			one.Cells = in.String()
		}
		all = append(all, one)
		return nil
	})
	return all
}

// cells returns the cells of a fact at a path. If it counts by its value, it returns none, and why.
func (r *Reads) cells(path string, data map[string]any) (of *cells.Cells, why string) {
	u := r.uses
	if u.no != "" {
		return nil, u.no
	}
	for name, use := range u.of {
		if use.whole != "" && (under(path, name) || under(name, path)) {
			return nil, "used at " + use.whole
		}
	}
	found := u.of[path]
	if found == nil {
		return nil, "no comparison of it was found"
	}
	var numbers, texts []string
	for _, term := range found.with {
		for _, scalar := range scalars(term, data) {
			switch value := scalar.(type) {
			case json.Number:
				numbers = append(numbers, value.String())
			case string:
				texts = append(texts, value)
			}
		}
	}
	if found.ordered && len(texts) > 0 {
		return nil, "the order of texts counts"
	}
	of, ok := cells.New(numbers, texts)
	if !ok {
		return nil, "it is compared with a number that is too long"
	}
	return of, ""
}

// under reports whether a path is another or below it.
func under(path, other string) bool {
	return other == "" || path == other || strings.HasPrefix(path, other+".")
}

// scalars returns what a constant is: of data, what may be in it, too.
func scalars(term *ast.Term, data map[string]any) []any {
	ref, ok := term.Value.(ast.Ref)
	if !ok {
		value, err := ast.JSON(term.Value)
		if err != nil {
			return nil
		}
		return []any{value}
	}
	var found any = data
	for _, name := range constant(ref[1:]) {
		within, _ := found.(map[string]any)
		found = within[name]
	}
	switch found := found.(type) {
	case []any:
		return found
	case map[string]any:
		return slices.Collect(maps.Values(found))
	}
	return []any{found}
}
