package bundle

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Default is what a parameter that a bundle does not give has by its schema.
type Default struct {
	Parameter string          `json:"parameter"` // dotted
	Value     json.RawMessage `json:"value"`
}

// complete gives parameters, in the validator's form, what their schema says of those that are absent: a bundle that was edited before
// there was a parameter goes on as if there were none. What has no default has to be given.
func (b *Bundle) complete(parameters any, schema []byte) error {
	given, ok := parameters.(map[string]any)
	if !ok {
		return nil // which the schema refuses
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return err
	}
	if b.Defaults, err = fill(given, document, nil); err != nil || len(b.Defaults) == 0 {
		return err
	}
	space := maps.Clone(b.space())
	space[parametersKey] = given
	b.Data = maps.Clone(b.Data)
	b.Data[spaceKey] = space
	return nil
}

// fill adds the absent members of an object that its schema has defaults of.
func fill(object map[string]any, schema any, at []string) ([]Default, error) {
	described, _ := schema.(map[string]any)
	properties, _ := described["properties"].(map[string]any)
	var filled []Default
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		path := slices.Concat(at, []string{name})
		value, given := object[name]
		if inner, isObject := value.(map[string]any); isObject {
			more, err := fill(inner, properties[name], path)
			if err != nil {
				return nil, err
			}
			filled = append(filled, more...)
			continue
		}
		property, _ := properties[name].(map[string]any)
		usual, known := property["default"]
		if given || !known {
			continue
		}
		text, err := json.Marshal(usual)
		if err != nil {
			return nil, err
		}
		object[name] = usual
		filled = append(filled, Default{Parameter: strings.Join(path, "."), Value: text})
	}
	return filled, nil
}
