package detect_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

func TestSomebodyUnknownTakesPartInNoExperiment(t *testing.T) {
	t.Parallel()
	k := knowledge(t, set("deviceLocalTreatmentShare", 10_000))
	d := k.Login(detect.Input{Question: service.Question{Project: "pro-1"}, Complete: true, Now: now})
	if len(d.Facts.Experiments) != 0 || d.Experiments == nil || len(d.Experiments) != 0 {
		t.Errorf("facts %v, told %v", d.Facts.Experiments, d.Experiments)
	}
	if m := k.Mediation(service.Question{Project: "pro-1"}); m.Experiments == nil || len(m.Experiments) != 0 {
		t.Errorf("mediation tells %v", m.Experiments)
	}
}

func TestAKnowledgeWithoutRolloutTellsTheFactsOfOne(t *testing.T) {
	t.Parallel()
	k := knowledge(t, func(parameters map[string]any) { delete(parameters, "rollout") })
	got := k.Rollout(
		service.RolloutQuestion{
			Action: service.RolloutLogin, Identifier: "ada", Question: service.Question{Client: factstest.Browser("iOS", "18.1", "Safari")},
		},
	).Facts
	want := &facts.Rollout{Action: "login", Identifier: facts.Unlisted, BrowserVersion: 142, Samples: facts.Assignments{}}
	if diff := cmp.Diff(want, got.Rollout); diff != "" || !got.Complete || got.Client.OS != "ios" {
		t.Errorf("%+v\n%s", got, diff)
	}
}
