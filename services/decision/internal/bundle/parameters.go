package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

// parametersAt is where a bundle keeps its parameters.
var parametersAt = []string{"keyward", "parameters"}

// validateParameters holds data.keyward.parameters against schemas/parameters.json and names each parameter at fault.
func (b *Bundle) validateParameters() error {
	name := schemaDir + parametersSchema + ".json"
	content, ok := b.files[name]
	if !ok {
		return &Error{File: name, Message: "the schema of the parameters is missing"}
	}
	schema, err := compileSchema(name, content)
	if err != nil {
		return &Error{File: name, Message: err.Error()}
	}
	space, _ := b.Data[parametersAt[0]].(map[string]any)
	parameters, ok := space[parametersAt[1]]
	if !ok {
		return b.At(parametersAt, strings.Join(parametersAt, ".")+" is missing")
	}
	plain, err := replain(parameters)
	if err != nil {
		return fmt.Errorf("read parameters: %w", err)
	}
	var invalid *jsonschema.ValidationError
	if err := schema.Validate(plain); errors.As(err, &invalid) {
		return join(b.explain(invalid))
	} else if err != nil {
		return fmt.Errorf("validate parameters: %w", err)
	}
	return nil
}

func compileSchema(name string, content []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	compiler := jsonschema.NewCompiler()
	// No loader: a schema refers to nothing outside itself.
	compiler.UseLoader(jsonschema.SchemeURLLoader{})
	if err := compiler.AddResource(name, document); err != nil {
		return nil, err
	}
	return compiler.Compile(name)
}

// replain brings values from YAML or JSON into the one form that the validator knows.
func replain(value any) (any, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(raw))
}

// explain lists the leaves of a validation error.
func (b *Bundle) explain(invalid *jsonschema.ValidationError) []error {
	if len(invalid.Causes) > 0 {
		var all []error
		for _, cause := range invalid.Causes {
			all = append(all, b.explain(cause)...)
		}
		return all
	}
	switch what := invalid.ErrorKind.(type) {
	case *kind.AdditionalProperties:
		return b.each(invalid.InstanceLocation, what.Properties, "unknown parameter")
	case *kind.Required:
		return b.each(invalid.InstanceLocation, what.Missing, "missing parameter")
	}
	text := invalid.ErrorKind.LocalizedString(message.NewPrinter(language.English))
	return []error{b.At(slices.Concat(parametersAt, invalid.InstanceLocation), "parameter "+strings.Join(invalid.InstanceLocation, ".")+": "+text)}
}

func (b *Bundle) each(parent, names []string, complaint string) []error {
	all := make([]error, 0, len(names))
	for _, name := range names {
		place := slices.Concat(parent, []string{name})
		all = append(all, b.At(slices.Concat(parametersAt, place), complaint+" "+strings.Join(place, ".")))
	}
	return all
}
