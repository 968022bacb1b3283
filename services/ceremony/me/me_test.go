package me_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
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
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/faulty"
)

// ofBrowser is a call with a token from the browser of a device.
func ofBrowser[T any](st *ceremonytest.Stack, d *authenticator.Device, token string, body T) service.ForVisit[T] {
	req := ceremonytest.Visit(st, token, body)
	req.UserAgent = d.Client().UserAgent
	return req
}

func startMine(
	tb testing.TB, st *ceremonytest.Stack, d *authenticator.Device, token string,
) service.Answered[frontend.MePasskeysAppendStartRsp] {
	tb.Helper()
	rsp, err := st.CurrentUserPasskeyAppendStart(
		tb.Context(), ofBrowser(st, d, token, frontend.MePasskeysAppendStartReq{ClientInformation: d.Said()}),
	)
	if err != nil {
		tb.Fatal(err)
	}
	if rsp.Body.NewClientEnvHandle != nil {
		d.Handle = *rsp.Body.NewClientEnvHandle
	}
	return rsp
}

func finishMine(tb testing.TB, st *ceremonytest.Stack, d *authenticator.Device, token, answer string) error {
	tb.Helper()
	_, err := st.CurrentUserPasskeyAppendFinish(
		tb.Context(),
		ofBrowser(st, d, token, frontend.MePasskeysAppendFinishReq{AttestationResponse: answer, ClientInformation: d.Said()}),
	)
	return err
}

func mine(tb testing.TB, st *ceremonytest.Stack, token string) []frontend.Passkey {
	tb.Helper()
	rsp, err := st.CurrentUserPasskeyGet(tb.Context(), ceremonytest.Visit(st, token, service.List{Page: 1, PageSize: 1000}))
	if err != nil {
		tb.Fatal(err)
	}
	return rsp.Passkeys
}

func TestTheCurrentUserCreatesListsAndDeletesAPasskey(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in, d := st.OpenSession(t), authenticator.Phone()

	start := startMine(t, st, d, in.Session)
	if start.Body.AppendNotAllowedReason != nil || start.Decision == "" || start.PolicyRevision != "rev-1" || d.Handle == "" {
		t.Fatalf("got %+v", start)
	}
	q := st.Decision.Last()
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
	if options.PublicKey.User.Name != ceremonytest.Email {
		t.Errorf("the authenticator shows %q", options.PublicKey.User.Name)
	}
	if err := finishMine(t, st, d, in.Session, d.Create(t, start.Body.AttestationOptions)); err != nil {
		t.Fatal(err)
	}
	passkeys := mine(t, st, in.Session)
	if len(passkeys) != 1 || passkeys[0].AAGUIDDetails.Name != "Apple Passwords" || passkeys[0].Status != rest.CredentialStatusActive ||
		passkeys[0].Tags == nil {
		t.Fatalf("the list is %+v", passkeys)
	}
	if done := st.Events.OfType(event.AppendCompleted); len(done) != 1 || done[0].User != in.User || done[0].Credential != passkeys[0].ID {
		t.Errorf("told of %+v", done)
	}

	wantSignals(t, st, in.Session, passkeys[0].CredentialID)

	gone, err := st.CurrentUserPasskeyDelete(t.Context(), ceremonytest.Visit(st, in.Session, ident.CredentialID(passkeys[0].ID)))
	if err != nil || gone.ID != passkeys[0].ID {
		t.Errorf("got %+v, %v", gone, err)
	}
	if left := mine(t, st, in.Session); len(left) != 0 || left == nil {
		t.Errorf("left are %#v", left)
	}
	wantSignals(t, st, in.Session)
	_, err = st.CurrentUserPasskeyDelete(t.Context(), ceremonytest.Visit(st, in.Session, ident.CredentialID(passkeys[0].ID)))
	ceremonytest.WantField(t, err, 400, "credentialID", "does not exist")
}

