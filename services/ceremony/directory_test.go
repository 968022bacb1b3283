package ceremony_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

func (st *stack) environments(t *testing.T, user ident.UserID) []rest.ClientEnv {
	t.Helper()
	list, err := st.ListClientEnvs(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user})
	if err != nil || list.ClientEnvs == nil {
		t.Fatal(list, err)
	}
	return list.ClientEnvs
}

// login logs in from a client that says of itself what describe adds.
func (st *stack) login(t *testing.T, user ident.UserID, d *device, describe func(*rest.ClientInformation)) {
	t.Helper()
	start := st.loginStart(t, user, d)
	if start.NewClientEnvHandle != nil {
		d.handle = *start.NewClientEnvHandle
	}
	req := st.loginFinishReq(user, d, d.get(t, start.AssertionOptions))
	describe(&req.Body.ClientInformation)
	if _, err := st.LoginFinish(t.Context(), req); err != nil {
		t.Fatal(err)
	}
}

func TestEnvironmentsAreListedAsLastSeen(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	if got := st.environments(t, user); len(got) != 0 {
		t.Errorf("a new user has been seen: %+v", got)
	}
	st.enroll(t, user, d)
	st.clock.advance(time.Minute)
	st.login(t, user, d, func(c *rest.ClientInformation) { c.UserAgent, c.JavascriptFingerprint = "Safari/18", ptr("fp-1") })
	st.clock.advance(time.Minute)
	long := strings.Repeat("ä", 1000)
	st.login(t, user, d, func(c *rest.ClientInformation) { c.UserAgent = long })

	want := []rest.ClientEnv{{
		ID: string(st.get(t, user).Environments[0].ID), OSName: "macOS", OSVersion: "15", BrowserName: "Safari", BrowserVersion: "18",
		UserAgent: strings.Repeat("ä", 256), JsFingerprint: "fp-1", CreatedMs: started.UnixMilli(),
	}}
	got := st.environments(t, user)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(rest.ClientEnv{}, "Handle")); diff != "" {
		t.Error(diff)
	}

	// The handle is one that is recognised.
	other := phone()
	other.key, other.handle = d.key, got[0].Handle
	st.loginStart(t, user, other)
	if seen := st.decision.last().Environment; string(seen.ID) != got[0].ID || !seen.Known {
		t.Errorf("the handle led to %+v", seen)
	}

	st.clock.advance(time.Minute)
	other.handle = ""
	st.login(t, user, other, func(*rest.ClientInformation) {})
	if all := st.environments(t, user); len(all) != 2 || all[0].ID == got[0].ID || all[1].ID != got[0].ID {
		t.Errorf("the one seen last does not come first: %+v", all)
	}
	_, err := st.ListClientEnvs(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: "usr-1"})
	wantField(t, err, 400, "userID", "does not exist")
}

func TestNothingIsRememberedInPrivateMode(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user, d := st.user(t), phone()
	st.enroll(t, user, d)
	before := st.environments(t, user)
	st.clock.advance(time.Minute)
	st.login(t, user, d, func(c *rest.ClientInformation) {
		c.PrivateMode, c.UserAgent, c.JavascriptFingerprint = ptr(true), "secret", ptr("secret")
	})
	if diff := cmp.Diff(before, st.environments(t, user), cmpopts.IgnoreFields(rest.ClientEnv{}, "Handle")); diff != "" {
		t.Error(diff)
	}
}

