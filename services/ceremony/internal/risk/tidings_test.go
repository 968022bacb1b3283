package risk_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
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
				all := risk.Tidings(t.Context(), risk.Judgement{
					Stage: risk.LoginFinish, Event: event.Event{Type: event.LoginCompleted, Ceremony: "chl-1", User: "usr-1", UV: new(true)},
					Verdict: service.Verdict{Decided: service.Decided{Decision: "dec-1"}, Risk: said},
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
	challenged := service.Verdict{Decided: service.Decided{Decision: "dec-1"}, Risk: &service.Risk{
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
		all := risk.Tidings(t.Context(), risk.Judgement{
			Stage: risk.AppendFinish, Event: event.Event{Ceremony: "chl-1"}, Verdict: c.verdict, Refused: c.refused,
		})
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

func TestAStartIsOneEventHoweverOftenItIsRepeatedAndNotThatOfItsFinish(t *testing.T) {
	t.Parallel()
	said := func(decision ident.DecisionID) service.Verdict {
		return service.Verdict{Decided: service.Decided{Decision: decision}, Risk: &service.Risk{
			Action: service.RiskReview, Level: service.RiskMedium,
		}}
	}
	id := func(ctx context.Context, stage risk.Stage, ceremony ident.ChallengeID, decision ident.DecisionID) ident.EventID {
		all := risk.Tidings(ctx, risk.Judgement{Stage: stage, Event: event.Event{Ceremony: ceremony}, Verdict: said(decision)})
		if len(all) != 1 || all[0].Risk.Stage != string(stage) {
			t.Fatalf("told %+v", all)
		}
		return all[0].ID
	}
	repeated := reqctx.WithSeed(t.Context(), "call")
	start := id(repeated, risk.AppendStart, "", "dec-1")
	if again := id(repeated, risk.AppendStart, "", "dec-2"); again != start {
		t.Errorf("repeated: %s and %s", start, again)
	}
	for name, other := range map[string]ident.EventID{
		"another start of the call": id(repeated, risk.LoginStart, "", "dec-1"),
		"another call":              id(t.Context(), risk.AppendStart, "", "dec-1"),
		"the finish":                id(repeated, risk.AppendFinish, "chl-1", "dec-3"),
	} {
		if other == start {
			t.Errorf("%s is the same event", name)
		}
	}
	if one := id(t.Context(), risk.LoginStart, "", "dec-1"); one == id(t.Context(), risk.LoginStart, "", "dec-2") {
		t.Error("two starts are one event")
	}
}
