package cli_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

func TestLabelsOfAUserAreShownAndReplaced(t *testing.T) {
	t.Parallel()
	environ, greeting := server(t)
	project := regexp.MustCompile(`pro-\d+`).FindString(greeting)
	file := filepath.Join(t.TempDir(), "users.jsonl")
	const user = "usr-4693224802260150919"
	line := `{"user":{"userID":"` + user + `","fullName":"Ada Lovelace","status":"active","labels":["admin","staff"]}}`
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := run(t, environ, "user", "import", "--project", project, file); got.code != cli.ExitOK {
		t.Fatalf("import: %+v", got)
	}
	labels := func(args ...string) result {
		t.Helper()
		return run(t, environ, append([]string{"user", "labels", "--project", project, "--user", user}, args...)...)
	}
	if got := labels(); got.code != cli.ExitOK || got.out != "admin staff\n" {
		t.Errorf("shown: %+v", got)
	}
	if got := labels("-o", "json"); got.code != cli.ExitOK || !strings.Contains(got.out, `"admin"`) {
		t.Errorf("as JSON: %+v", got)
	}
	if got := labels("--set", "adimn"); got.code != cli.ExitFailure || !strings.Contains(got.err, "labels") {
		t.Errorf("one that the policy does not declare: %+v", got)
	}
	if got := labels("--set", ""); got.code != cli.ExitOK || got.out != "\n" {
		t.Errorf("none: %+v", got)
	}
	if got := labels(); got.out != "\n" {
		t.Errorf("after it: %+v", got)
	}
}
