package passkeys_test

import (
	"context"
	"errors"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// binding is a verdict that the policy enforces.
func binding(action service.RiskAction, methods ...service.StepUpMethod) service.Verdict {
	return service.Verdict{Decided: service.Decided{Decision: "dec-7", PolicyRevision: "rev-1"}, Rule: "R1", Risk: &service.Risk{
		Rule: "R1", Action: action, Level: service.RiskHigh, Enforced: true, StepUp: methods,
		Reasons: []service.RiskReason{{Code: "automation", Severity: 4, Title: "A program"}},
	}}
}

// TestNothingIsIssuedOfAFinishThatThePolicyDoesNotLetPass holds every way in to that.
func TestNothingIsIssuedOfAFinishThatThePolicyDoesNotLetPass(t *testing.T) {
	t.Parallel()
	type finish func(context.Context, *ceremonytest.Stack) (any, error)
	user := func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device) finish {
		id := st.NewUser(t)
		st.Enroll(t, id, d)
		answer := d.Get(t, st.BeginLogin(t, id, d).AssertionOptions)
		return func(ctx context.Context, st *ceremonytest.Stack) (any, error) {
			req := st.LoginFinishReq(id, d, answer)
			req.Body.SignPasskeyData = new(true)
			rsp, err := st.LoginFinish(ctx, req)
			return rsp.Body, err
		}
	}
	ways := map[string]func(*testing.T, *ceremonytest.Stack, *authenticator.Device) finish{
		"a login": user,
		"a mediation": func(t *testing.T, st *ceremonytest.Stack, _ *authenticator.Device) finish {
			_, d, _ := ceremonytest.Known(t, st)
			answer := d.Get(t, st.BeginMediation(t, d).AssertionOptions)
			return func(ctx context.Context, st *ceremonytest.Stack) (any, error) {
				rsp, err := st.MediationFinish(ctx, service.ForProject[rest.PasskeyMediationFinishReq]{
					Project: st.Project.ID, Body: rest.PasskeyMediationFinishReq{
						ProcessID: ceremonytest.Process, AssertionResponse: answer, ClientInformation: d.Client(), SignPasskeyData: new(true),
					},
				})
				return rsp.Body, err
			}
		},
		"a creation": func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device) finish {
			id := st.NewUser(t)
			answer := d.Create(t, st.BeginAppend(t, id, d).AttestationOptions)
			return func(_ context.Context, st *ceremonytest.Stack) (any, error) {
				data, err := st.FinishAppend(t, id, d, answer)
				if kept := st.Account(t, id).Credentials; len(kept) != 0 {
					t.Errorf("the passkey is kept: %+v", kept)
				}
				return rest.PasskeyAppendFinishRsp{PasskeyData: data}, err
			}
		},
	}
	for way, begin := range ways {
		for name, c := range map[string]struct {
			verdict service.Verdict
			want    fault.Type
		}{
			"denied":                      {binding(service.RiskDeny), fault.TypeRiskDenied},
			"challenged, with a way":      {binding(service.RiskChallenge, service.StepUpCaller), fault.TypeStepUpRequired},
			"challenged, without any way": {binding(service.RiskChallenge, service.StepUpEmailCode), fault.TypeRiskDenied},
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				st := ceremonytest.New(t)
				d := authenticator.Phone()
				end := begin(t, st, d)
				judging(st, c.verdict, nil)
				body, err := end(t.Context(), st)
				if !errors.Is(err, c.want) {
					t.Fatalf("got %v", err)
				}
				switch rsp := body.(type) {
				case rest.PasskeyLoginFinishRsp:
					if rsp.SignedPasskeyData != nil || rsp.PasskeyData.ID != "" {
						t.Errorf("issued %+v", rsp)
					}
				case rest.PasskeyMediationFinishRsp:
					if rsp.SignedPasskeyData != nil || rsp.PasskeyData.ID != "" {
						t.Errorf("issued %+v", rsp)
					}
				case rest.PasskeyAppendFinishRsp:
					if rsp.PasskeyData.ID != "" {
						t.Errorf("issued %+v", rsp)
					}
				}
				if done := st.Events.OfType(event.LoginCompleted); len(done) != 0 {
					t.Errorf("recorded %+v", done)
				}
				if refused := st.Events.OfType(event.LoginRefused); len(refused) != 0 {
					t.Errorf("a bar of the policy is evidence: %+v", refused)
				}
				if told := st.Events.OfType(event.RiskDecided); len(told) != 1 || told[0].Decision != "dec-7" || !told[0].Risk.Enforced {
					t.Errorf("subscribers are told %+v", told)
				}
				judged := service.JudgementOf(fault.As(err))
				waits := c.want == fault.TypeStepUpRequired
				if judged == nil || judged.Decision != "dec-7" || !judged.Risk.Enforced || (judged.Risk.Opened != nil) != waits {
					t.Errorf("told %+v", judged)
				}
			})
		}
	}
}

func TestAPageIsToldNoReasonOfALoginThatThePolicyDoesNotLetPass(t *testing.T) {
	t.Parallel()
	for _, action := range []service.RiskAction{service.RiskDeny, service.RiskChallenge} {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.Phone()
		st.Enroll(t, user, d)
		answer := d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
		judging(st, binding(action, service.StepUpCaller), nil)
		rsp, err := st.LoginFinish(reqctx.WithFrontend(t.Context()), st.LoginFinishReq(user, d, answer))
		if !errors.Is(err, fault.TypeValidationError) || rsp.Body.PasskeyData.ID != "" {
			t.Errorf("%s: %+v, %v", action, rsp, err)
		}
	}
}

func TestWhereThePolicyBindsItAloneJudgesASignatureCounter(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		verdict service.Verdict
		refused bool
	}{
		"it lets it pass":     {binding(service.RiskReview), false},
		"it is only told":     {reviewed(), true},
		"it does not let it":  {binding(service.RiskDeny), true},
		"there is no verdict": {service.Verdict{}, true},
	} {
		st := ceremonytest.New(t)
		user, d := st.NewUser(t), authenticator.Phone()
		st.Enroll(t, user, d)
		login := func(counter uint32) error {
			d.Key.Counter = counter
			_, err := st.FinishLogin(t, user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
			return err
		}
		if err := login(5); err != nil {
			t.Fatal(err)
		}
		judging(st, c.verdict, nil)
		err := login(3)
		if (err != nil) != c.refused {
			t.Errorf("%s: %v", name, err)
		}
		if told := st.Events.OfType(event.PasskeyCounterRegressed); len(told) != 1 {
			t.Errorf("%s: told %+v", name, told)
		}
		refused := st.Events.OfType(event.LoginRefused)
		told := len(refused) == 1 && refused[0].Refused.Step == "counter"
		if told != (c.refused && c.verdict.Risk.Binding() == service.RiskAllow) {
			t.Errorf("%s: the refusal is told as %+v", name, refused)
		}
		if judged := c.verdict.Risk != nil; err != nil && (service.JudgementOf(fault.As(err)) != nil) != judged {
			t.Errorf("%s: the error does not say how it was judged: %+v", name, err)
		}
	}
}
