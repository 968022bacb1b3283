package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

func TestAnEnvironmentOfAUserIsListedAndForgotten(t *testing.T) {
	t.Parallel()
	environ, greeting := server(t)
	project := regexp.MustCompile(`pro-\d+`).FindString(greeting)
	file := filepath.Join(t.TempDir(), "users.jsonl")
	const user = "usr-4693224802260150919"
	line := `{"user":{"userID":"` + user + `","fullName":"Ada Lovelace","status":"active","clientEnvs":[` +
		`{"id":"env-1","osName":"macOS","osVersion":"15","browserName":"Safari","createdMs":1795348800000},` +
		`{"id":"env-2","createdMs":1795348800000}]}}`
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, environ, "user", "import", "--project", project, file); got.code != cli.ExitOK {
		t.Fatalf("import: %+v", got)
	}
	environments := func(args ...string) result {
		t.Helper()
		return run(t, environ, append([]string{"user", "environments"}, append(args, "--project", project, "--user", user)...)...)
	}

	list := environments("list")
	const first = "env-1        macOS 15  Safari   2026-11-22T12:00:00Z"
	if list.code != cli.ExitOK || len(lines(list.out)) != 3 || !strings.Contains(list.out, first) {
		t.Fatalf("list: %+v", list)
	}
	for range 2 {
		if got := environments("forget", "env-1"); got.code != cli.ExitOK || got.out != "env-1 is forgotten\n" {
			t.Errorf("forget: %+v", got)
		}
	}
	got := environments("list", "-o", "json")
	if got.code != cli.ExitOK || strings.Contains(got.out, `"env-1"`) || !strings.Contains(got.out, `"env-2"`) {
		t.Errorf("list after it: %+v", got)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		said string
	}{
		"one that the user was never in": {[]string{"forget", "env-3"}, cli.ExitFailure, "the user has no such client environment"},
		"none":                           {[]string{"forget"}, cli.ExitUsage, "environment ID"},
	} {
		if got := environments(c.args...); got.code != c.code || !strings.Contains(got.err, c.said) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := run(t, environ, "user", "environments", "list", "--project", project, "--user", "ada"); got.code != cli.ExitUsage {
		t.Errorf("a user ID that is none: %+v", got)
	}
}
