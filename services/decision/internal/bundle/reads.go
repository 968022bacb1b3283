package bundle

import (
	"fmt"
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
)

// Reads returns the paths in the input that the answer of an entrypoint can depend on, sorted and none below another. The empty path is the
// whole input. Two inputs that agree on these paths get the same answer from the same data.
//
// OPA's dependency analysis names the paths. It drops a reference that is only given to a variable if it knows a longer one, and does not
// look into the modifiers of an assignment, so every reference to the input in the rules that can be reached counts as it is written, too.
func (b *Bundle) Reads(entrypoint string) ([][]string, error) {
	ref, err := ast.ParseRef(entrypoint)
	if err != nil {
		return nil, fmt.Errorf("entrypoint %s: %w", entrypoint, err)
	}
	refs, err := dependencies.Base(b.compiler, ref)
	if err != nil {
		return nil, fmt.Errorf("dependencies of %s: %w", entrypoint, err)
	}
	collect := func(r ast.Ref) bool {
		refs = append(refs, r)
		return false
	}
	for rule := range b.reachable(b.compiler.GetRules(ref)) {
		ast.WalkRefs(rule, collect)
	}
	var paths [][]string
	for _, r := range refs {
		if r.HasPrefix(ast.InputRootRef) {
			paths = append(paths, constant(r[1:]))
		}
	}
	return outermost(paths), nil
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
