package bundle

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
)

// Reads returns the paths in the input that the answer of an entrypoint can depend on, sorted and none below another. The empty path is the
// whole input. Two inputs that agree on these paths get the same answer from the same data.
//
// OPA's dependency analysis names the paths. It drops a reference that is only given to a variable if it knows a longer one, and does not
// look into the modifiers of an assignment, so every reference to the input in the rules that can be reached counts as it is written, too.
// It does not know either which members are read of the elements of a list, which a path names after anyElement.
func (b *Bundle) Reads(entrypoint string) ([][]string, error) {
	ref, err := ast.ParseRef(entrypoint)
	if err != nil {
		return nil, fmt.Errorf("entrypoint %s: %w", entrypoint, err)
	}
	refs, err := dependencies.Base(b.compiler, ref)
	if err != nil {
		return nil, fmt.Errorf("dependencies of %s: %w", entrypoint, err)
	}
	var written []ast.Ref
	collect := func(r ast.Ref) bool {
		written = append(written, r)
		return false
	}
	for rule := range b.reachable(b.compiler.GetRules(ref)) {
		ast.WalkRefs(rule, collect)
	}
	elements := map[string]bool{} // lists of which only members of their elements are read
	var paths [][]string
	for i, r := range append(written, refs...) {
		if !r.HasPrefix(ast.InputRootRef) {
			continue
		}
		path := constant(r[1:])
		list, each := strings.Join(path, "."), element(r[1+len(path):])
		switch {
		case each != "":
			elements[list] = true
			paths = append(paths, append(path, anyElement, each))
		case i < len(written) || !elements[list]:
			paths = append(paths, path)
		}
	}
	return outermost(paths), nil
}

const anyElement = "[]" // stands in a path for whichever element of a list; the facts' own name of it is EachItem

// element returns which member of whichever element a reference goes on to; empty = none, or the element as a whole.
func element(rest ast.Ref) string {
	const length = 2 // whichever, and the member
	if len(rest) == length {
		_, whichever := rest[0].Value.(ast.Var)
		if name, named := rest[1].Value.(ast.String); whichever && named {
			return string(name)
		}
	}
	return ""
}

// reachable returns the rules and what they refer to, however far.
func (b *Bundle) reachable(rules []*ast.Rule) map[*ast.Rule]bool {
	seen := make(map[*ast.Rule]bool)
	for len(rules) > 0 {
		rule := rules[len(rules)-1]
		rules = rules[:len(rules)-1]
		if seen[rule] {
			continue
		}
		seen[rule] = true
		for next := range b.compiler.Graph.Dependencies(rule) {
			if next, ok := next.(*ast.Rule); ok {
				rules = append(rules, next)
			}
		}
	}
	return seen
}

// constant returns the names up to the first that is computed or is no name.
func constant(ref ast.Ref) []string {
	path := make([]string, 0, len(ref))
	for _, term := range ref {
		name, ok := term.Value.(ast.String)
		if !ok {
			break
		}
		path = append(path, string(name))
	}
	return path
}

// outermost sorts the paths and drops those below others.
func outermost(paths [][]string) [][]string {
	slices.SortFunc(paths, slices.Compare)
	kept := paths[:0]
	for _, path := range paths {
		if len(kept) > 0 {
			last := kept[len(kept)-1]
			if len(last) <= len(path) && slices.Equal(last, path[:len(last)]) {
				continue
			}
		}
		kept = append(kept, path)
	}
	return kept
}
