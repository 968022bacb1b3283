package test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/policies/policiestest"
)

// evaluate asks about an action of the person's.
func (p *person) evaluate(t *testing.T, more map[string]any) answer {
	t.Helper()
	body := map[string]any{"userID": p.id, "action": "payment", "processID": p.nextProcess(), "clientInformation": mac(p.handle)}
	maps.Copy(body, more)
	return p.call(t, http.MethodPost, "/v2/risk/evaluate", body)
}

func (p *person) evaluated(t *testing.T, more map[string]any) rest.RiskEvaluateRsp {
	t.Helper()
	return as[rest.RiskEvaluateRsp](t, p.evaluate(t, more))
}

// tell says what became of a decision, as soon as it is in the records.
func (c client) tell(t *testing.T, decision string, said map[string]any) rest.RiskFeedbackRsp {
	t.Helper()
	var a answer
	eventually(t, "the decision does not get into the records", func() bool {
		a = c.call(t, http.MethodPost, "/v2/risk/decisions/"+decision+"/feedback", said)
		return a.status != http.StatusNotFound
	})
	return as[rest.RiskFeedbackRsp](t, a)
}

func (p *person) tellFraud(t *testing.T, decision string) {
	t.Helper()
	p.tell(t, decision, map[string]any{"outcome": "fraud-confirmed"})
}

func codes(r rest.Risk) []string {
	var all []string
	for _, reason := range r.Reasons {
		all = append(all, reason.Code)
	}
	return all
}

func TestAnythingIsJudgedAndItsOutcomeTold(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{{name: "one process"}, {name: "split", split: true}} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if s.split && testing.Short() {
				t.Skip("one process is enough of it")
			}
			bundle := policiestest.Dir(t, policiestest.Files(t))
			declareLabel(t, bundle, "admin")
			enforceIn(t, bundle)
			st := s.start(t, func(c *settings.Config) { c.NATS.Addr, c.Decision.PoliciesDir = "127.0.0.1:0", bundle })
			addProject(t, st.natsAddress(t), strict, strictSecret)
			observed := st.newPerson(t)
			observed.createPasskey(t)
			phone, _ := st.newAdmin(t)
			t.Run("what is not asked right is refused, with the field", func(t *testing.T) { refusedQuestions(t, observed) })
			t.Run("observed, it is told and opens nothing", func(t *testing.T) {
				r := observed.evaluated(t, map[string]any{"context": map[string]any{"externalScore": 80}}).Risk
				if r.Action != rest.RiskActionChallenge || r.Enforced ||
					r.StepUp != nil && r.StepUp.ID != nil || !slices.Contains(codes(r), "external-score") {
					t.Errorf("%+v", r)
				}
			})
			t.Run("bound, a challenge is passed by a login", func(t *testing.T) { passedEvaluation(t, phone) })
			t.Run("a user that there is not is judged as one without a history", func(t *testing.T) { judgedNobody(t, observed) })
			t.Run("what became of it counts", func(t *testing.T) { outcomeCounts(t, st, observed) })
		})
	}
}

func refusedQuestions(t *testing.T, p *person) {
	for name, c := range map[string]struct {
		more    map[string]any
		field   string
		message string
	}{
		"an action that nobody declared": {map[string]any{"action": "paymnet"}, "action", "did you mean payment"},
		"a login, which has its own":     {map[string]any{"action": "passkey-login"}, "action", "the policy knows"},
		"too much of it": {
			map[string]any{"context": map[string]any{"externalScore": 101}}, "context.externalScore", "from 0 to 100",
		},
		"what no schema has": {
			map[string]any{"context": map[string]any{"amountMino": 1}}, "context.amountMino", "did you mean amountMinor",
		},
		"free text":         {map[string]any{"context": map[string]any{"channel": "Ada's"}}, "context.channel", "web, app"},
		"what is no object": {map[string]any{"context": []int{1}}, "context", ""},
		"both names":        {map[string]any{"identifier": "ada@example.com"}, "userID", "cannot both"},
	} {
		e := p.evaluate(t, c.more).fault(t, 400)
		if said := field(e, c.field); said == "" || !strings.Contains(said, c.message) {
			t.Errorf("%s: %s says %q, of %+v", name, c.field, said, e.Error.Validation)
		}
	}
}

