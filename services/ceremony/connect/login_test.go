package connect_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	processes "github.com/keyward/keyward/services/ceremony/internal/process"
)

func (p *page) loginFinishWith(tb testing.TB, answer string, conditional bool) (frontend.ConnectLoginFinishRsp, error) {
	tb.Helper()
	rsp, err := p.ConnectLoginFinish(
		tb.Context(), in(p, frontend.ConnectLoginFinishReq{AssertionResponse: answer, IsConditionalUI: conditional}),
	)
	if rsp.Cookies != nil {
		tb.Error("a Connect login sets cookies")
	}
	return rsp.Body, err
}

var verifiedAs = frontend.PasskeyOperation{
	OperationType: frontend.PasskeyOperationOperationTypeVerify, IdentifierValue: "ada@example.com", IdentifierType: rest.IdentifierTypeEmail,
	CeremonyType: rest.CeremonyTypeLocal, AAGUIDDetails: frontend.AAGUIDDetails{Name: "Apple Passwords"},
}

func TestAConnectLoginInitBeginsAProcess(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	var asked service.RolloutQuestion
	p.Decision.OnRollout = func(q service.RolloutQuestion, _ *service.Verdict) { asked = q }
	req := p.initReq()
	invitation := "friends"
	req.InvitationToken = &invitation
	rsp, err := p.ConnectLoginInit(t.Context(), in(p, req))
	if err != nil {
		t.Fatal(err)
	}
	if rsp.Body.ConditionalUIChallenge == nil || strings.Contains(*rsp.Body.ConditionalUIChallenge, "allowCredentials") {
		t.Errorf("challenge: %v", rsp.Body.ConditionalUIChallenge)
	}
	want := frontend.ConnectLoginInitRsp{
		Token:                  rsp.Body.Token,
		ExpiresAt:              ceremonytest.Started.Add(5 * time.Minute).Unix(),
		FrontendAPIURL:         ceremonytest.FrontendURL,
		LoginAllowed:           true,
		Flags:                  frontend.Flags{},
		ConditionalUIChallenge: rsp.Body.ConditionalUIChallenge,
		NewClientEnvHandle:     rsp.Body.NewClientEnvHandle,
	}
	if diff := cmp.Diff(want, rsp.Body); diff != "" || rsp.Body.NewClientEnvHandle == nil {
		t.Error(diff)
	}
	if rsp.Decision == "" || rsp.PolicyRevision == "" {
		t.Error("the decision is not told")
	}
	wantAsked := service.RolloutQuestion{
		Question: asked.Question, Action: service.RolloutLogin, Invitation: "friends", Flags: map[string]string{"beta": "on"},
	}
	if diff := cmp.Diff(wantAsked, asked); diff != "" || asked.Process != rsp.Body.Token[:20] || asked.Environment.ID == "" {
		t.Error(diff, asked.Process)
	}
}

