package ceremony_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

func TestEnvironmentHandles(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()

	first := st.loginStart(t, user, d)
	if first.NewClientEnvHandle == nil {
		t.Fatal("no handle was issued")
	}
	issued := st.decision.last().Environment
	if issued.ID == "" || issued.Known || issued.Rejected {
		t.Errorf("a new environment: %+v", issued)
	}

	ask := func(handle string, private bool) (service.Environment, *string) {
		t.Helper()
		req := st.loginStartReq(user, phone())
		if handle != "" {
			req.Body.ClientInformation.ClientEnvHandle = &handle
		}
		req.Body.ClientInformation.PrivateMode = &private
		rsp, err := st.LoginStart(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return st.decision.last().Environment, rsp.Body.NewClientEnvHandle
	}
	foreign := newStack(t)
	foreignHandle := *foreign.loginStart(t, foreign.user(t), phone()).NewClientEnvHandle
	own := *first.NewClientEnvHandle

	for name, c := range map[string]struct {
		handle                        string
		private                       bool
		wantID, wantKnown, wantReject bool
		wantIssued                    bool
	}{
		"a valid handle is known":                                       {handle: own, wantID: true, wantKnown: true},
		"a valid handle in private mode is recognised, but not known":   {handle: own, private: true, wantID: true},
		"no handle in private mode is left alone":                       {private: true},
		"another project's handle is rejected and replaced":             {handle: foreignHandle, wantReject: true, wantIssued: true, wantID: true},
		"a handle that is none is rejected and replaced":                {handle: "ceh1_x", wantReject: true, wantIssued: true, wantID: true},
		"a handle that is none in private mode is only rejected":        {handle: "ceh1_x", private: true, wantReject: true},
		"no handle at all is answered with one":                         {wantIssued: true, wantID: true},
		"an old kind of handle is rejected and replaced by one of ours": {handle: "somebody-elses", wantReject: true, wantIssued: true, wantID: true},
	} {
		got, handle := ask(c.handle, c.private)
		if (got.ID != "") != c.wantID || got.Known != c.wantKnown || got.Rejected != c.wantReject || (handle != nil) != c.wantIssued {
			t.Errorf("%s: %+v, issued %v", name, got, handle != nil)
		}
		if c.handle == own && got.ID != issued.ID {
			t.Errorf("%s: environment %s is not %s", name, got.ID, issued.ID)
		}
	}

	st.clock.advance(400*24*time.Hour - time.Second)
	if got, _ := ask(own, false); !got.Known {
		t.Error("a handle expired too early")
	}
	st.clock.advance(time.Second)
	if got, handle := ask(own, false); got.Known || !got.Rejected || handle == nil {
		t.Errorf("an expired handle: %+v", got)
	}
}

func TestPrivateModeLeavesNoTrace(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	before := st.get(t, user).Environments
	req := st.loginStartReq(user, d)
	private := true
	req.Body.ClientInformation.PrivateMode = &private
	rsp, err := st.LoginStart(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	st.clock.advance(time.Minute)
	if _, err := st.loginFinish(t, user, d, d.get(t, rsp.Body.AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	after := st.get(t, user).Environments
	if len(after) != 1 || after[0] != before[0] {
		t.Errorf("environments: %+v", after)
	}
	for _, e := range append(st.events.ofType(event.LoginOffered), st.events.ofType(event.LoginCompleted)...) {
		if e.Environment != "" {
			t.Errorf("recorded: %+v", e)
		}
	}
}

func TestEnvironmentsAreBoundedAndTheOneNotSeenForLongestGoesFirst(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	if _, err := st.accounts.Update(t.Context(), st.project.ID, user, func(a *account.Account) error {
		for i := range 49 {
			at := started.Add(-time.Duration(i+1) * time.Hour).UnixMilli()
			a.Environments = append(a.Environments, account.Environment{ID: ident.EnvironmentID(fmt.Sprintf("env-%d", i)), CreatedMs: at, LastSeenMs: at})
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d.handle = ""
	start := st.loginStart(t, user, d)
	if _, err := st.loginFinish(t, user, d, d.get(t, start.AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	fresh := st.decision.last().Environment.ID
	ids := map[ident.EnvironmentID]bool{}
	for _, e := range st.get(t, user).Environments {
		ids[e.ID] = true
	}
	if len(ids) != 50 || !ids[fresh] || ids["env-48"] || !ids["env-47"] {
		t.Errorf("%d environments: %v", len(ids), ids)
	}
}
