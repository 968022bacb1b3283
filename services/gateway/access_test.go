package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/servicetest"
)

const (
	accessOne     = "/access/v1/evaluation"
	accessSeveral = "/access/v1/evaluations"
)

// judgedBy has the service judge every action as its name says; where it binds, what is not its name.
func judgedBy(s *server, enforced bool) {
	servicetest.Answer(s.services, service.Ceremony.EvaluateRisk, func(
		q service.ForProject[service.RiskEvaluation],
	) service.Judged[service.Empty] {
		r := &service.Risk{Action: service.RiskAction(q.Body.Action), Level: service.RiskHigh, Enforced: enforced, Reasons: []service.RiskReason{
			{Code: "bot", Severity: 2, Title: "The client says that it is a program"}, {Code: "new-network", Severity: 1, Title: "A new network"},
		}}
		return service.Judged[service.Empty]{Decided: service.Decided{Decision: "dec-7", PolicyRevision: "rev-a"}, Risk: r}
	})
}

func TestAnAccessEvaluationBecomesAnEvaluationOfRisk(t *testing.T) {
	t.Parallel()
	const said = `"context":{"clientInformation":{"remoteAddress":"192.0.2.7","userAgent":"curl"},"context":{"amountMinor":4990},"time":"now"}`
	for name, c := range map[string]struct {
		body string
		want service.RiskEvaluation
	}{
		"all that there is": {
			`{"subject":{"type":"user","id":"usr-1"},"action":{"name":"payment"},"resource":{"type":"account","id":"0815"},` + said + `}`,
			service.RiskEvaluation{
				User: "usr-1", Action: "payment", Resource: &service.Resource{Type: "account", ID: "0815"},
				Client: rest.ClientInformation{RemoteAddress: "192.0.2.7", UserAgent: "curl"}, Context: json.RawMessage(`{"amountMinor":4990}`),
			},
		},
		// As the OpenID interop scenario of the todo list asks.
		"a name for an ID, and properties": {
			`{"subject":{"type":"user","id":"rick@the-citadel.com","properties":{"roles":["admin"]}},"action":{"name":"can_update_todo",` +
				`"properties":{}},"resource":{"type":"todo","id":"7240d0db","properties":{"ownerID":"rick@the-citadel.com"}}}`,
			service.RiskEvaluation{
				Identifier: "rick@the-citadel.com", Action: "can_update_todo", Resource: &service.Resource{Type: "todo", ID: "7240d0db"},
			},
		},
		"an ID of somebody else's making": {
			`{"subject":{"type":"user","id":"CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs"},` +
				`"action":{"name":"can_read_user"},"resource":{"type":"user","id":"beth@the-smiths.com"},"context":{}}`,
			service.RiskEvaluation{
				Identifier: "CiRmZDA2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs", Action: "can_read_user",
				Resource: &service.Resource{Type: "user", ID: "beth@the-smiths.com"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, setup{})
			for _, path := range []string{accessOne, accessSeveral} {
				before := len(s.services.Calls())
				a := s.call("POST", path, c.body, map[string]string{"X-Request-ID": "bfe9eb29-ab87-4ca3-be83-a1d5d8305716"})
				if a.status != 200 || a.header.Get("X-Request-ID") != "bfe9eb29-ab87-4ca3-be83-a1d5d8305716" {
					t.Fatalf("%s: status %d, %v: %s", path, a.status, a.header, a.body)
				}
				calls := s.services.Calls()[before:]
				if len(calls) != 1 {
					t.Fatalf("%s: %+v", path, calls)
				}
				want := service.ForProject[service.RiskEvaluation]{Project: "pro-1", Body: c.want}
				if d := cmp.Diff(want, calls[0].Request); d != "" {
					t.Errorf("%s: %s", path, d)
				}
			}
		})
	}
}

