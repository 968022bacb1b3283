package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
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
	server := run(t, binary, t.TempDir(), "KEYWARD_NATS_ADDR=off")
	suite := exec.CommandContext(t.Context(), node, "--test", "--test-reporter=spec", "sdk.test.mjs", "api.test.mjs")
	suite.Dir = "sdk"
	suite.Env = append(os.Environ(), "KEYWARD_URL="+server.base, "KEYWARD_PROJECT="+server.project, "KEYWARD_SECRET="+server.secret, "KEYWARD_BINARY="+binary)
	if out, err := suite.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
