package stepups_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
	"github.com/keyward/keyward/services/ceremony/internal/stepup"
)

// withheld is a login of a user, by the first passkey, of which the policy wants a further proof.
func withheld(t testing.TB, st *ceremonytest.Stack, user ident.UserID, methods ...service.StepUpMethod) risk.Withheld {
	t.Helper()
	a := st.Account(t, user)
	passkey, now := a.Credentials[0], st.Clock.Now().UnixMilli()
	r := challenge.Record{
		ID: ident.NewChallengeID(), Type: rest.PasskeyChallengeTypeAuthenticate, Project: st.Project.ID, User: user,
		Process: ceremonytest.Process, RPID: st.Project.RPID, Created: now, Expires: now + time.Minute.Milliseconds(),
	}
	return risk.Withheld{
		Project: st.Project.ID, Account: a, Process: r.Process, Record: r, Passkey: passkey,
		Verdict: service.Verdict{Decided: service.Decided{Decision: "dec-7"}, Risk: &service.Risk{
			Rule: "R2", Action: service.RiskChallenge, Level: service.RiskHigh, Enforced: true, StepUp: methods,
		}},
		Event: event.Event{
			ID: challenge.EventID(r.ID, event.LoginCompleted), Project: st.Project.ID, User: user, Type: event.LoginCompleted, CreatedMs: now,
			Process: r.Process, Credential: string(passkey.ID), Ceremony: r.ID, Route: event.Local, UV: new(true),
			Use: &event.Use{Counter: passkey.SignCount + 1}, Sighted: st.Project.Namer().Name(string(user), "env-7", "192.0.2.7"),
		},
		Data: rest.PasskeyData{
			ID: string(passkey.ID), UserID: string(user), Username: "ada", CeremonyType: rest.CeremonyTypeLocal, ChallengeID: string(r.ID),
		},
		Login: &risk.WithheldLogin{CredentialID: passkey.CredentialID, Signed: true},
	}
}

