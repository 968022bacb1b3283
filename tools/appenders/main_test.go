package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWhatCannotBeAppendedIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ flavour, source, want string }{
		"a map":                        {"v2", "type T struct { M map[string]string `json:\"m\"` }", "nothing here appends"},
		"a number that is not whole":   {"v2", "type T struct { F float64 `json:\"f\"` }", "nothing here appends"},
		"a pointer that would be null": {"v2", "type T struct { P *string `json:\"p\"` }", "must be left out"},
		"an option of the tag":         {"v2", "type T struct { N int `json:\"n,string\"` }", "is not known here"},
		"a field without a name":       {"v2", "type U string; type T struct { U }", "without a name"},
		"two members of one name": {
			"v2", "type U struct { N int `json:\"n\"` }; type T struct { U; N int `json:\"n\"` }", "another member is named n",
		},
		"a list that would be null":   {"v1", "type T struct { L []string `json:\"l\"` }", "would be null"},
		"a struct further down":       {"v2", "type U struct { F any `json:\"f\"` }; type T struct { U []U `json:\"u\"` }", "U: F: nothing"},
		"what is no struct":           {"v2", "type T string", "is no struct"},
		"a flavour that there is not": {"v3", "type T struct{}", "no flavour"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, "t.go"), []byte("package t\n\n"+c.source), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := run(c.flavour, dir, []string{"T"}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %q", err, c.want)
			}
			if _, err := os.Stat(filepath.Join(dir, written)); err == nil {
				t.Error("something was written")
			}
		})
	}
}