func TestAConnectLoginInitGivesNoChallenge(t *testing.T) {
	t.Parallel()
	cases := map[string]func(*page, *frontend.ConnectInitReq){
		"if passkeys are switched off": func(p *page, _ *frontend.ConnectInitReq) {
			p.Decision.OnRollout = func(_ service.RolloutQuestion, v *service.Verdict) { v.Allow = false }
		},
		"if the policy denies mediation": func(p *page, _ *frontend.ConnectInitReq) {
			p.Decision.OnMediation = func(_ service.Question, v *service.Verdict) { v.Allow = false }
		},
		"if the client cannot mediate": func(_ *page, r *frontend.ConnectInitReq) {
			*r.ClientInformation.IsConditionalMediationAvailable = false
		},
		"if the client does not tell": func(_ *page, r *frontend.ConnectInitReq) { r.ClientInformation.IsConditionalMediationAvailable = nil },
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			req := p.initReq()
			change(p, &req)
			rsp, err := p.ConnectLoginInit(t.Context(), in(p, req))
			if err != nil {
				t.Fatal(err)
			}
			want := frontend.ConnectLoginInitRsp{
				Token:              rsp.Body.Token,
				ExpiresAt:          ceremonytest.Started.Add(30 * time.Minute).Unix(),
				FrontendAPIURL:     ceremonytest.FrontendURL,
				Flags:              frontend.Flags{},
				LoginAllowed:       name != "if passkeys are switched off",
				NewClientEnvHandle: rsp.Body.NewClientEnvHandle,
			}
			if diff := cmp.Diff(want, rsp.Body); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestInitTakesUpTheProcessThatTheClientIsIn(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	first := p.loginInit(t).Body
	p.Clock.Advance(20 * time.Minute)
	if again := p.appendInit(
		t,
	); again.ProcessID != first.Token || again.NewClientEnvHandle != nil ||
		again.ExpiresAt != ceremonytest.Started.Add(50*time.Minute).Unix() {
		t.Errorf("%+v", again)
	}
	p.Clock.Advance(20 * time.Minute)
	handle := p.device.Handle
	p.device.Handle = ""
	if again := p.manageInit(t); again.ProcessID != first.Token || again.NewClientEnvHandle == nil || *again.NewClientEnvHandle != handle {
		t.Errorf("a client that lost its handle: %+v", again)
	}
	p.Clock.Advance(time.Hour)
	if another := p.loginInit(t).Body; another.Token == first.Token {
		t.Error("a process that had expired was taken up")
	}
}

func TestAPasskeyLogsInOverConnect(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	user := p.enrolled(t, "ada@example.com")
	p.token = ""
	p.loginInit(t)
	var source event.Source
	p.Decision.OnLogin = func(q service.LoginQuestion, _ *service.LoginVerdict) { source = q.Source }
	start := p.identified(t, "ADA@example.com")
	if source != event.TextField {
		t.Errorf("the policy is told source %q", source)
	}
	prefer := false
	want := frontend.ConnectLoginStartRsp{AssertionOptions: start.Body.AssertionOptions, PreferImmediatelyAvailable: &prefer}
	if diff := cmp.Diff(want, start.Body); diff != "" || start.Decision == "" {
		t.Error(diff)
	}
	done, err := p.loginFinishWith(t, p.device.Get(t, start.Body.AssertionOptions), false)
	if err != nil {
		t.Fatal(err)
	}
	operation := verifiedAs
	operation.IdentifierValue = "ADA@example.com"
	wantDone := frontend.ConnectLoginFinishRsp{PasskeyOperation: &operation, Session: done.Session, SignedPasskeyData: done.SignedPasskeyData}
	if diff := cmp.Diff(wantDone, done); diff != "" {
		t.Error(diff)
	}
	claims := p.Verified(t, done.Session, ceremonytest.FrontendURL)
	if claims["sub"] != string(user) || claims["email"] != "ada@example.com" {
		t.Errorf("session: %v", claims)
	}
	if session := p.Session(t, ident.SessionID(claims["sid"].(string))); session.UserID != string(user) {
		t.Errorf("session: %+v", session)
	}
	if result := p.Verify(t, done.SignedPasskeyData, "ada@example.com"); result != ceremonytest.Success {
		t.Error(result)
	}
	completed := p.Events.OfType(event.LoginCompleted)
	if len(completed) != 1 || completed[0].User != user || completed[0].Process != p.token[:20] {
		t.Errorf("events: %+v", completed)
	}
}

func TestASessionSaysThatAPasskeyStoodForTheSecondFactor(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.enrolled(t, "ada@example.com")
	p.token = ""
	p.loginInit(t)
	p.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.ReplacesSecondFactor = true }
	start := p.identified(t, "ada@example.com")
	done, err := p.loginFinishWith(t, p.device.Get(t, start.Body.AssertionOptions), false)
	if err != nil {
		t.Fatal(err)
	}
	want := []any{"pop", "mfa"}
	if diff := cmp.Diff(want, p.Verified(t, done.Session, ceremonytest.FrontendURL)["amr"]); diff != "" {
		t.Errorf("session: %s", diff)
	}
	rsp, err := p.PostLogin(t.Context(), service.ForProject[rest.PostLoginReq]{
		Project: p.Project.ID, Body: rest.PostLoginReq{SignedPasskeyData: done.SignedPasskeyData},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, p.Verified(t, rsp.Session, ceremonytest.FrontendURL)["amr"]); diff != "" {
		t.Errorf("session of the signed data: %s", diff)
	}
}

func TestConditionalUILogsInOverConnect(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	user := p.enrolled(t, "ada@example.com")
	p.token = ""
	challenge := p.loginInit(t).Body.ConditionalUIChallenge
	done, err := p.loginFinishWith(t, p.device.Get(t, *challenge), true)
	if err != nil {
		t.Fatal(err)
	}
	operation := verifiedAs
	want := frontend.ConnectLoginFinishRsp{PasskeyOperation: &operation, Session: done.Session, SignedPasskeyData: done.SignedPasskeyData}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Error(diff)
	}
	if claims := p.Verified(t, done.SignedPasskeyData, string(p.Project.ID)); claims["isCUI"] != true || claims["sub"] != string(user) {
		t.Errorf("signed: %v", claims)
	}
	// The process is the user's now, so it goes with the user.
	deleteUser(t, p.Stack, user)
	_, err = p.ConnectLoginStart(t.Context(), in(p, loginOf("ada@example.com")))
	wantNoProcess(t, err)
}

func TestConditionalUIWithAPasskeyThatNobodyHasFallsBackAndSignalsIt(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	challenge := p.loginInit(t).Body.ConditionalUIChallenge
	stranger := authenticator.Phone()
	stranger.Options.UserHandle = []byte("somebody")
	answer := stranger.Get(t, *challenge)
	done, err := p.loginFinishWith(t, answer, true)
	if err != nil {
		t.Fatal(err)
	}
	var passkey struct{ ID string }
	if err := json.Unmarshal([]byte(answer), &passkey); err != nil {
		t.Fatal(err)
	}
	want := frontend.ConnectLoginFinishRsp{
		Signals: &frontend.PasskeySignals{RpID: p.Project.RPID, UnknownCredentialID: &passkey.ID},
		FallbackOperationError: &frontend.FallbackOperationError{
			InitFallback: true, Error: &frontend.RequestError{Code: "cui_credential_unknown", Message: "unknown credential"},
		},
	}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Error(diff)
	}
}

