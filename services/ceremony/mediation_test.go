package ceremony_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// known returns a user whose passkey the device holds, as a discoverable credential.
func known(t *testing.T, st *stack) (ident.UserID, *device, rest.PasskeyData) {
	t.Helper()
	user, d := st.user(t), phone()
	data := st.enroll(t, user, d)
	d.options.UserHandle = st.get(t, user).UserHandle
	return user, d, data
}

func TestAMediationFindsTheUser(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d, created := known(t, st)
	start := st.mediationStart(t, d)
	if !start.LoginAllow || strings.Contains(start.AssertionOptions, "allowCredentials") {
		t.Fatalf("answer: %+v", start)
	}
	if q := st.decision.last(); q.Account != nil || !q.Environment.Known || q.Process != process {
		t.Errorf("question: %+v", q)
	}
	rsp, err := st.mediationFinish(t, d, d.get(t, start.AssertionOptions))
	if err != nil {
		t.Fatal(err)
	}
	if rsp.Error != nil || rsp.PasskeyData.ID != created.ID || rsp.PasskeyData.UserID != string(user) {
		t.Errorf("answer: %+v", rsp)
	}
	want := []event.Event{{
		Project: st.project.ID, User: user, Type: event.LoginCompleted, CreatedMs: started.UnixMilli(), Process: process, Environment: st.get(t, user).Environments[0].ID,
		Credential: created.ID, Challenge: challengeIn(t, start.AssertionOptions), Ceremony: ident.ChallengeID(rsp.PasskeyData.ChallengeID), Route: event.Local,
		Client: &event.Client{Address: "127.0.0.1", OS: "macOS", Browser: "Safari"},
	}}
	if diff := cmp.Diff(want, st.events.ofType(event.LoginCompleted), cmpopts.IgnoreFields(event.Event{}, "ID")); diff != "" {
		t.Error(diff)
	}
	_, err = st.mediationFinish(t, d, d.get(t, start.AssertionOptions))
	wantField(t, err, 400, "assertionResponse", "the challenge has been used already")
}