func withhold(t testing.TB, st *ceremonytest.Stack, w risk.Withheld) service.StepUp {
	t.Helper()
	opened, err := st.Withhold(t.Context(), w)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func redeem(t testing.TB, st *ceremonytest.Stack, svc service.StepUps, id ident.StepUpID) (rest.StepUpRedeemRsp, error) {
	t.Helper()
	return svc.RedeemStepUp(t.Context(), service.ForProject[ident.StepUpID]{Project: st.Project.ID, Body: id})
}

func report(
	t testing.TB, st *ceremonytest.Stack, svc service.StepUps, id ident.StepUpID, outcome rest.StepUpOutcomeOutcome,
) (rest.StepUpState, error) {
	t.Helper()
	return svc.ReportStepUp(t.Context(), service.ForProject[service.StepUpReport]{Project: st.Project.ID, Body: service.StepUpReport{
		ID: id, Outcome: rest.StepUpOutcome{Method: "totp", Outcome: outcome},
	}})
}

func wantOver(t testing.TB, what string, err error) {
	t.Helper()
	if !errors.Is(err, stepup.ErrUnknown) || !errors.Is(err, fault.TypeNotFound) || fault.As(err).Status != http.StatusNotFound {
		t.Errorf("%s: %v", what, err)
	}
}

// another returns one more instance of the service on the same stores.
func another(t testing.TB, st *ceremonytest.Stack) *ceremony.Service {
	t.Helper()
	deps := st.Deps(st.Buckets)
	deps.Metrics = prometheus.NewRegistry()
	svc, err := ceremony.New(ceremonytest.Config(), deps)
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

func TestAWithheldLoginIsHadOnceAfterTheProof(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, data := ceremonytest.Known(t, st)
	w := withheld(t, st, user, service.StepUpCaller, service.StepUpSMSCode)
	opened := withhold(t, st, w)
	want := service.StepUp{
		ID: ident.Seed(w.Record.ID).StepUpID(), Methods: []service.StepUpMethod{service.StepUpCaller},
		Expires: ceremonytest.Started.Add(10 * time.Minute),
	}
	if diff := cmp.Diff(want, opened); diff != "" {
		t.Error(diff)
	}
	_, err := redeem(t, st, st, opened.ID)
	if !errors.Is(err, fault.TypeStepUpRequired) || fault.As(err).Status != http.StatusForbidden {
		t.Errorf("before the proof: %v", err)
	}
	if done := st.Events.OfType(event.LoginCompleted); len(done) != 0 {
		t.Errorf("recorded before the proof: %+v", done)
	}
	state, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomePassed)
	if err != nil || state.Status != rest.StepUpStateStatusPassed || state.Method == nil || *state.Method != "totp" {
		t.Errorf("%+v, %v", state, err)
	}

	st.Clock.Advance(9 * time.Minute)
	elsewhere := another(t, st)
	rsp, err := redeem(t, st, elsewhere, opened.ID)
	if err != nil {
		t.Fatal(err)
	}
	if rsp.PasskeyData.ID != data.ID || rsp.PasskeyData.ChallengeID != string(w.Record.ID) || rsp.SignedPasskeyData == nil {
		t.Errorf("answered %+v", rsp)
	}
	if diff := cmp.Diff(&[]string{"pop", "totp", "mfa"}, rsp.PasskeyData.Amr); diff != "" {
		t.Error(diff)
	}
	claims := st.Verified(t, *rsp.SignedPasskeyData, string(st.Project.ID))
	if diff := cmp.Diff([]any{"pop", "totp", "mfa"}, claims["amr"]); diff != "" || claims["iat"] != float64(st.Clock.Now().Unix()) {
		t.Errorf("claims %v: %s", claims, diff)
	}
	if got := st.Verify(t, *rsp.SignedPasskeyData); got != rest.VerifySignedDataRspVerificationResultSuccess {
		t.Errorf("verified: %s", got)
	}
	if a := st.Account(t, user); a.Credentials[0].SignCount != w.Event.Use.Counter {
		t.Errorf("counter %d", a.Credentials[0].SignCount)
	}
	for _, svc := range []service.StepUps{st, elsewhere} {
		_, err := redeem(t, st, svc, opened.ID)
		wantOver(t, "once more", err)
		_, err = report(t, st, svc, opened.ID, rest.StepUpOutcomeOutcomePassed)
		wantOver(t, "reported afterwards", err)
	}
	st.WantTold(t, user, event.UserCreated, event.StepUpStarted, event.StepUpPassed)
	if done := st.Events.OfType(event.LoginCompleted); len(done) != 1 || done[0].CreatedMs != st.Clock.Now().UnixMilli() {
		t.Errorf("logins %+v", done)
	}
}

func TestOfAStepUpOfSomebodyElseNobodyIsToldWhatItIs(t *testing.T) {
	t.Parallel()
	st, other := ceremonytest.New(t), ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	bob, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, bob, d)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpCaller, service.StepUpPasskeyUV))
	_, err := redeem(t, other, other, opened.ID)
	wantOver(t, "of another project", err)
	_, err = report(t, other, other, opened.ID, rest.StepUpOutcomeOutcomePassed)
	wantOver(t, "reported by another project", err)
	for name, id := range map[string]string{"of another user": string(opened.ID), "of nobody": "stu-1", "malformed": "stu.>"} {
		req := st.LoginStartReq(bob, d)
		req.Body.StepUpID = &id
		_, err = st.LoginStart(t.Context(), req)
		wantOver(t, name, err)
	}
	st.Clock.Advance(10 * time.Minute)
	_, err = report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomePassed)
	wantOver(t, "expired", err)
}

func TestFiveFailuresEndAStepUp(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpCaller))
	for left := 4; left >= 0; left-- {
		state, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomeFailed)
		if err != nil || state.FailuresLeft != left || (state.Status == rest.StepUpStateStatusFailed) != (left == 0) {
			t.Errorf("%d left: %+v, %v", left, state, err)
		}
	}
	_, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomePassed)
	wantOver(t, "passed afterwards", err)
	_, err = redeem(t, st, st, opened.ID)
	wantOver(t, "redeemed afterwards", err)
	failed := st.Events.OfType(event.StepUpFailed)
	if len(failed) != 1 || failed[0].StepUp != opened.ID || failed[0].Method != "totp" {
		t.Fatalf("told %+v", failed)
	}
	// It counts for whom and where the ceremony was.
	if diff := cmp.Diff(st.Project.Namer().Name(string(user), "env-7", "192.0.2.7"), failed[0].Sighted); diff != "" {
		t.Error(diff)
	}
}

