package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/cmd/keyward/internal/cli/command"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/loopbacktest"
	"github.com/keyward/keyward/core/telemetry"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		// The HTTP library's own: one for the date, for good, and one of each server that ends by itself within ten seconds of it.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"), // after storing an object
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
	)
}

// occupied makes a data directory as a server has it that runs with nats_addr off.
func occupied(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	cfg := bus.DefaultConfig()
	cfg.DataDir = dir
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return dir
}

// result is what a command left.
type result struct {
	code     int
	out, err string
}

func run(t *testing.T, environ []string, args ...string) result {
	t.Helper()
	var out, errs bytes.Buffer
	terminal := command.Terminal{In: strings.NewReader(""), Out: &out, Err: &errs, Environ: environ}
	code := cli.Run(t.Context(), args, terminal, telemetry.Build{Version: "1.2.3", Revision: "abc", Go: "go1.26"})
	return result{code, out.String(), errs.String()}
}

func TestWhatCommandsPrint(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		environ []string
		args    []string
	}{
		"help":         {nil, nil},
		"version":      {nil, []string{"version"}},
		"version-json": {nil, []string{"version", "-o", "json"}},
		"config": {
			[]string{"KEYWARD_NATS_URL=nats://bob:hunter2@n1:4222", "KEYWARD_BOOTSTRAP_API_SECRET=corbado1_hunter2hunter2hunter2"},
			[]string{"config", "--http-addr", "0.0.0.0:80"},
		},
		"config-json":   {[]string{"KEYWARD_REDIS_URL=redis://:hunter2@cache:6379"}, []string{"config", "-o", "json"}},
		"config-check":  {nil, []string{"config", "--check"}},
		"project-help":  {nil, []string{"project", "create", "--help"}},
		"key-help":      {nil, []string{"project", "key", "create", "--help"}},
		"policy-help":   {nil, []string{"policy", "--help"}},
		"push-help":     {nil, []string{"policy", "push", "--help"}},
		"activate-help": {nil, []string{"policy", "activate", "--help"}},
		"diff-help":     {nil, []string{"policy", "diff", "--help"}},
		"operator-help": {nil, []string{"operator", "create", "--help"}},
		"token-help":    {nil, []string{"token", "create", "--help"}},
		"issuer-help":   {nil, []string{"project", "issuer", "add", "--help"}},
		"demo-help":     {nil, []string{"demo", "--help"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, c.environ, c.args...)
			if got.code != cli.ExitOK || got.err != "" {
				t.Errorf("exit code %d: %s", got.code, got.err)
			}
			if strings.Contains(got.out, "hunter2") {
				t.Error("a secret is printed")
			}
			path := filepath.Join("testdata", name+".golden")
			if *update {
				if err := os.WriteFile(path, []byte(got.out), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got.out); diff != "" {
				t.Errorf("output changed; if that is meant, run with -update (-want +got):\n%s", diff)
			}
		})
	}
}

func TestHelpListsEachSettingOnceUnderItsSubject(t *testing.T) {
	t.Parallel()
	cfg := settings.DefaultConfig()
	for _, name := range []string{"serve", "config", "provision"} {
		help := run(t, nil, name, "--help").out
		subject := ""
		at := map[string][]string{}
		for line := range strings.Lines(help) {
			if title, ok := strings.CutSuffix(line, ":\n"); ok && !strings.HasPrefix(line, " ") {
				subject = title
			}
			if flag := regexp.MustCompile(`^ +(?:-\w, )?--([a-z-]+)`).FindStringSubmatch(line); flag != nil {
				at[flag[1]] = append(at[flag[1]], subject)
			}
		}
		for _, s := range cfg.Settings() {
			if got := at[s.Flag()]; !slices.Equal(got, []string{s.Section}) {
				t.Errorf("%s: --%s is under %q, want %q", name, s.Flag(), got, s.Section)
			}
		}
		if got := at["config"]; !slices.Equal(got, []string{"Flags"}) {
			t.Errorf("%s: its own --config is under %q", name, got)
		}
	}
	if help := run(t, nil, "config", "reference", "--help").out; strings.Contains(help, "--http-addr") {
		t.Errorf("a command that takes no settings lists them:\n%s", help)
	}
}

