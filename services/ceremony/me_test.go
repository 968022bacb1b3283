package ceremony_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

// ofBrowser is a call with a token from the browser of a device.
func ofBrowser[T any](st *stack, d *device, token string, body T) service.ForVisit[T] {
	req := visit(st, token, body)
	req.UserAgent = d.client().UserAgent
	return req
}

func (d *device) said() frontend.ClientInformation {
	yes := true
	said := frontend.ClientInformation{IsUserVerifyingPlatformAuthenticatorAvailable: &yes, IsConditionalMediationAvailable: &yes}
	if d.handle != "" {
		said.ClientEnvHandle = &d.handle
	}
	return said
}

func (st *stack) startMine(tb testing.TB, d *device, token string) service.Answered[frontend.MePasskeysAppendStartRsp] {
	tb.Helper()
	rsp, err := st.CurrentUserPasskeyAppendStart(tb.Context(), ofBrowser(st, d, token, frontend.MePasskeysAppendStartReq{ClientInformation: d.said()}))
	if err != nil {
		tb.Fatal(err)
	}
	if rsp.Body.NewClientEnvHandle != nil {
		d.handle = *rsp.Body.NewClientEnvHandle
	}
	return rsp
}

func (st *stack) finishMine(tb testing.TB, d *device, token, answer string) error {
	tb.Helper()
	_, err := st.CurrentUserPasskeyAppendFinish(tb.Context(), ofBrowser(st, d, token, frontend.MePasskeysAppendFinishReq{AttestationResponse: answer, ClientInformation: d.said()}))
	return err
}

func (st *stack) mine(tb testing.TB, token string) []frontend.Passkey {
	tb.Helper()
	rsp, err := st.CurrentUserPasskeyGet(tb.Context(), visit(st, token, service.List{Page: 1, PageSize: 1000}))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Passkeys
}

