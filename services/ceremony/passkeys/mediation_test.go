package passkeys_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

func TestAMediationFindsTheUser(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, created := ceremonytest.Known(t, st)
	start := st.BeginMediation(t, d)
	if !start.LoginAllow || strings.Contains(start.AssertionOptions, "allowCredentials") {
		t.Fatalf("answer: %+v", start)
	}
	if q := st.Decision.Last(); q.Account != nil || !q.Environment.Known || q.Process != ceremonytest.Process {
		t.Errorf("question: %+v", q)
	}
	rsp, err := st.FinishMediation(t, d, d.Get(t, start.AssertionOptions))
	if err != nil {
		t.Fatal(err)
	}
	if rsp.Error != nil || rsp.PasskeyData.ID != created.ID || rsp.PasskeyData.UserID != string(user) {
		t.Errorf("answer: %+v", rsp)
	}
	want := []event.Event{
		{
			Project:     st.Project.ID,
			User:        user,
			Type:        event.LoginCompleted,
			CreatedMs:   ceremonytest.Started.UnixMilli(),
			Process:     ceremonytest.Process,
			Environment: st.Account(t, user).Environments[0].ID,
			Credential:  created.ID,
			Challenge:   authenticator.ChallengeIn(t, start.AssertionOptions),
			Ceremony:    ident.ChallengeID(rsp.PasskeyData.ChallengeID),
			Route:       event.Local,
			Client:      &event.Client{Address: "127.0.0.0", OS: "macOS", Browser: "Safari"},
			Origin:      &event.Origin{Address: "127.0.0.0", Network: "127.0.0.0/24"},
			UV:          new(true),
			Use:         &event.Use{BackedUp: true, After: new(uint64), Seen: &event.Seen{Same: true}},
			Sighted:     st.Project.Namer().Name(string(user), st.Account(t, user).Environments[0].ID, "127.0.0.1"),
		},
	}
	if diff := cmp.Diff(want, st.Events.OfType(event.LoginCompleted), cmpopts.IgnoreFields(event.Event{}, "ID")); diff != "" {
		t.Error(diff)
	}
	_, err = st.FinishMediation(t, d, d.Get(t, start.AssertionOptions))
	ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge has been used already")
}

