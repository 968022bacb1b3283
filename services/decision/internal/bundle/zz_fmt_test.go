package bundle_test

import (
	"github.com/open-policy-agent/opa/v1/format"
	"os"
	"path/filepath"
	"testing"
)

func TestZZFmt(t *testing.T) {
	if os.Getenv("REGOFMT") == "" {
		return
	}
	fs, _ := filepath.Glob("../../../../policies/*/*.rego")
	for _, f := range fs {
		b, _ := os.ReadFile(f)
		o, err := format.Source(f, b)
		if err != nil {
			t.Error(err)
			continue
		}
		os.WriteFile(f, o, 0o644)
	}
}