func TestExitCodesTellUseFromFailure(t *testing.T) {
	t.Parallel()
	empty := t.TempDir()
	for name, c := range map[string]struct {
		environ []string
		args    []string
		code    int
		want    string
	}{
		"unknown command":           {nil, []string{"srve"}, cli.ExitUsage, `unknown argument "srve"`},
		"unknown flag":              {nil, []string{"serve", "--http-adr=x"}, cli.ExitUsage, "--http-adr; did you mean --http-addr?"},
		"argument too many":         {nil, []string{"serve", "now"}, cli.ExitUsage, `unknown argument "now"`},
		"argument missing":          {nil, []string{"project", "delete"}, cli.ExitUsage, "the project ID"},
		"unknown variable":          {[]string{"KEYWARD_HTP_ADDR=x"}, []string{"serve"}, cli.ExitUsage, "did you mean KEYWARD_HTTP_ADDR?"},
		"wrong value":               {nil, []string{"config", "--check", "--services=gateway"}, cli.ExitUsage, "KEYWARD_NATS_URL"},
		"unknown form of output":    {nil, []string{"version", "-o", "xml"}, cli.ExitUsage, "must be text or json"},
		"no server there":           {nil, []string{"project", "list", "--data-dir", empty}, cli.ExitFailure, "start one with keyward serve"},
		"a server without listener": {nil, []string{"project", "list", "--data-dir", occupied(t)}, cli.ExitFailure, "runs with nats_addr off"},
		"no server at the URL": {
			nil, []string{"project", "list", "--nats-url", "nats://bob:hunter2@127.0.0.1:1"}, cli.ExitFailure,
			"no server answers at nats://bob:********@127.0.0.1:1",
		},
		"delete without a yes": {nil, []string{"project", "delete", "pro-1", "--data-dir", empty}, cli.ExitUsage, "nothing was deleted"},
		"key without a project": {
			nil, []string{"project", "key", "create", "--name", "a", "--permission", "*", "--data-dir", empty}, cli.ExitUsage,
			"--project is needed",
		},
		"key without permissions": {
			nil, []string{"project", "key", "create", "--project", "pro-1", "--name", "a", "--data-dir", empty}, cli.ExitUsage,
			"--permission is needed: auth_events:write, ",
		},
		"an unknown permission": {
			nil, []string{"project", "key", "create", "--project", "pro-1", "--permission", "users:fly", "--data-dir", empty},
			cli.ExitUsage, `there is no permission "users:fly"`,
		},
		"a key for no time": {
			nil,
			[]string{"project", "key", "create", "--project", "pro-1", "--permission", "*", "--expires", "0d", "--data-dir", empty},
			cli.ExitUsage, "90d or 12h",
		},
		"revoke without a key":    {nil, []string{"project", "key", "revoke", "--project", "pro-1"}, cli.ExitUsage, "the key ID"},
		"token without a project": {nil, []string{"token", "create", "--data-dir", empty}, cli.ExitUsage, "--project is needed"},
		"token for nothing": {
			nil, []string{"token", "create", "--project", "pro-1", "--permissions", "", "--data-dir", empty}, cli.ExitUsage,
			"--permissions is needed: auth_events:write, ",
		},
		"token for no time": {
			nil, []string{"token", "create", "--project", "pro-1", "--expires", "-1h", "--data-dir", empty}, cli.ExitUsage,
			"90d or 12h",
		},
		"token for what is not": {
			nil, []string{"token", "create", "--project", "pro-1", "--permissions", "*,users:fly", "--data-dir", empty},
			cli.ExitUsage, `there is no permission "users:fly"`,
		},
		"token without a server": {
			nil, []string{"token", "create", "--project", "pro-1", "--data-dir", empty}, cli.ExitFailure,
			"start one with keyward serve",
		},
		"an operator without a name": {
			nil, []string{"operator", "create", "--role", "viewer", "--data-dir", empty}, cli.ExitUsage, "name: must be 1 to 100 characters long",
		},
		"an operator without a role": {
			nil, []string{"operator", "create", "--name", "Ada", "--data-dir", empty}, cli.ExitUsage,
			"role: must be viewer, author, approver or admin",
		},
		"an operator for no time": {
			nil, []string{"operator", "create", "--name", "Ada", "--role", "admin", "--expires", "0d", "--data-dir", empty}, cli.ExitUsage,
			"90d or 12h",
		},
		"revoke without an operator": {nil, []string{"operator", "revoke"}, cli.ExitUsage, "the operator ID"},
		"operators without a server": {
			nil, []string{"operator", "list", "--data-dir", empty}, cli.ExitFailure, "start one with keyward serve",
		},
		"issuer without a project": {
			nil, []string{"project", "issuer", "add", "--url", "https://id.example.com", "--audience", "a"}, cli.ExitUsage,
			"--project is needed",
		},
		"issuer without audience": {
			nil, []string{"project", "issuer", "add", "--project", "pro-1", "--url", "https://id.example.com"}, cli.ExitUsage,
			"--url and --audience are needed",
		},
		"issuer in the clear": {
			nil,
			[]string{"project", "issuer", "add", "--project", "pro-1", "--url", "http://bob:hunter2@id.example.com", "--audience", "a"},
			cli.ExitUsage, "url: must have no user",
		},
		"issuer of any scope and b": {
			nil,
			[]string{
				"project", "issuer", "add", "--project", "pro-1", "--url", "https://id.example.com", "--audience", "a", "--scope", "b",
				"--any-scope",
			},
			cli.ExitUsage, "exclude each other",
		},
		"issuers of no project":  {nil, []string{"project", "issuer", "list"}, cli.ExitUsage, "--project is needed"},
		"remove what issuer":     {nil, []string{"project", "issuer", "remove", "--project", "pro-1"}, cli.ExitUsage, "--url is needed"},
		"project without RP":     {nil, []string{"project", "create", "--data-dir", empty}, cli.ExitUsage, "--rp-id"},
		"demo with half a login": {nil, []string{"demo", "--project", "pro-1"}, cli.ExitUsage, "go together"},
		"demo without a server": {
			nil, []string{"demo", "--project", "pro-1", "--secret", "corbado1_x", "--url", "http://127.0.0.1:1"}, cli.ExitFailure,
			"no server answers at http://127.0.0.1:1",
		},
		"configuration file absent": {nil, []string{"serve", "--config", filepath.Join(empty, "none.yaml")}, cli.ExitUsage, "none.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := run(t, c.environ, c.args...)
			if got.code != c.code || !strings.Contains(got.err, c.want) || strings.Contains(got.err, "hunter2") {
				t.Errorf("got %d %q, want %d %q", got.code, got.err, c.code, c.want)
			}
		})
	}
}

