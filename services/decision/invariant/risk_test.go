package invariant

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/invariant/internal/situation"
)

// What is judged of risk is told, and changes nothing of what is answered.
func TestWithoutRulesOfRiskEverySituationIsAnsweredTheSame(t *testing.T) {
	t.Parallel()
	situations := uint64(5000)
	if testing.Short() {
		situations = 250
	}
	files := policiestest.Files(t)
	for name := range files {
		if strings.HasPrefix(name, "risk/") {
			delete(files, name)
		}
	}
	with, without := load(t, policiestest.Files(t)), load(t, files)
	told := map[service.RiskAction]int{}
	for number := range situations {
		s := situation.Sample(1, number, nil)
		a, b := &trial{ctx: t.Context(), engine: with}, &trial{ctx: t.Context(), engine: without}
		logins := [...]*loginVerdict{a.login(s, s.Strategy), b.login(s, s.Strategy)}
		creations, mediations := [...]*creationVerdict{a.creation(s), b.creation(s)}, [...]*mediationVerdict{a.mediation(s), b.mediation(s)}
		for _, v := range [...]*service.Verdict{&logins[0].Verdict, &creations[0].Verdict, &mediations[0].Verdict} {
			if v.Risk == nil {
				t.Fatalf("situation %d is not judged", number)
			}
			told[v.Risk.Action]++
			v.Risk, v.PolicyRevision = nil, without.Revision()
		}
		if diff := cmp.Diff(logins[1].LoginVerdict, logins[0].LoginVerdict); diff != "" {
			t.Fatalf("login %d, without and with rules of risk\n%s", number, diff)
		}
		if diff := cmp.Diff(creations[1].AppendVerdict, creations[0].AppendVerdict); diff != "" {
			t.Fatalf("creation %d, without and with rules of risk\n%s", number, diff)
		}
		if diff := cmp.Diff(mediations[1].Verdict, mediations[0].Verdict); diff != "" {
			t.Fatalf("mediation %d, without and with rules of risk\n%s", number, diff)
		}
	}
	if told[service.RiskAllow] == 0 || told[service.RiskReview] == 0 || told[service.RiskChallenge] == 0 {
		t.Errorf("the situations are judged all too alike: %v", told)
	}
}
