package test

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/policies/policiestest"
)

const (
	accessOne     = "/access/v1/evaluation"
	accessSeveral = "/access/v1/evaluations"
)

// paymentOf asks whether somebody may pay.
func paymentOf(subject string) map[string]any {
	return map[string]any{
		"subject":  map[string]any{"type": "user", "id": subject},
		"action":   map[string]any{"name": "payment"},
		"resource": map[string]any{"type": "account", "id": "0815"},
	}
}

// knows is a question with what the caller knows: of the client, and how risky another system finds it.
func (p *person) knows(question map[string]any, score int) map[string]any {
	asked := maps.Clone(question)
	asked["context"] = map[string]any{"clientInformation": mac(p.handle), "context": map[string]any{"externalScore": score}}
	return asked
}

func TestAuthZENAsksTheSameOfTheSamePolicy(t *testing.T) {
	t.Parallel()
	bundle := policiestest.Dir(t, policiestest.Files(t))
	declareLabel(t, bundle, "admin")
	enforceIn(t, bundle)
	st := shape{name: "one process"}.start(t, func(c *settings.Config) { c.NATS.Addr, c.Decision.PoliciesDir = "127.0.0.1:0", bundle })
	addProject(t, st.natsAddress(t), strict, strictSecret)
	observed := st.newPerson(t)
	observed.createPasskey(t)
	bound, _ := st.newAdmin(t)

	t.Run("its endpoints are found", func(t *testing.T) {
		found := as[rest.AccessConfiguration](t, client{base: st.base}.call(t, http.MethodGet, "/.well-known/authzen-configuration", nil))
		if found.PolicyDecisionPoint != st.base || found.AccessEvaluationEndpoint != st.base+accessOne ||
			found.AccessEvaluationsEndpoint != st.base+accessSeveral {
			t.Errorf("%+v", found)
		}
	})
	t.Run("only who may evaluate asks", func(t *testing.T) {
		for _, path := range []string{accessOne, accessSeveral} {
			client{base: st.base}.call(t, http.MethodPost, path, paymentOf(observed.id)).fault(t, 401)
		}
	})
	t.Run("observed, it is always true", func(t *testing.T) {
		said := as[rest.AccessEvaluationRsp](t, observed.call(t, http.MethodPost, accessOne, observed.knows(paymentOf(observed.id), 85)))
		r := said.Context.Keyward
		if !said.Decision || r == nil || r.Action != rest.RiskActionChallenge || r.Enforced || *said.Context.ID != r.DecisionID {
			t.Errorf("%+v", said)
		}
	})
	t.Run("bound, a challenge is false until its step-up is passed", func(t *testing.T) {
		said := as[rest.AccessEvaluationRsp](t, bound.call(t, http.MethodPost, accessOne, bound.knows(paymentOf(bound.id), 99)))
		r := said.Context.Keyward
		if said.Decision || r == nil || !r.Enforced || r.StepUp == nil || r.StepUp.ID == nil || !slices.Contains(codes(*r), "external-score") ||
			!strings.HasPrefix(said.Context.ReasonAdmin.En, "challenge, high: ") {
			t.Fatalf("%+v", said)
		}
		as[rest.PasskeyLoginFinishRsp](t, bound.prove(t, *r.StepUp.ID, origin))
		had := as[rest.StepUpRedeemRsp](t, bound.call(t, http.MethodPost, "/v2/risk/stepUps/"+*r.StepUp.ID+"/redeem", nil))
		if had.Evaluation == nil || had.Evaluation.DecisionID != *said.Context.ID {
			t.Errorf("%+v", had)
		}
	})
	t.Run("several are judged in their order", func(t *testing.T) { judgedSeveral(t, bound) })
	t.Run("what the policy does not declare is named as AuthZEN has it", func(t *testing.T) {
		todo := paymentOf(bound.id)
		todo["action"] = map[string]any{"name": "can_read_todos"}
		e := bound.call(t, http.MethodPost, accessOne, todo).fault(t, 400)
		if said := field(e, "action.name"); !strings.Contains(said, "the policy knows") {
			t.Errorf("%+v", e.Error.Validation)
		}
		e = bound.call(t, http.MethodPost, accessOne, bound.knows(paymentOf(bound.id), 101)).fault(t, 400)
		if said := field(e, "context.context.externalScore"); !strings.Contains(said, "from 0 to 100") {
			t.Errorf("%+v", e.Error.Validation)
		}
	})
}

// judgedSeveral asks as the OpenID interop scenario of the todo list does: one subject, and a list of what it wants to do.
func judgedSeveral(t *testing.T, p *person) {
	asked := map[string]any{
		"subject": map[string]any{"type": "user", "id": p.id},
		"context": map[string]any{"clientInformation": mac(p.handle)},
		"evaluations": []any{
			map[string]any{"action": map[string]any{"name": "export-data"}, "resource": map[string]any{"type": "todo", "id": "1"}},
			map[string]any{"action": map[string]any{"name": "can_update_todo"}, "resource": map[string]any{"type": "todo", "id": "1"}},
			map[string]any{"action": map[string]any{"name": "export-data"}, "resource": map[string]any{"type": "todo", "id": "2"}},
		},
	}
	ask := func() []rest.AccessEvaluationRsp {
		t.Helper()
		said := as[rest.AccessEvaluationsRsp](t, p.call(t, http.MethodPost, accessSeveral, asked))
		if said.Evaluations == nil || said.Decision != nil {
			t.Fatalf("%+v", said)
		}
		return *said.Evaluations
	}
	all := ask()
	if len(all) != 3 || !all[0].Decision || all[1].Decision || !all[2].Decision {
		t.Fatalf("%+v", all)
	}
	if e := all[1].Context.Error; e == nil || e.Status != 400 || !strings.HasPrefix(e.Message, "action.name: the policy knows") {
		t.Errorf("%+v", e)
	}
	if *all[0].Context.ID == *all[2].Context.ID {
		t.Error("two evaluations are one decision")
	}
	asked["options"] = map[string]any{"evaluations_semantic": "deny_on_first_deny"}
	if all := ask(); len(all) != 2 {
		t.Errorf("after a denial: %+v", all)
	}
	asked["options"] = map[string]any{"evaluations_semantic": "permit_on_first_permit"}
	if all := ask(); len(all) != 1 {
		t.Errorf("after a permission: %+v", all)
	}
}