// wantSignals holds both answers that carry them to what credential managers are to know: all passkeys, by the handle and the names of the
// user.
func wantSignals(tb testing.TB, st *ceremonytest.Stack, token string, passkeys ...string) {
	tb.Helper()
	me, err := st.CurrentUserGet(tb.Context(), ceremonytest.Visit(st, token, service.Empty{}))
	if err != nil {
		tb.Fatal(err)
	}
	handle := base64.RawURLEncoding.EncodeToString(st.Account(tb, ident.UserID(me.ID)).UserHandle)
	name, all := ceremonytest.Email, append([]string{}, passkeys...)
	want := &frontend.PasskeySignals{RpID: st.Project.RPID, UserID: &handle, AllAcceptedCredentialIDs: &all, Name: &name, DisplayName: &name}
	if me.FullName != "" {
		want.DisplayName = &me.FullName
	}
	if diff := cmp.Diff(want, me.Signals); diff != "" {
		tb.Errorf("the user: %s", diff)
	}
	list, err := st.CurrentUserPasskeyGet(tb.Context(), ceremonytest.Visit(st, token, service.List{Page: 1, PageSize: 1}))
	if err != nil {
		tb.Fatal(err)
	}
	if diff := cmp.Diff(want, list.Signals); diff != "" {
		tb.Errorf("the passkeys: %s", diff)
	}
}

// An empty list would have a credential manager hide passkeys that are good.
func TestWhereTheAccountCannotBeReadNoListIsTold(t *testing.T) {
	t.Parallel()
	b := ceremonytest.OpenBuckets(t)
	accounts := &faulty.Bucket{KeyValue: b.Accounts}
	b.Accounts = accounts
	st := ceremonytest.NewOn(t, b)
	in, d := st.OpenSession(t), authenticator.Phone()
	start := startMine(t, st, d, in.Session)
	if err := finishMine(t, st, d, in.Session, d.Create(t, start.Body.AttestationOptions)); err != nil {
		t.Fatal(err)
	}
	kept := mine(t, st, in.Session)[0]
	for _, read := range []func() (*frontend.PasskeySignals, error){
		func() (*frontend.PasskeySignals, error) {
			list, err := st.CurrentUserPasskeyGet(t.Context(), ceremonytest.Visit(st, in.Session, service.List{Page: 1, PageSize: 10}))
			return list.Signals, err
		},
		func() (*frontend.PasskeySignals, error) {
			me, err := st.CurrentUserGet(t.Context(), ceremonytest.Visit(st, in.Session, service.Empty{}))
			return me.Signals, err
		},
	} {
		accounts.FailReads(1)
		told, err := read()
		if fault.As(err).Status != 503 || told != nil {
			t.Errorf("told %+v, %v", told, err)
		}
		if told, err = read(); err != nil || !slices.Equal(*told.AllAcceptedCredentialIDs, []string{kept.CredentialID}) {
			t.Errorf("told %+v, %v", told, err)
		}
	}
}

func TestTheNamesThatAreSignalledAreThoseOfNow(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	wantSignals(t, st, in.Session)
	req := ceremonytest.Visit(st, in.Session, frontend.MeUpdateReq{FullName: "Ada Lovelace"})
	if _, err := st.CurrentUserUpdate(t.Context(), req); err != nil {
		t.Fatal(err)
	}
	wantSignals(t, st, in.Session)
}

func TestTheCurrentUserIsToldWhyThereIsNoPasskeyToCreate(t *testing.T) {
	t.Parallel()
	exists := rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeyAlreadyExists
	unsupported := rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeysNotSupported
	for reason, want := range map[string]rest.PasskeyAppendStartRspAppendNotAllowedReason{
		"passkey_already_exists": exists, "passkeys_not_supported": unsupported, "data_incomplete": unsupported,
	} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			var situation string
			st.Decision.OnAppend = func(q service.AppendQuestion, v *service.AppendVerdict) {
				situation = q.Situation
				v.Allow, v.Reason = false, reason
			}
			start := startMine(t, st, authenticator.Phone(), st.OpenSession(t).Session)
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
	st := ceremonytest.New(t)
	in, d := st.OpenSession(t), authenticator.Phone()
	created := d.Create(t, startMine(t, st, d, in.Session).Body.AttestationOptions)
	other := st.OpenSessionOf(t, st.NewUser(t))
	ceremonytest.WantField(
		t, finishMine(t, st, d, other.Session, created), 400, "attestationResponse",
		"the challenge is unknown, or was not given to this user",
	)
	again := st.OpenSessionOf(t, in.User)
	ceremonytest.WantField(
		t, finishMine(t, st, d, again.Session, created), 400, "attestationResponse",
		"the challenge belongs to another process",
	)
	if err := finishMine(t, st, d, in.Session, created); err != nil {
		t.Fatal(err)
	}
	ceremonytest.WantField(t, finishMine(t, st, d, in.Session, created), 400, "attestationResponse", "the challenge has been used already")
}

