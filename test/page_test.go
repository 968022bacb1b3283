package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/loopbacktest"
)

// The story of the page is told in a real browser, against the binary that users run with what it is without any setting. What it looks
// like is in page/screenshots.
func TestThePageToTryPasskeysWith(t *testing.T) {
	t.Parallel()
	tools := suiteTools(t, "page", "node", "chromium")
	outbox, err := os.Create(filepath.Join(t.TempDir(), "outbox"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = outbox.Close() })
	binary, data, port := build(t), t.TempDir(), loopbacktest.Port(t)
	page := fmt.Sprintf("http://localhost:%d", port)
	runAt(
		t, fmt.Sprintf("127.0.0.1:%d", port), outbox, nil, binary, data, "KEYWARD_NATS_ADDR=127.0.0.1:0",
		"KEYWARD_FRONTEND_URL="+page, "KEYWARD_BOOTSTRAP_ORIGINS="+page,
	)
	tell := func(story string) {
		suite := exec.CommandContext(t.Context(), tools["node"], "--test", "--test-reporter=spec", story)
		suite.Dir = "page"
		suite.Env = append(os.Environ(), "SUITE_URL="+page, "SUITE_OUTBOX="+outbox.Name(), "SUITE_CHROMIUM="+tools["chromium"])
		out, err := suite.CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s\nwhat the server refused or warned of:\n%s", err, out, refusedLines(t, outbox.Name()))
		}
		if figures := regexp.MustCompile("(?m)^weight .*$").Find(out); figures != nil {
			t.Logf("%s", figures)
		}
	}
	// What the README says to do comes before, and may break nothing for the page: the demo makes a project of its own.
	for _, args := range [][]string{{}, {"--users", "5"}} {
		told := exec.CommandContext(
			t.Context(),
			binary,
			slices.Concat([]string{"demo", "--data-dir", data, "--url", fmt.Sprintf("http://127.0.0.1:%d", port), "--origin", page}, args)...)
		if out, err := told.CombinedOutput(); err != nil {
			t.Fatalf("demo %v: %v\n%s", args, err, out)
		}
	}
	tell("page.test.mjs")

	describe := func(frontend string) {
		described := exec.CommandContext(t.Context(), binary, "project", "frontend", "set", "--project", project1, "-", "--data-dir", data)
		described.Stdin = strings.NewReader(frontend)
		if out, err := described.CombinedOutput(); err != nil {
			t.Fatalf("describe the frontend: %v\n%s", err, out)
		}
	}
	describe("fullName: true\nidentifiers:\n  - {type: email, required: true, verify: sign-up, link: true}\n")
	tell("link.test.mjs")
	describe("identifiers:\n  - {type: email, verify: after-passkey}\n")
	tell("waits.test.mjs")
}

// refusedLines are the lines of a server's log that tell of calls that were refused or failed, and of what it warned of: a browser's test
// that waits for what never comes does not know why.
func refusedLines(t *testing.T, log string) string {
	t.Helper()
	said, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	return strings.Join(regexp.MustCompile(`(?m)^.*("level":"(WARN|ERROR)"|"status":[45]\d\d).*$`).FindAllString(string(said), -1), "\n")
}
