package signin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// passkeyFirst makes the project verify email addresses after a passkey was created.
func passkeyFirst(f *project.Frontend) {
	f.Identifiers = []project.IdentifierRule{
		{Type: account.IdentifierTypeEmail, Verify: project.VerifyAfterPasskey}, {Type: account.IdentifierTypeUsername},
	}
}

// onlyActive judges as the default policy does: who is not active gets nothing.
func onlyActive(st *ceremonytest.Stack) {
	st.Decision.OnLogin = func(q service.LoginQuestion, v *service.LoginVerdict) {
		v.Allow = v.Allow && q.Account.Status == account.StatusActive
	}
	st.Decision.OnAppend = func(q service.AppendQuestion, v *service.AppendVerdict) {
		v.Allow = v.Allow && q.Account.Status == account.StatusActive
	}
}

// from begins a process in a browser that keeps its handle with its passkeys.
func from(tb testing.TB, st *ceremonytest.Stack, d *authenticator.Device) *browser {
	tb.Helper()
	b := begin(tb, st, func(r *frontend.ProcessInitReq) {
		if r.ClientInformation = d.Said(); d.Handle != "" {
			r.ClientInformation.ClientEnvHandle = &d.Handle
		}
	})
	if b.init.NewClientEnvHandle != nil {
		d.Handle = *b.init.NewClientEnvHandle
	}
	return b
}

