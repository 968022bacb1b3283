package connect_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func (p *page) list(tb testing.TB, secret string, mode frontend.ConnectManageListReqMode) (frontend.ConnectManageListRsp, error) {
	tb.Helper()
	req := frontend.ConnectManageListReq{ConnectToken: secret}
	if mode != "" {
		req.Mode = &mode
	}
	return p.ConnectManageList(tb.Context(), in(p, req))
}

func (p *page) delete(tb testing.TB, secret, credential string) (frontend.ConnectManageDeleteRsp, error) {
	tb.Helper()
	return p.ConnectManageDelete(tb.Context(), in(p, frontend.ConnectManageDeleteReq{ConnectToken: secret, CredentialID: credential}))
}

func TestPasskeysAreListedAndDeletedOverConnect(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	user := p.enrolled(t, "ada@example.com")
	first := p.Account(t, user).Credentials[0]
	p.Clock.Advance(time.Minute)
	p.device.Key = authenticator.NewKey()
	p.enrolled(t, "ada@example.com")
	a := p.Account(t, user)
	second := a.Credentials[1]
	p.token = ""
	begun := p.manageInit(t)
	wantInit := frontend.ConnectManageInitRsp{
		ProcessID:      begun.ProcessID,
		ExpiresAt:      p.Clock.Now().Add(30 * time.Minute).Unix(),
		FrontendAPIURL: ceremonytest.FrontendURL,
		ManageAllowed:  true,
		Flags:          frontend.Flags{},
	}
	if diff := cmp.Diff(wantInit, begun); diff != "" {
		t.Error(diff)
	}
	secret := p.secret(t, rest.ConnectTokenTypePasskeyList, "ada@example.com")
	for _, mode := range []frontend.ConnectManageListReqMode{"", "default", "post-append", "post-delete"} {
		got, err := p.list(t, secret, mode)
		if err != nil {
			t.Fatal(err)
		}
		want := frontend.ConnectManageListRsp{
			Passkeys:                     got.Passkeys,
			RpID:                         authenticator.RPID,
			UserID:                       base64.RawURLEncoding.EncodeToString(a.UserHandle),
			SignalAllAcceptedCredentials: true,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		var ids []string
		for _, passkey := range got.Passkeys {
			ids = append(ids, passkey.ID)
		}
		if diff := cmp.Diff([]string{string(second.ID), string(first.ID)}, ids); diff != "" {
			t.Error(diff)
		}
	}
	deleted, err := p.delete(t, p.secret(t, rest.ConnectTokenTypePasskeyDelete, "ADA@example.com"), string(first.ID))
	if err != nil || deleted.CredentialID != string(first.ID) {
		t.Errorf("%+v, %v", deleted, err)
	}
	if left, err := p.list(t, secret, "post-delete"); err != nil || len(left.Passkeys) != 1 || left.Passkeys[0].ID != string(second.ID) {
		t.Errorf("%+v, %v", left, err)
	}
	if told := p.Events.OfType(event.PasskeyDeleted); len(told) != 1 || told[0].Credential != string(first.ID) {
		t.Errorf("%+v", told)
	}
}

func TestAUserWhoIsNotThereHasNoPasskeys(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.manageInit(t)
	got, err := p.list(t, p.secret(t, rest.ConnectTokenTypePasskeyList, "ada@example.com"), "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(frontend.ConnectManageListRsp{Passkeys: []frontend.Passkey{}, RpID: authenticator.RPID}, got); diff != "" {
		t.Error(diff)
	}
	_, err = p.delete(t, p.secret(t, rest.ConnectTokenTypePasskeyDelete, "ada@example.com"), "cre-1")
	ceremonytest.WantField(t, err, 400, "credentialID", "does not exist")
}

func TestManagingIsSwitchedOff(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	var asked service.RolloutQuestion
	p.Decision.OnRollout = func(q service.RolloutQuestion, v *service.Verdict) { asked, v.Allow = q, false }
	if got := p.manageInit(t); got.ManageAllowed || asked.Action != service.RolloutManage {
		t.Errorf("%+v, %+v", got, asked)
	}
}

func TestTokensToManagePasskeysAreChecked(t *testing.T) {
	t.Parallel()
	const list, remove = rest.ConnectTokenTypePasskeyList, rest.ConnectTokenTypePasskeyDelete
	calls := map[rest.ConnectTokenType]func(*testing.T, *page, string) error{
		list:   func(t *testing.T, p *page, secret string) error { _, err := p.list(t, secret, ""); return err },
		remove: func(t *testing.T, p *page, secret string) error { _, err := p.delete(t, secret, "cre-1"); return err },
	}
	other := map[rest.ConnectTokenType]rest.ConnectTokenType{list: remove, remove: list}
	cases := map[string]struct {
		secret  func(t *testing.T, p *page, kind rest.ConnectTokenType) string
		message string
	}{
		"without one": {func(*testing.T, *page, rest.ConnectTokenType) string { return "" }, "there is no such connect token"},
		"that was guessed": {
			func(*testing.T, *page, rest.ConnectTokenType) string { return "ctk1_" + strings.Repeat("x", 30) },
			"there is no such connect token",
		},
		"for something else": {func(t *testing.T, p *page, kind rest.ConnectTokenType) string {
			return p.secret(t, other[kind], ceremonytest.Email)
		}, "the connect token is for something else"},
		"of another project": {func(t *testing.T, _ *page, kind rest.ConnectTokenType) string {
			return newPage(ceremonytest.New(t)).secret(t, kind, ceremonytest.Email)
		}, "there is no such connect token"},
		"that has expired": {func(t *testing.T, p *page, kind rest.ConnectTokenType) string {
			secret := p.secret(t, kind, ceremonytest.Email)
			p.Clock.Advance(time.Hour)
			return secret
		}, "the connect token has expired"},
		"that the backend has withdrawn": {func(t *testing.T, p *page, kind rest.ConnectTokenType) string {
			req := tokenReq(p.Project.ID, kind)
			made, err := p.CreateConnectToken(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			if err := patchToken(p.Stack, made.ID, rest.ConnectTokenStatusConsumed); err != nil {
				t.Fatal(err)
			}
			return *made.Secret
		}, "the connect token has been used already"},
	}
	for name, c := range cases {
		for kind, call := range calls {
			t.Run(string(kind)+" "+name, func(t *testing.T) {
				t.Parallel()
				p := newPage(ceremonytest.New(t))
				secret := c.secret(t, p, kind)
				p.manageInit(t)
				ceremonytest.WantField(t, call(t, p, secret), 400, "connectToken", c.message)
			})
		}
	}
}

func TestAListTokenStaysInItsProcessAndADeleteTokenIsSpentByTheAttempt(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.manageInit(t)
	secret := p.secret(t, rest.ConnectTokenTypePasskeyList, ceremonytest.Email)
	if _, err := p.list(t, secret, ""); err != nil {
		t.Fatal(err)
	}
	once := p.secret(t, rest.ConnectTokenTypePasskeyDelete, ceremonytest.Email)
	_, err := p.delete(t, once, "cre-1")
	ceremonytest.WantField(t, err, 400, "credentialID", "does not exist")
	_, err = p.delete(t, once, "cre-1")
	ceremonytest.WantField(t, err, 400, "connectToken", "the connect token has been used already")
	p.token = ""
	p.manageInit(t)
	_, err = p.list(t, secret, "")
	ceremonytest.WantField(t, err, 400, "connectToken", "the connect token is in use by another process")
}

func TestWhatIsManagedIsChecked(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.enrolled(t, "ada@example.com")
	bob := newPage(p.Stack)
	others := p.Account(t, bob.enrolled(t, "bob@example.com")).Credentials[0].ID
	p.manageInit(t)
	_, err := p.list(t, p.secret(t, rest.ConnectTokenTypePasskeyList, ceremonytest.Email), "all")
	ceremonytest.WantField(t, err, 400, "mode", "must be a valid value")
	secret := p.secret(t, rest.ConnectTokenTypePasskeyDelete, ceremonytest.Email)
	for _, id := range []string{"", "cre-", "usr-1", "cre-x", "cre-1.2"} {
		_, err := p.delete(t, secret, id)
		ceremonytest.WantField(t, err, 400, "credentialID", "must be of the form cre-<number>")
	}
	// Ill-formed IDs have not spent the token; somebody else's passkey is none of this user's.
	_, err = p.delete(t, secret, string(others))
	ceremonytest.WantField(t, err, 400, "credentialID", "does not exist")
	if a := p.Account(t, p.owner(t, "bob@example.com")); len(a.Credentials) != 1 || a.Credentials[0].ID != others {
		t.Errorf("%+v", a.Credentials)
	}
}
