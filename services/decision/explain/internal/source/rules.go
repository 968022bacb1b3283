// Package source reads the rules of a policy bundle as they are written, and what its schemas say of the facts and parameters: which
// definitions a name means, what they are called, what stands above them. Nothing is evaluated here. It is pure, and what it returns is
// never changed.
package source

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"

	"github.com/keyward/keyward/services/decision/internal/limits"
)

// Rules are the rules of a bundle as they are written, by the path of what they define.
type Rules struct {
	compiler *ast.Compiler
	byPath   map[string][]*Definition // data.keyward.login.decision, in the order of files and lines
}

// Definition is one rule, with its module for the names in it, and the path of what it defines.
type Definition struct {
	Rule   *ast.Rule
	Module *ast.Module
	path   string
}

// NewRules compiles the modules of a bundle, by file. An error says why they do not compile.
func NewRules(modules map[string]*ast.Module) (*Rules, error) {
	// Not strict: conditions are evaluated by themselves, where a variable may have no use.
	compiler := ast.NewCompiler().WithCapabilities(limits.Capabilities()).WithDefaultRegoVersion(ast.RegoV1)
	compiler.Compile(modules)
	if compiler.Failed() {
		return nil, fmt.Errorf("compile the rules for explaining: %w", compiler.Errors)
	}
	r := &Rules{compiler: compiler, byPath: map[string][]*Definition{}}
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		module := modules[file]
		for _, rule := range module.Rules {
			path := slices.Concat(module.Package.Path, namePart(rule.Head.Ref())).String()
			r.byPath[path] = append(r.byPath[path], &Definition{Rule: rule, Module: module, path: path})
		}
	}
	return r, nil
}

// namePart turns the name of a rule, which begins with a variable, into the end of a path.
func namePart(name ast.Ref) ast.Ref {
	ground := name.GroundPrefix()
	part := make(ast.Ref, 0, len(ground))
	for i, term := range ground {
		if v, ok := term.Value.(ast.Var); ok && i == 0 {
			term = ast.StringTerm(string(v))
		}
		part = append(part, term)
	}
	return part
}

// Chain returns the rule and what stands behind each else, in order.
func (d *Definition) Chain() []*Definition {
	var all []*Definition
	for rule := d.Rule; rule != nil; rule = rule.Else {
		all = append(all, &Definition{Rule: rule, Module: d.Module, path: d.path})
	}
	return all
}

// Arguments are the patterns of a function's arguments. Those behind an else are those of the function's head.
func (d *Definition) Arguments() []*ast.Term { return d.Rule.Head.Args }

// Name is how a rule is called in the text: without the path of its package.
func (d *Definition) Name() string {
	return strings.TrimPrefix(strings.TrimPrefix(d.path, d.Module.Package.Path.String()), ".")
}

// Title is the title of the rule's METADATA, or else the comment above it.
func (d *Definition) Title() string {
	for _, annotations := range slices.Backward(d.Rule.Annotations) {
		if annotations.Title != "" {
			return sentence(annotations.Title)
		}
	}
	return sentence(d.commentAbove())
}

// Otherwise are the sentences that the rule's METADATA has for where the rule does not hold: one, or one for each of its conditions, of
// which that of the first that fails is true; empty = none.
func (d *Definition) Otherwise() []string {
	for _, annotations := range slices.Backward(d.Rule.Annotations) {
		switch said := annotations.Custom["otherwise"].(type) {
		case string:
			return []string{sentence(said)}
		case []any:
			all := make([]string, len(said))
			for i, one := range said {
				text, _ := one.(string)
				all[i] = sentence(text)
			}
			return all
		}
	}
	return nil
}

// Row is the name of the row that the rule's METADATA tells.
func (d *Definition) Row() string {
	for _, annotations := range slices.Backward(d.Rule.Annotations) {
		if row, ok := annotations.Custom["row"].(string); ok {
			return row
		}
	}
	return ""
}

func (d *Definition) commentAbove() string {
	var lines []string
	above := d.Rule.Loc().Row - 1
	for _, comment := range slices.Backward(d.Module.Comments) {
		if comment.Location.Row != above {
			continue
		}
		above--
		text := strings.TrimSpace(string(comment.Text))
		if text == "METADATA" || strings.Contains(text, "scope: ") {
			return ""
		}
		lines = append(lines, text)
	}
	slices.Reverse(lines)
	text := strings.Join(lines, " ")
	// A comment may begin with the name of the row, which is shown anyway.
	if name, rest, found := strings.Cut(text, ": "); found && !strings.Contains(name, " ") {
		return rest
	}
	return text
}

func sentence(text string) string { return strings.TrimSuffix(strings.TrimSpace(text), ".") }

// Compiler returns the compiler that holds the rules, to evaluate with.
func (r *Rules) Compiler() *ast.Compiler { return r.compiler }

// At returns the definitions of what is at a path such as data.keyward.login.decision, in the order of files and lines.
func (r *Rules) At(path string) []*Definition { return r.byPath[path] }

// Find returns the definitions that a reference means, and nothing for what is not a rule. A reference may go on below what the rules
// define.
func (r *Rules) Find(path ast.Ref) []*Definition {
	for end := len(path); end > 1; end-- {
		if found := r.byPath[path[:end].String()]; len(found) > 0 {
			return found
		}
	}
	prefix := path.GroundPrefix().String() + "."
	var below []*Definition
	for _, name := range slices.Sorted(maps.Keys(r.byPath)) {
		if strings.HasPrefix(name, prefix) {
			below = append(below, r.byPath[name]...)
		}
	}
	return below
}

// Resolve returns ref with its first name replaced by what it stands for in the module: a rule beside it or an import.
func (r *Rules) Resolve(ref ast.Ref, module *ast.Module) ast.Ref {
	head, ok := ref[0].Value.(ast.Var)
	if !ok {
		return ref
	}
	for _, imported := range module.Imports {
		if path, ok := imported.Path.Value.(ast.Ref); ok && imported.Name() == head {
			return slices.Concat(path, ref[1:])
		}
	}
	below := slices.Concat(module.Package.Path, ast.Ref{ast.StringTerm(string(head))})
	if _, ok := r.byPath[below.String()]; ok {
		return slices.Concat(below, ref[1:])
	}
	for name := range r.byPath {
		if strings.HasPrefix(name, below.String()+".") || strings.HasPrefix(name, below.String()+"[") {
			return slices.Concat(below, ref[1:])
		}
	}
	return ref
}
