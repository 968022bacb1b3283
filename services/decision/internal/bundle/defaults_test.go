package bundle_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

func TestAParameterThatIsNotGivenHasTheDefaultOfItsSchema(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(fstest.MapFS)
		want   []bundle.Default
	}{
		"all are given": {func(fstest.MapFS) {}, nil},
		"one of a bundle from before it": {
			func(files fstest.MapFS) {
				policiestest.Edit(t, files, "data.json", `"softBars": ["restricted-browser"],`, "")
			},
			[]bundle.Default{{Parameter: "softBars", Value: json.RawMessage(`["restricted-browser"]`)}},
		},
		"one within an object": {
			func(files fstest.MapFS) {
				policiestest.Edit(t, files, "data.json", `"auto": {"count": 1, "cooldownSeconds": 2592000},`, `"auto": {"cooldownSeconds": 7},`)
				policiestest.Edit(
					t, files, "schemas/parameters.jsonschema", `"description": "Declines after which ceremonies without a click pause.",`,
					`"description": "Declines after which ceremonies without a click pause.", "default": 4,`,
				)
			},
			[]bundle.Default{{Parameter: "auto.count", Value: json.RawMessage("4")}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			tc.change(files)
			loaded, err := bundle.Load(t.Context(), files, entrypoints)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, loaded.Defaults); diff != "" {
				t.Error(diff)
			}
			for _, usual := range tc.want {
				if got := value(t, loaded.Parameters(), usual.Parameter); got != string(usual.Value) {
					t.Errorf("%s is %s, want %s", usual.Parameter, got, usual.Value)
				}
			}
		})
	}
}

func TestTheDefaultsOfTheSchemaAreThoseOfTheDefaultBundle(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	loaded, err := bundle.Load(t.Context(), files, entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Required   []string `json:"required"`
		Properties map[string]struct {
			Default json.RawMessage `json:"default"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(files["schemas/parameters.jsonschema"].Data, &schema); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		usual := schema.Properties[name].Default
		if required := slices.Contains(schema.Required, name); required == (usual != nil) {
			t.Errorf("%s: required is %t, default %s: one of the two says what its absence means", name, required, usual)
		}
		if usual == nil {
			continue
		}
		var plain any
		if err := json.Unmarshal(usual, &plain); err != nil {
			t.Fatal(err)
		}
		same, err := json.Marshal(plain)
		if err != nil {
			t.Fatal(err)
		}
		if got := value(t, loaded.Parameters(), name); got != string(same) {
			t.Errorf("%s is %s in data.json, and %s by default", name, got, same)
		}
	}
}

// value is a parameter as JSON. Its name is dotted.
func value(t *testing.T, parameters map[string]any, dotted string) string {
	t.Helper()
	at := any(parameters)
	for name := range strings.SplitSeq(dotted, ".") {
		object, _ := at.(map[string]any)
		at = object[name]
	}
	text, err := json.Marshal(at)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
