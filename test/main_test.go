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

func TestMain(m *testing.M) {
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

// build returns the path of the binary.
func build(t *testing.T) string {
	t.Helper()
	path := filepath.Join(compiled.dir, "keyward")
	compiled.once.Do(func() {
		cmd := exec.Command("go", "build", "-o", path, ".")
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