// server runs "keyward serve" in this process until the test ends, and returns the environment by which other commands find it.
func server(t *testing.T, settings ...string) (environ []string, greeting string) {
	t.Helper()
	environ = append([]string{
		"KEYWARD_DATA_DIR=" + t.TempDir(),
		"KEYWARD_NATS_ADDR=127.0.0.1:0",
		"KEYWARD_ADMIN_ADDR=" + loopbacktest.Address(t),
		"KEYWARD_GRPC_ADDR=127.0.0.1:0",
		"KEYWARD_HTTP_ADDR=" + loopbacktest.Address(t),
	}, settings...)
	ctx, cancel := context.WithCancel(t.Context())
	read, write := io.Pipe()
	ended := make(chan int, 1)
	var log bytes.Buffer
	go func() {
		ended <- cli.Run(
			ctx, []string{"serve"}, command.Terminal{In: strings.NewReader(""), Out: write, Err: &log, Environ: environ},
			telemetry.Build{Version: "1.2.3"},
		)
		_ = write.Close()
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-ended; code != cli.ExitOK {
			t.Errorf("serve ended with %d:\n%s", code, log.String())
		}
	})
	if len(settings) > 0 && strings.HasPrefix(settings[0], "KEYWARD_DATA_DIR=") { // where there is a project, nobody is greeted
		go func() { _, _ = io.Copy(io.Discard, read) }()
		for deadline := time.Now().Add(time.Minute); ; <-time.After(10 * time.Millisecond) {
			if conn, err := net.Dial("tcp", setting(t, environ, "KEYWARD_HTTP_ADDR")); err == nil {
				_ = conn.Close()
				return environ, ""
			} else if time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
	}
	told := make([]byte, 1<<16)
	n, err := read.Read(told)
	if err != nil {
		t.Fatalf("serve did not start: %v\n%s", err, log.String())
	}
	return environ, string(told[:n])
}

func TestProjectsAreManagedAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, greeting := server(t)
	secretForm := regexp.MustCompile(`corbado1_[A-Z2-7]{26}`)
	first := secretForm.FindString(greeting)

	created := run(
		t, environ, "project", "create", "--id", "pro-77", "--rp-id", "example.com", "--origin", "https://login.example.com",
		"-o", "json",
	)
	var made struct{ ID, APISecret, RPID string }
	if err := json.Unmarshal(
		[]byte(created.out), &made,
	); err != nil || made.ID != "pro-77" || made.RPID != "example.com" ||
		!secretForm.MatchString(made.APISecret) {
		t.Fatalf("create: %+v %v", created, err)
	}
	if again := run(
		t, environ, "project", "create", "--id", "pro-77", "--rp-id", "example.com", "--origin", "https://example.com",
	); again.code != cli.ExitFailure ||
		!strings.Contains(again.err, "pro-77 exists already") {
		t.Errorf("create again: %+v", again)
	}
	for wrong, told := range map[string]string{
		"EXAMPLE.com": "example.com", "co.uk": "public suffix", "127.0.0.1": "IP address", "bücher.example": "xn--bcher-kva.example",
	} {
		refused := run(t, environ, "project", "create", "--rp-id", wrong, "--origin", "https://"+wrong)
		if refused.code != cli.ExitFailure || !strings.Contains(refused.err, "rpID: "+wrong) || !strings.Contains(refused.err, told) {
			t.Errorf("RP ID %s: code %d, %s", wrong, refused.code, refused.err)
		}
	}
	if foreign := run(
		t, environ, "project", "create", "--rp-id", "example.com", "--origin", "https://other.com",
	); foreign.code != cli.ExitFailure ||
		!strings.Contains(foreign.err, "must be on the RP ID") {
		t.Errorf("an origin elsewhere: %+v", foreign)
	}

	listed := run(t, environ, "project", "list")
	if lines := strings.Count(
		listed.out, "\n",
	); lines != 3 || !strings.Contains(listed.out, "pro-77  example.com  example.com  https://login.example.com") ||
		secretForm.MatchString(listed.out) {
		t.Errorf("list: %+v", listed)
	}
	updated := run(
		t, environ, "project", "update", "pro-77", "--name", "Shop", "--related-origin", "https://example.de", "--host",
		"*.example.com", "-o", "json",
	)
	var now struct{ Name, Origins, RelatedOrigins, Hosts any }
	if err := json.Unmarshal([]byte(updated.out), &now); err != nil || now.Name != "Shop" {
		t.Fatalf("update: %+v %v", updated, err)
	}
	if got := fmt.Sprint(
		now.Origins, now.RelatedOrigins, now.Hosts,
	); got != "[https://login.example.com] [https://example.de] [*.example.com]" {
		t.Errorf("update: %s", got)
	}
	if gone := run(t, environ, "project", "update", "pro-77", "--related-origin", "", "-o", "json"); strings.Contains(gone.out, "example.de") {
		t.Errorf("a related origin is not gone: %+v", gone)
	}
	for _, verification := range []string{"preferred", ""} {
		said := run(t, environ, "project", "update", "pro-77", "--verification", verification, "-o", "json")
		var now struct{ UserVerification string }
		if err := json.Unmarshal([]byte(said.out), &now); err != nil || now.UserVerification != verification {
			t.Errorf("verification %q: %+v %v", verification, said, err)
		}
	}
	if refused := run(t, environ, "project", "update", "pro-77", "--verification", "odd"); refused.code != cli.ExitFailure ||
		!strings.Contains(refused.err, "required or preferred") {
		t.Errorf("another verification: %+v", refused)
	}
	if refused := run(
		t, environ, "project", "update", "pro-77", "--origin", "http://example.com",
	); refused.code != cli.ExitFailure ||
		!strings.Contains(refused.err, "use https://example.com") {
		t.Errorf("update to http: %+v", refused)
	}
	rotated := run(t, environ, "project", "rotate-secret", "pro-1")
	if other := secretForm.FindString(rotated.out); other == "" || other == first {
		t.Errorf("rotate: %+v", rotated)
	}
	if deleted := run(t, environ, "project", "delete", "pro-77", "--yes"); deleted.code != cli.ExitOK {
		t.Errorf("delete: %+v", deleted)
	}
	if unknown := run(
		t, environ, "project", "delete", "pro-77", "--yes",
	); unknown.code != cli.ExitFailure ||
		!strings.Contains(unknown.err, "does not exist") {
		t.Errorf("delete again: %+v", unknown)
	}
}

func TestKeysAreManagedAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	var url string
	for _, setting := range environ {
		if address, ok := strings.CutPrefix(setting, "KEYWARD_HTTP_ADDR="); ok {
			url = "http://" + address + "/v2/users"
		}
	}
	status := func(method, key string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(`{"status":"active"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+key)
		req.Header.Set("Content-Type", "application/json")
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = rsp.Body.Close()
		return rsp.StatusCode
	}

	// Gateways learn of a key by a watch, a moment after it is stored.
	accepted := func(key string) bool {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
			if status("POST", key) == http.StatusOK {
				return true
			}
		}
		return false
	}

	created := run(
		t, environ, "project", "key", "create", "--project", "pro-1", "--name", "backend", "--permission", "users:write",
		"--permission", "passkeys:login", "--expires", "90d",
	)
	lines := strings.Split(strings.TrimSpace(created.out), "\n")
	key := lines[len(lines)-1]
	form := regexp.MustCompile(`^kwk1_1_([A-Za-z0-9]{12})_[A-Z2-7]{26}$`)
	parts := form.FindStringSubmatch(key)
	if parts == nil || created.code != cli.ExitOK || !strings.Contains(created.out, "permissions  passkeys:login users:write\n") {
		t.Fatalf("create: %+v", created)
	}
	if !accepted(key) {
		t.Error("the key is not accepted")
	}
	if got := status("GET", key); got != http.StatusForbidden {
		t.Errorf("the key is answered %d where it lacks the permission", got)
	}

	asJSON := run(t, environ, "project", "key", "create", "--project", "pro-1", "--name", "all", "--permission", "*", "-o", "json")
	var made struct{ ID, Key, Expires string }
	if err := json.Unmarshal(
		[]byte(asJSON.out), &made,
	); err != nil || !form.MatchString(made.Key) || made.Expires != "" ||
		!accepted(made.Key) {
		t.Errorf("create in JSON: %+v %v", asJSON, err)
	}

	listed := run(t, environ, "project", "key", "list", "--project", "pro-1")
	if strings.Count(listed.out, "\n") != 3 || !strings.Contains(listed.out, parts[1]+"  backend  passkeys:login users:write  ") ||
		!strings.Contains(listed.out, "never") ||
		strings.Contains(listed.out, "kwk1_") {
		t.Errorf("list: %+v", listed)
	}
	if revoked := run(
		t, environ, "project", "key", "revoke", parts[1], "--project", "pro-1",
	); revoked.code != cli.ExitOK ||
		revoked.out != "Revoked "+parts[1]+".\n" {
		t.Errorf("revoke: %+v", revoked)
	}
	deadline := time.Now().Add(time.Minute)
	for status("POST", key) != http.StatusUnauthorized {
		if time.Now().After(deadline) {
			t.Fatal("a revoked key is still let in")
		}
	}
	if again := run(
		t, environ, "project", "key", "revoke", parts[1], "--project", "pro-1",
	); again.code != cli.ExitFailure ||
		!strings.Contains(again.err, "does not exist") {
		t.Errorf("revoke again: %+v", again)
	}
	for _, args := range [][]string{{"list"}, {"create", "--name", "a", "--permission", "*"}, {"revoke", "x"}} {
		if unknown := run(
			t,
			environ,
			append(append([]string{"project", "key"}, args...), "--project", "pro-9")...); unknown.code != cli.ExitFailure ||
			!strings.Contains(unknown.err, "does not exist") {
			t.Errorf("%v of an unknown project: %+v", args, unknown)
		}
	}
}

func TestTheDemoTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	told := run(t, environ, "demo")
	if told.code != cli.ExitOK {
		t.Fatalf("demo: %s\n%s", told.err, told.out)
	}
	// In this order; an answer that no event changed would be missing.
	rest := told.out
	for _, want := range []string{
		"POST /v2/users  200", "user-no-pks", "✗ not now", "appendAllow            true", "✓ yes", "POST /v2/passkey/append/finish  200",
		"Apple Passwords",
		"user-positive-env-history", "POST /v2/passkey/login/finish  200", "login-error", "login-error", "user-negative-env-history",
		"POST /v2/passkey/mediation/finish  200", "user-positive-env-history", "user-login-blacklisted", "That is the whole story.",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the story lacks %q after what came before:\n%s", want, told.out)
		}
		rest = after
	}
	if strings.Contains(told.out, "\x1b[") {
		t.Error("colours where there is no terminal")
	}
	full := run(t, environ, "demo", "--full")
	if full.code != cli.ExitOK || !strings.Contains(full.out, `"detectionInsights": {`) {
		t.Errorf("with whole bodies: %d %s", full.code, full.err)
	}
	if projects := run(t, environ, "project", "list"); strings.Count(projects.out, " demo ") != 1 {
		t.Errorf("the demo has not kept to one project:\n%s", projects.out)
	}
}

func TestTheDemoMakesACrowd(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds")
	}
	t.Parallel()
	environ, _ := server(t)
	crowd := run(t, environ, "demo", "--users", "60", "--seed", "7")
	if crowd.code != cli.ExitOK {
		t.Fatalf("demo: %s\n%s", crowd.err, crowd.out)
	}
	for _, want := range []string{
		"60 users, ", "passkeys created", "iPhone, Safari", "user-no-pks", "user-positive-env-history",
		"env-no-platform-pk-support", "login-error",
	} {
		if !strings.Contains(crowd.out, want) {
			t.Errorf("the tally lacks %q:\n%s", want, crowd.out)
		}
	}
	again := run(t, environ, "demo", "--users", "60", "--seed", "7", "--concurrency", "1")
	if diff := cmp.Diff(crowd.out, again.out); diff != "" {
		t.Errorf("the same seed made another crowd:\n%s", diff)
	}
}
