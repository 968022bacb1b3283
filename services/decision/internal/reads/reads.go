// Package reads says which facts an answer of a policy depends on, by OPA's analysis of the compiled rules, and of which of them only in
// which cell they are, by the rules as they are written. It promises that two inputs which agree on the paths, or are in the same cells of
// those that have some, get the same answer from the same data. It is pure.
package reads

import (
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/dependencies"
)

// Reads is what an answer depends on.
type Reads struct {
	Paths [][]string // in the input, sorted and none below another; the empty path is the whole input
	uses  *uses
}

// Of returns what the answer of an entrypoint depends on, such as data.keyward.login.decision, in compiled modules that are given as they
// are written, too.
func Of(compiler *ast.Compiler, written map[string]*ast.Module, entrypoint string) (*Reads, error) {
	ref, err := ast.ParseRef(entrypoint)
	if err != nil {
		return nil, fmt.Errorf("entrypoint %s: %w", entrypoint, err)
	}
	rules := reachable(compiler, compiler.GetRules(ref))
	paths, err := pathsOf(compiler, ref, rules)
	if err != nil {
		return nil, fmt.Errorf("dependencies of %s: %w", entrypoint, err)
	}
	return &Reads{Paths: paths, uses: usesIn(compiler, written, rules)}, nil
}

// pathsOf returns the paths in the input that an answer can depend on.
//
// OPA's dependency analysis names the paths. It drops a reference that is only given to a variable if it knows a longer one, and does not
// look into the modifiers of an assignment, so every reference to the input in the rules that can be reached counts as it is written, too.
// It does not know either which members are read of the elements of a list, which a path names after anyElement.
func pathsOf(compiler *ast.Compiler, of ast.Ref, rules map[*ast.Rule]bool) ([][]string, error) {
	refs, err := dependencies.Base(compiler, of)
	if err != nil {
		return nil, err
	}
	var written []ast.Ref
	collect := func(r ast.Ref) bool {
		written = append(written, r)
		return false
	}
	for rule := range rules {
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
func reachable(compiler *ast.Compiler, rules []*ast.Rule) map[*ast.Rule]bool {
	seen := make(map[*ast.Rule]bool)
	for len(rules) > 0 {
		rule := rules[len(rules)-1]
		rules = rules[:len(rules)-1]
		if seen[rule] {
			continue
		}
		seen[rule] = true
		if rule.Else != nil { // it is another rule, whose dependencies are its own
			rules = append(rules, rule.Else)
		}
		for next := range compiler.Graph.Dependencies(rule) {
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
