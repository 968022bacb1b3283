package vocabulary

import (
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Listed writes names one after another, for complaints.
func Listed[T ~string](names []T) string {
	texts := make([]string, len(names))
	for i, name := range names {
		texts[i] = string(name)
	}
	return strings.Join(texts, ", ")
}

// SortKeys makes objects put their keys in order, which they do when they are first walked and which must not happen while another
// evaluation reads them.
func SortKeys(value ast.Value) {
	if o, ok := value.(ast.Object); ok {
		o.Foreach(func(_, inner *ast.Term) { SortKeys(inner.Value) })
	}
}
