package stepups_test

import (
	"encoding/json"
	"errors"
	"sync"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/place"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// challenging has the policy bind, and challenge every finish.
func challenging(st *ceremonytest.Stack, methods ...service.StepUpMethod) {
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) {
		return service.Verdict{Decided: service.Decided{Decision: "dec-7", PolicyRevision: "rev-1"}, Rule: "R2", Risk: &service.Risk{
			Rule: "R2", Action: service.RiskChallenge, Level: service.RiskHigh, Enforced: true, StepUp: methods,
		}}, nil
	}
}

// wantWithheld checks that a finish was refused until its step-up is passed, which it returns.
func wantWithheld(t *testing.T, err error) ident.StepUpID {
	t.Helper()
	if !errors.Is(err, fault.TypeStepUpRequired) {
		t.Fatalf("the finish ends with %v", err)
	}
	judged := service.JudgementOf(fault.As(err))
	if judged == nil || judged.Risk.Opened == nil || judged.Decision != "dec-7" {
		t.Fatalf("told of %+v", judged)
	}
	return judged.Risk.Opened.ID
}

// A finish by each way in: nothing of it is answered, recorded or kept before the step-up is redeemed, and all of it then.
func TestWhateverIsFinishedIsWithheldUntilTheStepUpIsRedeemed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		finish func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device) (any, error)
		ends   event.Type
		signed bool
	}{
		"a login": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device) (any, error) {
			req := st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
			req.Body.SignPasskeyData = new(true)
			rsp, err := st.LoginFinish(t.Context(), req)
			return rsp.Body, err
		}, event.LoginCompleted, true},
		"a mediation": {func(t *testing.T, st *ceremonytest.Stack, _ ident.UserID, d *authenticator.Device) (any, error) {
			rsp, err := st.FinishMediation(t, d, d.Get(t, st.BeginMediation(t, d).AssertionOptions))
			return rsp, err
		}, event.LoginCompleted, false},
		"a creation": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, _ *authenticator.Device) (any, error) {
			key := authenticator.SecurityKey()
			data, err := st.FinishAppend(t, user, key, key.Create(t, st.BeginAppend(t, user, key).AttestationOptions))
			return data, err
		}, event.AppendCompleted, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d, _ := ceremonytest.Known(t, st)
			before := len(st.Events.OfType(c.ends))
			passkeys := len(st.Account(t, user).Credentials)
			challenging(st, service.StepUpCaller)
			rsp, err := c.finish(t, st, user, d)
			id := wantWithheld(t, err)
			if raw, err := json.Marshal(rsp); err != nil || json.Valid(raw) && len(rspIDs(t, raw)) > 0 {
				t.Errorf("answered %s", raw)
			}
			if len(st.Events.OfType(c.ends)) != before || len(st.Account(t, user).Credentials) != passkeys {
				t.Error("recorded or kept before the proof")
			}
			if _, err := report(t, st, st, id, rest.StepUpOutcomeOutcomePassed); err != nil {
				t.Fatal(err)
			}
			had, err := redeem(t, st, another(t, st), id)
			if err != nil || had.PasskeyData.UserID != string(user) || (had.SignedPasskeyData != nil) != c.signed {
				t.Fatalf("redeemed %+v, %v", had, err)
			}
			done := st.Events.OfType(c.ends)
			if len(done) != before+1 || done[len(done)-1].Credential != had.PasskeyData.ID {
				t.Errorf("told %+v", done)
			}
			if c.ends == event.AppendCompleted && len(st.Account(t, user).Credentials) != passkeys+1 {
				t.Error("the passkey is not its user's")
			}
		})
	}
}

// rspIDs returns what an answer says of a passkey.
func rspIDs(t *testing.T, raw []byte) (ids []string) {
	t.Helper()
	var data struct {
		rest.PasskeyData
		Inner  rest.PasskeyData `json:"passkeyData"`
		Signed string           `json:"signedPasskeyData"`
	}
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{data.ID, data.UserID, data.Inner.ID, data.Inner.UserID, data.Signed} {
		if id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

func TestAnAnswerThatWasWithheldIsTakenOnce(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	challenging(st, service.StepUpCaller)
	req := st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
	var all sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		all.Go(func() { _, errs[i] = st.LoginFinish(t.Context(), req) })
	}
	all.Wait()
	opened := map[ident.StepUpID]bool{}
	for _, err := range errs {
		if !errors.Is(err, fault.TypeValidationError) { // used already
			opened[wantWithheld(t, err)] = true
		}
	}
	if len(opened) != 1 {
		t.Fatalf("step-ups %v of %v", opened, errs)
	}
	for id := range opened {
		for range 5 {
			if _, err := report(t, st, st, id, rest.StepUpOutcomeOutcomeFailed); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := st.LoginFinish(t.Context(), req); !errors.Is(err, fault.TypeValidationError) {
			t.Errorf("after five failures the same answer ends with %v", err)
		}
		_, err := redeem(t, st, st, id)
		wantOver(t, "after five failures", err)
	}
}

func TestALoginThatIsAProofIsStoppedByBarsAlone(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	challenging(st, service.StepUpPasskeyUV)
	_, err := st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)))
	id := wantWithheld(t, err)
	start, err := startFor(t, st, user, d, id)
	if err != nil {
		t.Fatal(err)
	}
	st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) {
		return service.Verdict{Decided: service.Decided{Decision: "dec-8"}, Risk: &service.Risk{
			Rule: "R1", Action: service.RiskDeny, Level: service.RiskHigh, Enforced: true,
		}}, nil
	}
	_, err = st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, d.Get(t, start.AssertionOptions)))
	if !errors.Is(err, fault.TypeRiskDenied) {
		t.Errorf("barred, it ends with %v", err)
	}
	if _, err := redeem(t, st, st, id); !errors.Is(err, fault.TypeStepUpRequired) {
		t.Errorf("redeemed after a proof that was barred: %v", err)
	}
	challenging(st, service.StepUpPasskeyUV)
	if start, err = startFor(t, st, user, d, id); err != nil {
		t.Fatal(err)
	}
	if _, err = st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, d.Get(t, start.AssertionOptions))); err != nil {
		t.Errorf("challenged, it ends with %v", err)
	}
	if _, err := redeem(t, st, st, id); err != nil {
		t.Error(err)
	}
}

