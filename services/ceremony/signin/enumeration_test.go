package signin_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

// told is what a client learns of one call.
type told struct {
	Answer   string
	Decided  bool
	Fault    string
	Sessions bool
}

func learn[T any](t *testing.T, b *browser, call signInCall[T], body T) told {
	t.Helper()
	rsp, err := call(t.Context(), service.ForVisit[T]{Visit: visitOf(b.Stack, b.token), Body: body})
	raw, fail := json.Marshal(rsp.Body)
	if fail != nil {
		t.Fatal(fail)
	}
	learnt := told{Answer: string(raw), Decided: rsp.Decision != "", Sessions: rsp.Cookies != nil}
	if err != nil {
		learnt = told{Fault: err.Error()}
	}
	return learnt
}

// interrogate asks everything that somebody without a passkey or a code can ask.
func interrogate(t *testing.T, st *ceremonytest.Stack, typed string, isPhone bool) (all []told, asked int) {
	t.Helper()
	st.Decision.Mu.Lock()
	before := len(st.Decision.Asked)
	st.Decision.Mu.Unlock()
	b := begin(t, st)
	method, kind := frontend.VerificationMethodEmailOtp, account.IdentifierTypeEmail
	if isPhone {
		method, kind = frontend.VerificationMethodPhoneOtp, account.IdentifierTypePhone
	}
	all = append(all, learn(t, b, b.LoginInit, frontend.LoginInitReq{IdentifierValue: typed, IsPhone: isPhone}))
	get := func(ctx context.Context, r service.ForVisit[*frontend.BlockType]) (service.Answered[frontend.ProcessResponse], error) {
		return b.ProcessGet(ctx, r)
	}
	all = append(all, learn(t, b, get, nil))
	for range 7 { // beyond the limit of wrong ones
		all = append(
			all,
			learn(
				t, b, b.IdentifierVerifyFinish,
				frontend.IdentifierVerifyFinishReq{Code: "x23456", IdentifierType: rest.IdentifierType(kind), VerificationType: method},
			),
		)
	}
	for range 6 { // beyond the limit of messages
		all = append(
			all,
			learn(
				t, b, b.IdentifierVerifyStart,
				frontend.IdentifierVerifyStartReq{IdentifierType: rest.IdentifierType(kind), VerificationType: method},
			),
		)
	}
	all = append(
		all,
		learn(
			t, b, b.IdentifierVerifyStart,
			frontend.IdentifierVerifyStartReq{IdentifierType: rest.IdentifierType(kind), VerificationType: frontend.VerificationMethodEmailLink},
		),
	)
	all = append(all, learn(t, b, b.IdentifierVerifyStatus, service.Empty{}))
	all = append(
		all, learn(t, b, b.PasskeyLoginStart, frontend.PasskeyLoginStartReq{}),
		learn(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}),
	)
	all = append(
		all, learn(t, b, b.PasskeyAppendStart, frontend.PasskeyStartReq{}),
		learn(t, b, b.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}),
	)
	all = append(
		all,
		learn(t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{IdentifierType: rest.IdentifierType(kind), Value: "other@example.com"}),
	)
	all = append(all, learn(t, b, b.BlockSkip, service.Empty{}), learn(t, b, b.ProcessComplete, service.Empty{}))
	event := func(ctx context.Context, r service.ForVisit[frontend.EventCreateReq]) (service.Answered[frontend.ProcessResponse], error) {
		_, err := b.AuthEventCreate(ctx, r)
		return service.Answered[frontend.ProcessResponse]{}, err
	}
	all = append(all, learn(t, b, event, frontend.EventCreateReq{EventType: rest.PasskeyEventTypeLoginError}))
	all = append(all, learn(t, b, b.ProcessReset, service.Empty{}))
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	return all, len(st.Decision.Asked) - before
}

func TestNobodyCanTellWhoExists(t *testing.T) {
	t.Parallel()
	with := func(kind account.IdentifierType, value string, status account.Status) func(*testing.T, *ceremonytest.Stack) {
		return func(t *testing.T, st *ceremonytest.Stack) {
			user := st.NewUser(t)
			if _, err := st.AddIdentifier(t, st, user, kind, value); err != nil {
				t.Fatal(err)
			}
			ceremonytest.SetStatus(t, st, user, rest.UserStatus(status))
		}
	}
	for name, c := range map[string]struct {
		typed   string
		isPhone bool
		known   func(*testing.T, *ceremonytest.Stack)
	}{
		"by an address": {
			"ada@example.com", false, with(account.IdentifierTypeEmail, "Ada@Example.com", account.StatusActive),
		},
		"by the address of a disabled one": {
			"ada@example.com", false, with(account.IdentifierTypeEmail, "ada@example.com", account.StatusDisabled),
		},
		"by a number":    {ceremonytest.Mobile, true, with(account.IdentifierTypePhone, ceremonytest.Mobile, account.StatusActive)},
		"by a user name": {"ada", false, with(account.IdentifierTypeUsername, "ada", account.StatusActive)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nobody, somebody := ceremonytest.New(t), ceremonytest.New(t)
			c.known(t, somebody)
			noPasskey := func(q service.LoginQuestion, v *service.LoginVerdict) {
				v.Allow = q.Account != nil && len(q.Account.Credentials) > 0
			}
			nobody.Decision.OnLogin, somebody.Decision.OnLogin = noPasskey, noPasskey
			// Who waits for the delivery could tell by that.
			hold := make(chan struct{})
			defer close(hold)
			somebody.Delivery.Fail = func(delivery.Message) error { <-hold; return nil }
			want, askedOfNobody := interrogate(t, nobody, c.typed, c.isPhone)
			got, asked := interrogate(t, somebody, c.typed, c.isPhone)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("a user differs from nobody (-nobody +user):\n%s", diff)
			}
			if asked != askedOfNobody || asked == 0 {
				t.Errorf("the policy was asked %d times, of nobody %d times", asked, askedOfNobody)
			}
			if len(nobody.Delivery.Messages) != 0 {
				t.Error("something was sent to nobody")
			}
		})
	}
}
