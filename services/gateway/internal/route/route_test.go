package route

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestGeneratedCodeIsCurrent runs the generator as the Makefile does and compares what it writes with what is checked in.
func TestGeneratedCodeIsCurrent(t *testing.T) {
	tools, err := filepath.Abs("../../../../tools")
	if err != nil {
		t.Fatal(err)
	}
	for config, checkedIn := range map[string]string{
		"../api/rest/generate.yaml":                        "../api/rest/types.gen.go",
		"../services/gateway/internal/route/generate.yaml": "../services/gateway/internal/route/server.gen.go",
	} {
		fresh := filepath.Join(t.TempDir(), "fresh.go")
		settings, err := os.ReadFile(filepath.Join(tools, config))
		if err != nil {
			t.Fatal(err)
		}
		moved := filepath.Join(t.TempDir(), "generate.yaml")
		if err := os.WriteFile(moved, []byte(strings.Replace(string(settings), checkedIn, fresh, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		generate := exec.Command("go", "tool", "oapi-codegen", "-config", moved, "../api/openapi.yaml")
		generate.Dir, generate.Env = tools, append(os.Environ(), "GOWORK=off")
		if out, err := generate.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		want, err := os.ReadFile(fresh)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join(tools, checkedIn))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s is not what the document makes; run make generate\n%.2000s", checkedIn, diff)
		}
	}
}
