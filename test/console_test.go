package test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/loopbacktest"
)

// The story of the console is told in a real browser, against the binary that users run with what it is without any setting, and with what
// some users have done. What it looks like is in page/screenshots.
func TestTheConsole(t *testing.T) {
	t.Parallel()
	tools := suiteTools(t, "page", "node", "chromium")
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	binary, data, port := build(t), t.TempDir(), loopbacktest.Port(t)
	page := fmt.Sprintf("http://localhost:%d", port)
	server := runAt(
		t, fmt.Sprintf("127.0.0.1:%d", port), out, nil, binary, data, "KEYWARD_NATS_ADDR=127.0.0.1:0",
		"KEYWARD_FRONTEND_URL="+page, "KEYWARD_BOOTSTRAP_ORIGINS="+page,
	)
	keyward := func(args ...string) string {
		t.Helper()
		told, err := exec.CommandContext(t.Context(), binary, append(args, "--data-dir", data)...).CombinedOutput()
		if err != nil {
			t.Fatalf("keyward %v: %v\n%s", args, err, told)
		}
		return strings.TrimSpace(string(told))
	}
	keyward("demo", "--users", "40", "--url", server.base, "--origin", page)
	private := server.newPerson(t)
	hidden := mac("")
	hidden["privateMode"] = true
	server.call(t, "POST", "/v2/passkey/append/start", map[string]any{
		"userID": private.id, "processID": private.nextProcess(), "username": "ada@example.com", "clientInformation": hidden,
		"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": false},
	})
	tokens := map[string]string{}
	for _, role := range []string{"viewer", "author", "approver", "admin"} {
		told := strings.Split(keyward("operator", "create", "--name", role, "--role", role), "\n")
		tokens[role] = told[len(told)-1]
	}
	given, err := json.Marshal(tokens)
	if err != nil {
		t.Fatal(err)
	}
	suite := exec.CommandContext(t.Context(), tools["node"], "--test", "--test-reporter=spec", "chance.test.mjs", "console.test.mjs")
	suite.Dir = "page"
	suite.Env = append(
		os.Environ(), "SUITE_URL="+page, "SUITE_OUTBOX="+out.Name(), "SUITE_CHROMIUM="+tools["chromium"], "SUITE_TOKENS="+string(given),
		"SUITE_USER="+private.id, "SUITE_PROJECT="+project1, "SUITE_SECRET="+secret1,
	)
	told, err := suite.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\nwhat the server refused or warned of:\n%s", err, told, refusedLines(t, out.Name()))
	}
	if figures := regexp.MustCompile("(?m)^weight .*$").Find(told); figures != nil {
		t.Logf("%s", figures)
	}
}