func TestAPasskeyThatThePolicyExcludesProvesNothing(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, data := ceremonytest.Known(t, st)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpPasskeyUV))
	for name, c := range map[string]struct{ enforced, offered bool }{
		"where it binds":    {true, false},
		"where it does not": {false, true},
	} {
		st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) {
			v.Risk = &service.Risk{
				Rule: "R5", Action: service.RiskAllow, Level: service.RiskLow, Enforced: c.enforced,
				Exclude: []ident.CredentialID{ident.CredentialID(data.ID)},
			}
		}
		start, err := startFor(t, st, user, d, opened.ID)
		if err != nil || start.LoginAllow != c.offered || (start.AssertionOptions != "") != c.offered {
			t.Errorf("%s: %+v, %v", name, start, err)
		}
	}
}

func TestWhatIsRedeemedLivesNoLongerThanThePolicyObliged(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) {
		return service.Verdict{Decided: service.Decided{Decision: "dec-7", PolicyRevision: "rev-1"}, Rule: "R2", Risk: &service.Risk{
			Rule: "R2", Action: service.RiskChallenge, Level: service.RiskHigh, Enforced: true, StepUp: []service.StepUpMethod{service.StepUpCaller},
			Obligations: service.Obligations{MaxSessionSeconds: 60},
		}}, nil
	}
	req := st.LoginFinishReq(user, d, d.Get(t, st.BeginLogin(t, user, d).AssertionOptions))
	req.Body.SignPasskeyData = new(true)
	_, err := st.LoginFinish(t.Context(), req)
	id := wantWithheld(t, err)
	if _, err := report(t, st, st, id, rest.StepUpOutcomeOutcomePassed); err != nil {
		t.Fatal(err)
	}
	had, err := redeem(t, st, another(t, st), id)
	if err != nil || had.SignedPasskeyData == nil {
		t.Fatalf("redeemed %+v, %v", had, err)
	}
	claims := st.Verified(t, *had.SignedPasskeyData, string(st.Project.ID))
	if claims["exp"] != float64(st.Clock.Now().Unix()+60) || claims["maxSessionSeconds"] != float64(60) {
		t.Errorf("signed %v", claims)
	}
}

// TestARedeemedCeremonyTellsWhatItHasShown holds a redemption to what a finish tells that was let pass.
func TestARedeemedCeremonyTellsWhatItHasShown(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	at := place.Place{Country: "BR", ASN: 64510}
	st.Decision.Mu.Lock()
	st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) {
		return service.Verdict{Decided: service.Decided{Decision: "dec-7"}, NewCountry: true, Place: at, Risk: &service.Risk{
			Rule: "R2", Action: service.RiskChallenge, Level: service.RiskHigh, Enforced: true, StepUp: []service.StepUpMethod{service.StepUpCaller},
		}}, nil
	}
	st.Decision.Mu.Unlock()
	d.Options.BackupState = !d.Options.BackupState
	other := authenticator.Phone()
	other.Key, other.Options = d.Key, d.Options
	start := st.BeginLogin(t, user, other)
	other.Handle = *start.NewClientEnvHandle
	_, err := st.FinishLogin(t, user, other, other.Get(t, start.AssertionOptions))
	login := wantWithheld(t, err)
	key := authenticator.SecurityKey()
	_, err = st.FinishAppend(t, user, key, key.Create(t, st.BeginAppend(t, user, key).AttestationOptions))
	creation := wantWithheld(t, err)
	shown := []event.Type{event.NewEnvironment, event.NewCountry, event.BackupStateChanged}
	for _, kind := range shown {
		if told := st.Events.OfType(kind); len(told) != 0 {
			t.Errorf("before the proof: %+v", told)
		}
	}
	for i, id := range []ident.StepUpID{login, creation} {
		if _, err := report(t, st, st, id, rest.StepUpOutcomeOutcomePassed); err != nil {
			t.Fatal(err)
		}
		if _, err := redeem(t, st, st, id); err != nil {
			t.Fatal(err)
		}
		for _, kind := range shown {
			want := 1
			if kind == event.NewCountry {
				want += i // of the login and of the creation
			}
			told := st.Events.OfType(kind)
			if len(told) != want || told[0].Ceremony == "" || told[0].Credential == "" || told[0].Client == nil {
				t.Errorf("redeemed %d, %s: %+v", i, kind, told)
			}
		}
	}
	if told := st.Events.OfType(event.NewCountry); told[0].Origin == nil || told[0].Origin.Country != "BR" || told[0].ID == told[1].ID {
		t.Errorf("of the country: %+v", told)
	}
}