func TestADecisionIsFalseOfAChallengeAndADenialThatBind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		enforced bool
		want     map[string]bool
		reason   string
	}{
		"bound":    {true, map[string]bool{"allow": true, "review": true, "challenge": false, "deny": false}, ", high: "},
		"observed": {false, map[string]bool{"allow": true, "review": true, "challenge": true, "deny": true}, ", high, only observed: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, setup{})
			judgedBy(s, c.enforced)
			for action, want := range c.want {
				a := s.call("POST", accessOne, `{"subject":{"type":"user","id":"usr-1"},"action":{"name":"`+action+
					`"},"resource":{"type":"t","id":"1"}}`, nil)
				var said rest.AccessEvaluationRsp
				if err := json.Unmarshal(a.body, &said); err != nil || said.Context.ID == nil || said.Context.Keyward == nil {
					t.Fatalf("%v: %s", err, a.body)
				}
				if said.Decision != want || *said.Context.ID != "dec-7" || said.Context.Keyward.Enforced != c.enforced || said.Context.Error != nil ||
					a.header.Get("X-Keyward-Decision-ID") != "dec-7" || !strings.HasPrefix(a.header.Get("X-Keyward-Risk"), action+";level=high") {
					t.Errorf("%s: %v, %s", action, a.header, a.body)
				}
				if got := said.Context.ReasonAdmin.En; got != action+c.reason+"The client says that it is a program; A new network" {
					t.Errorf("%s: %s", action, got)
				}
			}
		})
	}
}

func TestSeveralEvaluationsEndAsTheirSemanticSays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ options, want string }{
		"without a word, all":             {`{}`, "true false false true"},
		"all":                             {`{"evaluations_semantic":"execute_all","other":1}`, "true false false true"},
		"up to the first that is denied":  {`{"evaluations_semantic":"deny_on_first_deny"}`, "true false"},
		"up to the first that is allowed": {`{"evaluations_semantic":"permit_on_first_permit"}`, "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, setup{})
			judgedBy(s, true)
			a := s.call("POST", accessSeveral, `{"subject":{"type":"user","id":"usr-1"},"action":{"name":"deny"},"resource":{"type":"t","id":"1"},
				"evaluations":[{"action":{"name":"allow"}},{},{"action":{"name":"challenge"}},
				{"action":{"name":"review"},"resource":{"type":"t","id":"2"}}],
				"options":`+c.options+`}`, nil)
			var said rest.AccessEvaluationsRsp
			if err := json.Unmarshal(a.body, &said); err != nil || said.Evaluations == nil || said.Decision != nil {
				t.Fatalf("%v: %s", err, a.body)
			}
			var got []string
			for _, one := range *said.Evaluations {
				got = append(got, map[bool]string{true: "true", false: "false"}[one.Decision])
			}
			if strings.Join(got, " ") != c.want || len(s.services.Calls()) != len(got) {
				t.Errorf("%v after %d calls", got, len(s.services.Calls()))
			}
			if told := a.header.Get("X-Keyward-Decision-ID"); told != "" {
				t.Errorf("one decision is named in the header: %s", told)
			}
		})
	}
}

func TestWhatWasAskedWronglyIsTheAnswerOfItsEvaluation(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	calls := 0
	s.services.Before(func(context.Context, string) error {
		if calls++; calls == 1 {
			return fault.Fields(
				fault.FieldError{Field: "action", Message: "is not known"}, fault.FieldError{Field: "context.amount", Message: "neither"},
			)
		}
		return nil
	})
	a := s.call("POST", accessSeveral, `{"subject":{"type":"user","id":"usr-1"},"resource":{"type":"t","id":"1"},
		"evaluations":[{"action":{"name":"x"}},{},
		{"action":{"name":"x"},"subject":{"type":"group","id":"1"}},{"action":{"name":"payment"}}]}`, nil)
	var said rest.AccessEvaluationsRsp
	if err := json.Unmarshal(a.body, &said); err != nil || said.Evaluations == nil || len(*said.Evaluations) != 4 {
		t.Fatalf("%v: %s", err, a.body)
	}
	for i, want := range []string{
		"action.name: is not known; context.context.amount: neither", "action: cannot be blank", "subject.type: must be user",
	} {
		one := (*said.Evaluations)[i]
		wrong := one.Context.Error
		if one.Decision || one.Context.ID != nil || wrong == nil || wrong.Status != 400 || wrong.Message != want {
			t.Errorf("%d: %s", i, a.body)
		}
	}
	if last := (*said.Evaluations)[3]; !last.Decision || last.Context.Error != nil {
		t.Errorf("the last: %s", a.body)
	}
}