func TestTheCurrentUserIsShownAndChanged(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	if _, err := st.CurrentUserUpdate(
		t.Context(), ceremonytest.Visit(st, in.Session, frontend.MeUpdateReq{FullName: "Ada Lovelace"}),
	); err != nil {
		t.Fatal(err)
	}
	me, err := st.Me(in.Session)
	if err != nil || me.FullName != "Ada Lovelace" || me.ID != string(in.User) || len(me.Identifiers) != 2 || me.SocialAccounts == nil {
		t.Errorf("got %+v, %v", me, err)
	}
	_, err = st.CurrentUserUpdate(t.Context(), ceremonytest.Visit(st, in.Session, frontend.MeUpdateReq{FullName: string(make([]byte, 256))}))
	ceremonytest.WantField(t, err, 400, "fullName", "the length must be between 3 and 255")

	info, err := st.OidcUserInfo(t.Context(), ceremonytest.Visit(st, in.Session, service.Empty{}))
	name, address, yes := "Ada Lovelace", ceremonytest.Email, true
	if d := cmp.Diff(
		frontend.OidcUserInfoRsp{Sub: string(in.User), Name: &name, Email: &address, EmailVerified: &yes}, info,
	); err != nil ||
		d != "" {
		t.Errorf("%v, %s", err, d)
	}

	rsp, err := st.CurrentUserDelete(t.Context(), ceremonytest.Visit(st, in.Session, service.Empty{}))
	if err != nil || rsp.Cookies == nil || rsp.Cookies.SessionToken != "" {
		t.Errorf("got %+v, %v", rsp, err)
	}
	_, err = st.Me(in.Session)
	ceremonytest.WantLogin(t, err, "the session has ended")
}

func identifiersOf(tb testing.TB, st *ceremonytest.Stack, token string) map[string]frontend.Identifier {
	tb.Helper()
	me, err := st.Me(token)
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
	st := ceremonytest.New(t)
	in := st.OpenSession(t)
	const second = "ada@second.example"
	add := frontend.MeIdentifierCreateReq{IdentifierType: rest.IdentifierTypeEmail, Value: second}
	if _, err := st.CurrentUserIdentifierCreate(t.Context(), ceremonytest.Visit(st, in.Session, add)); err != nil {
		t.Fatal(err)
	}
	_, err := st.CurrentUserIdentifierCreate(t.Context(), ceremonytest.Visit(st, in.Session, add))
	ceremonytest.WantField(t, err, 409, "value", "already exists")
	_, err = st.CurrentUserIdentifierCreate(
		t.Context(),
		ceremonytest.Visit(st, in.Session, frontend.MeIdentifierCreateReq{IdentifierType: rest.IdentifierTypeEmail, Value: "x"}),
	)
	if f := fault.As(err); len(f.Validation) != 1 || f.Validation[0].Field != "value" {
		t.Errorf("got %v", err)
	}
	added := identifiersOf(t, st, in.Session)[second]
	if added.Status != rest.IdentifierStatusPending {
		t.Fatalf("it is %+v", added)
	}
	finish := func(code string) error {
		_, err := st.CurrentUserIdentifierVerifyFinish(
			t.Context(),
			ceremonytest.Visit(st, in.Session, frontend.MeIdentifierVerifyFinishReq{IdentifierID: added.ID, Code: code}),
		)
		return err
	}
	ceremonytest.WantField(t, finish("123456"), 400, "code", "none was sent to this identifier")
	send := func() string {
		t.Helper()
		req := ceremonytest.Visit(st, in.Session, frontend.MeIdentifierVerifyStartReq{IdentifierID: added.ID})
		if _, err := st.CurrentUserIdentifierVerifyStart(t.Context(), req); err != nil {
			t.Fatal(err)
		}
		if sent := st.Delivery.Last(); sent.To != second || sent.Type != rest.ChallengeTypeEmailOtp {
			t.Fatalf("sent %+v", sent)
		}
		st.Clock.Advance(time.Second)
		return st.Delivery.Last().Value
	}
	first := send()
	last := send()
	for last == first { // one in a million
		last = send()
	}
	ceremonytest.WantField(t, finish(first), 400, "code", "is wrong")
	if err := finish(last); err != nil {
		t.Fatal(err)
	}
	if now := identifiersOf(t, st, in.Session)[second]; now.Status != rest.IdentifierStatusVerified {
		t.Errorf("it is %+v", now)
	}
}

