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

// examples reads the ```bash blocks of a document; a ```json or ```text block right after one shows its output. Blocks marked sh are for people.
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

func TestTheCallsOfTheREADMEAnswerAsItShows(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("%s is not installed (make test installs it): %v", tool, err)
		}
	}
	dir := t.TempDir()
	binary := build(t)
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(binary, filepath.Join(dir, "bin", "keyward")); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "policies"), os.DirFS(filepath.Join("..", "policies"))); err != nil {
		t.Fatal(err)
	}
	server := run(t, binary, t.TempDir(), "KEYWARD_POLICIES="+filepath.Join(dir, "policies"))

	// All blocks share one shell, as they do for a person who pastes them one by one.
	const mark = "--- end of block ---"
	script := &strings.Builder{}
	fmt.Fprintf(script, "set -euo pipefail\nLOGIN='%s:%s'\n", server.project, server.secret)
	blocks := examples(t, repoFile(t, "README.md"))
	for _, b := range blocks {
		script.WriteString(strings.ReplaceAll(b.commands, "http://127.0.0.1:8080", server.base) + "echo '" + mark + "'\n")
	}
	shell := exec.Command("bash", "-c", script.String())
	shell.Dir = dir
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
}
