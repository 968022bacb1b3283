package environments_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func listed(t *testing.T, st *ceremonytest.Stack, user ident.UserID) []rest.ClientEnv {
	t.Helper()
	list, err := st.ListClientEnvs(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: user})
	if err != nil || list.ClientEnvs == nil {
		t.Fatal(list, err)
	}
	return list.ClientEnvs
}

// login logs in from a client that says of itself what describe adds.
func login(t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, describe func(*rest.ClientInformation)) {
	t.Helper()
	start := st.BeginLogin(t, user, d)
	if start.NewClientEnvHandle != nil {
		d.Handle = *start.NewClientEnvHandle
	}
	req := st.LoginFinishReq(user, d, d.Get(t, start.AssertionOptions))
	describe(&req.Body.ClientInformation)
	if _, err := st.LoginFinish(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}

func TestEnvironmentsAreListedAsLastSeen(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	if got := listed(t, st, user); len(got) != 0 {
		t.Errorf("a new user has been seen: %+v", got)
	}
	st.Enroll(t, user, d)
	st.Clock.Advance(time.Minute)
	login(t, st, user, d, func(c *rest.ClientInformation) { c.UserAgent, c.JavascriptFingerprint = "Safari/18", new("fp-1") })
	st.Clock.Advance(time.Minute)
	long := strings.Repeat("ä", 1000)
	login(t, st, user, d, func(c *rest.ClientInformation) { c.UserAgent = long })

	want := []rest.ClientEnv{{
		ID: string(st.Account(t, user).Environments[0].ID), OSName: "macOS", OSVersion: "15", BrowserName: "Safari", BrowserVersion: "18",
		UserAgent: strings.Repeat("ä", 256), JsFingerprint: "fp-1", CreatedMs: ceremonytest.Started.UnixMilli(),
	}}
	got := listed(t, st, user)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(rest.ClientEnv{}, "Handle")); diff != "" {
		t.Error(diff)
	}

	// Subscribers read events, and what is forgotten of an account would stay in the log.
	events, err := json.Marshal(st.Events.All())
	if err != nil {
		t.Fatal(err)
	}
	for _, private := range []string{"Safari/18", "fp-1", "ä"} {
		if strings.Contains(string(events), private) {
			t.Errorf("an event holds %q of the client", private)
		}
	}

	// The handle is one that is recognised.
	other := authenticator.Phone()
	other.Key, other.Handle = d.Key, got[0].Handle
	st.BeginLogin(t, user, other)
	if seen := st.Decision.Last().Environment; string(seen.ID) != got[0].ID || !seen.Known {
		t.Errorf("the handle led to %+v", seen)
	}

	st.Clock.Advance(time.Minute)
	other.Handle = ""
	login(t, st, user, other, func(*rest.ClientInformation) {})
	if all := listed(t, st, user); len(all) != 2 || all[0].ID == got[0].ID || all[1].ID != got[0].ID {
		t.Errorf("the one seen last does not come first: %+v", all)
	}
	_, err = st.ListClientEnvs(t.Context(), service.ForUser[service.Empty]{Project: st.Project.ID, User: "usr-1"})
	ceremonytest.WantField(t, err, 400, "userID", "does not exist")
}

func TestNothingIsRememberedInPrivateMode(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	before := listed(t, st, user)
	st.Clock.Advance(time.Minute)
	login(t, st, user, d, func(c *rest.ClientInformation) {
		c.PrivateMode, c.UserAgent, c.JavascriptFingerprint = new(true), "secret", new("secret")
	})
	if diff := cmp.Diff(before, listed(t, st, user), cmpopts.IgnoreFields(rest.ClientEnv{}, "Handle")); diff != "" {
		t.Error(diff)
	}
}

