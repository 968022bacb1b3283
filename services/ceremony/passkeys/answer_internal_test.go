package passkeys

import (
	"testing"
	"time"

	"github.com/keyward/keyward/core/service"
)

func TestARefusalTellsWhyAndUntilWhen(t *testing.T) {
	t.Parallel()
	ends := time.Date(2026, 12, 22, 13, 0, 0, 0, time.FixedZone("CET", 3600))
	text := func(p *string) string {
		if p == nil {
			return "absent"
		}
		return *p
	}
	for name, c := range map[string]struct {
		verdict     service.Verdict
		reason      string
		why, wantAt string
	}{
		"that ends":     {service.Verdict{NextEligibleAt: ends}, "cooldown", "cooldown", "2026-12-22T12:00:00Z"},
		"that does not": {service.Verdict{}, "no_passkeys", "no_passkeys", "absent"},
		"is none":       {service.Verdict{Allow: true, NextEligibleAt: ends}, "cooldown", "absent", "absent"},
	} {
		login := loginAnswer(Start{}, service.LoginVerdict{Verdict: c.verdict, Reason: c.reason}, "").DecisionInsights
		creation := appendAnswer(Start{}, service.AppendVerdict{Verdict: c.verdict, Reason: c.reason}, "").DecisionInsights
		got := []string{text(login.Reason), text(login.NextEligibleAt), text(creation.Reason), text(creation.NextEligibleAt)}
		for i, want := range []string{c.why, c.wantAt, c.why, c.wantAt} {
			if got[i] != want {
				t.Errorf("%s: got %q", name, got)
			}
		}
	}
}