func TestConditionalUIWithADeletedPasskeyFallsBack(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	user := p.enrolled(t, "ada@example.com")
	p.token = ""
	challenge := p.loginInit(t).Body.ConditionalUIChallenge
	credential := p.Account(t, user).Credentials[0].ID
	if _, err := p.DeleteCredential(
		t.Context(), service.ForUser[ident.CredentialID]{Project: p.Project.ID, User: user, Body: credential},
	); err != nil {
		t.Fatal(err)
	}
	done, err := p.loginFinishWith(t, p.device.Get(t, *challenge), true)
	if err != nil {
		t.Fatal(err)
	}
	want := frontend.ConnectLoginFinishRsp{FallbackOperationError: &frontend.FallbackOperationError{
		InitFallback: true, Error: &frontend.RequestError{Code: "cui_credential_deleted", Message: "the credential has been deleted"},
	}}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Error(diff)
	}
}

func TestAConnectLoginStartChecksItsInput(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.loginInit(t)
	elsewhere := newPage(ceremonytest.New(t))
	secret := func(kind rest.ConnectTokenType) *string {
		s := p.secret(t, kind, "ada@example.com")
		return &s
	}
	used, foreign, expired := secret("passkey-login"), elsewhere.secret(t, "passkey-login", "ada@example.com"), secret("passkey-login")
	if _, err := p.ConnectLoginStart(
		t.Context(), in(p, frontend.ConnectLoginStartReq{Source: "one-tap", LoginConnectToken: used}),
	); err != nil {
		t.Fatal(err)
	}
	bad, wrong := "ctk1_", "ctk1_"+strings.Repeat("x", 30)
	cases := map[string]struct {
		change         func(*frontend.ConnectLoginStartReq)
		field, message string
	}{
		"without an identifier":  {func(r *frontend.ConnectLoginStartReq) { r.Identifier = "" }, "identifier", "cannot be blank"},
		"of white space":         {func(r *frontend.ConnectLoginStartReq) { r.Identifier = " \t" }, "identifier", "cannot be blank"},
		"from an unknown source": {func(r *frontend.ConnectLoginStartReq) { r.Source = "sky" }, "source", "must be a valid value"},
		"with what is no token": {
			func(r *frontend.ConnectLoginStartReq) { r.LoginConnectToken = &bad }, "loginConnectToken",
			"there is no such connect token",
		},
		"with a token that was guessed": {
			func(r *frontend.ConnectLoginStartReq) { r.LoginConnectToken = &wrong }, "loginConnectToken",
			"there is no such connect token",
		},
		"with another project's token": {
			func(r *frontend.ConnectLoginStartReq) { r.LoginConnectToken = &foreign }, "loginConnectToken",
			"there is no such connect token",
		},
		"with a token for something else": {
			func(r *frontend.ConnectLoginStartReq) { r.LoginConnectToken = secret("passkey-append") }, "loginConnectToken",
			"the connect token is for something else",
		},
		"with a token that has been used": {
			func(r *frontend.ConnectLoginStartReq) { r.LoginConnectToken = used }, "loginConnectToken",
			"the connect token has been used already",
		},
		"with a token that has expired": {
			func(r *frontend.ConnectLoginStartReq) { r.LoginConnectToken = expired }, "loginConnectToken",
			"the connect token has expired",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if strings.Contains(c.message, "expired") {
				p.Clock.Advance(61 * time.Minute)
				defer p.Clock.Advance(-61 * time.Minute)
				other := newPage(p.Stack)
				other.loginInit(t)
				token := p.token
				p.token = other.token
				defer func() { p.token = token }()
			}
			req := loginOf("ada@example.com")
			c.change(&req)
			_, err := p.ConnectLoginStart(t.Context(), in(p, req))
			ceremonytest.WantField(t, err, 400, c.field, c.message)
		})
	}
}