func TestAMediationStartedWithoutAProcessIsFinishedInAny(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	_, d, _ := known(t, st)
	start, err := st.MediationStart(t.Context(), service.ForProject[rest.PasskeyMediationStartReq]{
		Project: st.project.ID, Body: rest.PasskeyMediationStartReq{ClientInformation: d.client()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.mediationFinish(t, d, d.get(t, start.Body.AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	if done := st.events.ofType(event.LoginCompleted); len(done) != 1 || done[0].Process != process {
		t.Errorf("events: %+v", done)
	}
}

func TestADeniedMediation(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	st.decision.mediation = func(_ service.Question, v *service.Verdict) { v.Allow = false }
	if rsp := st.mediationStart(t, phone()); rsp.LoginAllow || rsp.AssertionOptions != "" || rsp.NewClientEnvHandle == nil {
		t.Errorf("answer: %+v", rsp)
	}
	if len(st.events.all()) != 0 {
		t.Errorf("events: %+v", st.events.all())
	}
}

func TestADeletedPasskeyIsToldFromOneNobodyKnows(t *testing.T) {
	t.Parallel()
	deletedAnswer := rest.PasskeyMediationFinishRsp{
		PasskeyData: rest.PasskeyData{CeremonyType: rest.CeremonyTypeLocal},
		Error:       &rest.MediationError{Type: rest.MediationErrorTypeCredentialDeleted},
	}
	finish := func(t *testing.T, st *stack, d *device) (rest.PasskeyMediationFinishRsp, error) {
		return st.mediationFinish(t, d, d.get(t, st.mediationStart(t, d).AssertionOptions))
	}
	t.Run("deleted", func(t *testing.T) {
		t.Parallel()
		st := newStack(t)
		user, d, created := known(t, st)
		if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: ident.CredentialID(created.ID)}); err != nil {
			t.Fatal(err)
		}
		rsp, err := finish(t, st, d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(deletedAnswer, rsp); diff != "" {
			t.Error(diff)
		}
		if len(st.events.ofType(event.LoginCompleted)) != 0 {
			t.Error("a login was recorded")
		}
	})
	t.Run("deleted, but the index does not know yet", func(t *testing.T) {
		t.Parallel()
		b := openBuckets(t)
		index := &faulty{KeyValue: b.index}
		b.index = index
		st := newStackOn(t, b)
		user, d, created := known(t, st)
		index.failPuts(1)
		if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: ident.CredentialID(created.ID)}); err == nil {
			t.Fatal("an interrupted deletion was acknowledged")
		}
		rsp, err := finish(t, st, d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(deletedAnswer, rsp); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("never registered", func(t *testing.T) {
		t.Parallel()
		st := newStack(t)
		d := phone()
		d.options.UserHandle = []byte("somebody")
		_, err := finish(t, st, d)
		wantField(t, err, 400, "assertionResponse", "unknown credential")
	})
	t.Run("registered in another project", func(t *testing.T) {
		t.Parallel()
		_, d, _ := known(t, newStack(t))
		_, err := finish(t, newStack(t), d)
		wantField(t, err, 400, "assertionResponse", "unknown credential")
	})
	t.Run("of a user who was deleted", func(t *testing.T) {
		t.Parallel()
		st := newStack(t)
		user, d, _ := known(t, st)
		if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user}); err != nil {
			t.Fatal(err)
		}
		_, err := finish(t, st, d)
		wantField(t, err, 400, "assertionResponse", "unknown credential")
	})
}

func TestAMediationIsRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change  func(t *testing.T, st *stack, user ident.UserID, d *device, options string) (answer string)
		message string
	}{
		"without a user handle": {func(t *testing.T, _ *stack, _ ident.UserID, d *device, options string) string {
			d.options.UserHandle = nil
			return d.get(t, options)
		}, "the user handle is missing"},
		"with another user's handle": {func(t *testing.T, _ *stack, _ ident.UserID, d *device, options string) string {
			d.options.UserHandle = []byte("somebody")
			return d.get(t, options)
		}, "the user handle is another user's"},
		"with a tampered signature": {func(t *testing.T, _ *stack, _ ident.UserID, d *device, options string) string {
			return edit(t, d.get(t, options), func(_, response map[string]any) { flip(t, response, "signature", -1) })
		}, "the signature is invalid"},
		"with another origin": {func(t *testing.T, _ *stack, _ ident.UserID, d *device, options string) string {
			d.origin = "https://evil.example"
			return d.get(t, options)
		}, "the origin is not one of the project's"},
		"with a challenge that was given to a user": {func(t *testing.T, st *stack, user ident.UserID, d *device, _ string) string {
			return d.get(t, st.loginStart(t, user, d).AssertionOptions)
		}, "the challenge is unknown, or was not given to this user"},
		"after the challenge has expired": {func(t *testing.T, st *stack, _ ident.UserID, d *device, options string) string {
			st.clock.advance(5 * time.Minute)
			return d.get(t, options)
		}, "the challenge has expired"},
		"of a disabled user": {func(t *testing.T, st *stack, user ident.UserID, d *device, options string) string {
			disabled := rest.UserStatusDisabled
			if _, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{Project: st.project.ID, User: user, Body: rest.UserUpdateReq{Status: &disabled}}); err != nil {
				t.Fatal(err)
			}
			return d.get(t, options)
		}, "the user of the credential is not active"},
		"of something that is not JSON": {func(*testing.T, *stack, ident.UserID, *device, string) string { return "[]" }, "is not the JSON of a PublicKeyCredential"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user, d, _ := known(t, st)
			answer := c.change(t, st, user, d, st.mediationStart(t, d).AssertionOptions)
			_, err := st.mediationFinish(t, d, answer)
			wantField(t, err, 400, "assertionResponse", c.message)
			if len(st.events.ofType(event.LoginCompleted)) != 0 {
				t.Error("a login was recorded")
			}
		})
	}
}

func TestAMediationOfAnotherProcessIsRefused(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	_, d, _ := known(t, st)
	answer := d.get(t, st.mediationStart(t, d).AssertionOptions)
	_, err := st.MediationFinish(t.Context(), service.ForProject[rest.PasskeyMediationFinishReq]{Project: st.project.ID, Body: rest.PasskeyMediationFinishReq{
		ProcessID: "prc-2", AssertionResponse: answer, ClientInformation: d.client(),
	}})
	wantField(t, err, 400, "assertionResponse", "the challenge belongs to another process")
}

func TestAMediationIsFinishedOnce(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	_, d, _ := known(t, st)
	req := service.ForProject[rest.PasskeyMediationFinishReq]{Project: st.project.ID, Body: rest.PasskeyMediationFinishReq{
		ProcessID: process, AssertionResponse: d.get(t, st.mediationStart(t, d).AssertionOptions), ClientInformation: d.client(),
	}}
	var (
		succeeded atomic.Int32
		wait      sync.WaitGroup
	)
	for range 50 {
		wait.Go(func() {
			if _, err := st.MediationFinish(context.Background(), req); err == nil {
				succeeded.Add(1)
			}
		})
	}
	wait.Wait()
	if succeeded.Load() != 1 {
		t.Errorf("%d finishes succeeded", succeeded.Load())
	}
}