func TestThePolicySaysHowLongAStepUpLastsAndHowOftenItMayFail(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	asked := func() service.StepUp {
		w := withheld(t, st, user, service.StepUpCaller)
		w.Verdict.Risk.StepUpSeconds, w.Verdict.Risk.StepUpFailures = 90, 2
		return withhold(t, st, w)
	}
	failing, late := asked(), asked()
	for left := 1; left >= 0; left-- {
		if state, err := report(t, st, st, failing.ID, rest.StepUpOutcomeOutcomeFailed); err != nil || state.FailuresLeft != left {
			t.Errorf("%d left: %+v, %v", left, state, err)
		}
	}
	_, err := report(t, st, st, failing.ID, rest.StepUpOutcomeOutcomePassed)
	wantOver(t, "failed twice", err)
	if lasts := late.Expires.Sub(st.Clock.Now()); lasts <= 89*time.Second || lasts > 90*time.Second {
		t.Errorf("it lasts %s", lasts)
	}
	st.Clock.Advance(90 * time.Second)
	_, err = report(t, st, st, late.ID, rest.StepUpOutcomeOutcomePassed)
	wantOver(t, "after 90 seconds", err)
}

// The log is away when the last failure is to be told of: nobody passes meanwhile, and it is told in the end.
func TestAFailureThatCouldNotBeToldIsToldLater(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpCaller))
	for range 4 {
		if _, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomeFailed); err != nil {
			t.Fatal(err)
		}
	}
	st.Events.FailNext(3)
	if _, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomeFailed); !errors.Is(err, fault.TypeUnavailable) {
		t.Fatalf("%v", err)
	}
	_, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomePassed)
	wantOver(t, "passed meanwhile", err)
	if _, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomeFailed); err != nil {
		t.Errorf("said again: %v", err)
	}
	if failed := st.Events.OfType(event.StepUpFailed); len(failed) != 1 {
		t.Errorf("told %+v", failed)
	}
}

func TestOnlyMethodsThatTheUserCanDoAreOffered(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	all := service.StepUpMethods()
	for name, c := range map[string]struct {
		key    bool
		status account.IdentifierStatus
		want   []service.StepUpMethod
	}{
		"one passkey that is synchronised": {false, "", []service.StepUpMethod{service.StepUpPasskeyUV, service.StepUpCaller}},
		"a second passkey, on a security key": {
			true, "", []service.StepUpMethod{
				service.StepUpSecurityKey, service.StepUpOtherPasskey, service.StepUpPasskeyUV, service.StepUpCaller,
			},
		},
		"an address and a number that are verified": {
			false, account.IdentifierStatusVerified, []service.StepUpMethod{
				service.StepUpPasskeyUV, service.StepUpEmailCode, service.StepUpSMSCode, service.StepUpCaller,
			},
		},
		"an address and a number that nobody has yet": {
			false, account.IdentifierStatusPending, []service.StepUpMethod{service.StepUpPasskeyUV, service.StepUpCaller},
		},
	} {
		t.Run(name, func(t *testing.T) {
			user := st.NewUser(t)
			devices := []*authenticator.Device{authenticator.Phone()}
			if c.key {
				devices = append(devices, authenticator.SecurityKey())
			}
			for _, d := range devices {
				st.Enroll(t, user, d)
			}
			a := st.Account(t, user)
			if c.status != "" {
				a.Identifiers = []account.Identifier{
					{Type: account.IdentifierTypeEmail, Status: c.status}, {Type: account.IdentifierTypePhone, Status: c.status},
				}
			}
			w := withheld(t, st, user, all...)
			w.Account = a
			if diff := cmp.Diff(c.want, withhold(t, st, w).Methods); diff != "" {
				t.Error(diff)
			}
			w.Verdict.Risk.StepUp = []service.StepUpMethod{service.StepUpEmailCode}
			w.Account.Identifiers = nil
			w.Record.ID = ident.NewChallengeID()
			if _, err := st.Withhold(t.Context(), w); !errors.Is(err, risk.ErrNoStepUp) {
				t.Errorf("with nothing that the user can do: %v", err)
			}
		})
	}
}