func TestAMediationStartedWithoutAProcessIsFinishedInAny(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	_, d, _ := ceremonytest.Known(t, st)
	start, err := st.MediationStart(t.Context(), service.ForProject[rest.PasskeyMediationStartReq]{
		Project: st.Project.ID, Body: rest.PasskeyMediationStartReq{ClientInformation: d.Client()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := st.FinishMediation(t, d, d.Get(t, start.Body.AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	if done := st.Events.OfType(event.LoginCompleted); len(done) != 1 || done[0].Process != ceremonytest.Process {
		t.Errorf("events: %+v", done)
	}
}

func TestADeniedMediation(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	st.Decision.OnMediation = func(_ service.Question, v *service.Verdict) { v.Allow = false }
	if rsp := st.BeginMediation(t, authenticator.Phone()); rsp.LoginAllow || rsp.AssertionOptions != "" || rsp.NewClientEnvHandle == nil {
		t.Errorf("answer: %+v", rsp)
	}
	if len(st.Events.All()) != 0 {
		t.Errorf("events: %+v", st.Events.All())
	}
}

func TestADeletedPasskeyIsToldFromOneNobodyKnows(t *testing.T) {
	t.Parallel()
	deletedAnswer := rest.PasskeyMediationFinishRsp{
		PasskeyData: rest.PasskeyData{CeremonyType: rest.CeremonyTypeLocal},
		Error:       &rest.MediationError{Type: rest.MediationErrorTypeCredentialDeleted},
	}
	finish := func(t *testing.T, st *ceremonytest.Stack, d *authenticator.Device) (rest.PasskeyMediationFinishRsp, error) {
		return st.FinishMediation(t, d, d.Get(t, st.BeginMediation(t, d).AssertionOptions))
	}
	t.Run("deleted", func(t *testing.T) {
		t.Parallel()
		st := ceremonytest.New(t)
		user, d, created := ceremonytest.Known(t, st)
		if _, err := st.DeleteCredential(
			t.Context(),
			service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(created.ID)},
		); err != nil {
			t.Fatal(err)
		}
		rsp, err := finish(t, st, d)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(deletedAnswer, rsp); diff != "" {
			t.Error(diff)
		}
		if len(st.Events.OfType(event.LoginCompleted)) != 0 {
			t.Error("a login was recorded")
		}
	})
	t.Run("deleted, but the index does not know yet", func(t *testing.T) {
		t.Parallel()
		b := ceremonytest.OpenBuckets(t)
		index := &faulty.Bucket{KeyValue: b.Index}
		b.Index = index
		st := ceremonytest.NewOn(t, b)
		user, d, created := ceremonytest.Known(t, st)
		index.FailPuts(1)
		if _, err := st.DeleteCredential(
			t.Context(),
			service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(created.ID)},
		); err == nil {
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
	for name, c := range map[string]struct {
		change func(owner, here *project.Project)
		told   bool
	}{
		"of another project that lets itself be named": {func(owner, _ *project.Project) { owner.Frontend.NamedToOthers = true }, true},
		"of another project that does not":             {func(_, here *project.Project) { here.Frontend.NamedToOthers = true }, false},
		"of another project of another RP ID, by whose name nobody is led": {func(owner, here *project.Project) {
			owner.Frontend.NamedToOthers, owner.RPID = true, "other.example"
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			_, d, _ := ceremonytest.Known(t, st)
			owner, here := st.Project, st.Project
			owner.Name, here.ID = "Shop", ident.NewProjectID()
			c.change(&owner, &here)
			st.Projects.Set(owner)
			st.Projects.Set(here)
			st.Project = here
			rsp, err := finish(t, st, d)
			if !c.told {
				ceremonytest.WantField(t, err, 400, "assertionResponse", "unknown credential")
				return
			}
			if err != nil || rsp.Error == nil || rsp.Error.Type != rest.MediationErrorTypeAlternativeProjectID ||
				*rsp.Error.AlternativeProjectName != "Shop" {
				t.Errorf("answered %+v, %v", rsp, err)
			}
		})
	}
	t.Run("never registered", func(t *testing.T) {
		t.Parallel()
		st := ceremonytest.New(t)
		d := authenticator.Phone()
		d.Options.UserHandle = []byte("somebody")
		_, err := finish(t, st, d)
		ceremonytest.WantField(t, err, 400, "assertionResponse", "unknown credential")
		if !errors.Is(err, fault.TypeUnknownCredential) {
			t.Errorf("clients cannot tell it by its type: %v", err)
		}
	})
	t.Run("registered in another project", func(t *testing.T) {
		t.Parallel()
		_, d, _ := ceremonytest.Known(t, ceremonytest.New(t))
		_, err := finish(t, ceremonytest.New(t), d)
		ceremonytest.WantField(t, err, 400, "assertionResponse", "unknown credential")
		if !errors.Is(err, fault.TypeUnknownCredential) {
			t.Errorf("clients cannot tell it by its type: %v", err)
		}
	})
	t.Run("of a user who was deleted", func(t *testing.T) {
		t.Parallel()
		st := ceremonytest.New(t)
		user, d, _ := ceremonytest.Known(t, st)
		if _, err := st.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user}); err != nil {
			t.Fatal(err)
		}
		_, err := finish(t, st, d)
		ceremonytest.WantField(t, err, 400, "assertionResponse", "unknown credential")
		if !errors.Is(err, fault.TypeUnknownCredential) {
			t.Errorf("clients cannot tell it by its type: %v", err)
		}
	})
}

func TestAMediationIsRefused(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		change  func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, options string) (answer string)
		message string
	}{
		"without a user handle": {func(t *testing.T, _ *ceremonytest.Stack, _ ident.UserID, d *authenticator.Device, options string) string {
			d.Options.UserHandle = nil
			return d.Get(t, options)
		}, "the user handle is missing"},
		"with another user's handle": {func(t *testing.T, _ *ceremonytest.Stack, _ ident.UserID, d *authenticator.Device, options string) string {
			d.Options.UserHandle = []byte("somebody")
			return d.Get(t, options)
		}, "the user handle is another user's"},
		"with a tampered signature": {func(t *testing.T, _ *ceremonytest.Stack, _ ident.UserID, d *authenticator.Device, options string) string {
			return authenticator.Edit(t, d.Get(t, options), func(_, response map[string]any) { authenticator.Flip(t, response, "signature", -1) })
		}, "the signature is invalid"},
		"with another origin": {func(t *testing.T, _ *ceremonytest.Stack, _ ident.UserID, d *authenticator.Device, options string) string {
			d.Origin = "https://evil.example"
			return d.Get(t, options)
		}, "the origin is not one of the project's"},
		"with a challenge that was given to a user": {
			func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, _ string) string {
				return d.Get(t, st.BeginLogin(t, user, d).AssertionOptions)
			},
			"the challenge is unknown, or was not given to this user",
		},
		"after the challenge has expired": {
			func(t *testing.T, st *ceremonytest.Stack, _ ident.UserID, d *authenticator.Device, options string) string {
				st.Clock.Advance(5 * time.Minute)
				return d.Get(t, options)
			},
			"the challenge has expired",
		},
		"of a disabled user": {func(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, options string) string {
			disabled := rest.UserStatusDisabled
			if _, err := st.UpdateUser(
				t.Context(),
				service.ForUser[rest.UserUpdateReq]{Project: st.Project.ID, User: user, Body: rest.UserUpdateReq{Status: &disabled}},
			); err != nil {
				t.Fatal(err)
			}
			return d.Get(t, options)
		}, "the user of the credential is not active"},
		"of something that is not JSON": {
			func(*testing.T, *ceremonytest.Stack, ident.UserID, *authenticator.Device, string) string { return "[]" },
			"is not the JSON of a PublicKeyCredential",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, d, _ := ceremonytest.Known(t, st)
			answer := c.change(t, st, user, d, st.BeginMediation(t, d).AssertionOptions)
			_, err := st.FinishMediation(t, d, answer)
			ceremonytest.WantField(t, err, 400, "assertionResponse", c.message)
			if len(st.Events.OfType(event.LoginCompleted)) != 0 {
				t.Error("a login was recorded")
			}
		})
	}
}

func TestAMediationOfAnotherProcessIsRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	_, d, _ := ceremonytest.Known(t, st)
	answer := d.Get(t, st.BeginMediation(t, d).AssertionOptions)
	_, err := st.MediationFinish(t.Context(), service.ForProject[rest.PasskeyMediationFinishReq]{
		Project: st.Project.ID, Body: rest.PasskeyMediationFinishReq{
			ProcessID: "prc-2", AssertionResponse: answer, ClientInformation: d.Client(),
		},
	})
	ceremonytest.WantField(t, err, 400, "assertionResponse", "the challenge belongs to another process")
}

func TestAMediationIsFinishedOnce(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	_, d, _ := ceremonytest.Known(t, st)
	req := service.ForProject[rest.PasskeyMediationFinishReq]{Project: st.Project.ID, Body: rest.PasskeyMediationFinishReq{
		ProcessID: ceremonytest.Process, AssertionResponse: d.Get(t, st.BeginMediation(t, d).AssertionOptions), ClientInformation: d.Client(),
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
