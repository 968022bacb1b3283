package bundle_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/tester"

	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

// What `opa test policies` does, which nobody told that the directory is a bundle: every file whose name ends as data does is data to it,
// and files beside each other are parts of one document.
func TestTheBundlesTestsPassWhereOPAReadsPlainFiles(t *testing.T) {
	t.Parallel()
	modules, store, err := tester.LoadWithParserOptions(
		[]string{"../../../../policies"}, nil, ast.ParserOptions{RegoVersion: ast.RegoV1, ProcessAnnotation: true},
	)
	if err != nil {
		t.Fatal(err)
	}
	reading, err := store.NewTransaction(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Abort(t.Context(), reading)
	if found, err := store.Read(t.Context(), reading, storage.MustParsePath("/schemas")); err == nil {
		t.Errorf("schemas are read as data: %v", found)
	}
	results, err := tester.NewRunner().SetStore(store).SetModules(modules).RunTests(t.Context(), reading)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for result := range results {
		if !result.Pass() {
			t.Errorf("%s: %v", result.Name, result.Error)
		}
		passed++
	}
	if passed == 0 {
		t.Error("there are no tests")
	}
}

// aged gives schemas the names that they had in older bundles.
func aged(files fstest.MapFS) fstest.MapFS {
	old := fstest.MapFS{}
	for name, file := range files {
		old[strings.Replace(name, ".jsonschema", ".json", 1)] = file
	}
	return old
}

func TestBundlesWhoseSchemasHaveTheirOldNamesAreTaken(t *testing.T) {
	t.Parallel()
	files := aged(policiestest.Tested(t))
	if slices.ContainsFunc(slices.Collect(maps.Keys(files)), func(name string) bool { return strings.HasSuffix(name, ".jsonschema") }) {
		t.Fatal("a schema has its new name")
	}
	b, err := bundle.Load(t.Context(), files, entrypoints)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.CheckInput("login", []byte("{}")); err == nil {
		t.Error("facts are not held against the schema")
	}
	policiestest.Edit(t, files, "data.json", `"autoDesktop"`, `"autoDestop": true, "autoDesktop"`)
	_, err = bundle.Load(t.Context(), files, entrypoints)
	want := "schemas/parameters.json describes every parameter; did you mean autoDesktop?"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("expected an error with %q, got %v", want, err)
	}
}

func TestASchemaMayNotBeThereUnderBothNames(t *testing.T) {
	t.Parallel()
	files := policiestest.Files(t)
	files["schemas/login.json"] = files["schemas/login.jsonschema"]
	_, err := bundle.Load(t.Context(), files, entrypoints)
	var refused *bundle.Error
	if !errors.As(err, &refused) || refused.File != "schemas/login.json" || refused.Advice == "" {
		t.Errorf("got %v", err)
	}
}
