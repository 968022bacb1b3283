package bundle_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

func TestTablesThatDoNotFitTheirSchemaAreRefusedWithTheirPlace(t *testing.T) {
	t.Parallel()
	const apple = `"fbfc3007-154e-4ecc-8c0b-6e020557d7bd": {"class": "apple"`
	for name, c := range map[string]struct{ old, replacement, want string }{
		"a system that there is not": {
			`"win32": "windows"`, `"win32": "windwos"`, "keyward.agents.systems.win32: value must be one of",
		},
		"a beginning that is never met, in capitals": {
			`"win32": "windows"`, `"Win32": "windows"`, "keyward.agents.systems.Win32: 'Win32' does not match pattern",
		},
		"a parameter's key of another form": {
			`"experiments": {}`, `"experiments": {"Two Words": 1}`, "parameter experiments.Two Words: 'Two Words' does not match pattern",
		},
		"a misspelt member of a browser": {
			`"label": "Silk"`, `"label": "Silk", "chromum": true`, "keyward.agents.browsers.0: additional properties 'chromum' not allowed",
		},
		"a browser without tokens": {`["Silk/"]`, `[]`, "keyward.agents.browsers.0.tokens: minItems: got 0, want 1"},
		"a class of passkeys that there is not": {
			apple, strings.Replace(apple, `"apple"`, `"appel"`, 1),
			"keyward.aaguids.fbfc3007-154e-4ecc-8c0b-6e020557d7bd.class: value must be one of",
		},
		"an AAGUID in capitals": {
			apple, strings.Replace(apple, "fbfc", "FBFC", 1), "keyward.aaguids.FBFC3007-154e-4ecc-8c0b-6e020557d7bd: ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			file := "data.json"
			if strings.HasPrefix(c.want, "keyward.aaguids") {
				file = "aaguids.json"
			}
			policiestest.Edit(t, files, file, c.old, c.replacement)
			_, err := bundle.Load(t.Context(), files, entrypoints)
			var place *bundle.Error
			if !errors.As(err, &place) || !strings.HasPrefix(place.Message, c.want) {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			changed := strings.Split(string(files[file].Data), "\n")[place.Line-1]
			if place.File != file || !strings.Contains(c.replacement, strings.Fields(changed)[0]) &&
				!strings.Contains(changed, c.replacement) {
				t.Errorf("%s:%d is %q", place.File, place.Line, changed)
			}
		})
	}
}

// Bundles from before the table of providers had a file have it in data.json, or in folders named after its keys.
func TestTheTableOfProvidersIsTakenFromWhereverABundleHasIt(t *testing.T) {
	t.Parallel()
	const keeper = "0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6"
	const entry = `{"` + keeper + `": {"class": "password-manager", "name": "Ours"}}`
	own := func(content string) func(fstest.MapFS) {
		return func(files fstest.MapFS) { files["aaguids.json"] = &fstest.MapFile{Data: []byte(content)} }
	}
	inData := func(files fstest.MapFS) {
		policiestest.Edit(t, files, "data.json", `"projects": {},`, `"projects": {}, "aaguids": `+entry+",")
	}
	folder := func(files fstest.MapFS) { files["keyward/aaguids/data.json"] = &fstest.MapFile{Data: []byte(entry)} }
	type parts []func(fstest.MapFS)
	const more = "aaguids.json:1: keyward.aaguids is not all that it holds"
	for name, c := range map[string]struct {
		parts   parts
		refused string // empty = it is taken
	}{
		"a file of its own":                  {parts{own(`{"keyward": {"aaguids": ` + entry + `}}`)}, ""},
		"data.json":                          {parts{inData}, ""},
		"a folder":                           {parts{folder}, ""},
		"data.json, beside a published list": {parts{inData, own(`{"` + keeper + `": {"name": "Theirs"}}`)}, ""},
		"two files": {
			parts{inData, own("{\"keyward\": {\n\"aaguids\": {}}}")}, "aaguids.json:2: keyward.aaguids is in data.json too",
		},
		"a folder and a file": {
			parts{folder, own(`{"keyward": {"aaguids": {}}}`)}, "aaguids.json:1: keyward.aaguids is in keyward/aaguids/data.json too",
		},
		"a published list alone":               {parts{own(entry)}, more},
		"a file that holds more":               {parts{own(`{"keyward": {"aaguids": {}, "parameters": {}}}`)}, more},
		"a file with another root beside ours": {parts{own(`{"keyward": {"aaguids": {}}, "more": 1}`)}, more},
		"a file that is no JSON":               {parts{own(`{"keyward": `)}, "aaguids.json:1: unexpected end"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			files := policiestest.Files(t)
			delete(files, "aaguids.json")
			for _, add := range c.parts {
				add(files)
			}
			b, err := bundle.Load(t.Context(), files, entrypoints)
			if c.refused != "" {
				if err == nil || !strings.HasPrefix(err.Error(), c.refused) {
					t.Errorf("got %v, want %s", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			table := b.Data["keyward"].(map[string]any)["aaguids"].(map[string]any)
			if got := table[keeper].(map[string]any)["name"]; got != "Ours" || len(table) != 1 {
				t.Errorf("%d entries, of which it is %v", len(table), got)
			}
		})
	}
}

func TestABundleWithoutSchemasOfItsTablesIsTaken(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	delete(files, "schemas/agents.jsonschema")
	delete(files, "schemas/aaguids.jsonschema")
	if _, err := bundle.Load(t.Context(), files, entrypoints); err != nil {
		t.Error(err)
	}
}

func TestSchemasOfTablesHaveTheWordsThatDetectionKnows(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		path  []string
		known string
	}{
		"schemas/agents.jsonschema":  {[]string{"properties", "devices", "items", "properties", "class", "enum"}, facts.KnownDevices()},
		"schemas/aaguids.jsonschema": {[]string{"additionalProperties", "properties", "class", "enum"}, facts.KnownClasses()},
	} {
		enum := words(t, policies.Bundle.ReadFile, name, c.path)
		known := strings.Split(c.known, ", ")
		slices.Sort(enum)
		slices.Sort(known)
		if !slices.Equal(enum, known) {
			t.Errorf("%s has %q, detection %q", name, enum, known)
		}
	}
}

func words(t *testing.T, read func(string) ([]byte, error), name string, path []string) []string {
	t.Helper()
	raw, err := read(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range path {
		var object map[string]json.RawMessage
		if err := json.Unmarshal(raw, &object); err != nil {
			t.Fatal(err)
		}
		raw = object[key]
	}
	var list []string
	if err := json.Unmarshal(raw, &list); err != nil {
		t.Fatal(err)
	}
	return list
}