func TestAFinishThatComesTwiceAtOnceHasOneStepUp(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	w := withheld(t, st, user, service.StepUpCaller)
	instances := []*ceremony.Service{st.Service, another(t, st), st.Service}
	opened := make([]service.StepUp, len(instances))
	var all sync.WaitGroup
	for i, svc := range instances {
		all.Go(func() {
			var err error
			if opened[i], err = svc.Withhold(t.Context(), w); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if slices.ContainsFunc(opened, func(u service.StepUp) bool { return u.ID != opened[0].ID }) {
		t.Errorf("opened %+v", opened)
	}
	started := st.Events.OfType(event.StepUpStarted)
	if len(started) != 1 || started[0].Decision != "dec-7" || started[0].Ceremony != w.Record.ID {
		t.Errorf("told %+v", started)
	}
	if _, err := report(t, st, st, opened[0].ID, rest.StepUpOutcomeOutcomePassed); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	had := 0
	for _, svc := range instances {
		all.Go(func() {
			_, err := redeem(t, st, svc, opened[0].ID)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				had++
				return
			}
			wantOver(t, "had by another", err)
		})
	}
	all.Wait()
	if done := st.Events.OfType(event.LoginCompleted); had != 1 || len(done) != 1 {
		t.Errorf("had %d times, %d logins", had, len(done))
	}
}

// creation is a passkey that was created and verified, and is not the user's yet.
func creation(t *testing.T, st *ceremonytest.Stack, user ident.UserID) risk.Withheld {
	t.Helper()
	w := withheld(t, st, user, service.StepUpCaller, service.StepUpOtherPasskey)
	w.Record.Type = rest.PasskeyChallengeTypeRegister
	id := w.Record.PasskeyID()
	w.Passkey = account.Credential{
		ID: id, CredentialID: []byte("another " + id), PublicKey: []byte{1}, RPID: st.Project.RPID, CreatedMs: st.Clock.Now().UnixMilli(),
	}
	w.Event = event.Event{
		ID: challenge.EventID(w.Record.ID, event.AppendCompleted), Project: st.Project.ID, User: user, Type: event.AppendCompleted,
		CreatedMs: w.Passkey.CreatedMs, Credential: string(id), Ceremony: w.Record.ID, Kind: event.KindDefault,
	}
	w.Login, w.Data.ID = nil, string(id)
	return w
}

func TestAPasskeyIsPendingUntilItsStepUpIsRedeemed(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, first := ceremonytest.Known(t, st)
	w := creation(t, st, user)
	opened := withhold(t, st, w)
	if diff := cmp.Diff([]service.StepUpMethod{service.StepUpCaller, service.StepUpOtherPasskey}, opened.Methods); diff != "" {
		t.Error(diff)
	}
	names := func() (all []string) {
		list, err := st.ListCredentials(t.Context(), service.ForUser[service.List]{
			Project: st.Project.ID, User: user, Body: service.List{Page: 1, PageSize: 10},
		})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range list.Credentials {
			all = append(all, c.ID)
		}
		return all
	}
	if diff := cmp.Diff([]string{first.ID}, names()); diff != "" {
		t.Errorf("before: %s", diff)
	}
	if _, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomePassed); err != nil {
		t.Fatal(err)
	}
	st.Events.FailNext(3) // the passkey is kept, and nobody is told: the call is made again
	if _, err := redeem(t, st, st, opened.ID); !errors.Is(err, fault.TypeUnavailable) {
		t.Fatalf("%v", err)
	}
	rsp, err := redeem(t, st, st, opened.ID)
	if err != nil || rsp.PasskeyData.ID != string(w.Passkey.ID) || rsp.SignedPasskeyData != nil {
		t.Fatalf("%+v, %v", rsp, err)
	}
	if diff := cmp.Diff([]string{first.ID, string(w.Passkey.ID)}, names()); diff != "" {
		t.Errorf("afterwards: %s", diff)
	}
	_, err = redeem(t, st, st, opened.ID)
	wantOver(t, "once more", err)
	if done := st.Events.OfType(event.AppendCompleted); len(done) != 2 {
		t.Errorf("told %+v", done)
	}
}

func TestAnErasedUserHasNoStepUps(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpCaller))
	if _, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomePassed); err != nil {
		t.Fatal(err)
	}
	if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
		t.Fatal(err)
	}
	_, err := redeem(t, st, st, opened.ID)
	wantOver(t, "after the erasure", err)
	st.WantNoTrace(t, user)
}

