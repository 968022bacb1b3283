package gateway_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
)

func TestAFinishThatThePolicyDoesNotLetPassSaysHowItWasJudged(t *testing.T) {
	t.Parallel()
	verdict := service.Verdict{Decided: service.Decided{Decision: "dec-9", PolicyRevision: "rev-a"}, Risk: &service.Risk{
		Rule: "R2", Action: service.RiskChallenge, Level: service.RiskHigh, Enforced: true,
		Reasons:        []service.RiskReason{{Code: "automation", Severity: 3, Title: "A program"}},
		Obligations:    service.Obligations{MaxSessionSeconds: 3600},
		NextEligibleAt: time.Unix(1_764_165_600, 0),
		Opened: &service.StepUp{
			ID: "stu-42", Methods: []service.StepUpMethod{service.StepUpPasskeyUV, service.StepUpEmailCode}, Expires: time.Unix(1_764_165_600, 0),
		},
	}}
	for _, operation := range []string{"passkeyLoginFinish", "passkeyMediationFinish", "passkeyAppendFinish"} {
		s := serve(t, setup{})
		s.services.Before(func(context.Context, string) error {
			return service.JudgedAs(fault.Risk(fault.TypeStepUpRequired, "a further proof is needed"), &verdict)
		})
		request := goodCall(t, good, s.document.Operation(operation))
		plain, _, _ := strings.Cut(request.path, "?")
		a := s.call("POST", plain, request.body, nil)
		if a.status != http.StatusForbidden || !strings.Contains(string(a.body), `"type":"step_up_required"`) ||
			strings.Contains(string(a.body), "automation") {
			t.Errorf("%s: %d %s", operation, a.status, a.body)
		}
		for name, want := range map[string]string{
			"X-Keyward-Risk":             `challenge;level=high;enforced=?1;reasons="automation"`,
			"X-Keyward-Step-Up":          `stu-42;methods="passkey-uv email-code"`,
			"X-Keyward-Next-Eligible-At": "@1764165600",
			"X-Keyward-Decision-ID":      "dec-9",
			"Set-Cookie":                 "",
		} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: header %s is %q, want %q", operation, name, got, want)
			}
		}
		a = s.call("POST", plain+"?include=risk", request.body, nil)
		for _, want := range []string{
			`"data":{"risk":{`, `"enforced":true`, `"id":"stu-42"`, `"nextEligibleAt":"2025-11-26T14:00:00Z"`, `"maxSessionSeconds":3600`,
		} {
			if !strings.Contains(string(a.body), want) {
				t.Errorf("%s: the body lacks %s: %s", operation, want, a.body)
			}
		}
	}
}