// waiting signs up with a passkey and leaves the code for later.
func waiting(tb testing.TB, st *ceremonytest.Stack, d *authenticator.Device) (*browser, ident.UserID) {
	tb.Helper()
	b := from(tb, st, d)
	b.signUp(tb, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
	b.append(tb, d)
	b.skip(tb, frontend.BlockTypeEmailVerify)
	made := st.Events.OfType(event.AppendCompleted)
	user := made[len(made)-1].User
	d.Options.UserHandle = st.Account(tb, user).UserHandle
	return b, user
}

func TestThePasskeyOfASignUpWaitsForTheCode(t *testing.T) {
	t.Parallel()
	st, d := meeting(ceremonytest.New(t), passkeyFirst), authenticator.Phone()
	onlyActive(st)
	b, user := waiting(t, st, d)
	sent := st.Delivery.Inbox(t, 1)
	if a := st.Account(t, user); !a.Waits() || a.Status != account.StatusPending || len(a.Credentials) != 1 || sessionsOf(t, st, user) != 0 {
		t.Fatalf("after the passkey: %+v", a)
	}

	// Nobody logs in with it: neither by name, nor in the form, nor where a login was under way.
	start, err := st.LoginStart(t.Context(), st.LoginStartReq(user, d))
	if err != nil {
		t.Fatal(err)
	}
	if why := start.Body.DecisionInsights.Reason; start.Body.LoginAllow || why == nil || *why != "unverified" {
		t.Errorf("login start: %+v, %v", start.Body, err)
	}
	mediated := from(t, st, d)
	options := dataOf(t, mediated.body.Data.AsBlockLoginInit).ConditionalUIChallenge
	if options == nil {
		t.Fatal("the form has no options")
	}
	answer := frontend.PasskeyFinishReq{SignedChallenge: d.Get(t, *options)}
	do(t, mediated, mediated.PasskeyMediationFinish, answer, frontend.BlockTypeLoginInit)
	if mediated.body.Error == nil || mediated.body.Error.Code != "conditional_ui_login_unverified" {
		t.Errorf("in the form: %+v", mediated.body.Error)
	}

	b.code(t, ceremonytest.Wrong(sent.Value), frontend.BlockTypeEmailVerify)
	b.code(t, sent.Value, frontend.BlockTypeCompleted)
	a := st.Account(t, user)
	if a.Active() != nil || a.Unverified || a.SignUpUntilMs != 0 || len(a.Credentials) != 1 ||
		a.Identifiers[0].Status != account.IdentifierStatusPrimary {
		t.Errorf("after the code: %+v", a)
	}
	if me := whose(t, st, b.session(t).SessionToken); me.ID != string(user) {
		t.Errorf("the session is of %s", me.ID)
	}
	again := from(t, st, d)
	again.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	again.verify(t, d, frontend.BlockTypePasskeyAppend)
}

func TestALoginThatWasUnderWayIsRefusedToWhoIsNotVerified(t *testing.T) {
	t.Parallel()
	st, d := meeting(ceremonytest.New(t), passkeyFirst), authenticator.Phone()
	_, user := waiting(t, st, d)
	// A policy that lets it begin does not let it end.
	start := st.BeginLogin(t, user, d)
	_, err := st.FinishLogin(t, user, d, d.Get(t, start.AssertionOptions))
	if !errors.Is(err, account.ErrUnverified) || fault.As(err).Reason != "user-unverified" {
		t.Errorf("login finish: %v", err)
	}
	if sessionsOf(t, st, user) != 0 || st.Account(t, user).Credentials[0].LastUsedMs != ceremonytest.Started.UnixMilli() {
		t.Error("the login was taken")
	}
}

func TestACodeInTheSameBrowserKeepsThePasskeyThatWaits(t *testing.T) {
	t.Parallel()
	st, d := meeting(ceremonytest.New(t), passkeyFirst), authenticator.Phone()
	onlyActive(st)
	_, user := waiting(t, st, d)
	later := from(t, st, d)
	later.logIn(t, ceremonytest.Email, frontend.BlockTypeEmailVerify)
	later.code(t, st.Delivery.Inbox(t, 2).Value, frontend.BlockTypePasskeyAppend)
	later.skip(t, frontend.BlockTypeCompleted)
	if a := st.Account(t, user); a.Active() != nil || len(a.Credentials) != 1 {
		t.Errorf("after the code: %+v", a)
	}
	again := from(t, st, d)
	again.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
}

// Somebody signs up with the address of another, creates a passkey and waits for them to come.
func TestWhoSignsUpWithTheAddressOfAnotherGetsNoWayIntoTheirAccount(t *testing.T) {
	t.Parallel()
	st, theirs := meeting(ceremonytest.New(t), passkeyFirst), authenticator.Phone()
	onlyActive(st)
	intruder := from(t, st, theirs)
	intruder.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
	second := from(t, st, theirs)
	second.token = intruder.token
	do(t, second, second.PasskeyAppendStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyAppend)
	underWay := theirs.Create(t, second.creation(t).Challenge)
	own := authenticator.Phone()
	do(t, intruder, intruder.PasskeyAppendStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyAppend)
	unfinished := own.Create(t, intruder.creation(t).Challenge)
	do(t, second, second.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: underWay}, frontend.BlockTypePasskeyAppended)
	user := st.Events.OfType(event.AppendCompleted)[0].User

	owner := from(t, st, authenticator.Phone())
	owner.logIn(t, ceremonytest.Email, frontend.BlockTypeEmailVerify)
	owner.code(t, st.Delivery.Inbox(t, 1).Value, frontend.BlockTypePasskeyAppend)
	owner.skip(t, frontend.BlockTypeCompleted)
	if a := st.Account(t, user); a.Active() != nil || len(a.Credentials) != 0 || len(a.Deleted) != 1 {
		t.Errorf("the owner's account: %+v", a)
	}
	if len(st.Events.OfType(event.PasskeyDeleted)) != 1 {
		t.Error("nobody was told of the passkey that is gone")
	}
	// What the intruder has begun ends in nothing.
	_, err := st.AppendFinish(t.Context(), service.ForProject[rest.PasskeyAppendFinishReq]{
		Project: st.Project.ID, Body: rest.PasskeyAppendFinishReq{
			UserID: string(user), ProcessID: st.Decision.Last().Process, AttestationResponse: unfinished, ClientInformation: theirs.Client(),
		},
	})
	if err == nil || len(st.Account(t, user).Credentials) != 0 {
		t.Errorf("a creation that was under way: %v", err)
	}
	wantPlace(t, try(t, intruder, intruder.PasskeyAppendStart, frontend.PasskeyStartReq{}))
}

