package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

func TestAFrontendIsDescribedAtARunningServer(t *testing.T) {
	t.Parallel()
	environ, _ := server(t)
	file := filepath.Join(t.TempDir(), "frontend.yaml")
	frontend := func(args ...string) result {
		t.Helper()
		return run(t, environ, append(append([]string{"project", "frontend"}, args...), "--project", "pro-1")...)
	}
	set := func(text string) result {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return frontend("set", file)
	}
	if none := frontend("show"); none.code != cli.ExitOK || none.out != "{}\n" {
		t.Errorf("at first: %+v", none)
	}
	const described = `hosts:
- Login.example.com
- '*.shop.example.com'
identifiers:
- type: email
  verify: sign-up
- type: username
appleApps:
- ABCDE12345.com.example.app
`
	if changed := set(described); changed.out != "Changed the frontend of pro-1.\n" {
		t.Errorf("set: %+v", changed)
	}
	shown := frontend("show")
	if shown.code != cli.ExitOK || !strings.Contains(shown.out, "login.example.com") || !strings.Contains(shown.out, "verify: sign-up") {
		t.Errorf("show: %+v", shown)
	}
	if again := set(shown.out); again.code != cli.ExitOK {
		t.Errorf("what is shown can be set: %+v", again)
	}
	if after := frontend("show"); after.out != shown.out {
		t.Errorf("it has changed: %s", after.out)
	}
	for text, want := range map[string]string{
		"host: x\n":                        `unknown field "host"`,
		"hosts: [http://x]\n":              "hosts: http://x: must be a host name without the scheme http",
		"sameSite: maybe\n":                "sameSite: must be lax, strict or none",
		"identifiers: [{type: fax}]\n":     "identifiers: must name email, phone and username",
		"appleApps: [x]\n":                 "appleApps: each must be of the form",
		"androidApps: [{package: a.b}]\n":  "androidApps: each must have a package",
		"enrollURL: javascript:alert(1)\n": "enrollURL: must be an absolute URL of https or http",
		"hosts: [":                         "read the frontend",
	} {
		if refused := set(text); refused.code != cli.ExitUsage || !strings.Contains(refused.err, want) {
			t.Errorf("%q: %+v", text, refused)
		}
	}
	if unnamed := run(
		t, environ, "project", "frontend", "show",
	); unnamed.code != cli.ExitUsage ||
		!strings.Contains(unnamed.err, "--project is needed") {
		t.Errorf("without a project: %+v", unnamed)
	}
	if unknown := run(
		t, environ, "project", "frontend", "show", "--project", "pro-9",
	); unknown.code != cli.ExitFailure ||
		!strings.Contains(unknown.err, "does not exist") {
		t.Errorf("of an unknown project: %+v", unknown)
	}
}
