package signin_test

import (
	"errors"
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// A page learns of no finish that the policy bars, or asks for more, why that is, and opens no step-up: its own login is the further proof.
func TestPagesAreToldNothingOfHowAFinishWasJudged(t *testing.T) {
	t.Parallel()
	for _, action := range []service.RiskAction{service.RiskChallenge, service.RiskDeny} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			st, d := ceremonytest.New(t), authenticator.Phone()
			user := member(t, st, d, emailOf(ceremonytest.Email))
			login, form := begin(t, st), begin(t, st, mediating)
			login.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
			creation := begin(t, st)
			creation.signUp(t, frontend.BlockTypePasskeyAppend, emailOf("grace@example.com"))
			before := sessionsOf(t, st, user)
			st.Decision.Mu.Lock()
			st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) {
				return service.Verdict{Decided: service.Decided{Decision: "dec-7", PolicyRevision: "rev-1"}, Rule: "R2", Risk: &service.Risk{
					Rule: "R2", Action: action, Level: service.RiskHigh, Enforced: true, StepUp: []service.StepUpMethod{service.StepUpCaller},
				}}, nil
			}
			st.Decision.Mu.Unlock()
			untold := func(what string, err error) {
				t.Helper()
				f := fault.As(err)
				if errors.Is(err, fault.TypeStepUpRequired) || errors.Is(err, fault.TypeRiskDenied) || f.Status != 400 {
					t.Errorf("%s: %v", what, err)
				}
			}
			signed := frontend.PasskeyFinishReq{SignedChallenge: d.Get(t, login.request(t).Challenge)}
			untold("a login", try(t, login, login.PasskeyLoginFinish, signed))
			signed.SignedChallenge = d.Get(t, *dataOf(t, form.body.Data.AsBlockLoginInit).ConditionalUIChallenge)
			do(t, form, form.PasskeyMediationFinish, signed, frontend.BlockTypeLoginInit)
			signed.SignedChallenge = authenticator.Phone().Create(t, creation.creation(t).Challenge)
			untold("a creation", try(t, creation, creation.PasskeyAppendFinish, signed))
			if n := sessionsOf(t, st, user); n != before {
				t.Errorf("%d sessions more", n-before)
			}
			if opened := st.Events.OfType(event.StepUpStarted); len(opened) != 0 {
				t.Errorf("opened %+v", opened)
			}
		})
	}
}

// Whoever tries names is seen whatever the names are of, and each name is one, however it is written.
func TestANameThatIsNoUsersIsCountedAsOneWhateverItIsOf(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	asked := make(chan *event.Sighted, 1)
	st.Decision.Mu.Lock()
	st.Decision.OnLogin = func(q service.LoginQuestion, _ *service.LoginVerdict) { asked <- q.Sighted }
	st.Decision.Mu.Unlock()
	as := func(value string, then frontend.BlockType) string {
		t.Helper()
		b := begin(t, st)
		typed := frontend.LoginInitReq{IdentifierValue: value, IsPhone: then == frontend.BlockTypePhoneVerify}
		do(t, b, b.LoginInit, typed, then)
		return (<-asked).User
	}
	seen := map[string]string{}
	for _, each := range []struct {
		name, value, again string
		then               frontend.BlockType
	}{
		{"an email address", "nobody@example.com", "Nobody@EXAMPLE.com", frontend.BlockTypeEmailVerify},
		{"a user name", "nobody", " nobody ", frontend.BlockTypeLoginInit},
		{"another", "somebody", "somebody", frontend.BlockTypeLoginInit},
		{"a phone number", "+4915112345678", "+4915112345678 ", frontend.BlockTypePhoneVerify},
		{"no form of any", "no/ body?", " no/ body?", frontend.BlockTypeLoginInit},
	} {
		counted := as(each.value, each.then)
		if other, twice := seen[counted]; counted == "" || twice {
			t.Errorf("%s is counted as %q, which is %s", each.name, counted, other)
		}
		seen[counted] = each.name
		if again := as(each.again, each.then); again != counted {
			t.Errorf("%s written %q is counted as %q, not %q", each.name, each.again, again, counted)
		}
	}
}
