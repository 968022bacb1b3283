package service_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
)

func TestAnAnswerToAFinishIsReadByVersionsFromBeforeItWasJudgedAndReadsTheirs(t *testing.T) {
	t.Parallel()
	body := rest.PasskeyLoginFinishRsp{PasskeyData: rest.PasskeyData{ID: "cre-1", UserID: "usr-1", CeremonyType: rest.CeremonyTypeLocal}}
	judged := service.Finished[rest.PasskeyLoginFinishRsp]{}
	judged.Body, judged.Decision, judged.PolicyRevision = body, "dec-1", "rev-1"
	judged.Risk = &service.Risk{
		Rule: "R4", Action: service.RiskReview, Level: service.RiskMedium, Reasons: []service.RiskReason{{Code: "bot", Severity: 2}},
	}
	unjudged := service.Finished[rest.PasskeyLoginFinishRsp]{}
	unjudged.Body = body
	for name, f := range map[string]service.Finished[rest.PasskeyLoginFinishRsp]{"judged": judged, "not judged": unjudged} {
		raw, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var before rest.PasskeyLoginFinishRsp
		if err := json.Unmarshal(raw, &before); err != nil || !cmp.Equal(before, body) {
			t.Errorf("%s: read by a version of before: %s, %v", name, cmp.Diff(body, before), err)
		}
		var back service.Finished[rest.PasskeyLoginFinishRsp]
		if err := json.Unmarshal(raw, &back); err != nil || !cmp.Equal(back, f) {
			t.Errorf("%s: %s, %v", name, cmp.Diff(f, back), err)
		}
	}
	old, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	var back service.Finished[rest.PasskeyLoginFinishRsp]
	if err := json.Unmarshal(old, &back); err != nil || !cmp.Equal(back, unjudged) {
		t.Errorf("of before: %s, %v", cmp.Diff(unjudged, back), err)
	}
}