func passedEvaluation(t *testing.T, p *person) {
	a := p.evaluate(t, map[string]any{"context": map[string]any{"externalScore": 99}})
	r := as[rest.RiskEvaluateRsp](t, a).Risk
	if r.Action != rest.RiskActionChallenge || !r.Enforced || r.StepUp == nil || r.StepUp.ID == nil || r.StepUp.Methods[0] != "passkey-uv" {
		t.Fatalf("%+v", r)
	}
	stepUp := *r.StepUp.ID
	if told := a.header.Get("X-Keyward-Step-Up"); !strings.HasPrefix(told, stepUp+";") ||
		a.header.Get("X-Keyward-Decision-ID") != r.DecisionID ||
		!strings.HasPrefix(a.header.Get("X-Keyward-Risk"), "challenge;level=high;enforced=?1") {
		t.Errorf("headers %v", a.header)
	}
	redeem := func() answer { return p.call(t, http.MethodPost, "/v2/risk/stepUps/"+stepUp+"/redeem", nil) }
	if e := redeem().fault(t, 403); e.Error.Type != rest.ErrorTypeStepUpRequired {
		t.Errorf("before the proof: %+v", e.Error)
	}
	as[rest.PasskeyLoginFinishRsp](t, p.prove(t, stepUp, origin))
	had := as[rest.StepUpRedeemRsp](t, redeem())
	if e := had.Evaluation; e == nil || e.DecisionID != r.DecisionID || e.Action != "payment" || strings.Join(e.Amr, " ") != "pop" {
		t.Errorf("redeemed %+v", had)
	}
	redeem().fault(t, 404)
}

func judgedNobody(t *testing.T, p *person) {
	byID := p.evaluated(t, map[string]any{"userID": "usr-77"})
	byName := as[rest.RiskEvaluateRsp](t, p.call(t, http.MethodPost, "/v2/risk/evaluate", map[string]any{
		"identifier": "nobody@example.com", "action": "payment", "clientInformation": mac(""),
	}))
	for name, r := range map[string]rest.Risk{"by ID": byID.Risk, "by name": byName.Risk} {
		if r.DecisionID == "" || r.Action == rest.RiskActionDeny || !slices.Contains(codes(r), "sensitive-action") {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func outcomeCounts(t *testing.T, st *stack, p *person) {
	decision := p.evaluated(t, nil).Risk.DecisionID
	frauds := func() bool { return slices.Contains(codes(p.evaluated(t, nil).Risk), "fraud-confirmed") }
	if frauds() {
		t.Fatal("there was a fraud before anybody said so")
	}
	said := p.tell(t, decision, map[string]any{"outcome": "fraud-confirmed"})
	if !said.Recorded || said.DecisionID != decision {
		t.Errorf("told %+v", said)
	}
	if !frauds() {
		t.Error("a fraud that was confirmed does not count")
	}
	p.tell(t, decision, map[string]any{"outcome": "legitimate"})
	if frauds() {
		t.Error("a fraud that was taken back counts")
	}
	other := client{st.base, strict, strictSecret}
	unknown := "/v2/risk/decisions/" + decision + "/feedback"
	other.call(t, http.MethodPost, unknown, map[string]any{"outcome": "legitimate"}).fault(t, 404)
	gone := "/v2/risk/decisions/dec-1600000000000123456789012/feedback"
	p.call(t, http.MethodPost, gone, map[string]any{"outcome": "legitimate"}).fault(t, 404)
	late := as[rest.RiskFeedbackRsp](t, p.call(t, http.MethodPost, gone, map[string]any{
		"outcome": "fraud-suspected", "userID": p.id, "at": time.Now().Add(-time.Hour).Format(time.RFC3339),
	}))
	if late.Recorded {
		t.Errorf("told %+v", late)
	}
	e := p.call(t, http.MethodPost, unknown, map[string]any{"outcome": "fraud"}).fault(t, 400)
	if field(e, "outcome") == "" {
		t.Errorf("%+v", e.Error)
	}
}
