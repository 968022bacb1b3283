package api_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/api"
)

// TestGeneratedCodeIsCurrent runs the generator as the Makefile does and compares what it writes with what is checked in.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	t.Parallel()
	for document, directory := range map[string]string{"openapi.yaml": "rest", "frontend.yaml": "frontend"} {
		config, checkedIn := filepath.Join(directory, "generate.yaml"), filepath.Join(directory, "types.gen.go")
		fresh, moved := filepath.Join(t.TempDir(), "fresh.go"), filepath.Join(t.TempDir(), "generate.yaml")
		settings := strings.Replace(string(read(t, config)), "../api/"+checkedIn, fresh, 1)
		if err := os.WriteFile(moved, []byte(settings), 0o600); err != nil {
			t.Fatal(err)
		}
		generate := exec.CommandContext(t.Context(), "go", "tool", "oapi-codegen", "-config", moved, "../api/"+document)
		generate.Dir, generate.Env = "../tools", append(os.Environ(), "GOWORK=off")
		if out, err := generate.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if diff := gocmp.Diff(string(read(t, fresh)), string(read(t, checkedIn))); diff != "" {
			t.Errorf("%s is not what the document makes; run make generate\n%.2000s", checkedIn, diff)
		}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// inline are the schemas of the Backend API that have a Go type and no name of their own.
var inline = map[string]string{
	"CredentialStatus":                            "Credential.properties.status",
	"CredentialTransport":                         "Credential.properties.transport.items",
	"PasskeyAppendStartRspAppendNotAllowedReason": "PasskeyAppendStartRsp.properties.appendNotAllowedReason",
}

// TestTypesOfBothAPIsHaveOneSchema holds the two documents to each other where the Frontend API takes the Go type of the Backend API, which
// its overlay names: a member that one of them lacks would get lost without a word.
func TestTypesOfBothAPIsHaveOneSchema(t *testing.T) {
	t.Parallel()
	var overlay struct {
		Actions []struct {
			Target string
			Update struct {
				Type string `yaml:"x-go-type"`
			}
		}
	}
	if err := yaml.Unmarshal(read(t, "frontend/overlay.yaml"), &overlay); err != nil {
		t.Fatal(err)
	}
	backend, frontend := schemas(t, api.OpenAPI), schemas(t, api.Frontend)
	shared := 0
	for _, action := range overlay.Actions {
		name, isShared := strings.CutPrefix(action.Update.Type, "rest.")
		if !isShared {
			continue
		}
		shared++
		theirs := backend.at(cmp.Or(inline[name], name))
		ours := frontend.at(strings.TrimPrefix(action.Target, "$.components.schemas."))
		if diff := gocmp.Diff(backend.form(theirs), frontend.form(ours)); diff != "" {
			t.Errorf("%s and %s of the Backend API are no longer one type: %s", action.Target, name, diff)
		}
		for _, value := range listOf(ours["enum"]) {
			if !slices.Contains(listOf(theirs["enum"]), value) {
				t.Errorf("%s may be %v, which %s of the Backend API does not know", action.Target, value, name)
			}
		}
	}
	if shared == 0 {
		t.Error("no type is shared")
	}
}

type schemaSet map[string]any

func schemas(t *testing.T, document []byte) schemaSet {
	t.Helper()
	var parsed struct {
		Components struct{ Schemas map[string]any }
	}
	if err := yaml.Unmarshal(document, &parsed); err != nil {
		t.Fatal(err)
	}
	return parsed.Components.Schemas
}

// at returns the schema that a path with dots leads to.
func (s schemaSet) at(path string) map[string]any {
	at := map[string]any(s)
	for _, step := range strings.Split(path, ".") {
		at, _ = at[step].(map[string]any)
	}
	return at
}

// form is what of a schema a Go type shows: kinds, names, and what is required, but no bounds and no prose.
func (s schemaSet) form(schema map[string]any) any {
	if ref, ok := schema["$ref"].(string); ok {
		return s.form(s.at(strings.TrimPrefix(ref, "#/components/schemas/")))
	}
	members := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		inner, _ := property.(map[string]any)
		members[name] = s.form(inner)
	}
	form := map[string]any{"type": schema["type"], "format": schema["format"], "members": members}
	if items, ok := schema["items"].(map[string]any); ok {
		form["items"] = s.form(items)
	}
	required := listOf(schema["required"])
	slices.Sort(required)
	form["required"] = required
	return form
}

func listOf(value any) []string {
	var words []string
	list, _ := value.([]any)
	for _, word := range list {
		text, _ := word.(string)
		words = append(words, text)
	}
	return words
}
