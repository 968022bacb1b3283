package cli_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/policies"
)

// draft is a copy of the default bundle that tests may change, without its scenarios.
func draft(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "draft")
	if err := os.CopyFS(dir, policies.Bundle); err != nil {
		t.Fatal(err)
	}
	// There are hundreds of them, which take seconds.
	if err := os.RemoveAll(filepath.Join(dir, "scenarios")); err != nil {
		t.Fatal(err)
	}
	return dir
}

// rewrite changes a file of a bundle.
func rewrite(t *testing.T, dir, file, before, after string) {
	t.Helper()
	name := filepath.Join(dir, file)
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, []byte(before)) {
		t.Fatalf("%s has no %q", file, before)
	}
	if err := os.Chmod(name, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, bytes.Replace(raw, []byte(before), []byte(after), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestAPolicyGoesFromADirectoryToEveryInstanceAndBack(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	ask := func(args ...string) result {
		t.Helper()
		got := run(t, environ, append([]string{"policy"}, args...)...)
		if got.code != cli.ExitOK {
			t.Fatalf("%v: %+v", args, got)
		}
		return got
	}
	shows := func(got result, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if !regexp.MustCompile(text).MatchString(got.out + got.err) {
				t.Errorf("%q is not in:\n%s%s", text, got.out, got.err)
			}
		}
	}
	dir := draft(t)
	shows(ask("status"), `No revision is live yet`, `binary .* ok`)
	shows(ask("push", dir, "-m", "As it is"), `Pushed revision 1: content [0-9a-f]{12}, [1-9]\d* tests passed`)
	shows(ask("push", dir, "-m", "Once more"), `These files are revision 1 already, of local\.`)
	shows(ask("activate", "1", "--reason", "To begin with", "--wait"),
		`Revision 1 is live: change 1, by local\.`,
		`Every instance that follows the store has taken up change 1, by which revision 1 is live: \w+ on `)

	number := regexp.MustCompile(`"doubtSeconds": ?(\d+)`)
	raw, err := os.ReadFile(filepath.Join(dir, "data.json"))
	if err != nil {
		t.Fatal(err)
	}
	found := number.FindSubmatch(raw)
	if found == nil {
		t.Fatal("there is no doubtSeconds")
	}
	rewrite(t, dir, "data.json", string(found[0]), strings.Replace(string(found[0]), string(found[1]), "1"+string(found[1]), 1))
	rewrite(t, dir, "login/login.rego", "package keyward.login\n", "package keyward.login\n\n# A remark.\n")
	shows(ask("diff", "live", dir), `changed  data.json`, `doubtSeconds: `+string(found[1])+` -> 1`+string(found[1]), `(?m)^\+# A remark\.$`)
	var second struct {
		Revision operator.PolicyRevision
		New      bool
		Change   *operator.PolicyChange
	}
	both := ask("push", dir, "-m", "Doubt for longer\nas asked", "--activate", "--wait", "-o", "json")
	if err := json.Unmarshal([]byte(both.out), &second); err != nil || second.Revision.Number != 2 || !second.New || second.Change == nil ||
		second.Revision.Parent == nil || *second.Revision.Parent != 1 {
		t.Fatalf("%+v: %v", both, err)
	}
	shows(ask("list"), `(?m)^2\* .* local .* Doubt for longer$`, `(?m)^1 .* As it is$`)
	shows(ask("show", "live"), `revision   2`, `parent     1`, "\n\nDoubt for longer\nas asked\n$")
	shows(ask("status"), `Revision 2 is live since .*, by change 2 \(activation\) of local`, `store +2 .* ok`)
	shows(ask("rollback", "--reason", "Too long", "--wait"), `Revision 1 is live, and revision 2 no longer: change 3`)
	shows(ask("history"), `(?m)^3 +1 +2 +rollback +local .* Too long$`, `(?m)^1 +1 +- +activation +local .* To begin with$`)
	shows(ask("diff", "2", "1"), `doubtSeconds: 1`+string(found[1])+` -> `+string(found[1]))

	out := filepath.Join(t.TempDir(), "pulled")
	shows(ask("pull", "2", "--out", out), `files of revision 2 to `)
	shows(ask("diff", out, dir), `have the same files`)

	var status operator.PolicyStatus
	asJSON := ask("status", "-o", "json")
	if err := json.Unmarshal([]byte(asJSON.out), &status); err != nil || status.Live == nil || len(status.Instances) != 1 {
		t.Errorf("%+v: %v", status, err)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"a revision that there is not":      {[]string{"show", "9"}, cli.ExitFailure, "there is no revision 9"},
		"one that is no number":             {[]string{"activate", "x"}, cli.ExitUsage, "must be the number of a revision"},
		"into what is there":                {[]string{"pull", "1", "--out", dir}, cli.ExitUsage, "is not empty"},
		"a push without a message":          {[]string{"push", dir}, cli.ExitUsage, "-m is needed"},
		"a wait for nothing":                {[]string{"push", dir, "-m", "m", "--wait"}, cli.ExitUsage, "goes with --activate"},
		"a directory that there is not":     {[]string{"push", dir + "x", "-m", "m"}, cli.ExitUsage, "no such file"},
		"a parent that there is not":        {[]string{"push", dir, "-m", "m", "--parent", "9"}, cli.ExitFailure, "parent: does not exist"},
		"back from what nothing was before": {[]string{"rollback"}, cli.ExitFailure, "no revision was live before"},
	} {
		if got := run(t, environ, append([]string{"policy"}, c.args...)...); got.code != c.code || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	rewrite(t, dir, "login/login.rego", "# A remark.", "nonsense {")
	if got := run(t, environ, "policy", "push", dir, "-m", "m"); got.code != cli.ExitFailure || !strings.Contains(got.err, "login.rego:") {
		t.Errorf("a file that does not compile: %+v", got)
	}
}

func TestAPushRunsTheScenariosOfTheBundleFirst(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	dir := draft(t)
	if err := os.MkdirAll(filepath.Join(dir, "scenarios"), 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(tag string) {
		t.Helper()
		raw := "now: 2026-11-22T12:00:00Z\n" +
			"scenarios:\n  - name: nobody has a passkey\n    action: login\n    client: { userAgent: none }\n    expect: { tag: " + tag + " }\n"
		if err := os.WriteFile(filepath.Join(dir, "scenarios", "mine.yaml"), []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	revisions := func() (all operator.PolicyRevisionList) {
		t.Helper()
		if err := json.Unmarshal([]byte(run(t, environ, "policy", "list", "-o", "json").out), &all); err != nil {
			t.Fatal(err)
		}
		return all
	}
	write("env-broken")
	refused := run(t, environ, "policy", "push", dir, "-m", "m")
	if refused.code != cli.ExitFailure || !strings.Contains(refused.err, "1 of 1 scenarios failed, and nothing was pushed") ||
		!strings.Contains(refused.err, "nobody has a passkey") || len(revisions().Revisions) != 0 {
		t.Errorf("one that fails: %+v", refused)
	}
	forced := run(t, environ, "policy", "push", dir, "-m", "m", "--force")
	if forced.code != cli.ExitOK || !strings.Contains(forced.out, "0 of 1 scenarios passed") {
		t.Fatalf("with --force: %+v", forced)
	}
	if kept := revisions().Revisions[0].Scenarios; kept == nil || kept.Failed != 1 || kept.Passed != 0 {
		t.Errorf("kept is %+v", kept)
	}
	if listed := run(t, environ, "policy", "list"); !strings.Contains(listed.out, "1, 1 failed") {
		t.Errorf("list: %+v", listed)
	}
	if err := os.WriteFile(filepath.Join(dir, "scenarios", "mine.yaml"), []byte("- x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := run(t, environ, "policy", "push", dir, "-m", "m", "--force")
	if broken.code != cli.ExitUsage || !strings.Contains(broken.err, "mine.yaml:1") {
		t.Errorf("one that is none: %+v", broken)
	}
}

func TestCommandsFindTheOperatorAPIAndTheTokenOfAnOperator(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	empty := "KEYWARD_DATA_DIR=" + t.TempDir()
	at := "KEYWARD_HTTP_ADDR=" + setting(t, environ, "KEYWARD_HTTP_ADDR")
	raw, err := os.ReadFile(filepath.Join(setting(t, environ, "KEYWARD_DATA_DIR"), "operator-token"))
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(string(raw))
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	forged := token[:len(token)-2] + "AA"
	byURL := func(url string) []string { return []string{"--operator-url", url} }
	server := "http://" + setting(t, environ, "KEYWARD_HTTP_ADDR")
	const named, inFile = "KEYWARD_OPERATOR_TOKEN=", "KEYWARD_OPERATOR_TOKEN_FILE="
	for name, c := range map[string]struct {
		environ []string
		args    []string
		code    int
		want    string
	}{
		"by the data directory":     {[]string{at, environ[0]}, nil, cli.ExitOK, ""},
		"by a variable":             {[]string{at, empty, named + token}, nil, cli.ExitOK, ""},
		"by a file":                 {[]string{at, empty, inFile + file}, nil, cli.ExitOK, ""},
		"by a URL":                  {[]string{environ[0]}, byURL(server + "/"), cli.ExitOK, ""},
		"by a URL in the variable":  {[]string{environ[0], "KEYWARD_OPERATOR_URL=" + server}, nil, cli.ExitOK, ""},
		"without a token":           {[]string{at, empty}, nil, cli.ExitUsage, "set KEYWARD_OPERATOR_TOKEN"},
		"with two":                  {[]string{at, named + token, inFile + file}, nil, cli.ExitUsage, "set one"},
		"with what is none":         {[]string{at, named + "x"}, nil, cli.ExitUsage, "is no token of an operator"},
		"with one that is nobody's": {[]string{at, named + forged}, nil, cli.ExitFailure, "401 login_error: the operator token is wrong"},
		"at no URL":                 {[]string{at, environ[0]}, byURL("127.0.0.1:1"), cli.ExitUsage, "https://host:port"},
		"where nobody is":           {[]string{environ[0]}, byURL("http://127.0.0.1:1"), cli.ExitFailure, "no server answers at http://"},
		// The token of this machine is for this machine.
		"elsewhere with the machine's": {
			[]string{environ[0]}, byURL("https://keyward.example.com"), cli.ExitUsage, "set KEYWARD_OPERATOR_TOKEN",
		},
	} {
		got := run(t, c.environ, append([]string{"policy", "list"}, c.args...)...)
		if got.code != c.code || !strings.Contains(got.err, c.want) || strings.Contains(got.err, forged) || strings.Contains(got.err, token) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
