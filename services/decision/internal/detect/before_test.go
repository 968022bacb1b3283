package detect_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"slices"
	"testing"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// A bundle brings its own schema, so one from before a parameter knows neither the parameter nor its default.
func TestABundleMayBeFromBeforeEveryParameterThatHasADefault(t *testing.T) {
	t.Parallel()
	read := func(name string, into any) {
		raw, err := fs.ReadFile(policies.Bundle, name)
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	var schema map[string]any
	read("schemas/parameters.jsonschema", &schema)
	var data, providers map[string]any
	read("data.json", &data)
	read("aaguids.json", &providers)
	space := data["keyward"].(map[string]any)
	maps.Copy(space, providers["keyward"].(map[string]any))
	gone := forget(space["parameters"].(map[string]any), schema)
	if len(gone) < 10 {
		t.Errorf("only %v have a default", gone)
	}
	if _, err := detect.Learn(data); err != nil {
		t.Errorf("without %v: %v", gone, err)
	}
}

// forget removes the members of an object of which its schema has a default, and returns their names.
func forget(object, schema map[string]any) (gone []string) {
	properties, _ := schema["properties"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		property, _ := properties[name].(map[string]any)
		if _, has := property["default"]; has {
			delete(object, name)
			gone = append(gone, name)
		} else if inner, ok := object[name].(map[string]any); ok {
			gone = append(gone, forget(inner, property)...)
		}
	}
	return gone
}
