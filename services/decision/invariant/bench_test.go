package invariant

import (
	"testing"
	"time"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// BenchmarkSituations holds the default bundle against four hundred situations.
func BenchmarkSituations(b *testing.B) {
	e, err := engine.Load(b.Context(), policies.Bundle, engine.Options{
		Admitted: true, MemoEntries: 1 << 14, EvalTimeout: time.Minute, Unjudged: true,
	})
	if err != nil {
		b.Fatal(err)
	}
	const situations = 400
	for seed := uint64(0); b.Loop(); seed++ {
		if _, err := Sample(b.Context(), e, policies.Bundle, Options{Situations: situations, Seed: seed}); err != nil {
			b.Fatal(err)
		}
	}
}
