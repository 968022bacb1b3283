package reference_test

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/cmd/keyward/internal/cli/policycmd/internal/reference"
)

const parameters = `{"type": "object", "required": ["waitSeconds", "lists"], "properties": {
	"lists": {"description": "A | B", "type": "array", "items": {"type": "string", "enum": ["x", "y"]}},
	"byName": {"description": "Names", "type": "object", "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 9}},
	"inner": {"type": "object", "properties": {
		"on": {"description": "A switch\nof two lines.", "type": "boolean", "x-otherwise": "It is off."}}},
	"waitSeconds": {"description": "How long", "type": "integer", "minimum": 0}
}}`

func bundle(ending string) fstest.MapFS {
	return fstest.MapFS{
		"schemas/parameters" + ending: {Data: []byte(parameters)},
		"schemas/login" + ending:      {Data: []byte(`{"properties": {"pair": {"properties": {"streak": {"description": "In a row"}}}}}`)},
		"schemas/append" + ending: {Data: []byte(`{"properties": {"flags": {"description": "Of the caller"}, "bare": {},
			"auto": {"type": "boolean", "description": "It can", "x-otherwise": "It cannot"},
			"old": {"type": "boolean", "description": "It is old"}}}`)},
		"data.json": {Data: []byte(`{"keyward": {"parameters":
			{"lists": ["x", "y"], "byName": {"a": 2}, "inner": {"on": true}, "waitSeconds": 172800}}}`)},
	}
}

func TestParametersAreWrittenByTheirSchema(t *testing.T) {
	t.Parallel()
	const want = "| `waitSeconds` | `172800` = 2 d | whole number, at least 0 | How long |\n" +
		"| `lists` | `[\"x\", \"y\"]` | list of: `x` or `y` | A \\| B |\n" +
		"| `byName` | `{\"a\":2}` | by name: whole number, at least 1, at most 9 | Names |\n" +
		"| `inner.on` | `true` | true or false | A switch of two lines. If false: It is off. |\n"
	for name, files := range map[string]fstest.MapFS{"of a bundle": bundle(".jsonschema"), "of an older bundle": bundle(".json")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			if err := reference.WriteParameters(&out, files); err != nil {
				t.Fatal(err)
			}
			_, rows, _ := strings.Cut(out.String(), "|---|---|---|---|\n")
			if diff := cmp.Diff(want, rows); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestFactsMeanWhatTheirSchemasSay(t *testing.T) {
	t.Parallel()
	got, err := reference.Meanings(bundle(".jsonschema"), "login", "append")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path  string
		value any
		want  string
	}{
		{"pair.streak", 0, "In a row"},
		{"flags", "", "Of the caller"},
		{"bare", true, ""},
		{"auto", true, "It can"},
		{"auto", false, "It cannot"},
		{"old", true, "It is old"},
		{"old", false, ""}, // nothing rather than the opposite
	} {
		if said := got[c.path].Of(c.value); said != c.want {
			t.Errorf("%s, which is %v: %q, want %q", c.path, c.value, said, c.want)
		}
	}
	if _, err := reference.Meanings(bundle(".jsonschema"), "mediation"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without the schema: %v", err)
	}
}
