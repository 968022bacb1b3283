package signin_test

import (
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func TestALoginThatIsAbortedFallsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identifiers []frontend.LoginIdentifier
		typed       string
		want        frontend.BlockType
		shown       string
	}{
		"to a code for the address that was typed": {
			[]frontend.LoginIdentifier{emailOf(ceremonytest.Email)}, ceremonytest.Email, frontend.BlockTypeEmailVerify,
			ceremonytest.Email,
		},
		"to a code for an address that is not shown as a whole": {
			[]frontend.LoginIdentifier{emailOf(ceremonytest.Email), usernameOf("ada")}, "ada", frontend.BlockTypeEmailVerify,
			"a***@example.com",
		},
		"to the form without an address": {
			[]frontend.LoginIdentifier{usernameOf("ada")}, "ada", frontend.BlockTypeLoginInit, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := ceremonytest.New(t), authenticator.Phone()
			user := member(t, st, d, c.identifiers...)
			st.Decision.OnAppend = noAppend
			var told []service.ForUser[rest.PasskeyEventCreateReq]
			st.Events.OnCreate = func(req service.ForUser[rest.PasskeyEventCreateReq]) error {
				told = append(told, req)
				return nil
			}
			b := begin(t, st)
			b.logIn(t, c.typed, frontend.BlockTypePasskeyVerify)
			options := b.request(t).Challenge
			tell := func(kind rest.PasskeyEventType, challenge string) {
				t.Helper()
				if _, err := st.AuthEventCreate(t.Context(), service.ForVisit[frontend.EventCreateReq]{
					Visit: visitOf(st, b.token), Body: frontend.EventCreateReq{EventType: kind, Challenge: &challenge},
				}); err != nil {
					t.Fatal(err)
				}
			}
			tell(rest.PasskeyEventTypeLoginExplicitAbort, "abc")
			tell(rest.PasskeyEventTypeAppendExplicitAbort, options)
			tell(rest.PasskeyEventTypeManageError, "")
			tell(rest.PasskeyEventTypeLoginExplicitAbort, options)
			tell(rest.PasskeyEventTypeLoginExplicitAbort, options)
			if len(told) != 1 || told[0].Body.Proven == nil || *told[0].Body.Proven || told[0].User != user ||
				*told[0].Body.Challenge != authenticator.ChallengeIn(t, options) ||
				*told[0].Body.ProcessID != b.token[:20] {
				t.Errorf("told: %+v", told)
			}
			b.skip(t, c.want)
			if c.want == frontend.BlockTypeLoginInit {
				if got := problem(dataOf(t, b.body.Data.AsBlockLoginInit).FieldError); got != "login_identifier_unknown_user" {
					t.Errorf("problem %q", got)
				}
				return
			}
			if got := b.verification(t).Identifier; got != c.shown {
				t.Errorf("shown as %q", got)
			}
			b.code(t, st.Delivery.Inbox(t, 1).Value, frontend.BlockTypeCompleted)
		})
	}
}

func TestAPasskeyThatFailsCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	st, d := ceremonytest.New(t), authenticator.Phone()
	member(t, st, d, emailOf(ceremonytest.Email))
	st.Decision.OnAppend = noAppend
	b := begin(t, st)
	b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	do(t, b, b.PasskeyLoginStart, frontend.PasskeyLoginStartReq{}, frontend.BlockTypePasskeyVerify)
	first := b.request(t).Challenge
	bad := authenticator.Edit(t, d.Get(t, first), func(_, response map[string]any) { authenticator.Flip(t, response, "signature", -1) })
	if err := try(
		t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: bad},
	); fault.As(err).Status != 400 ||
		fault.As(err).Validation[0].Field != "signedChallenge" {
		t.Fatalf("got %v", err)
	}
	b.verify(t, d, frontend.BlockTypeCompleted)
	if b.session(t).SessionToken == "" {
		t.Error("no session")
	}

	again := begin(t, st)
	again.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	do(t, again, again.PasskeyLoginStart, frontend.PasskeyLoginStartReq{}, frontend.BlockTypePasskeyVerify)
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
	do(t, again, again.PasskeyLoginStart, frontend.PasskeyLoginStartReq{}, frontend.BlockTypeEmailVerify)
	if got := problem(again.body.Error); got != "noPasskeyAvailable" {
		t.Errorf("problem %q: clients would take the block for one with options", got)
	}
}

func TestSomebodyElsesPasskeyLogsNobodyIn(t *testing.T) {
	t.Parallel()
	st, d, other := ceremonytest.New(t), authenticator.Phone(), authenticator.Phone()
	member(t, st, d, emailOf(ceremonytest.Email))
	member(t, st, other, emailOf("bob@example.com"))
	b := begin(t, st)
	b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	options := b.request(t).Challenge
	if err := try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: other.Get(t, options)}); fault.As(err).Status != 400 {
		t.Errorf("got %v", err)
	}
	// Nor does an answer to what another process asked for.
	theirs := begin(t, st)
	theirs.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	again := begin(t, st)
	again.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	if err := try(
		t, again, again.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: d.Get(t, theirs.request(t).Challenge)},
	); fault.As(
		err,
	).Status != 400 {
		t.Errorf("got %v", err)
	}
	again.at(t, frontend.BlockTypePasskeyVerify)
}

func TestACreationThatIsOfferedNoLongerIsShownAsAProblem(t *testing.T) {
	t.Parallel()
	st, d := ceremonytest.New(t), authenticator.Phone()
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(ceremonytest.Email))
	shown := b.creation(t).Challenge
	do(t, b, b.PasskeyAppendStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyAppend)
	if b.creation(t).Challenge != shown {
		t.Error("what the block has shown is good, and is an offer already")
	}
	bad := authenticator.Edit(
		t, d.Create(t, shown), func(_, response map[string]any) { authenticator.Flip(t, response, "attestationObject", 40) },
	)
	if err := try(
		t, b, b.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: bad},
	); fault.As(err).Status != 400 ||
		fault.As(err).Validation[0].Field != "signedChallenge" {
		t.Fatalf("got %v", err)
	}
	st.Decision.OnAppend = noAppend
	do(t, b, b.PasskeyAppendStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyAppend)
	if b.body.Error == nil {
		t.Error("clients would take the session that follows for options, and lose it")
	}
	b.skip(t, frontend.BlockTypeCompleted)
}

func TestADisabledUserLogsInNeitherByPasskeyNorByForm(t *testing.T) {
	t.Parallel()
	st, d := ceremonytest.New(t), authenticator.Phone()
	user := member(t, st, d, emailOf(ceremonytest.Email))
	b := begin(t, st)
	b.logIn(t, ceremonytest.Email, frontend.BlockTypePasskeyVerify)
	form := begin(t, st, mediating)
	before := sessionsOf(t, st, user)
	ceremonytest.SetStatus(t, st, user, rest.UserStatusDisabled)
	if err := try(
		t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: d.Get(t, b.request(t).Challenge)},
	); fault.As(
		err,
	).Status != 400 {
		t.Errorf("got %v", err)
	}
	options := *dataOf(t, form.body.Data.AsBlockLoginInit).ConditionalUIChallenge
	do(t, form, form.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: d.Get(t, options)}, frontend.BlockTypeLoginInit)
	if n := sessionsOf(t, st, user); n != before {
		t.Errorf("%d sessions more", n-before)
	}
}