func TestTheCurrentUserCreatesListsAndDeletesAPasskey(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in, d := st.logIn(t), phone()

	start := st.startMine(t, d, in.session)
	if start.Body.AppendNotAllowedReason != nil || start.Decision == "" || start.PolicyRevision != "rev-1" || d.handle == "" {
		t.Fatalf("got %+v", start)
	}
	q := st.decision.last()
	if q.Process == "" || q.Client.UserAgent == "" || q.Client.RemoteAddress != "203.0.113.7" {
		t.Errorf("the decision was asked %+v", q)
	}
	var options struct {
		PublicKey struct {
			Challenge string `json:"challenge"`
			User      struct{ ID, Name, DisplayName string }
		} `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(start.Body.AttestationOptions), &options); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"challenge": options.PublicKey.Challenge, "user.id": options.PublicKey.User.ID} {
		if _, err := base64.RawURLEncoding.DecodeString(value); err != nil || value == "" {
			t.Errorf("%s %q is no base64url without padding, which parseCreationOptionsFromJSON needs: %v", name, value, err)
		}
	}
	if options.PublicKey.User.Name != email {
		t.Errorf("the authenticator shows %q", options.PublicKey.User.Name)
	}
	if err := st.finishMine(t, d, in.session, d.create(t, start.Body.AttestationOptions)); err != nil {
		t.Fatal(err)
	}
	passkeys := st.mine(t, in.session)
	if len(passkeys) != 1 || passkeys[0].AAGUIDDetails.Name != "Apple Passwords" || passkeys[0].Status != rest.CredentialStatusActive || passkeys[0].Tags == nil {
		t.Fatalf("the list is %+v", passkeys)
	}
	if done := st.events.ofType(event.AppendCompleted); len(done) != 1 || done[0].User != in.user || done[0].Credential != passkeys[0].ID {
		t.Errorf("told of %+v", done)
	}

	gone, err := st.CurrentUserPasskeyDelete(t.Context(), visit(st, in.session, ident.CredentialID(passkeys[0].ID)))
	if err != nil || gone.ID != passkeys[0].ID {
		t.Errorf("got %+v, %v", gone, err)
	}
	if left := st.mine(t, in.session); len(left) != 0 || left == nil {
		t.Errorf("left are %#v", left)
	}
	_, err = st.CurrentUserPasskeyDelete(t.Context(), visit(st, in.session, ident.CredentialID(passkeys[0].ID)))
	wantField(t, err, 400, "credentialID", "does not exist")
}

func TestTheCurrentUserIsToldWhyThereIsNoPasskeyToCreate(t *testing.T) {
	t.Parallel()
	exists, unsupported := rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeyAlreadyExists, rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeysNotSupported
	for reason, want := range map[string]rest.PasskeyAppendStartRspAppendNotAllowedReason{
		"passkey_already_exists": exists, "passkeys_not_supported": unsupported, "data_incomplete": unsupported,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			var situation string
			st.decision.append = func(q service.AppendQuestion, v *service.AppendVerdict) {
				situation = q.Situation
				v.Allow, v.Reason = false, reason
			}
			start := st.startMine(t, phone(), st.logIn(t).session)
			if start.Body.AttestationOptions != "" || start.Body.AppendNotAllowedReason == nil || *start.Body.AppendNotAllowedReason != want {
				t.Errorf("got %+v", start.Body)
			}
			if situation != "current-user" {
				t.Errorf("the situation was %q", situation)
			}
		})
	}
}

func TestAPasskeyIsFinishedInTheSessionThatBeganIt(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in, d := st.logIn(t), phone()
	created := d.create(t, st.startMine(t, d, in.session).Body.AttestationOptions)
	other := st.logInAs(t, st.user(t))
	wantField(t, st.finishMine(t, d, other.session, created), 400, "attestationResponse", "the challenge is unknown, or was not given to this user")
	again := st.logInAs(t, in.user)
	wantField(t, st.finishMine(t, d, again.session, created), 400, "attestationResponse", "the challenge belongs to another process")
	if err := st.finishMine(t, d, in.session, created); err != nil {
		t.Fatal(err)
	}
	wantField(t, st.finishMine(t, d, in.session, created), 400, "attestationResponse", "the challenge has been used already")
}

func TestTheCurrentUserIsShownAndChanged(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logIn(t)
	if _, err := st.CurrentUserUpdate(t.Context(), visit(st, in.session, frontend.MeUpdateReq{FullName: "Ada Lovelace"})); err != nil {
		t.Fatal(err)
	}
	me, err := st.me(in.session)
	if err != nil || me.FullName != "Ada Lovelace" || me.ID != string(in.user) || len(me.Identifiers) != 2 || me.SocialAccounts == nil {
		t.Errorf("got %+v, %v", me, err)
	}
	_, err = st.CurrentUserUpdate(t.Context(), visit(st, in.session, frontend.MeUpdateReq{FullName: string(make([]byte, 201))}))
	wantField(t, err, 400, "fullName", "must be at most 200 characters long")

	info, err := st.OidcUserInfo(t.Context(), visit(st, in.session, service.Empty{}))
	name, address, yes := "Ada Lovelace", email, true
	if d := cmp.Diff(frontend.OidcUserInfoRsp{Sub: string(in.user), Name: &name, Email: &address, EmailVerified: &yes}, info); err != nil || d != "" {
		t.Errorf("%v, %s", err, d)
	}

	rsp, err := st.CurrentUserDelete(t.Context(), visit(st, in.session, service.Empty{}))
	if err != nil || rsp.Cookies == nil || rsp.Cookies.SessionToken != "" {
		t.Errorf("got %+v, %v", rsp, err)
	}
	_, err = st.me(in.session)
	wantLogin(t, err, "the session has ended")
}

func (st *stack) identifiersOf(tb testing.TB, token string) map[string]frontend.Identifier {
	tb.Helper()
	me, err := st.me(token)
	if err != nil {
		tb.Fatal(err)
	}
	found := map[string]frontend.Identifier{}
	for _, i := range me.Identifiers {
		found[i.Value] = i
	}
	return found
}

func TestTheCurrentUserAddsAnAddressAndVerifiesItWithTheCodeSentLast(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logIn(t)
	const second = "ada@second.example"
	add := frontend.MeIdentifierCreateReq{IdentifierType: rest.IdentifierTypeEmail, Value: second}
	if _, err := st.CurrentUserIdentifierCreate(t.Context(), visit(st, in.session, add)); err != nil {
		t.Fatal(err)
	}
	_, err := st.CurrentUserIdentifierCreate(t.Context(), visit(st, in.session, add))
	wantField(t, err, 409, "value", "already exists")
	_, err = st.CurrentUserIdentifierCreate(t.Context(), visit(st, in.session, frontend.MeIdentifierCreateReq{IdentifierType: rest.IdentifierTypeEmail, Value: "x"}))
	if f := fault.As(err); len(f.Validation) != 1 || f.Validation[0].Field != "value" {
		t.Errorf("got %v", err)
	}
	added := st.identifiersOf(t, in.session)[second]
	if added.Status != rest.IdentifierStatusPending {
		t.Fatalf("it is %+v", added)
	}
	finish := func(code string) error {
		_, err := st.CurrentUserIdentifierVerifyFinish(t.Context(), visit(st, in.session, frontend.MeIdentifierVerifyFinishReq{IdentifierID: added.ID, Code: code}))
		return err
	}
	wantField(t, finish("123456"), 400, "code", "none was sent to this identifier")
	send := func() string {
		t.Helper()
		req := visit(st, in.session, frontend.MeIdentifierVerifyStartReq{IdentifierID: added.ID})
		if _, err := st.CurrentUserIdentifierVerifyStart(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if sent := st.delivery.last(); sent.To != second || sent.Type != rest.ChallengeTypeEmailOtp {
			t.Fatalf("sent %+v", sent)
		}
		st.clock.advance(time.Second)
		return st.delivery.last().Value
	}
	first := send()
	last := send()
	for last == first { // one in a million
		last = send()
	}
	wantField(t, finish(first), 400, "code", "is wrong")
	if err := finish(last); err != nil {
		t.Fatal(err)
	}
	if now := st.identifiersOf(t, in.session)[second]; now.Status != rest.IdentifierStatusVerified {
		t.Errorf("it is %+v", now)
	}
}

func TestTheCurrentUserChangesAUserNameAndKeepsTheLastIdentifier(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	in := st.logInAs(t, st.user(t))
	ctx := t.Context()
	if _, err := st.CurrentUserIdentifierCreate(ctx, visit(st, in.session, frontend.MeIdentifierCreateReq{IdentifierType: rest.IdentifierTypeUsername, Value: "ada"})); err != nil {
		t.Fatal(err)
	}
	before := st.identifiersOf(t, in.session)["ada"]
	if before.Status != rest.IdentifierStatusPrimary {
		t.Errorf("the first user name is %s", before.Status)
	}
	remove := func(id string) error {
		_, err := st.CurrentUserIdentifierDelete(ctx, visit(st, in.session, frontend.MeIdentifierDeleteReq{IdentifierID: id}))
		return err
	}
	wantField(t, remove(before.ID), 400, "identifierID", "is the last one and cannot be deleted")
	wantField(t, remove("ide-1"), 400, "identifierID", "does not exist")

	change := frontend.MeIdentifierUpdateReq{IdentifierID: before.ID, IdentifierType: rest.IdentifierTypeUsername, Value: "countess"}
	if _, err := st.CurrentUserIdentifierUpdate(ctx, visit(st, in.session, change)); err != nil {
		t.Fatal(err)
	}
	all := st.identifiersOf(t, in.session)
	if after, ok := all["countess"]; !ok || len(all) != 1 || after.ID == before.ID || after.Status != before.Status {
		t.Errorf("identifiers are %+v", all)
	}
	_, err := st.CurrentUserIdentifierUpdate(ctx, visit(st, in.session, change))
	wantField(t, err, 400, "identifierID", "does not exist")
	change.IdentifierType = rest.IdentifierTypeEmail
	_, err = st.CurrentUserIdentifierUpdate(ctx, visit(st, in.session, change))
	wantField(t, err, 400, "identifierType", "must be username: another identifier is added, verified and then the old one deleted")
	_, err = st.CurrentUserIdentifierVerifyStart(ctx, visit(st, in.session, frontend.MeIdentifierVerifyStartReq{IdentifierID: all["countess"].ID}))
	wantField(t, err, 400, "identifierID", "is a user name, of which nothing needs to be verified")
}

func TestAFrontendLearnsHowItsProjectIsConfigured(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	st.change(func(p *project.Project) {
		p.Frontend = project.Frontend{FullName: true, SameSite: "none", Identifiers: []project.IdentifierRule{{Type: account.IdentifierTypePhone}}}
	})
	cookie := frontend.CookieConfig{Domain: rpID, Secure: true, SameSite: frontend.CookieConfigSameSiteNone, Path: "/", LifetimeSeconds: 2592000}
	session, err := st.GetSessionConfig(t.Context(), visit(st, "", service.Empty{}))
	want := frontend.SessionConfigRsp{UseSessionManagement: true, FrontendAPIURL: frontendURL, SessionTokenCookieConfig: cookie, ShortSessionCookieConfig: cookie}
	if d := cmp.Diff(want, session); err != nil || d != "" {
		t.Errorf("%v, %s", err, d)
	}
	process, err := st.GetProcessConfig(t.Context(), visit(st, "", service.Empty{}))
	if d := cmp.Diff(frontend.ProcessConfigRsp{FrontendAPIURL: frontendURL}, process); err != nil || d != "" {
		t.Errorf("%v, %s", err, d)
	}
	details, err := st.GetUserDetailsConfig(t.Context(), visit(st, "", service.Empty{}))
	if d := cmp.Diff(frontend.UserDetailsConfigRsp{FullNameRequired: true, Identifiers: []frontend.IdentifierConfig{{Type: rest.IdentifierTypePhone}}}, details); err != nil || d != "" {
		t.Errorf("%v, %s", err, d)
	}
}