func TestASignUpThatIsStillAtItsPasskeyEndsWhenTheUserIsVerifiedElsewhere(t *testing.T) {
	t.Parallel()
	st, d := meeting(ceremonytest.New(t), passkeyFirst), authenticator.Phone()
	onlyActive(st)
	intruder := from(t, st, d)
	intruder.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
	do(t, intruder, intruder.PasskeyAppendStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyAppend)
	unfinished := d.Create(t, intruder.creation(t).Challenge)
	owner := from(t, st, authenticator.Phone())
	owner.logIn(t, ceremonytest.Email, frontend.BlockTypeEmailVerify)
	owner.code(t, st.Delivery.Inbox(t, 1).Value, frontend.BlockTypePasskeyAppend)
	owner.skip(t, frontend.BlockTypeCompleted)
	user := userNamed(t, st, whose(t, st, owner.session(t).SessionToken).ID)

	if err := try(t, intruder, intruder.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: unfinished}); err == nil {
		t.Error("a creation that was under way is taken")
	}
	wantGone(t, try(t, intruder, intruder.PasskeyAppendStart, frontend.PasskeyStartReq{}))
	if a := st.Account(t, user); len(a.Credentials) != 0 {
		t.Errorf("the owner's account: %+v", a)
	}
}

func TestASignUpThatNobodyVerifiesGivesWayThoughItHasAPasskey(t *testing.T) {
	t.Parallel()
	st, d := meeting(ceremonytest.New(t), passkeyFirst), authenticator.Phone()
	_, user := waiting(t, st, d)
	other := from(t, st, authenticator.Phone())
	other.signUp(t, frontend.BlockTypeSignupInit, emailOf(ceremonytest.Email))
	st.Clock.Advance(15 * time.Minute)
	other.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
	if _, _, err := st.Accounts.Get(t.Context(), st.Project.ID, user); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("the one before is there still: %v", err)
	}
}

func TestASignUpThatBeginsAnewLeavesNoPasskeyThatWaits(t *testing.T) {
	t.Parallel()
	st, d := meeting(ceremonytest.New(t), passkeyFirst), authenticator.Phone()
	b, user := waiting(t, st, d)
	do(t, b, b.ProcessReset, service.Empty{}, frontend.BlockTypeSignupInit)
	if _, _, err := st.Accounts.Get(t.Context(), st.Project.ID, user); !errors.Is(err, account.ErrUnknown) {
		t.Errorf("it is there still: %v", err)
	}
	b.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
}

func TestABackendThatVouchesEndsTheWaiting(t *testing.T) {
	t.Parallel()
	for name, vouch := range map[string]func(*testing.T, *ceremonytest.Stack, account.Account){
		"for the address": func(t *testing.T, st *ceremonytest.Stack, a account.Account) {
			_, err := st.UpdateIdentifier(t.Context(), service.ForUser[patch.Identifier]{
				Project: st.Project.ID, User: a.ID,
				Body: patch.Identifier{ID: a.Identifiers[0].ID, Status: rest.IdentifierStatusVerified},
			})
			if err != nil {
				t.Fatal(err)
			}
		},
		"for the user": func(t *testing.T, st *ceremonytest.Stack, a account.Account) {
			active := rest.UserStatusActive
			_, err := st.UpdateUser(t.Context(), service.ForUser[rest.UserUpdateReq]{
				Project: st.Project.ID, User: a.ID, Body: rest.UserUpdateReq{Status: &active},
			})
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := meeting(ceremonytest.New(t), passkeyFirst), authenticator.Phone()
			onlyActive(st)
			_, user := waiting(t, st, d)
			vouch(t, st, st.Account(t, user))
			if a := st.Account(t, user); a.Active() != nil || a.Unverified || len(a.Credentials) != 1 {
				t.Errorf("the account is %+v", a)
			}
			b := from(t, st, d)
			b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
		})
	}
}

func TestWithoutAPasskeyTheCodeIsAskedForAllTheSame(t *testing.T) {
	t.Parallel()
	st := meeting(ceremonytest.New(t), passkeyFirst)
	st.Decision.OnAppend = noAppend
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(ceremonytest.Email))
	do(t, b, b.IdentifierVerifyStart, frontend.IdentifierVerifyStartReq{
		IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp,
	}, frontend.BlockTypeEmailVerify)
	b.code(t, st.Delivery.Inbox(t, 2).Value, frontend.BlockTypeCompleted)
	named := begin(t, st)
	named.signUp(t, frontend.BlockTypeCompleted, usernameOf("ada"))
}