func TestEnvironmentHandles(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()

	first := st.BeginLogin(t, user, d)
	if first.NewClientEnvHandle == nil {
		t.Fatal("no handle was issued")
	}
	issued := st.Decision.Last().Environment
	if issued.ID == "" || issued.Known || issued.Rejected {
		t.Errorf("a new environment: %+v", issued)
	}

	ask := func(handle string, private bool) (service.Environment, *string) {
		t.Helper()
		req := st.LoginStartReq(user, authenticator.Phone())
		if handle != "" {
			req.Body.ClientInformation.ClientEnvHandle = &handle
		}
		req.Body.ClientInformation.PrivateMode = &private
		rsp, err := st.LoginStart(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		return st.Decision.Last().Environment, rsp.Body.NewClientEnvHandle
	}
	foreign := ceremonytest.New(t)
	foreignHandle := *foreign.BeginLogin(t, foreign.NewUser(t), authenticator.Phone()).NewClientEnvHandle
	own := *first.NewClientEnvHandle

	for name, c := range map[string]struct {
		handle                        string
		private                       bool
		wantID, wantKnown, wantReject bool
		wantIssued                    bool
	}{
		"a valid handle is known":                                     {handle: own, wantID: true, wantKnown: true},
		"a valid handle in private mode is recognised, but not known": {handle: own, private: true, wantID: true},
		"no handle in private mode is left alone":                     {private: true},
		"another project's handle is rejected and replaced": {
			handle:     foreignHandle,
			wantReject: true,
			wantIssued: true,
			wantID:     true,
		},
		"a handle that is none is rejected and replaced":         {handle: "ceh1_x", wantReject: true, wantIssued: true, wantID: true},
		"a handle that is none in private mode is only rejected": {handle: "ceh1_x", private: true, wantReject: true},
		"no handle at all is answered with one":                  {wantIssued: true, wantID: true},
		"an old kind of handle is rejected and replaced by one of ours": {
			handle:     "somebody-elses",
			wantReject: true,
			wantIssued: true,
			wantID:     true,
		},
	} {
		got, handle := ask(c.handle, c.private)
		if (got.ID != "") != c.wantID || got.Known != c.wantKnown || got.Rejected != c.wantReject || (handle != nil) != c.wantIssued {
			t.Errorf("%s: %+v, issued %v", name, got, handle != nil)
		}
		if c.handle == own && got.ID != issued.ID {
			t.Errorf("%s: environment %s is not %s", name, got.ID, issued.ID)
		}
	}

	st.Clock.Advance(400*24*time.Hour - time.Second)
	if got, _ := ask(own, false); !got.Known {
		t.Error("a handle expired too early")
	}
	st.Clock.Advance(time.Second)
	if got, handle := ask(own, false); got.Known || !got.Rejected || handle == nil {
		t.Errorf("an expired handle: %+v", got)
	}
}

func TestPrivateModeLeavesNoTrace(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	before := st.Account(t, user).Environments
	req := st.LoginStartReq(user, d)
	private := true
	req.Body.ClientInformation.PrivateMode = &private
	rsp, err := st.LoginStart(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	st.Clock.Advance(time.Minute)
	if _, err := st.FinishLogin(t, user, d, d.Get(t, rsp.Body.AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	after := st.Account(t, user).Environments
	if len(after) != 1 || after[0] != before[0] {
		t.Errorf("environments: %+v", after)
	}
	for _, e := range append(st.Events.OfType(event.LoginOffered), st.Events.OfType(event.LoginCompleted)...) {
		if e.Environment != "" {
			t.Errorf("recorded: %+v", e)
		}
	}
}

func TestEnvironmentsAreBoundedAndTheOneNotSeenForLongestGoesFirst(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	if _, err := st.Accounts.Update(t.Context(), st.Project.ID, user, func(a *account.Account) error {
		for i := range 49 {
			at := ceremonytest.Started.Add(-time.Duration(i+1) * time.Hour).UnixMilli()
			a.Environments = append(
				a.Environments,
				account.Environment{ID: ident.EnvironmentID(fmt.Sprintf("env-%d", i)), CreatedMs: at, LastSeenMs: at},
			)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	d.Handle = ""
	start := st.BeginLogin(t, user, d)
	if _, err := st.FinishLogin(t, user, d, d.Get(t, start.AssertionOptions)); err != nil {
		t.Fatal(err)
	}
	fresh := st.Decision.Last().Environment.ID
	ids := map[ident.EnvironmentID]bool{}
	for _, e := range st.Account(t, user).Environments {
		ids[e.ID] = true
	}
	if len(ids) != 50 || !ids[fresh] || ids["env-48"] || !ids["env-47"] {
		t.Errorf("%d environments: %v", len(ids), ids)
	}
}

func TestAReportedLoginIsCountedForWhatItsCallerSays(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d := st.NewUser(t), authenticator.Phone()
	st.Enroll(t, user, d)
	known := st.Account(t, user).Environments[0].ID
	for name, c := range map[string]struct {
		client rest.ClientInformation
		want   *event.Sighted
	}{
		"where it was, in a browser that is known": {
			rest.ClientInformation{RemoteAddress: "192.0.2.7:443", ClientEnvHandle: &d.Handle},
			st.Project.Namer().Name(string(user), known, "192.0.2.7"),
		},
		"in a private window": {
			rest.ClientInformation{RemoteAddress: "192.0.2.7", ClientEnvHandle: &d.Handle, PrivateMode: new(true)},
			st.Project.Namer().Name(string(user), "", "192.0.2.7"),
		},
		"with a handle that nobody issued": {
			rest.ClientInformation{RemoteAddress: "192.0.2.7", ClientEnvHandle: new("ceh1_forged")},
			st.Project.Namer().Name(string(user), "", "192.0.2.7"),
		},
		"from nowhere": {rest.ClientInformation{}, st.Project.Namer().Name(string(user), "", "")},
	} {
		body := rest.AuthEventCreateReq{EventType: rest.AuthEventTypeLogin, Status: rest.AuthEventStatusFailure, ClientInformation: c.client}
		req := service.ForUser[rest.AuthEventCreateReq]{Project: st.Project.ID, User: user, Body: body}
		if _, err := st.ReportAuthEvent(t.Context(), req); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := st.Events.Reported[len(st.Events.Reported)-1]
		if diff := cmp.Diff(service.AuthReport{AuthEventCreateReq: body, Sighted: c.want}, got.Body); diff != "" || got.User != user {
			t.Errorf("%s: %s of %s", name, diff, got.User)
		}
	}
}
