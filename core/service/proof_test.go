package service_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/service"
)

// TestAProofIsBarredByWhatSpeaksAgainstItsPasskeyAndByBars holds every judgement that there can be.
func TestAProofIsBarredByWhatSpeaksAgainstItsPasskeyAndByBars(t *testing.T) {
	t.Parallel()
	reason := rapid.Custom(func(t *rapid.T) service.RiskReason {
		return service.RiskReason{
			Code: rapid.StringMatching("[a-z]{3}").Draw(t, "code"), Severity: rapid.IntRange(1, 4).Draw(t, "severity"),
			Passkey: rapid.Bool().Draw(t, "passkey"),
		}
	})
	actions := []service.RiskAction{service.RiskAllow, service.RiskReview, service.RiskChallenge, service.RiskDeny}
	rapid.Check(t, func(t *rapid.T) {
		r := service.Risk{
			Action: rapid.SampledFrom(actions).Draw(t, "action"), Enforced: rapid.Bool().Draw(t, "enforced"),
			Reasons: rapid.SliceOf(reason).Draw(t, "reasons"),
		}
		if r.Action == service.RiskChallenge {
			r.StepUp = []service.StepUpMethod{service.StepUpPasskeyUV}
		}
		doubted := false
		for _, each := range r.Reasons {
			doubted = doubted || each.Passkey && each.Severity >= 3
		}
		got := r.OfProof()
		switch {
		case !r.Enforced:
			if got.Action != r.Action {
				t.Fatalf("a policy that does not bind says %s in the place of %s", got.Action, r.Action)
			}
		case got.Bars() != (doubted || r.Bars()):
			t.Fatalf("doubted: %t, and %+v became %+v", doubted, r, got)
		case got.Challenges() || len(got.StepUp) > 0:
			t.Fatalf("a proof is asked for a proof: %+v", got)
		}
	})
}
