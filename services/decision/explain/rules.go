package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/format"

	"github.com/keyward/keyward/services/decision/internal/bundle"
)

// rules are the rules of a bundle as they are written, by the path of what they define.
type rules struct {
	compiler *ast.Compiler
	byPath   map[string][]*definition // data.keyward.login.decision, in the order of files and lines
}

// definition is one rule, with its module for the names in it.
type definition struct {
	rule   *ast.Rule
	module *ast.Module
	path   string
}

func newRules(modules map[string]*ast.Module) (*rules, error) {
	// Not strict: conditions are evaluated by themselves, where a variable may have no use.
	compiler := ast.NewCompiler().WithCapabilities(bundle.Capabilities()).WithDefaultRegoVersion(ast.RegoV1)
	compiler.Compile(modules)
	if compiler.Failed() {
		return nil, fmt.Errorf("compile the rules for explaining: %w", compiler.Errors)
	}
	r := &rules{compiler: compiler, byPath: map[string][]*definition{}}
	for _, file := range slices.Sorted(maps.Keys(modules)) {
		module := modules[file]
		for _, rule := range module.Rules {
			path := slices.Concat(module.Package.Path, namePart(rule.Head.Ref())).String()
			r.byPath[path] = append(r.byPath[path], &definition{rule: rule, module: module, path: path})
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

// chain returns the rule and what stands behind each else, in order.
func (d *definition) chain() []*definition {
	var all []*definition
	for rule := d.rule; rule != nil; rule = rule.Else {
		all = append(all, &definition{rule: rule, module: d.module, path: d.path})
	}
	return all
}

// arguments are the patterns of a function's arguments. Those behind an else are those of the function's head.
func (d *definition) arguments() []*ast.Term { return d.rule.Head.Args }

// name is how a rule is called in the text: without the path of its package.
func (d *definition) name() string {
	return strings.TrimPrefix(strings.TrimPrefix(d.path, d.module.Package.Path.String()), ".")
}

// title is the title of the rule's METADATA, or else the comment above it.
func (d *definition) title() string {
	for _, annotations := range slices.Backward(d.rule.Annotations) {
		if annotations.Title != "" {
			return sentence(annotations.Title)
		}
	}
	return sentence(d.commentAbove())
}

// row is the name of the row that the rule's METADATA tells.
func (d *definition) row() string {
	for _, annotations := range slices.Backward(d.rule.Annotations) {
		if row, ok := annotations.Custom["row"].(string); ok {
			return row
		}
	}
	return ""
}

func (d *definition) commentAbove() string {
	var lines []string
	above := d.rule.Loc().Row - 1
	for _, comment := range slices.Backward(d.module.Comments) {
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

// find returns the definitions that a reference means, and nothing for what is not a rule. A reference may go on below what the rules define.
func (r *rules) find(path ast.Ref) []*definition {
	for end := len(path); end > 1; end-- {
		if found := r.byPath[path[:end].String()]; len(found) > 0 {
			return found
		}
	}
	prefix := path.GroundPrefix().String() + "."
	var below []*definition
	for _, name := range slices.Sorted(maps.Keys(r.byPath)) {
		if strings.HasPrefix(name, prefix) {
			below = append(below, r.byPath[name]...)
		}
	}
	return below
}

// resolve returns ref with its first name replaced by what it stands for in the module: a rule beside it or an import.
func (r *rules) resolve(ref ast.Ref, module *ast.Module) ast.Ref {
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

// text returns a node as it would be written.
func text(node any) string {
	raw, err := format.AstWithOpts(node, format.Opts{RegoVersion: ast.RegoV1})
	if err != nil {
		return fmt.Sprint(node)
	}
	return strings.Join(strings.Fields(string(raw)), " ")
}