func TestALoginTokenNamesTheUser(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	p.enrolled(t, "ada@example.com")
	secret := p.secret(t, rest.ConnectTokenTypePasskeyLogin, "ada@example.com")
	req := loginOf("bob@example.com")
	req.LoginConnectToken = &secret
	rsp, err := p.ConnectLoginStart(t.Context(), in(p, req))
	if err != nil || rsp.Body.AssertionOptions == "" {
		t.Fatalf("%+v, %v", rsp.Body, err)
	}
	done, err := p.loginFinishWith(t, p.device.Get(t, rsp.Body.AssertionOptions), false)
	if err != nil || done.PasskeyOperation.IdentifierValue != "ada@example.com" {
		t.Errorf("%+v, %v", done, err)
	}
}

func TestAConnectLoginNeedsItsOwnProcess(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	elsewhere := newPage(ceremonytest.New(t))
	elsewhere.loginInit(t)
	cases := map[string]func(*page){
		"without one":               func(p *page) { p.token = "" },
		"with another project's":    func(p *page) { p.token = elsewhere.token },
		"with another's secret":     func(p *page) { p.token = p.token[:20] + strings.Repeat("x", 26) },
		"with one that has expired": func(p *page) { p.Clock.Advance(31 * time.Minute) },
		"with one that was cleared": func(p *page) {
			if _, err := p.ConnectProcessClear(t.Context(), in(p, frontend.ConnectProcessClearReq{ProcessID: p.token})); err != nil {
				t.Error(err)
			}
		},
	}
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			p := newPage(st)
			p.loginInit(t)
			change(p)
			calls := map[string]func() error{
				"login start": func() error {
					_, err := p.ConnectLoginStart(t.Context(), in(p, loginOf("ada@example.com")))
					return err
				},
				"login finish": func() error { _, err := p.loginFinishWith(t, "{}", false); return err },
				"append start": func() error {
					_, err := p.ConnectAppendStart(t.Context(), in(p, frontend.ConnectAppendStartReq{}))
					return err
				},
				"append finish": func() error {
					_, err := p.ConnectAppendFinish(t.Context(), in(p, frontend.ConnectAppendFinishReq{}))
					return err
				},
				"manage list": func() error {
					_, err := p.ConnectManageList(t.Context(), in(p, frontend.ConnectManageListReq{}))
					return err
				},
				"manage delete": func() error {
					_, err := p.ConnectManageDelete(t.Context(), in(p, frontend.ConnectManageDeleteReq{}))
					return err
				},
				"events": func() error {
					_, err := p.ConnectEventCreate(t.Context(), in(p, frontend.ConnectEventCreateReq{EventType: rest.PasskeyEventTypeLoginError}))
					return err
				},
				"eventsLow": func() error {
					_, err := p.ConnectEventsLowCreate(t.Context(), in(p, frontend.ConnectEventsLowReq{}))
					return err
				},
				"process/clear": func() error {
					_, err := p.ConnectProcessClear(t.Context(), in(p, frontend.ConnectProcessClearReq{ProcessID: p.token}))
					return err
				},
			}
			for call, try := range calls {
				t.Run(call, func(t *testing.T) { wantNoProcess(t, try()) })
			}
		})
	}
}

