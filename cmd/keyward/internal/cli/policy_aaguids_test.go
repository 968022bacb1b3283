package cli_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/policies/policiestest"
)

const publishedList = `{
	"0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6": {"name": "Keeper Security", "icon_light": "data:image/svg+xml;base64,AAAA"},
	"11111111-2222-3333-4444-555555555555": {"name": "A New One"},
	"08987058-cadc-4b81-b6e1-30de50dcbe96": {"name": "Windows Hello"}
}`

func TestAPublishedListIsBroughtIntoABundle(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(publishedList)) }))
	t.Cleanup(server.Close)
	const added = "+ 11111111-2222-3333-4444-555555555555  A New One  (unknown-provider)\n"
	const renamed = `~ 0ea242b4-43c4-4a1b-8b17-dd6d0b6baec6  Keeper Security, was "Keeper"  (password-manager)` + "\n"
	for name, c := range map[string]struct {
		in      string
		args    []string
		code    int
		want    string // in what is printed, or in the complaint if the exit code is not 0
		changed string // what aaguids.json has afterwards that it had not; empty = the file is as before
	}{
		"from standard input": {
			publishedList, []string{"-"}, cli.ExitOK, added + renamed + "1 new, 1 renamed, 1 the same, ",
			`"class": "unknown-provider", "name": "A New One"`,
		},
		"from a server": {"", []string{server.URL + "/aaguid.json"}, cli.ExitOK, added, `"class": "password-manager", "name": "Keeper Security"`},
		"as another class": {
			publishedList, []string{"-", "--class", "password-manager"}, cli.ExitOK, "A New One  (password-manager)",
			`"class": "password-manager", "name": "A New One"`,
		},
		"as JSON":         {publishedList, []string{"-", "--json"}, cli.ExitOK, `"before": "Keeper"`, `"Keeper Security"`},
		"without writing": {publishedList, []string{"-", "--dry-run"}, cli.ExitOK, "nothing is written", ""},
		"with nothing new": {
			`{"08987058-cadc-4b81-b6e1-30de50dcbe96": {"name": "Windows Hello"}}`, []string{"-"}, cli.ExitOK, "nothing to change",
			"",
		},
		"a class that nobody has":  {publishedList, []string{"-", "--class", "magic"}, cli.ExitFailure, "would be refused", ""},
		"a file that is not there": {"", []string{"none.json"}, cli.ExitUsage, "none.json", ""},
		"what is no list":          {"<html>", []string{"-"}, cli.ExitUsage, "not a JSON object", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := policiestest.Dir(t, policiestest.Files(t))
			read := func() string {
				content, err := os.ReadFile(filepath.Join(dir, "aaguids.json"))
				if err != nil {
					t.Fatal(err)
				}
				return string(content)
			}
			before := read()
			got := runWith(t, c.in, append([]string{"policy", "aaguids", "update", "--bundle", dir}, c.args...)...)
			said := got.out
			if c.code != cli.ExitOK {
				said = got.err
			}
			if got.code != c.code || !strings.Contains(said, c.want) {
				t.Errorf("code %d, want %q\n%s%s", got.code, c.want, got.out, got.err)
			}
			after := read()
			if (c.changed == "") != (before == after) || strings.Contains(before, c.changed) == (c.changed != "") ||
				!strings.Contains(after, c.changed) {
				t.Errorf("aaguids.json is changed: %v; want %q in it", before != after, c.changed)
			}
		})
	}
	got := runWith(t, publishedList, "policy", "aaguids", "update", "-")
	if got.code != cli.ExitUsage || !strings.Contains(got.err, "--bundle") {
		t.Errorf("without a bundle: %d, %s", got.code, got.err)
	}
}