func TestTheCurrentUserChangesAUserNameAndKeepsTheLastIdentifier(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	in := st.OpenSessionOf(t, st.NewUser(t))
	ctx := t.Context()
	if _, err := st.CurrentUserIdentifierCreate(
		ctx,
		ceremonytest.Visit(st, in.Session, frontend.MeIdentifierCreateReq{IdentifierType: rest.IdentifierTypeUsername, Value: "ada"}),
	); err != nil {
		t.Fatal(err)
	}
	before := identifiersOf(t, st, in.Session)["ada"]
	if before.Status != rest.IdentifierStatusPrimary {
		t.Errorf("the first user name is %s", before.Status)
	}
	remove := func(id string) error {
		_, err := st.CurrentUserIdentifierDelete(ctx, ceremonytest.Visit(st, in.Session, frontend.MeIdentifierDeleteReq{IdentifierID: id}))
		return err
	}
	ceremonytest.WantField(t, remove(before.ID), 400, "identifierID", "is the last one and cannot be deleted")
	ceremonytest.WantField(t, remove("ide-1"), 400, "identifierID", "does not exist")

	change := frontend.MeIdentifierUpdateReq{IdentifierID: before.ID, IdentifierType: rest.IdentifierTypeUsername, Value: "countess"}
	if _, err := st.CurrentUserIdentifierUpdate(ctx, ceremonytest.Visit(st, in.Session, change)); err != nil {
		t.Fatal(err)
	}
	all := identifiersOf(t, st, in.Session)
	if after, ok := all["countess"]; !ok || len(all) != 1 || after.ID == before.ID || after.Status != before.Status {
		t.Errorf("identifiers are %+v", all)
	}
	_, err := st.CurrentUserIdentifierUpdate(ctx, ceremonytest.Visit(st, in.Session, change))
	ceremonytest.WantField(t, err, 400, "identifierID", "does not exist")
	change.IdentifierType = rest.IdentifierTypeEmail
	_, err = st.CurrentUserIdentifierUpdate(ctx, ceremonytest.Visit(st, in.Session, change))
	ceremonytest.WantField(
		t, err, 400, "identifierType", "must be username: another identifier is added, verified and then the old one deleted",
	)
	_, err = st.CurrentUserIdentifierVerifyStart(
		ctx, ceremonytest.Visit(st, in.Session, frontend.MeIdentifierVerifyStartReq{IdentifierID: all["countess"].ID}),
	)
	ceremonytest.WantField(t, err, 400, "identifierID", "is a user name, of which nothing needs to be verified")
}

func TestAFrontendLearnsHowItsProjectIsConfigured(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	st.ChangeProject(func(p *project.Project) {
		p.Frontend = project.Frontend{
			FullName: true, SameSite: "none", Identifiers: []project.IdentifierRule{{Type: account.IdentifierTypePhone}},
		}
	})
	cookie := frontend.CookieConfig{
		Domain: authenticator.RPID, Secure: true, SameSite: frontend.CookieConfigSameSiteNone, Path: "/",
		LifetimeSeconds: 2592000,
	}
	session, err := st.GetSessionConfig(t.Context(), ceremonytest.Visit(st, "", service.Empty{}))
	want := frontend.SessionConfigRsp{
		UseSessionManagement: true, FrontendAPIURL: ceremonytest.FrontendURL, SessionTokenCookieConfig: cookie,
		ShortSessionCookieConfig: cookie,
	}
	if d := cmp.Diff(want, session); err != nil || d != "" {
		t.Errorf("%v, %s", err, d)
	}
	process, err := st.GetProcessConfig(t.Context(), ceremonytest.Visit(st, "", service.Empty{}))
	if d := cmp.Diff(frontend.ProcessConfigRsp{FrontendAPIURL: ceremonytest.FrontendURL}, process); err != nil || d != "" {
		t.Errorf("%v, %s", err, d)
	}
	details, err := st.GetUserDetailsConfig(t.Context(), ceremonytest.Visit(st, "", service.Empty{}))
	if d := cmp.Diff(
		frontend.UserDetailsConfigRsp{FullNameRequired: true, Identifiers: []frontend.IdentifierConfig{{Type: rest.IdentifierTypePhone}}},
		details,
	); err != nil ||
		d != "" {
		t.Errorf("%v, %s", err, d)
	}
}

