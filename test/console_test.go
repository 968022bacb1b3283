package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/loopbacktest"
)

// console is an installation whose console is looked at in a real browser, with what some users have done.
type console struct {
	client
	tools             map[string]string
	binary, page, log string
	at                []string // how commands find what is stored
	env               []string // of the suites
}

func openConsole(t *testing.T, log string, port int, api client, binary string, at ...string) *console {
	t.Helper()
	c := &console{
		client: api, tools: suiteTools(t, "page", "node", "chromium"), binary: binary, log: log, at: at,
		page: fmt.Sprintf("http://localhost:%d", port),
	}
	c.keyward(t, "demo", "--users", "40", "--url", c.base, "--origin", c.page)
	private := c.newPerson(t)
	hidden := mac("")
	hidden["privateMode"] = true
	c.call(t, "POST", "/v2/passkey/append/start", map[string]any{
		"userID": private.id, "processID": private.nextProcess(), "username": "ada@example.com", "clientInformation": hidden,
		"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": false},
	})
	tokens := map[string]string{}
	for _, role := range []string{"viewer", "author", "approver", "admin"} {
		told := strings.Split(c.keyward(t, "operator", "create", "--name", role, "--role", role), "\n")
		tokens[role] = told[len(told)-1]
	}
	given, err := json.Marshal(tokens)
	if err != nil {
		t.Fatal(err)
	}
	c.env = append(
		os.Environ(), "SUITE_URL="+c.page, "SUITE_OUTBOX="+log, "SUITE_CHROMIUM="+c.tools["chromium"], "SUITE_TOKENS="+string(given),
		"SUITE_USER="+private.id, "SUITE_PROJECT="+project1, "SUITE_SECRET="+secret1,
	)
	return c
}

// keyward runs a command and returns what it prints.
func (c *console) keyward(t *testing.T, args ...string) string {
	t.Helper()
	told, err := exec.CommandContext(t.Context(), c.binary, append(args, c.at...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("keyward %v: %v\n%s", args, err, told)
	}
	return strings.TrimSpace(string(told))
}

// figures are lines in which a suite tells what it measured.
var figures = regexp.MustCompile("(?m)^(weight|live view:|2 MB:|figures:|xss:) .*$")

// tell has a suite run, and tells what it measured.
func (c *console) tell(t *testing.T, args ...string) {
	t.Helper()
	suite := exec.CommandContext(t.Context(), c.tools["node"], append([]string{"--test", "--test-reporter=spec"}, args...)...)
	suite.Dir, suite.Env = "page", c.env
	told, err := suite.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\nwhat the server refused or warned of:\n%s", err, told, refusedLines(t, c.log))
	}
	for _, line := range figures.FindAll(told, -1) {
		t.Logf("%s", line)
	}
}

// away is how long a server that is started anew was away: longer than the console waits between two looks.
const away = 4 * time.Second

// The story of the console is told in a real browser, against the binary that users run with what it is without any setting, and with what
// some users have done. What it looks like is in page/screenshots.
func TestTheConsole(t *testing.T) {
	t.Parallel()
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = out.Close() })
	binary, data, port := build(t), t.TempDir(), loopbacktest.Port(t)
	page := fmt.Sprintf("http://localhost:%d", port)
	start := func() *process {
		return runAt(
			t, fmt.Sprintf("127.0.0.1:%d", port), out, nil, binary, data, "KEYWARD_NATS_ADDR=127.0.0.1:0",
			"KEYWARD_FRONTEND_URL="+page, "KEYWARD_BOOTSTRAP_ORIGINS="+page,
		)
	}
	server := start()
	c := openConsole(t, out.Name(), port, server.client, binary, "--data-dir", data)
	c.tell(t, "chance.test.mjs")
	c.tell(t, "console.test.mjs")

	// A suite asks for the server to be killed and started anew; who may end this test does that.
	asked := make(chan chan struct{})
	restart := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		done := make(chan struct{})
		select {
		case asked <- done:
			<-done
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(restart.Close)
	c.env = append(c.env, "SUITE_RESTART="+restart.URL)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		c.tell(t, "bars.test.mjs")
	}()
	for {
		select {
		case done := <-asked:
			server.kill()
			<-time.After(away)
			server = start()
			close(done)
		case <-ended:
			return
		}
	}
}

// The change that goes from an idea to a promoted canary and back is the same where each service is a process of its own.
func TestTheConsoleOfServicesThatAreProcessesOfTheirOwn(t *testing.T) {
	t.Parallel()
	suiteTools(t, "page", "node", "chromium")
	log, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	binary, nats, port := build(t), startNATS(t, t.TempDir()), loopbacktest.Port(t)
	page := fmt.Sprintf("http://localhost:%d", port)
	for _, service := range []string{"events", "decision", "ceremony", "gateway"} {
		cmd := exec.Command(
			binary, "serve", "--services="+service, "--http-addr", "127.0.0.1:"+strconv.Itoa(port), "--grpc-addr", "127.0.0.1:0", "--admin-addr",
			"127.0.0.1:0",
		)
		cmd.Env = append(
			os.Environ(), "KEYWARD_NATS_URL="+nats, "KEYWARD_DATA_DIR="+t.TempDir(), "KEYWARD_BOOTSTRAP_API_SECRET="+secret1,
			"KEYWARD_FRONTEND_URL="+page, "KEYWARD_BOOTSTRAP_ORIGINS="+page,
		)
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		})
	}
	api := client{fmt.Sprintf("http://127.0.0.1:%d", port), project1, secret1}
	eventually(t, "the servers did not answer", func() bool {
		a, err := api.do("GET", "/v2/users?pageSize=1", nil)
		return err == nil && a.status == http.StatusOK
	})
	c := openConsole(t, log.Name(), port, api, binary, "--nats-url", nats)
	c.tell(t, "--test-name-pattern", "one change goes|events are seen", "console.test.mjs")
}
