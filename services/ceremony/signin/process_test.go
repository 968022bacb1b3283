package signin_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	steps "github.com/keyward/keyward/services/ceremony/internal/process"
)

func TestAProcessOpensOneSession(t *testing.T) {
	t.Parallel()
	const calls = 8
	many := func(t *testing.T, call func() error) (good int64) {
		t.Helper()
		var done sync.WaitGroup
		for range calls {
			done.Go(func() {
				if call() == nil {
					atomic.AddInt64(&good, 1)
				}
			})
		}
		done.Wait()
		return good
	}
	t.Run("however many complete it at once", func(t *testing.T) {
		t.Parallel()
		st := ceremonytest.New(t)
		b := begin(t, st)
		b.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
		good := many(t, func() error {
			_, err := st.ProcessComplete(context.Background(), service.ForVisit[service.Empty]{Visit: visitOf(st, b.token)})
			return err
		})
		user := st.Everyone(t)[0].ID
		if n := sessionsOf(t, st, user); n != 1 || good == 0 {
			t.Errorf("%d sessions of %d answers", n, good)
		}
		wantGone(t, try(t, b, b.ProcessComplete, service.Empty{}))
	})
	t.Run("however many finish its passkey at once", func(t *testing.T) {
		t.Parallel()
		st, d := ceremonytest.New(t), authenticator.Phone()
		user := member(t, st, d, emailOf(ceremonytest.Email))
		st.Decision.OnAppend = noAppend
		b := begin(t, st)
		b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
		signed := d.Get(t, b.request(t).Challenge)
		before := sessionsOf(t, st, user)
		good := many(t, func() error {
			_, err := st.PasskeyLoginFinish(context.Background(), service.ForVisit[frontend.PasskeyFinishReq]{
				Visit: visitOf(st, b.token), Body: frontend.PasskeyFinishReq{SignedChallenge: signed},
			})
			return err
		})
		if n := sessionsOf(t, st, user) - before; n != 1 || good != 1 {
			t.Errorf("%d sessions of %d answers", n, good)
		}
		wantGone(t, try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: signed}))
	})
	t.Run("however many give its code at once", func(t *testing.T) {
		t.Parallel()
		st := meeting(ceremonytest.New(t), verifying(false))
		st.Decision.OnAppend = noAppend
		b := begin(t, st)
		b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(ceremonytest.Email))
		sent := st.Delivery.Inbox(t, 1)
		many(t, func() error {
			_, err := st.IdentifierVerifyFinish(context.Background(), service.ForVisit[frontend.IdentifierVerifyFinishReq]{
				Visit: visitOf(st, b.token), Body: frontend.IdentifierVerifyFinishReq{
					Code: sent.Value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp,
				},
			})
			return err
		})
		all := st.Everyone(t)
		if len(all) != 1 || sessionsOf(t, st, all[0].ID) != 1 {
			t.Errorf("%d users", len(all))
		}
	})
}

func TestAProcessIsGoneWhen(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, *browser){
		"it never was":            func(_ *testing.T, b *browser) { b.token = ident.Alphanumeric(46) },
		"there is no token":       func(_ *testing.T, b *browser) { b.token = "" },
		"the token is no token":   func(_ *testing.T, b *browser) { b.token = "*.>" },
		"the secret is another's": func(_ *testing.T, b *browser) { b.token = b.token[:20] + ident.Alphanumeric(26) },
		"it has expired":          func(_ *testing.T, b *browser) { b.Clock.Advance(30 * time.Minute) },
		"it is another project's": func(t *testing.T, b *browser) { b.token = begin(t, ceremonytest.New(t)).token },
		"it is one of Connect":    func(t *testing.T, b *browser) { b.token = storeProcess(t, b.Stack, steps.Connect) },
		"its user was deleted": func(t *testing.T, b *browser) {
			if _, err := b.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: b.Project.ID, User: b.Everyone(t)[0].ID}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			member(t, st, authenticator.Phone(), emailOf(ceremonytest.Email))
			b := begin(t, st)
			b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
			spoil(t, b)
			wantGone(t, try(t, b, b.ProcessComplete, service.Empty{}))
			wantGone(t, try(t, b, b.BlockSkip, service.Empty{}))
			wantGone(t, try(t, b, b.ProcessReset, service.Empty{}))
			wantGone(t, try(t, b, b.SignupInit, frontend.SignupInitReq{Identifiers: []frontend.LoginIdentifier{emailOf(ceremonytest.Email)}}))
			wantGone(t, try(t, b, b.LoginInit, frontend.LoginInitReq{IdentifierValue: ceremonytest.Email}))
			wantGone(t, try(t, b, b.PasskeyLoginStart, frontend.PasskeyLoginStartReq{}))
			wantGone(t, try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
			wantGone(t, try(t, b, b.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
			wantGone(t, try(t, b, b.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
			wantGone(t, try(t, b, b.IdentifierVerifyStart, frontend.IdentifierVerifyStartReq{}))
			wantGone(
				t,
				try(
					t, b, b.IdentifierVerifyFinish,
					frontend.IdentifierVerifyFinishReq{Code: "123456", VerificationType: frontend.VerificationMethodEmailLink},
				),
			)
			wantGone(t, try(t, b, b.IdentifierVerifyStatus, service.Empty{}))
			wantGone(t, try(t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{}))
			_, err := st.AuthEventCreate(t.Context(), service.ForVisit[frontend.EventCreateReq]{
				Visit: visitOf(st, b.token), Body: frontend.EventCreateReq{EventType: rest.PasskeyEventTypeLoginError},
			})
			wantGone(t, err)
		})
	}
}

func TestAProcessBeginsAnew(t *testing.T) {
	t.Parallel()
	st, d := ceremonytest.New(t), authenticator.Phone()
	member(t, st, d, emailOf(ceremonytest.Email))
	b := begin(t, st, mediating)
	b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	do(t, b, b.ProcessReset, service.Empty{}, frontend.BlockTypeLoginInit)
	form := dataOf(t, b.body.Data.AsBlockLoginInit)
	if form.IdentifierValue != "" || form.ConditionalUIChallenge == nil {
		t.Errorf("form: %+v", form)
	}
	wantPlace(t, try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
	b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	b.verify(t, d, frontend.BlockTypePasskeyAppend)
}

func TestARefreshTokenIsInTheBodyIfTheProjectSaysSo(t *testing.T) {
	t.Parallel()
	st := meeting(ceremonytest.New(t), func(f *project.Frontend) { f.RefreshTokenInBody = true })
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
	b.skip(t, frontend.BlockTypeCompleted)
	if done := b.session(t); done.RefreshToken == nil || done.LongSession == nil || b.cookies.RefreshToken != "" {
		t.Errorf("completed: %+v, cookies %+v", done, b.cookies)
	}
}

// storeProcess stores a process of a kind and returns its token.
func storeProcess(tb testing.TB, st *ceremonytest.Stack, kind steps.Kind) string {
	tb.Helper()
	made, token := steps.New(st.Project.ID, kind, rest.ClientInformation{}, st.Clock.Now(), time.Hour)
	if err := steps.NewStore(st.Buckets.Processes).Create(tb.Context(), made); err != nil {
		tb.Fatal(err)
	}
	return token
}