func TestWhatDoesHarmTakesARecentLoginIfTheProjectSaysSo(t *testing.T) {
	t.Parallel()
	acts := map[string]func(st *ceremonytest.Stack, visit service.Visit) error{
		"to add a passkey": func(st *ceremonytest.Stack, visit service.Visit) error {
			_, err := st.CurrentUserPasskeyAppendStart(context.Background(), service.ForVisit[frontend.MePasskeysAppendStartReq]{
				Visit: visit, Body: frontend.MePasskeysAppendStartReq{ClientInformation: authenticator.Phone().Said()},
			})
			return err
		},
		"to delete a passkey": func(st *ceremonytest.Stack, visit service.Visit) error {
			_, err := st.CurrentUserPasskeyDelete(context.Background(), service.ForVisit[ident.CredentialID]{Visit: visit, Body: "cre-1"})
			return err
		},
		"to add an identifier": func(st *ceremonytest.Stack, visit service.Visit) error {
			_, err := st.CurrentUserIdentifierCreate(context.Background(), service.ForVisit[frontend.MeIdentifierCreateReq]{
				Visit: visit, Body: frontend.MeIdentifierCreateReq{IdentifierType: rest.IdentifierTypeEmail, Value: "eve@example.com"},
			})
			return err
		},
		"to change a user name": func(st *ceremonytest.Stack, visit service.Visit) error {
			_, err := st.CurrentUserIdentifierUpdate(context.Background(), service.ForVisit[frontend.MeIdentifierUpdateReq]{Visit: visit})
			return err
		},
		"to delete an identifier": func(st *ceremonytest.Stack, visit service.Visit) error {
			_, err := st.CurrentUserIdentifierDelete(context.Background(), service.ForVisit[frontend.MeIdentifierDeleteReq]{Visit: visit})
			return err
		},
		"to delete the account": func(st *ceremonytest.Stack, visit service.Visit) error {
			_, err := st.CurrentUserDelete(context.Background(), service.ForVisit[service.Empty]{Visit: visit})
			return err
		},
	}
	for name, act := range acts {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, c := range []struct {
				name   string
				age    time.Duration // of the login
				issuer bool          // known by a token of an issuer
				silent bool          // which does not say when the login was
				limit  int           // of the project
				taken  bool
			}{
				{"an hour after the login", time.Hour, false, false, 600, false},
				{"as long after it as the project says", 10 * time.Minute, false, false, 600, true},
				{"an hour after the login, at a project that does not ask for it", time.Hour, false, false, 0, true},
				{"by a token that tells of a login an hour ago", time.Hour, true, false, 600, false},
				{"by a token that tells of a recent login", 10 * time.Minute, true, false, 600, true},
				{"by a token that does not tell of a login", 0, true, true, 600, false},
			} {
				st := ceremonytest.New(t)
				in := st.OpenSession(t)
				st.ChangeProject(func(p *project.Project) { p.Frontend.ReauthAge = c.limit })
				visit := ceremonytest.Visit(st, in.Refresh, service.Empty{}).Visit
				if c.issuer {
					visit.Token, visit.User, visit.LoggedInMs = "", in.User, st.Clock.Now().UnixMilli()
				}
				if c.silent {
					visit.LoggedInMs = 0
				}
				st.Clock.Advance(c.age)
				var f *fault.Fault
				err := act(st, visit)
				if refused := errors.As(err, &f) && f.Status == http.StatusForbidden && f.Type == fault.TypeReauthentication; refused == c.taken {
					t.Errorf("%s: got %v", c.name, err)
				}
			}
		})
	}
}

// The list of passkeys learns of no creation that the policy bars, or asks for more, why that is, and opens no step-up.
func TestThePageIsToldNothingOfHowACreationWasJudged(t *testing.T) {
	t.Parallel()
	for _, action := range []service.RiskAction{service.RiskChallenge, service.RiskDeny} {
		t.Run(string(action), func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			in, d := st.OpenSession(t), authenticator.Phone()
			start := startMine(t, st, d, in.Session)
			st.Decision.Mu.Lock()
			st.Decision.OnFinish = func(service.FinishQuestion) (service.Verdict, error) {
				return service.Verdict{Decided: service.Decided{Decision: "dec-7", PolicyRevision: "rev-1"}, Rule: "R2", Risk: &service.Risk{
					Rule: "R2", Action: action, Level: service.RiskHigh, Enforced: true, StepUp: []service.StepUpMethod{service.StepUpCaller},
				}}, nil
			}
			st.Decision.Mu.Unlock()
			err := finishMine(t, st, d, in.Session, d.Create(t, start.Body.AttestationOptions))
			if f := fault.As(err); err == nil || f.Status != http.StatusBadRequest || f.Type != fault.TypeValidationError {
				t.Errorf("got %v", err)
			}
			if left := mine(t, st, in.Session); len(left) != 0 {
				t.Errorf("kept %+v", left)
			}
			if opened := st.Events.OfType(event.StepUpStarted); len(opened) != 0 {
				t.Errorf("opened %+v", opened)
			}
		})
	}
}
