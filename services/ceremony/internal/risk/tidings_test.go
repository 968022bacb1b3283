package risk_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
)

// TestSubscribersAreToldOfWhatIsMoreThanAllowed holds each action at each level, whether the policy binds or not.
func TestSubscribersAreToldOfWhatIsMoreThanAllowed(t *testing.T) {
	t.Parallel()
	levels := []service.RiskLevel{service.RiskLow, service.RiskMedium, service.RiskHigh}
	for action, told := range map[service.RiskAction][3]bool{
		service.RiskAllow:     {false, false, true},
		service.RiskReview:    {true, true, true},
		service.RiskChallenge: {true, true, true},
		service.RiskDeny:      {true, true, true},
	} {
		for i, level := range levels {
			for _, enforced := range []bool{false, true} {
				said := &service.Risk{
					Action: action, Level: level, Enforced: enforced, Reasons: []service.RiskReason{{Code: "bot"}, {Code: "new-network"}},
				}
				all := tell(t, risk.Finish{
					Stage: risk.LoginFinish, Event: event.Event{Type: event.LoginCompleted, Ceremony: "chl-1", User: "usr-1", UV: new(true)},
					Verdict: service.Verdict{Decision: "dec-1", Risk: said},
				})
				if len(all) != 0 != told[i] {
					t.Errorf("%s at %s: told %+v", action, level, all)
				}
				for _, e := range all {
					want := event.Risk{Stage: "login-finish", Action: string(action), Level: string(level), Enforced: enforced}
					if e.Type != event.RiskDecided || e.Decision != "dec-1" || e.User != "usr-1" || e.UV != nil || e.Ceremony != "chl-1" || e.ID == "" {
						t.Errorf("%s at %s: told %+v", action, level, e)
					}
					if got := *e.Risk; !slices.Equal(got.Reasons, []string{"bot", "new-network"}) ||
						got.Stage != want.Stage || got.Action != want.Action || got.Level != want.Level || got.Enforced != want.Enforced {
						t.Errorf("%s at %s: told %+v, want %+v", action, level, got, want)
					}
				}
			}
		}
	}
}

func TestSubscribersAreToldOfAFinishWhatItsCallerIs(t *testing.T) {
	t.Parallel()
	challenged := service.Verdict{Decision: "dec-1", Risk: &service.Risk{
		Action: service.RiskChallenge, Level: service.RiskHigh, Enforced: true, Reasons: []service.RiskReason{{Code: "zeal"}},
	}}
	denied := challenged
	denied.Risk = &service.Risk{
		Action: service.RiskDeny, Level: service.RiskHigh, Enforced: true,
		Reasons: []service.RiskReason{{Code: "zeal"}, {Code: service.NoStepUp}},
	}
	for name, c := range map[string]struct {
		verdict service.Verdict
		refused error
		action  string
		reasons []string
	}{
		"nobody judged it":             {verdict: service.Verdict{}},
		"it passed":                    {challenged, nil, "challenge", []string{"zeal"}},
		"it failed for another reason": {challenged, errors.New("no"), "challenge", []string{"zeal"}},
		"there was no way to a step-up": {
			challenged, risk.Judged(fault.Risk(fault.TypeRiskDenied, "no"), denied), "deny", []string{"no-step-up", "zeal"},
		},
	} {
		all := tell(t, risk.Finish{Stage: risk.AppendFinish, Event: event.Event{Ceremony: "chl-1"}, Verdict: c.verdict, Refused: c.refused})
		if c.action == "" {
			if len(all) != 0 {
				t.Errorf("%s: told %+v", name, all)
			}
			continue
		}
		if len(all) != 1 || all[0].Risk.Action != c.action || !slices.Equal(all[0].Risk.Reasons, c.reasons) ||
			all[0].Risk.Stage != "append-finish" {
			t.Errorf("%s: told %+v", name, all)
		}
	}
}

// tell returns what is told of a finish.
func tell(t *testing.T, f risk.Finish) (told []event.Event) {
	t.Helper()
	risk.Tell(t.Context(), func(_ context.Context, e event.Event) { told = append(told, e) }, f)
	return told
}
