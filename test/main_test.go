package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// binary is keyward as users run it, compiled once for all tests that need it.
type binary struct {
	dir  string
	once sync.Once
	err  error
}

var compiled binary

// patient are settings of the servers that tests start as processes, which inherit them. Machines are busy: what a call or a policy that
// takes too long leads to is tested where it can be forced.
var patient = map[string]string{
	"KEYWARD_POLICY_TIMEOUT": "15s", "KEYWARD_LOOKUP_TIMEOUT": "15s", "KEYWARD_CALL_TIMEOUT": "45s", "KEYWARD_REQUEST_TIMEOUT": "1m",
	"KEYWARD_NATS_START_TIMEOUT": "5m",
}

func TestMain(m *testing.M) {
	for name, value := range patient {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	dir, err := os.MkdirTemp("", "keyward-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	compiled.dir = dir
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// outside leaves a test of what runs outside this process to the run without the race detector, which would only make it slower.
func outside(t *testing.T) {
	t.Helper()
	if detecting {
		t.Skip("the race detector sees nothing of it; the run without it has this test")
	}
}

// inside leaves a test of what runs in this process to the run with the race detector, where there are both.
func inside(t *testing.T) {
	t.Helper()
	if testing.Short() && !detecting {
		t.Skip("the run with the race detector has this test")
	}
}

// build returns the path of the binary.
func build(t *testing.T) string {
	t.Helper()
	outside(t)
	path := filepath.Join(compiled.dir, "keyward")
	compiled.once.Do(func() {
		// As make builds it, so that nothing is compiled another time.
		cmd := exec.Command("go", "build", "-trimpath", "-tags", "grpcnotrace", "-o", path, ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		cmd.Dir = filepath.Join("..", "cmd", "keyward")
		if out, err := cmd.CombinedOutput(); err != nil {
			compiled.err = fmt.Errorf("build: %w: %s", err, out)
		}
	})
	if compiled.err != nil {
		t.Fatal(compiled.err)
	}
	return path
}

// suiteTools returns where the commands are that a suite in JavaScript needs. Its packages must be there.
func suiteTools(t *testing.T, suite string, commands ...string) map[string]string {
	t.Helper()
	outside(t)
	tools := map[string]string{}
	for _, command := range commands {
		path, err := exec.LookPath(command)
		if err != nil {
			t.Fatalf("%s is not installed (make test installs it): %v", command, err)
		}
		tools[command] = path
	}
	if _, err := os.Stat(filepath.Join(suite, "node_modules")); err != nil {
		t.Fatalf("the packages of the suite %s are not there (make test fetches them): %v", suite, err)
	}
	return tools
}
