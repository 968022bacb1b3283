// Package policiestest gives tests copies of the default bundle that they may change. Without the bundle's own tests, unless a test is
// about them: to run those takes longer than all else that is done with a bundle.
package policiestest

import (
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/keyward/keyward/policies"
)

// Files returns the default bundle without its tests.
func Files(t testing.TB) fstest.MapFS {
	t.Helper()
	return files(t, func(name string) bool { return !strings.HasSuffix(name, "_test.rego") })
}

// Tested returns the default bundle with its tests.
func Tested(t testing.TB) fstest.MapFS {
	t.Helper()
	return files(t, func(string) bool { return true })
}

func files(t testing.TB, wanted func(name string) bool) fstest.MapFS {
	t.Helper()
	copied := fstest.MapFS{}
	err := fs.WalkDir(policies.Bundle, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !wanted(name) {
			return err
		}
		content, err := policies.Bundle.ReadFile(name)
		copied[name] = &fstest.MapFile{Data: content, Mode: 0o600}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return copied
}

// Data returns the data documents of the default bundle, which are in two files, as one.
func Data(t testing.TB) map[string]any {
	t.Helper()
	space := map[string]any{}
	for _, name := range []string{"data.json", "aaguids.json"} {
		content, err := policies.Bundle.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var file struct{ Keyward map[string]any }
		if err := json.Unmarshal(content, &file); err != nil {
			t.Fatal(err)
		}
		maps.Copy(space, file.Keyward)
	}
	return map[string]any{"keyward": space}
}

// Edit puts replacement where old first stands in a file, which must hold it.
func Edit(t testing.TB, files fstest.MapFS, name, old, replacement string) {
	t.Helper()
	content := string(files[name].Data)
	if !strings.Contains(content, old) {
		t.Fatalf("%s does not contain %q", name, old)
	}
	files[name] = &fstest.MapFile{Data: []byte(strings.Replace(content, old, replacement, 1)), Mode: 0o600}
}

// Dir returns a new directory that holds the files.
func Dir(t testing.TB, files fstest.MapFS) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	return dir
}
