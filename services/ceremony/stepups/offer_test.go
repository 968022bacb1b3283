package stepups_test

import (
	"context"
	"errors"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// withholding has the policy bind, and withhold every offer to create a passkey; it would have the given tag.
func withholding(st *ceremonytest.Stack, tag rest.DecisionTag, methods ...service.StepUpMethod) {
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) {
		v.Decision, v.Withheld, v.Allow, v.Tag = ident.NewDecisionID(st.Clock.Now()), tag, false, rest.DecisionTagEnvBlacklisted
		v.Risk = &service.Risk{
			Rule: "R2", Action: service.RiskChallenge, Level: service.RiskHigh, Enforced: true, StepUp: methods,
		}
	}
}

// creating begins to create a passkey, with the ID of a step-up or without.
func creating(
	ctx context.Context, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, proof ident.StepUpID,
) (service.Judged[rest.PasskeyAppendStartRsp], error) {
	body := rest.PasskeyAppendStartReq{
		UserID: string(user), ProcessID: ceremonytest.Process, Username: "ada@example.com", ClientInformation: d.Client(),
	}
	if proof != "" {
		body.StepUpID = new(string(proof))
	}
	return st.AppendStart(ctx, service.ForProject[rest.PasskeyAppendStartReq]{Project: st.Project.ID, Body: body})
}

func wantNamed(t *testing.T, rsp service.Judged[rest.PasskeyAppendStartRsp], err error) ident.StepUpID {
	t.Helper()
	if err != nil || rsp.Body.AppendAllow || rsp.Body.AttestationOptions != "" || rsp.Risk == nil || rsp.Risk.Opened == nil ||
		rsp.Body.DecisionTag != rest.DecisionTagEnvBlacklisted {
		t.Fatalf("answered %+v %+v, %v", rsp.Body, rsp.Risk, err)
	}
	return rsp.Risk.Opened.ID
}

func TestAnOfferOfAPasskeyWaitsForItsProof(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	withholding(st, rest.DecisionTagProcessPkLoginNotOffered, service.StepUpCaller)
	rsp, err := creating(t.Context(), st, user, d, "")
	id := wantNamed(t, rsp, err)
	if started := st.Events.OfType(event.StepUpStarted); len(started) != 1 || started[0].StepUp != id || started[0].Decision != rsp.Decision {
		t.Errorf("told %+v", started)
	}
	rsp, err = creating(t.Context(), st, user, d, id)
	if again := wantNamed(t, rsp, err); again != id {
		t.Errorf("before the proof %s is named in the place of %s", again, id)
	}
	if _, err := redeem(t, st, st, id); !errors.Is(err, fault.TypeStepUpRequired) {
		t.Errorf("redeemed before the proof: %v", err)
	}
	if _, err := report(t, st, st, id, rest.StepUpOutcomeOutcomePassed); err != nil {
		t.Fatal(err)
	}
	for range 2 { // nothing was withheld that could be had twice
		had, err := redeem(t, st, st, id)
		if err != nil || had.Evaluation == nil || had.Evaluation.Action != "passkey-append" || had.PasskeyData != nil {
			t.Errorf("redeemed %+v, %v", had, err)
		}
	}
	if _, err := creating(t.Context(), st, st.NewUser(t), d, id); !errors.Is(err, fault.TypeNotFound) {
		t.Errorf("of somebody else's: %v", err)
	}
	challenging(st, service.StepUpCaller) // the finishes, too
	var answers [2]string
	var keys [2]*authenticator.Device
	for i := range keys {
		keys[i] = authenticator.SecurityKey()
		rsp, err := creating(t.Context(), st, user, keys[i], id)
		if err != nil || !rsp.Body.AppendAllow || rsp.Body.DecisionTag != rest.DecisionTagProcessPkLoginNotOffered {
			t.Fatalf("after the proof: %+v, %v", rsp.Body, err)
		}
		keys[i].Handle = *rsp.Body.NewClientEnvHandle
		answers[i] = keys[i].Create(t, rsp.Body.AttestationOptions)
	}
	if _, err := st.FinishAppend(t, user, keys[0], answers[0]); err != nil {
		t.Errorf("the proof was given, and is asked for again: %v", err)
	}
	_, err = st.FinishAppend(t, user, keys[1], answers[1])
	if second := wantWithheld(t, err); second == id {
		t.Error("one proof lets two passkeys pass")
	}
	_, err = creating(t.Context(), st, user, d, id)
	wantOver(t, "a proof that is used up", err)
}

func TestACallThatIsRepeatedOpensOneStepUp(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	withholding(st, rest.DecisionTagProcessPkLoginNotOffered, service.StepUpCaller)
	repeated := reqctx.WithSeed(t.Context(), "call")
	open := func(ctx context.Context) ident.StepUpID {
		rsp, err := creating(ctx, st, user, d, "")
		return wantNamed(t, rsp, err)
	}
	first := open(repeated)
	if again := open(repeated); again != first {
		t.Errorf("repeated: %s and %s", first, again)
	}
	if other := open(t.Context()); other == first {
		t.Error("another call has the same")
	}
}

func TestNoStepUpIsOpenedOfWhatIsNotOfferedAnyway(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		tag     rest.DecisionTag // of what is withheld
		methods []service.StepUpMethod
		ctx     func(context.Context) context.Context
		denied  bool
	}{
		"the policy would not offer it":      {"", []service.StepUpMethod{service.StepUpCaller}, nil, false},
		"the user can give none":             {"t", []service.StepUpMethod{service.StepUpSMSCode}, nil, true},
		"a page asks, which is told nothing": {"t", []service.StepUpMethod{service.StepUpCaller}, reqctx.WithFrontend, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d, _ := ceremonytest.Known(t, st)
			withholding(st, c.tag, c.methods...)
			ctx := t.Context()
			if c.ctx != nil {
				ctx = c.ctx(ctx)
			}
			rsp, err := creating(ctx, st, user, d, "")
			if err != nil || rsp.Body.AppendAllow || rsp.Risk.Opened != nil || len(st.Events.OfType(event.StepUpStarted)) != 0 {
				t.Errorf("answered %+v %+v, %v", rsp.Body, rsp.Risk, err)
			}
			if denied := rsp.Risk.Action == service.RiskDeny; denied != c.denied {
				t.Errorf("told %+v", rsp.Risk)
			}
		})
	}
}

func TestAProofOfSomethingElseIsNoneOfAnOffer(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	login := withhold(t, st, withheld(t, st, user, service.StepUpCaller)).ID
	if _, err := report(t, st, st, login, rest.StepUpOutcomeOutcomePassed); err != nil {
		t.Fatal(err)
	}
	withholding(st, rest.DecisionTagProcessPkLoginNotOffered, service.StepUpCaller)
	_, err := creating(t.Context(), st, user, d, login)
	wantOver(t, "a login's", err)
}
