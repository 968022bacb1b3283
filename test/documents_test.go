package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// example is a block of commands in a document, with the output that the document shows for it.
type example struct {
	line            int
	commands, shown string
}

// examples reads the ```bash blocks of a document; a ```json or ```text block right after one shows its output. Blocks marked sh are for
// people.
func examples(t *testing.T, document string) []example {
	t.Helper()
	fence := regexp.MustCompile("(?ms)^```bash\n(.*?)^```\n(?:```(?:json|text)\n(.*?)^```\n)?")
	var all []example
	for _, at := range fence.FindAllStringSubmatchIndex(document, -1) {
		e := example{line: 1 + strings.Count(document[:at[0]], "\n"), commands: document[at[2]:at[3]]}
		if at[4] >= 0 {
			e.shown = document[at[4]:at[5]]
		}
		all = append(all, e)
	}
	if len(all) == 0 {
		t.Fatal("the document has no examples")
	}
	return all
}

// matches reports whether the output is what is shown; … stands for anything on one line.
func (e example) matches(output string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(e.shown)), "…", ".*")
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(strings.TrimSpace(output))
}

func TestTheExamplesOfTheDocumentsPrintWhatTheyShow(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed (make test installs it): %v", tool, err)
		}
	}
	binary := build(t)
	for _, name := range []string{
		"README.md", "docs/operations.md", "docs/policies.md", "docs/scenarios.md", "docs/explaining.md", "docs/moving.md",
		"docs/events.md", "docs/backend.md", "docs/webhooks.md", "docs/userservice.md", "docs/frontend.md", "docs/signin.md",
		"docs/connect.md", "docs/clients.md", "docs/risk.md", "docs/attestation.md", "docs/everyday.md", "docs/workbench.md", "docs/console.md",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := repoFile(t, name)
			dir := checkout(t, binary)
			settings := startedWith(document)
			if name != "README.md" && name != "docs/workbench.md" { // whose servers follow their stores
				settings = append(settings, "KEYWARD_POLICIES="+filepath.Join(dir, "policies"))
			}
			follow(t, dir, binary, examples(t, document), settings...)
		})
	}
}

// startedWith returns the settings of webhooks that a document says to start the server with, since without them its examples take a day.
func startedWith(document string) []string {
	start := regexp.MustCompile("(?m)^```sh\n((?:KEYWARD_WEBHOOKS_|  KEYWARD_WEBHOOKS_)[^`]*) bin/keyward serve\n```").
		FindStringSubmatch(document)
	if start == nil {
		return nil
	}
	return strings.Fields(strings.ReplaceAll(start[1], "\\\n", ""))
}

// follow does what a person does who pastes the blocks one by one into one shell, in a checkout with a server running.
func follow(t *testing.T, dir, binary string, blocks []example, settings ...string) {
	t.Helper()
	data := t.TempDir()
	server := run(t, binary, data, append(settings, "KEYWARD_NATS_ADDR=127.0.0.1:0")...)

	const mark = "--- end of block ---"
	script := &strings.Builder{}
	fmt.Fprintf(
		script, "set -euo pipefail\nexport KEYWARD_ADMIN_ADDR='%s' KEYWARD_OPERATOR_URL='%s' KEYWARD_DATA_DIR='%s'\nLOGIN='%s:%s'\nDATA='%s'\n",
		strings.TrimPrefix(server.admin, "http://"), server.base, data, server.project, server.secret, data,
	)
	here := strings.NewReplacer("http://127.0.0.1:8080", server.base, "http://127.0.0.1:9090", server.admin)
	for _, b := range blocks {
		script.WriteString(here.Replace(b.commands) + "echo '" + mark + "'\n")
	}
	shell := exec.Command("bash", "-c", script.String())
	shell.Dir = dir
	shell.Env = append(os.Environ(), "XDG_CONFIG_HOME="+t.TempDir()) // where the authenticator keeps its device
	var complaints strings.Builder
	shell.Stderr = &complaints
	raw, err := shell.Output()
	if err != nil {
		t.Errorf("the examples end with %v:\n%s\n%s", err, raw, complaints.String())
	}
	outputs := strings.Split(string(raw), mark+"\n")
	for i, b := range blocks {
		if i >= len(outputs)-1 {
			t.Fatalf("the block in line %d was not finished", b.line)
		}
		if !b.matches(outputs[i]) {
			t.Errorf("the block in line %d printed\n%s\nbut shows\n%s", b.line, outputs[i], b.shown)
		}
	}
	leavesNothing(t, dir)
}

// leavesNothing fails if git would take up anything that commands have left in a checkout, but for the policies that they change.
func leavesNothing(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(repoFile(t, ".gitignore")), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "--quiet"}, {"add", ".gitignore", "policies"}} {
		if out, err := git(dir, args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	left, err := git(dir, "ls-files", "--others", "--exclude-standard")
	if err != nil || left != "" {
		t.Errorf("the commands leave what git does not ignore, which may be a secret (%v):\n%s", err, left)
	}
	if _, err := os.Stat(filepath.Join(dir, "device.json")); err == nil {
		t.Error("the commands leave private keys in the checkout")
	}
}

func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// checkout makes a directory that looks like a built checkout.
func checkout(t *testing.T, binary string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	nats, err := filepath.Abs(filepath.Join("..", "bin", "nats"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(nats); err != nil {
		t.Fatalf("the NATS command line is not there (make test builds it): %v", err)
	}
	for name, target := range map[string]string{"keyward": binary, "nats": nats} {
		if err := os.Symlink(target, filepath.Join(dir, "bin", name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, "policies"), os.DirFS(filepath.Join("..", "policies"))); err != nil {
		t.Fatal(err)
	}
	return dir
}
