package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/keyward/keyward/core/loopbacktest"
	"github.com/keyward/keyward/policies/policiestest"
)

// The suite itself is JavaScript: the SDK is used as backends use it, against the binary that users run.
func TestTheNodeSDK(t *testing.T) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatalf("node is not installed (make test installs it): %v", err)
	}
	if _, err := os.Stat(filepath.Join("sdk", "node_modules")); err != nil {
		t.Fatalf("the SDK is not installed (make test installs it): %v", err)
	}
	binary := build(t)
	bundles := map[string]string{"what is judged of risk is told": "", "what is judged of risk binds": enforcing(t)}
	for name, bundle := range bundles {
		// Each has a server of its own: one of them gives the project a host name, which its tokens are then issued under.
		for _, file := range []string{"sdk.test.mjs", "api.test.mjs"} {
			t.Run(file+", and "+name, func(t *testing.T) {
				port := loopbacktest.Port(t)
				server := runAt(
					t, fmt.Sprintf("127.0.0.1:%d", port), nil, nil, binary, t.TempDir(),
					fmt.Sprintf("KEYWARD_FRONTEND_URL=http://localhost:%d", port), "KEYWARD_POLICIES="+bundle,
				)
				suite := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", file)
				suite.Dir = "sdk"
				suite.Env = append(
					os.Environ(), "KEYWARD_URL="+server.base, "KEYWARD_PROJECT="+server.project, "KEYWARD_SECRET="+server.secret,
					"KEYWARD_BINARY="+binary,
				)
				if out, err := suite.CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
	}
}

// enforcing is the default policy where what it says of risk binds everywhere.
func enforcing(t *testing.T) string {
	t.Helper()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "data.json", `"mode": "observe"`, `"mode": "enforce"`)
	return policiestest.Dir(t, files)
}
