package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
	"github.com/keyward/keyward/core/loopbacktest"
)

func TestPolicyWaitEndsWhenTheServerAnswersByTheBundle(t *testing.T) {
	t.Parallel()
	served := editedBundle(t, "data.json", `"streakThreshold": 2`, `"streakThreshold": 3`)
	environ, _ := server(t, "KEYWARD_POLICIES="+served)
	wait := func(bundle, timeout string) result {
		t.Helper()
		return run(t, environ, "policy", "wait", "--bundle", bundle, "--timeout", timeout)
	}
	answers := func(when string) {
		t.Helper()
		if got := wait(served, "2m"); got.code != cli.ExitOK || got.out+got.err != "" {
			t.Errorf("%s: %+v", when, got)
		}
	}

	answers("from the start")
	save(t, served, "data.json", strings.Replace(read(t, served, "data.json"), `"streakThreshold": 3`, `"streakThreshold": 4`, 1))
	answers("a changed figure")
	for _, owner := range []string{"ours", "ours"} {
		save(t, served, ".manifest", `{"revision": "`+owner+`", "roots": [""]}`)
		save(t, served, "data.json", read(t, served, "data.json")+"\n")
		answers("a change under the revision of a manifest")
	}
	good := read(t, served, "data.json")
	save(t, served, "data.json", strings.Replace(good, `"streakThreshold": 4`, `"streakTreshold": 4`, 1))
	// Longer than the test may take: what ends the wait is the refusal.
	if got := wait(served, "1h"); got.code != cli.ExitFailure || !strings.Contains(got.err, "refused content ") ||
		!strings.Contains(got.err, "data.json:12: unknown parameter streakTreshold") {
		t.Errorf("a bundle that is refused: %+v", got)
	}
	save(t, served, "data.json", good)
	answers("after the refusal")
	other := editedBundle(t, "data.json", `"streakThreshold": 2`, `"streakThreshold": 5`)
	// On a busy machine the server may say that it is degraded, but not what answers.
	if got := wait(other, "5s"); got.code != cli.ExitFailure || !strings.Contains(got.err, "readyz?verbose says: policy ") ||
		!strings.Contains(got.err, "revision ours of content ") {
		t.Errorf("a bundle that is not served: %+v", got)
	}
}

func TestPolicyWaitSaysWhyItCannotWait(t *testing.T) {
	t.Parallel()
	nobody := []string{"KEYWARD_ADMIN_ADDR=" + loopbacktest.Address(t)}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"no server":         {[]string{"--timeout", "200ms"}, cli.ExitFailure, "the bundle in this binary is not what answers: "},
		"no time":           {[]string{"--timeout", "0s"}, cli.ExitUsage, "--timeout: must be above 0"},
		"no such directory": {[]string{"--bundle", "no/such/bundle"}, cli.ExitUsage, "--bundle: "},
		"nothing in it":     {[]string{"--bundle", t.TempDir()}, cli.ExitFailure, "no policy, data or schema file"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := run(t, nobody, append([]string{"policy", "wait"}, c.args...)...); got.code != c.code || !strings.Contains(got.err, c.want) {
				t.Errorf("got %d %s, want %d and %s", got.code, got.err, c.code, c.want)
			}
		})
	}
}

func save(t *testing.T, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