func TestAFailureOfTheServerIsNoDenial(t *testing.T) {
	t.Parallel()
	for status, failure := range map[int]error{503: fault.Unavailable(time.Second, "away"), 500: errors.New("broken")} {
		s := serve(t, setup{})
		calls := 0
		s.services.Before(func(context.Context, string) error {
			if calls++; calls == 2 {
				return failure
			}
			return nil
		})
		const one = `{"subject":{"type":"user","id":"usr-1"},"action":{"name":"payment"},"resource":{"type":"t","id":"1"}}`
		a := s.call("POST", accessSeveral, `{"evaluations":[`+one+`,`+one+`,`+one+`]}`, nil)
		if a.status != status || strings.Contains(string(a.body), "decision") || calls != 2 {
			t.Errorf("status %d after %d calls: %s", a.status, calls, a.body)
		}
	}
}

func TestAnAccessEvaluationThatDoesNotFitIsRefusedWithItsFields(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	long := strings.Repeat("x", 256)
	for name, c := range map[string]struct {
		path, body string
		want       map[string]string
	}{
		"nothing": {accessOne, `{}`, map[string]string{
			"subject": "cannot be blank", "action": "cannot be blank", "resource": "cannot be blank",
		}},
		"nothing, by the other door": {accessSeveral, `{"evaluations":[]}`, map[string]string{
			"subject": "cannot be blank", "action": "cannot be blank", "resource": "cannot be blank",
		}},
		"names that are too long": {
			accessOne, `{"subject":{"type":"user","id":"` + long + `"},"action":{"name":""},"resource":{"type":"t","id":"` + long + `"}}`,
			map[string]string{
				"subject.id": "must be at most 255 characters", "action.name": "cannot be blank", "resource.id": "must be at most 255 characters",
			},
		},
		"an address that is none": {
			accessOne, `{"subject":{"type":"user","id":"a"},"action":{"name":"a"},"resource":{"type":"t","id":"a"},` +
				`"context":{"clientInformation":{"remoteAddress":"home","userAgent":""}}}`,
			map[string]string{"context.clientInformation.remoteAddress": "must be an IP address, with or without a port"},
		},
		"somebody who is no user": {
			accessOne, `{"subject":{"type":"group","id":"a"},"action":{"name":"a"},"resource":{"type":"t","id":"a"}}`,
			map[string]string{"subject.type": "must be user"},
		},
		"too many": {
			accessSeveral, `{"evaluations":[{}` + strings.Repeat(`,{}`, 50) + `]}`, map[string]string{"evaluations": "must have at most 50 entries"},
		},
		"a semantic that nobody knows": {
			accessSeveral, `{"evaluations":[{}],"options":{"evaluations_semantic":"any"}}`,
			map[string]string{"options.evaluations_semantic": "must be one of execute_all, deny_on_first_deny, permit_on_first_permit"},
		},
	} {
		a := s.call("POST", c.path, c.body, nil)
		if d := cmp.Diff(c.want, a.fields()); a.status != 400 || d != "" {
			t.Errorf("%s: status %d %s", name, a.status, d)
		}
	}
	if calls := s.services.Calls(); len(calls) != 0 {
		t.Errorf("a service was called: %+v", calls)
	}
}

func TestTheEndpointsOfAuthZENAreAtTheHostThatWasCalled(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for host, want := range map[string]string{
		"keyward.example.com": "https://keyward.example.com", "keyward.example.com:8443": "https://keyward.example.com:8443",
		"localhost:8080": "http://localhost:8080", "a.localhost": "http://a.localhost", "127.0.0.1:1": "http://127.0.0.1:1",
		"[::1]:8080": "http://[::1]:8080", "192.0.2.7:8080": "https://192.0.2.7:8080", "notlocalhost": "https://notlocalhost",
	} {
		a := s.call("GET", "/.well-known/authzen-configuration", "", map[string]string{"Host": host, "Authorization": ""})
		want := `{"access_evaluation_endpoint":"` + want + accessOne + `","access_evaluations_endpoint":"` + want + accessSeveral +
			`","policy_decision_point":"` + want + `"}`
		if a.status != http.StatusOK || string(a.body) != want || a.header.Get("Cache-Control") != "private, max-age=300" {
			t.Errorf("%s: %d %s, kept %s", host, a.status, a.body, a.header.Get("Cache-Control"))
		}
	}
}
