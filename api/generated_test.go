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
	"PasskeyIntelFlagsLoginMethod":                "PasskeyIntelFlags.properties.loginMethod",
}

// said are the shared schemas of what a client says of itself. The Frontend API requires none of their members: an SDK that leaves one out
// has a decision all the same.
var said = map[string]bool{"ClientStateMeta": true, "JavaScriptHighEntropy": true}

// TestTypesOfBothAPIsHaveOneSchema holds the two documents to each other where the Frontend API takes the Go type of the Backend API, which
// its overlay names: a member that one of them lacks would get lost without a word.
func TestTypesOfBothAPIsHaveOneSchema(t *testing.T) {
	t.Parallel()
	backend, frontend := schemas(t, api.OpenAPI), schemas(t, api.Frontend)
	for target, name := range shared(t) {
		theirs := backend.at(cmp.Or(inline[name], name))
		ours := frontend.at(target)
		wanted, got := backend.form(theirs), frontend.form(ours)
		if said[target] {
			delete(wanted, "required")
			delete(got, "required")
		}
		if diff := gocmp.Diff(wanted, got); diff != "" {
			t.Errorf("%s and %s of the Backend API are no longer one type: %s", target, name, diff)
		}
		for _, value := range listOf(ours["enum"]) {
			if !slices.Contains(listOf(theirs["enum"]), value) {
				t.Errorf("%s may be %v, which %s of the Backend API does not know", target, value, name)
			}
		}
	}
}

// shared returns the types of the Backend API that the Frontend API takes, by the paths of its schemas.
func shared(t *testing.T) map[string]string {
	t.Helper()
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
	types := map[string]string{}
	for _, action := range overlay.Actions {
		if name, is := strings.CutPrefix(action.Update.Type, "rest."); is {
			types[strings.TrimPrefix(action.Target, "$.components.schemas.")] = name
		}
	}
	if len(types) == 0 {
		t.Fatal("no type is shared")
	}
	return types
}

// apart are the schemas that have one name in both documents and are not one type, and why.
var apart = map[string]string{
	"AaguidDetails":        "a browser gets names and icons, and no AAGUID",
	"ClientInformation":    "a backend tells what the gateway sees of a browser by itself",
	"Identifier":           "a browser knows whose it is, and calls its ID id",
	"IdentifierUpdateReq":  "a backend sets the status, a visitor names another value",
	"NativeMeta":           "an app of the Frontend API must say what it runs on, and less beyond",
	"PasskeyLoginStartReq": "a browser has a process, which knows the user",
	"SocialAccount":        "a browser gets what it shows, and another spelling of the avatar's URL",
}

// TestWhatBothAPIsWriteAlikeIsOneType looks for what TestTypesOfBothAPIsHaveOneSchema cannot see: that the overlay forgets one. Two types
// of the same thing are cast into each other somewhere, and a value that only one document gets is lost there.
func TestWhatBothAPIsWriteAlikeIsOneType(t *testing.T) {
	t.Parallel()
	backend, frontend, taken := schemas(t, api.OpenAPI), schemas(t, api.Frontend), shared(t)
	theirs := map[string]map[string]any{}
	backend.walk(func(path string, schema map[string]any) bool {
		theirs[path] = schema
		return true
	})
	frontend.walk(func(path string, ours map[string]any) bool {
		if taken[path] != "" {
			return false // with all that is in it
		}
		_, sameName := backend[path]
		if sameName && apart[path] == "" {
			t.Errorf("%s is in both documents, and the overlay does not make it one type", path)
		}
		for other, schema := range theirs {
			named := !strings.Contains(path+other, ".") // objects without a name are one Go type as they are
			if sameValues(ours, schema) || named && sameMembers(frontend.form(ours), backend.form(schema)) {
				t.Errorf("%s is %s of the Backend API, and the overlay does not make it one type", path, other)
			}
		}
		return true
	})
	for name := range apart {
		if frontend[name] == nil || backend[name] == nil {
			t.Errorf("%s is not in both documents any more", name)
		}
	}
}

func sameValues(ours, theirs map[string]any) bool {
	values, others := listOf(ours["enum"]), listOf(theirs["enum"])
	slices.Sort(values)
	slices.Sort(others)
	return len(values) > 0 && slices.Equal(values, others)
}

// sameMembers reports whether two forms are of one object. That both are any text, or any object, says nothing.
func sameMembers(ours, theirs map[string]any) bool {
	members, _ := ours["members"].(map[string]any)
	return len(members) > 0 && gocmp.Equal(ours, theirs)
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

// walk calls visit with each schema that is written here and its path, and goes on into it if it says so.
func (s schemaSet) walk(visit func(path string, schema map[string]any) bool) {
	var into func(path string, value any)
	into = func(path string, value any) {
		schema, ok := value.(map[string]any)
		if !ok || !visit(path, schema) {
			return
		}
		into(path+".items", schema["items"])
		properties, _ := schema["properties"].(map[string]any)
		for name, property := range properties {
			into(path+".properties."+name, property)
		}
	}
	for name, schema := range s {
		into(name, schema)
	}
}

// form is what of a schema a Go type shows: kinds, names, and what is required, but no bounds and no prose. within are the schemas that it
// is part of: one that is part of itself is named there.
func (s schemaSet) form(schema map[string]any, within ...string) map[string]any {
	if ref, ok := schema["$ref"].(string); ok {
		name := strings.TrimPrefix(ref, "#/components/schemas/")
		if slices.Contains(within, name) {
			return map[string]any{"again": name}
		}
		return s.form(s.at(name), append(slices.Clone(within), name)...)
	}
	members := map[string]any{}
	properties, _ := schema["properties"].(map[string]any)
	for name, property := range properties {
		inner, _ := property.(map[string]any)
		members[name] = s.form(inner, within...)
	}
	form := map[string]any{"type": schema["type"], "format": schema["format"], "members": members}
	if items, ok := schema["items"].(map[string]any); ok {
		form["items"] = s.form(items, within...)
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