func TestWhoMayNotLogInAnyMoreDoesNotByAStepUp(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, data := ceremonytest.Known(t, st)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpCaller))
	if _, err := report(t, st, st, opened.ID, rest.StepUpOutcomeOutcomePassed); err != nil {
		t.Fatal(err)
	}
	ceremonytest.SetStatus(t, st, user, rest.UserStatusDisabled)
	if _, err := redeem(t, st, st, opened.ID); !errors.Is(err, account.ErrInactive) {
		t.Errorf("disabled: %v", err)
	}
	ceremonytest.SetStatus(t, st, user, rest.UserStatusActive)
	if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{
		Project: st.Project.ID, User: user, Body: ident.CredentialID(data.ID),
	}); err != nil {
		t.Fatal(err)
	}
	_, err := redeem(t, st, st, opened.ID)
	wantOver(t, "without the passkey", err)
}

func TestABadReportIsRefusedByField(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpPasskeyUV))
	const notByCaller = "the step-up is not passed by caller; its methods are passkey-uv"
	for name, c := range map[string]struct {
		said           rest.StepUpOutcome
		field, message string
	}{
		"without a method":           {rest.StepUpOutcome{Outcome: "passed"}, "method", "cannot be blank"},
		"without an outcome":         {rest.StepUpOutcome{Method: "totp"}, "outcome", "must be passed or failed"},
		"with an unknown outcome":    {rest.StepUpOutcome{Method: "totp", Outcome: "maybe"}, "outcome", "must be passed or failed"},
		"of a proof that is not its": {rest.StepUpOutcome{Method: "totp", Outcome: "passed"}, "method", notByCaller},
		"of a failure not its own":   {rest.StepUpOutcome{Method: "totp", Outcome: "failed"}, "method", notByCaller},
	} {
		_, err := st.ReportStepUp(t.Context(), service.ForProject[service.StepUpReport]{
			Project: st.Project.ID, Body: service.StepUpReport{ID: opened.ID, Outcome: c.said},
		})
		if err == nil {
			t.Errorf("%s: taken", name)
			continue
		}
		ceremonytest.WantField(t, err, http.StatusBadRequest, c.field, c.message)
	}
}

// Whatever is done in whatever order on whichever instance: nothing withheld leaves before the proof, after the time, after the fifth
// failure, or twice; and what is stored of it shows nothing of it.
func TestNothingWithheldLeavesBeforeTheProof(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	instances := []service.StepUps{st, another(t, st)}
	rapid.Check(t, func(rt *rapid.T) {
		w := withheld(t, st, user, service.StepUpCaller)
		w.Data.Username = "withheld name"
		opened := withhold(t, st, w)
		ends := st.Clock.Now().Add(10 * time.Minute)
		passed, over, failures := false, false, 0
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			svc := rapid.SampledFrom(instances).Draw(rt, "instance")
			st.Clock.Advance(time.Duration(rapid.IntRange(0, 90).Draw(rt, "seconds")) * time.Second)
			over = over || failures >= 5 || !st.Clock.Now().Before(ends)
			var err error
			switch what := rapid.SampledFrom([]string{"redeem", "pass", "fail", "fail"}).Draw(rt, "what"); what {
			case "redeem":
				var rsp rest.StepUpRedeemRsp
				rsp, err = redeem(t, st, svc, opened.ID)
				told := err == nil
				if told != (passed && !over) || told != (rsp.PasskeyData != nil) || told != (rsp.SignedPasskeyData != nil) {
					rt.Fatalf("passed: %t, over: %t, and it is %+v, %v", passed, over, rsp, err)
				}
				if err != nil && !over && !errors.Is(err, fault.TypeStepUpRequired) {
					rt.Fatalf("not passed: %v", err)
				}
				over = over || err == nil
				continue
			case "pass":
				_, err = report(t, st, svc, opened.ID, rest.StepUpOutcomeOutcomePassed)
				passed = passed || err == nil
			default:
				_, err = report(t, st, svc, opened.ID, rest.StepUpOutcomeOutcomeFailed)
				if err == nil && !passed {
					failures++
				}
			}
			if (err == nil) != !over || err != nil && !errors.Is(err, stepup.ErrUnknown) {
				rt.Fatalf("over: %t, and it is %v", over, err)
			}
			if stored, err := st.Buckets.StepUps.Get(t.Context(), fmt.Sprintf("%s.%s", st.Project.ID, opened.ID)); err == nil &&
				strings.Contains(string(stored.Value()), "withheld name") {
				rt.Fatal("what is withheld can be read in the bucket")
			}
		}
	})
}
