package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/keyward/keyward/core/ident"
)

// Files returns the files that the bundle was loaded from, by slash-separated path from its root. They must not be changed.
func (b *Bundle) Files() map[string][]byte { return b.files }

// Modules returns the rules as they are written and with their annotations, by file, which their packages' places name too. Tests are left
// out. They must not be changed.
func (b *Bundle) Modules() map[string]*ast.Module { return b.modules }

// Compiler holds the rules as they are evaluated. It must not be changed.
func (b *Bundle) Compiler() *ast.Compiler { return b.compiler }

// CheckInput holds an input, a JSON document, against the bundle's schema of that name. The error names every fact that is unknown, missing
// or of the wrong form.
func (b *Bundle) CheckInput(name string, input []byte) error {
	file, content := b.files.Schema(name)
	if content == nil {
		return &Error{File: file, Message: "the schema of the input is missing", Advice: adviseSchema}
	}
	schema, err := compileSchema(file, content)
	if err != nil {
		return &Error{File: file, Message: err.Error()}
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(input))
	if err != nil {
		return fmt.Errorf("not a JSON document: %w", err)
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(document); errors.As(err, &invalid) {
		return join(misfits(invalid))
	} else if err != nil {
		return fmt.Errorf("validate the facts: %w", err)
	}
	return nil
}

// misfits lists the leaves of a validation error.
func misfits(invalid *jsonschema.ValidationError) []error {
	var all []error
	for _, cause := range invalid.Causes {
		all = append(all, misfits(cause)...)
	}
	if len(all) > 0 {
		return all
	}
	named := func(names []string, complaint string) []error {
		for _, name := range names {
			all = append(all, errors.New(complaint+" "+strings.Join(slices.Concat(invalid.InstanceLocation, []string{name}), ".")))
		}
		return all
	}
	switch what := invalid.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		return named(what.Properties, "unknown fact")
	case *kind.Required:
		return named(what.Missing, "missing fact")
	}
	text := invalid.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	if len(invalid.InstanceLocation) == 0 {
		return []error{errors.New("the facts: " + text)}
	}
	return []error{errors.New("fact " + strings.Join(invalid.InstanceLocation, ".") + ": " + text)}
}

// ProjectOverrides returns the parameters that a project overrides, as data.json says them; nil if it overrides none.
func (b *Bundle) ProjectOverrides(id ident.ProjectID) map[string]any {
	projects, _ := b.space()[projectsKey].(map[string]any)
	project, _ := projects[string(id)].(map[string]any)
	overrides, _ := project[parametersKey].(map[string]any)
	return overrides
}

// Parameters returns the parameters that rules and detection read.
func (b *Bundle) Parameters() map[string]any {
	parameters, _ := b.space()[parametersKey].(map[string]any)
	return parameters
}