func TestAConnectLoginFinishIsRefused(t *testing.T) {
	t.Parallel()
	const unknown = "the challenge is unknown, or was not given to this user"
	cases := map[string]struct {
		answer         func(t *testing.T, p *page, user ident.UserID, options string) string
		field, message string
	}{
		"without an answer": {
			func(*testing.T, *page, ident.UserID, string) string { return "" }, "assertionResponse",
			"is not the JSON of a PublicKeyCredential",
		},
		"with a changed signature": {func(t *testing.T, p *page, _ ident.UserID, options string) string {
			return authenticator.Edit(
				t, p.device.Get(t, options), func(_, response map[string]any) { authenticator.Flip(t, response, "signature", -1) },
			)
		}, "assertionResponse", "the signature is invalid"},
		"twice": {func(t *testing.T, p *page, _ ident.UserID, options string) string {
			answer := p.device.Get(t, options)
			if _, err := p.loginFinishWith(t, answer, false); err != nil {
				t.Fatal(err)
			}
			return answer
		}, "assertionResponse", "the challenge has been used already"},
		"too late": {func(t *testing.T, p *page, _ ident.UserID, options string) string {
			p.Clock.Advance(5 * time.Minute)
			return p.device.Get(t, options)
		}, "assertionResponse", "the challenge has expired"},
		"with another process's challenge": {func(t *testing.T, p *page, _ ident.UserID, options string) string {
			p.token = ""
			p.loginInit(t)
			p.identified(t, "ada@example.com")
			return p.device.Get(t, options)
		}, "assertionResponse", "the challenge belongs to another process"},
		"before anybody was named": {func(t *testing.T, p *page, _ ident.UserID, options string) string {
			p.token = ""
			p.loginInit(t)
			return p.device.Get(t, options)
		}, "assertionResponse", unknown},
		"after somebody unknown was named": {func(t *testing.T, p *page, _ ident.UserID, options string) string {
			p.identified(t, "nobody@example.com")
			return p.device.Get(t, options)
		}, "assertionResponse", unknown},
		"by a user who was disabled": {func(t *testing.T, p *page, user ident.UserID, options string) string {
			ceremonytest.SetStatus(t, p.Stack, user, rest.UserStatusDisabled)
			return p.device.Get(t, options)
		}, "assertionResponse", "the user of the credential is not active"},
		"with a passkey that was deleted": {func(t *testing.T, p *page, user ident.UserID, options string) string {
			credential := p.Account(t, user).Credentials[0].ID
			if _, err := p.DeleteCredential(
				t.Context(), service.ForUser[ident.CredentialID]{Project: p.Project.ID, User: user, Body: credential},
			); err != nil {
				t.Fatal(err)
			}
			return p.device.Get(t, options)
		}, "assertionResponse", "the credential has been deleted"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPage(ceremonytest.New(t))
			user := p.enrolled(t, "ada@example.com")
			p.token = ""
			p.loginInit(t)
			answer := c.answer(t, p, user, p.identified(t, "ada@example.com").Body.AssertionOptions)
			done, err := p.loginFinishWith(t, answer, false)
			ceremonytest.WantField(t, err, 400, c.field, c.message)
			if diff := cmp.Diff(frontend.ConnectLoginFinishRsp{}, done); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAUserWhoIsDeletedTakesTheProcessAlong(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	user := p.enrolled(t, "ada@example.com")
	p.token = ""
	p.loginInit(t)
	answer := p.device.Get(t, p.identified(t, "ada@example.com").Body.AssertionOptions)
	deleteUser(t, p.Stack, user)
	_, err := p.loginFinishWith(t, answer, false)
	wantNoProcess(t, err)
}

func TestASignInProcessIsNoConnectProcess(t *testing.T) {
	t.Parallel()
	p := newPage(ceremonytest.New(t))
	other, token := processes.New(p.Project.ID, processes.SignIn, rest.ClientInformation{}, p.Clock.Now(), time.Hour)
	if err := processes.NewStore(p.Buckets.Processes).Create(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	p.token = token
	_, err := p.ConnectLoginStart(t.Context(), in(p, loginOf("ada@example.com")))
	wantNoProcess(t, err)
	if begun := p.loginInit(t).Body; begun.Token == token {
		t.Error("a process of another kind was taken up")
	}
}

// meddled is a bucket with something that happens right after each update.
type meddled struct {
	jetstream.KeyValue
	after func()
}

func (m *meddled) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	revision, err := m.KeyValue.Update(ctx, key, value, revision)
	if after := m.after; after != nil {
		m.after = nil
		after()
	}
	return revision, err
}

func TestAUserWhoIsDeletedWhileTheProcessIsWrittenIsNobody(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	meddler := &meddled{KeyValue: b.Processes}
	b.Processes = meddler
	p := newPage(ceremonytest.NewOn(t, b))
	user := p.enrolled(t, "ada@example.com")
	p.token = ""
	p.loginInit(t)
	// What a deletion leaves that looked for processes before this one was the user's.
	meddler.after = func() {
		if err := p.Accounts.Delete(t.Context(), p.Project.ID, user); err != nil {
			t.Error(err)
		}
	}
	name := "ada@example.com"
	want := frontend.ConnectLoginStartRsp{FallbackOperationError: frontend.FallbackOperationError{InitFallback: true, Identifier: &name}}
	if diff := cmp.Diff(want, p.identified(t, name).Body); diff != "" {
		t.Error(diff)
	}
	entry, err := p.Buckets.Processes.Get(t.Context(), string(p.Project.ID)+"."+p.token[:20])
	if err != nil {
		t.Fatal(err)
	}
	if stored := string(entry.Value()); strings.Contains(stored, string(user)) || strings.Contains(stored, name) {
		t.Error(stored)
	}
}
