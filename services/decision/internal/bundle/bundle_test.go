package bundle_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/bundle"
)

var entrypoints = []string{"data.keyward.login.decision", "data.keyward.append.decision", "data.keyward.mediation.decision"}

func TestDefaultBundleLoads(t *testing.T) {
	start := time.Now()
	b, err := bundle.Load(t.Context(), policies.Bundle, entrypoints...)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(time.Since(start), b.Revision)
}
