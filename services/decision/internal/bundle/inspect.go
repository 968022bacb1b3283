package bundle

import (
	"fmt"
	"path"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Files returns the files that the bundle was loaded from, by slash-separated path from its root. They must not be changed.
func (b *Bundle) Files() map[string][]byte { return b.files }

// Modules parses the rules anew, as they are written and with their annotations, by file. Tests are left out.
func (b *Bundle) Modules() (map[string]*ast.Module, error) {
	modules := map[string]*ast.Module{}
	for _, name := range b.files.names() {
		if path.Ext(name) != ".rego" || strings.HasSuffix(name, "_test.rego") {
			continue
		}
		module, err := ast.ParseModuleWithOpts(name, string(b.files[name]), ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true})
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", name, refuse(err))
		}
		modules[name] = module
	}
	return modules, nil
}