func TestPasswordManagers(t *testing.T) {
	t.Parallel()
	const other = "00000000-0000-0000-0000-000000000000"
	home := account.Environment{ID: "env-1", OSName: "macOS"}
	synced := account.Credential{ID: "cre-1", AAGUID: phoneAAGUID, Transports: []string{"internal", "hybrid"}, BackupEligible: true, BackupState: true, CreatedMs: 10, LastUsedMs: 10}
	with := func(c account.Credential, change func(*account.Credential)) account.Credential {
		change(&c)
		return c
	}
	told := func(change func(*rest.PasswordManager)) []rest.PasswordManager {
		m := rest.PasswordManager{ID: phoneAAGUID, AAGUID: phoneAAGUID, CredentialID: "cre-1", Status: "pending", Score: 50, CreatedMs: 10}
		change(&m)
		return []rest.PasswordManager{m}
	}
	for name, c := range map[string]struct {
		credentials []account.Credential
		want        []rest.PasswordManager
	}{
		"none without a passkey":   {nil, []rest.PasswordManager{}},
		"one that has synced":      {[]account.Credential{synced}, told(func(*rest.PasswordManager) {})},
		"one that has not":         {[]account.Credential{with(synced, func(c *account.Credential) { c.BackupState = false })}, told(func(m *rest.PasswordManager) { m.Score = 25 })},
		"no security key":          {[]account.Credential{{ID: "cre-1", AAGUID: other, Transports: []string{"usb"}, BackupEligible: true}}, []rest.PasswordManager{}},
		"no device-bound passkey":  {[]account.Credential{{ID: "cre-1", AAGUID: other, Transports: []string{"internal"}}}, []rest.PasswordManager{}},
		"one that the bundle says": {[]account.Credential{with(synced, func(c *account.Credential) { c.AAGUID, c.BackupEligible, c.BackupState = managerAAGUID, false, false })}, told(func(m *rest.PasswordManager) { m.ID, m.AAGUID, m.Score = managerAAGUID, managerAAGUID, 25 })},
		"where it was seen":        {[]account.Credential{with(synced, func(c *account.Credential) { c.Environment = "env-1" })}, told(func(m *rest.PasswordManager) { m.ClientEnvID, m.Score = "env-1", 75 })},
		"not where nobody knows":   {[]account.Credential{with(synced, func(c *account.Credential) { c.Environment = "env-2" })}, told(func(*rest.PasswordManager) {})},
		"used where it was seen": {[]account.Credential{with(synced, func(c *account.Credential) {
			c.Environment, c.UsedOn, c.LastUsedMs = "env-1", []string{"macOS"}, 20
		})}, told(func(m *rest.PasswordManager) { m.ClientEnvID, m.Score, m.Status = "env-1", 100, "active" })},
		"the passkey used last of several": {
			[]account.Credential{synced, with(synced, func(c *account.Credential) { c.ID, c.LastUsedMs = "cre-2", 20 }), with(synced, func(c *account.Credential) { c.ID = "cre-3" })},
			told(func(m *rest.PasswordManager) { m.CredentialID, m.Status = "cre-2", "active" }),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			user := st.user(t)
			if _, err := st.accounts.Update(t.Context(), st.project.ID, user, func(a *account.Account) error {
				a.Credentials, a.Environments = c.credentials, []account.Environment{home}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				list, err := st.ListPasswordManagers(t.Context(), service.ForUser[service.Empty]{Project: st.project.ID, User: user})
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, list.PasswordManagers, cmpopts.IgnoreFields(rest.PasswordManager{}, "UserID")); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestAHostNameBelongsToOneProject(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	others := make([]ident.ProjectID, 5)
	for i := range others {
		p := st.project
		p.ID = ident.NewProjectID()
		st.projects.set(p)
		others[i] = p.ID
	}
	set := func(id ident.ProjectID, host string) error {
		_, err := st.UpdateCname(t.Context(), service.ForProject[rest.CnameUpdateReq]{Project: id, Body: rest.CnameUpdateReq{Cname: host}})
		return err
	}
	host := func(id ident.ProjectID) string { p, _ := st.projects.Lookup(id); return p.CNAME }
	// The index of host names is one for all projects: other tests must not want these.
	one, two := "login-"+string(st.project.ID)+".example.com", "auth-"+string(st.project.ID)+".example.com"

	for range 2 {
		if err := set(st.project.ID, strings.ToUpper(one)); err != nil || host(st.project.ID) != one {
			t.Fatalf("%q, %v", host(st.project.ID), err)
		}
	}
	st.clock.advance(time.Hour)
	wantField(t, set(others[0], one), 409, "cname", "already exists")
	if err := set(st.project.ID, two); err != nil || host(st.project.ID) != two {
		t.Fatalf("%q, %v", host(st.project.ID), err)
	}

	var wait sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for _, id := range others {
		wait.Go(func() {
			_, err := st.UpdateCname(context.Background(), service.ForProject[rest.CnameUpdateReq]{Project: id, Body: rest.CnameUpdateReq{Cname: one}})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
				return
			}
			wantField(t, err, 409, "cname", "already exists")
		})
	}
	wait.Wait()
	if won != 1 {
		t.Errorf("%d projects took a host name that was free", won)
	}
	for name, c := range map[string]struct{ host, message string }{
		"an empty one":               {"", "cannot be blank"},
		"one without a dot":          {"localhost", "must be a host name"},
		"an address":                 {"192.0.2.1", "must be a host name"},
		"a URL":                      {"https://login.example.com", "must be a host name"},
		"one with a port":            {"login.example.com:443", "must be a host name"},
		"one with a dot at its end":  {"login.example.com.", "must be a host name"},
		"one with a line break":      {"login.example.com\n", "must be a host name"},
		"one with a label too long":  {strings.Repeat("a", 64) + ".example.com", "must be a host name"},
		"one too long":               {strings.Repeat("a.", 127) + "com", "must be a host name"},
		"one with a dash at the end": {"login-.example.com", "must be a host name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			wantField(t, set(st.project.ID, c.host), 400, "cname", c.message)
			if _, err := project.CheckCNAME(c.host); err == nil {
				t.Error("taken by the project")
			}
		})
	}
}
