package ceremony_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
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
	"github.com/keyward/keyward/services/ceremony/delivery"
	steps "github.com/keyward/keyward/services/ceremony/internal/process"
)

func TestACodeLogsIn(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusPending)
	st.decision.login = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
	st.decision.append = noAppend
	b := st.begin(t)
	b.logIn(t, " ADA@example.com ", frontend.BlockTypeEmailVerify)
	if got := b.verification(t).Identifier; got != "ADA@example.com" {
		t.Errorf("identifier %q: what is stored is nothing to tell", got)
	}
	sent := st.delivery.inbox(t, 1)
	if sent.To != email || sent.User != user || sent.Type != rest.ChallengeTypeEmailOtp {
		t.Errorf("message: %+v", sent)
	}
	b.code(t, sent.Value, frontend.BlockTypeCompleted)
	if got := st.statusOf(t, user, account.IdentifierTypeEmail, email); got != account.IdentifierStatusVerified {
		t.Errorf("status %s", got)
	}
	if me := st.whose(t, b.session(t).SessionToken); me.ID != string(user) || b.session(t).PasskeyOperation != nil {
		t.Errorf("session of %s: %+v", me.ID, b.session(t))
	}

	phoned := st.begin(t)
	do(t, phoned, phoned.LoginInit, frontend.LoginInitReq{IdentifierValue: mobile, IsPhone: true}, frontend.BlockTypePhoneVerify)
	text := st.delivery.inbox(t, 2)
	do(t, phoned, phoned.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{
		Code: text.Value, IdentifierType: rest.IdentifierTypePhone, VerificationType: frontend.VerificationMethodPhoneOtp,
	}, frontend.BlockTypeCompleted)
}

func TestALoginThatIsAbortedFallsBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		identifiers []frontend.LoginIdentifier
		typed       string
		want        frontend.BlockType
		shown       string
	}{
		"to a code for the address that was typed":              {[]frontend.LoginIdentifier{emailOf(email)}, email, frontend.BlockTypeEmailVerify, email},
		"to a code for an address that is not shown as a whole": {[]frontend.LoginIdentifier{emailOf(email), usernameOf("ada")}, "ada", frontend.BlockTypeEmailVerify, "a***@example.com"},
		"to the form without an address":                        {[]frontend.LoginIdentifier{usernameOf("ada")}, "ada", frontend.BlockTypeLoginInit, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, d := newStack(t), phone()
			user := st.member(t, d, c.identifiers...)
			st.decision.append = noAppend
			var told []service.ForUser[rest.PasskeyEventCreateReq]
			st.events.onCreate = func(req service.ForUser[rest.PasskeyEventCreateReq]) error {
				told = append(told, req)
				return nil
			}
			b := st.begin(t)
			b.logIn(t, c.typed, frontend.BlockTypePasskeyVerify)
			options := b.request(t).Challenge
			if _, err := st.AuthEventCreate(t.Context(), service.ForVisit[frontend.EventCreateReq]{Visit: st.visitOf(b.token), Body: frontend.EventCreateReq{
				EventType: rest.PasskeyEventTypeLoginExplicitAbort, Challenge: &options,
			}}); err != nil {
				t.Fatal(err)
			}
			if len(told) != 1 || told[0].User != user || *told[0].Body.Challenge != challengeIn(t, options) || *told[0].Body.ProcessID != b.token[:20] {
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
			b.code(t, st.delivery.inbox(t, 1).Value, frontend.BlockTypeCompleted)
		})
	}
}

func TestAPasskeyThatFailsCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	st, d := newStack(t), phone()
	st.member(t, d, emailOf(email))
	st.decision.append = noAppend
	b := st.begin(t)
	b.logIn(t, email, frontend.BlockTypePasskeyVerify)
	do(t, b, b.PasskeyLoginStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyVerify)
	first := b.request(t).Challenge
	bad := edit(t, d.get(t, first), func(_, response map[string]any) { flip(t, response, "signature", -1) })
	if err := try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: bad}); fault.As(err).Status != 400 || fault.As(err).Validation[0].Field != "signedChallenge" {
		t.Fatalf("got %v", err)
	}
	b.verify(t, d, frontend.BlockTypeCompleted)
	if b.session(t).SessionToken == "" {
		t.Error("no session")
	}

	again := st.begin(t)
	again.logIn(t, email, frontend.BlockTypePasskeyVerify)
	do(t, again, again.PasskeyLoginStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyVerify)
	st.decision.login = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
	do(t, again, again.PasskeyLoginStart, frontend.PasskeyStartReq{}, frontend.BlockTypeEmailVerify)
	if got := problem(again.body.Error); got != "noPasskeyAvailable" {
		t.Errorf("problem %q: clients would take the block for one with options", got)
	}
}

// told is what a client learns of one call.
type told struct {
	Answer   string
	Decided  bool
	Fault    string
	Sessions bool
}

func learn[T any](t *testing.T, b *browser, call signInCall[T], body T) told {
	t.Helper()
	rsp, err := call(t.Context(), service.ForVisit[T]{Visit: b.visitOf(b.token), Body: body})
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
func interrogate(t *testing.T, st *stack, typed string, isPhone bool) (all []told, asked int) {
	t.Helper()
	st.decision.mu.Lock()
	before := len(st.decision.asked)
	st.decision.mu.Unlock()
	b := st.begin(t)
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
		all = append(all, learn(t, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{Code: "x23456", IdentifierType: rest.IdentifierType(kind), VerificationType: method}))
	}
	for range 6 { // beyond the limit of messages
		all = append(all, learn(t, b, b.IdentifierVerifyStart, frontend.IdentifierVerifyStartReq{IdentifierType: rest.IdentifierType(kind), VerificationType: method}))
	}
	all = append(all, learn(t, b, b.IdentifierVerifyStart, frontend.IdentifierVerifyStartReq{IdentifierType: rest.IdentifierType(kind), VerificationType: frontend.VerificationMethodEmailLink}))
	all = append(all, learn(t, b, b.IdentifierVerifyStatus, service.Empty{}))
	all = append(all, learn(t, b, b.PasskeyLoginStart, frontend.PasskeyStartReq{}), learn(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
	all = append(all, learn(t, b, b.PasskeyAppendStart, frontend.PasskeyStartReq{}), learn(t, b, b.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
	all = append(all, learn(t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{IdentifierType: rest.IdentifierType(kind), Value: "other@example.com"}))
	all = append(all, learn(t, b, b.BlockSkip, service.Empty{}), learn(t, b, b.ProcessComplete, service.Empty{}))
	event := func(ctx context.Context, r service.ForVisit[frontend.EventCreateReq]) (service.Answered[frontend.ProcessResponse], error) {
		_, err := b.AuthEventCreate(ctx, r)
		return service.Answered[frontend.ProcessResponse]{}, err
	}
	all = append(all, learn(t, b, event, frontend.EventCreateReq{EventType: rest.PasskeyEventTypeLoginError}))
	all = append(all, learn(t, b, b.ProcessReset, service.Empty{}))
	st.decision.mu.Lock()
	defer st.decision.mu.Unlock()
	return all, len(st.decision.asked) - before
}

func TestNobodyCanTellWhoExists(t *testing.T) {
	t.Parallel()
	with := func(kind account.IdentifierType, value string, status account.Status) func(*testing.T, *stack) {
		return func(t *testing.T, st *stack) {
			user := st.user(t)
			if _, err := st.createIdentifier(t, st, user, kind, value); err != nil {
				t.Fatal(err)
			}
			setStatus(t, st, user, rest.UserStatus(status))
		}
	}
	for name, c := range map[string]struct {
		typed   string
		isPhone bool
		known   func(*testing.T, *stack)
	}{
		"by an address":                    {"ada@example.com", false, with(account.IdentifierTypeEmail, "Ada@Example.com", account.StatusActive)},
		"by the address of a disabled one": {"ada@example.com", false, with(account.IdentifierTypeEmail, "ada@example.com", account.StatusDisabled)},
		"by a number":                      {mobile, true, with(account.IdentifierTypePhone, mobile, account.StatusActive)},
		"by a user name":                   {"ada", false, with(account.IdentifierTypeUsername, "ada", account.StatusActive)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nobody, somebody := newStack(t), newStack(t)
			c.known(t, somebody)
			noPasskey := func(q service.LoginQuestion, v *service.LoginVerdict) {
				v.Allow = q.Account != nil && len(q.Account.Credentials) > 0
			}
			nobody.decision.login, somebody.decision.login = noPasskey, noPasskey
			// Who waits for the delivery could tell by that.
			hold := make(chan struct{})
			defer close(hold)
			somebody.delivery.fail = func(delivery.Message) error { <-hold; return nil }
			want, askedOfNobody := interrogate(t, nobody, c.typed, c.isPhone)
			got, asked := interrogate(t, somebody, c.typed, c.isPhone)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("a user differs from nobody (-nobody +user):\n%s", diff)
			}
			if asked != askedOfNobody || asked == 0 {
				t.Errorf("the policy was asked %d times, of nobody %d times", asked, askedOfNobody)
			}
			if len(nobody.delivery.messages) != 0 {
				t.Error("something was sent to nobody")
			}
		})
	}
}

func TestACodeCannotBeGuessed(t *testing.T) {
	t.Parallel()
	st := newStack(t).meeting(verifying(false))
	b := st.begin(t)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(email))
	sent := st.delivery.inbox(t, 1)
	var guesses sync.WaitGroup
	for range 8 {
		guesses.Go(func() {
			_, _ = st.IdentifierVerifyFinish(context.Background(), service.ForVisit[frontend.IdentifierVerifyFinishReq]{Visit: st.visitOf(b.token), Body: frontend.IdentifierVerifyFinishReq{
				Code: wrong(sent.Value), IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp,
			}})
		})
	}
	guesses.Wait()
	b.code(t, sent.Value, frontend.BlockTypeEmailVerify)

	again := frontend.IdentifierVerifyStartReq{IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp}
	for range 4 {
		do(t, b, b.IdentifierVerifyStart, again, frontend.BlockTypeEmailVerify)
	}
	last := st.delivery.inbox(t, 5)
	do(t, b, b.IdentifierVerifyStart, again, frontend.BlockTypeEmailVerify)
	retry := b.verification(t).RetryNotBefore
	if retry == nil || *retry != started.Add(10*time.Minute).Unix() {
		t.Errorf("retry not before %v", retry)
	}
	// Another process does not get around the limit.
	other := st.begin(t)
	other.signUp(t, frontend.BlockTypeEmailVerify, emailOf("ADA@example.com"))
	if other.verification(t).RetryNotBefore == nil {
		t.Error("another process may send more")
	}
	st.delivery.inbox(t, 5)
	// What was sent last is good all the same, here and nowhere else.
	other.code(t, last.Value, frontend.BlockTypeEmailVerify)
	b.code(t, last.Value, frontend.BlockTypePasskeyAppend)
	wantPlace(t, try(t, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{Code: last.Value, VerificationType: frontend.VerificationMethodEmailOtp}))
}

func TestACodeThatHasExpiredIsNotTaken(t *testing.T) {
	t.Parallel()
	st := newStack(t).meeting(verifying(false))
	b := st.begin(t)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(email))
	sent := st.delivery.inbox(t, 1)
	st.clock.advance(5 * time.Minute)
	b.code(t, sent.Value, frontend.BlockTypeEmailVerify)
}

func TestAnAddressIsCorrectedBeforeItIsVerified(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	st.member(t, phone(), emailOf("taken@example.com"))
	st.meeting(verifying(false))
	b := st.begin(t)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf("adda@example.com"))
	old := st.delivery.inbox(t, 1)
	for value, code := range map[string]string{"@": "identifier_invalid_format", "Taken@example.com": "identifier_already_in_use"} {
		do(t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{IdentifierType: rest.IdentifierTypeEmail, Value: value}, frontend.BlockTypeEmailVerify)
		if problem(b.body.Error) != code || b.verification(t).Identifier != "adda@example.com" {
			t.Errorf("%s: problem %q at %s", value, problem(b.body.Error), b.verification(t).Identifier)
		}
	}
	do(t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{IdentifierType: rest.IdentifierTypeEmail, Value: email}, frontend.BlockTypeEmailVerify)
	b.code(t, old.Value, frontend.BlockTypeEmailVerify) // proves nothing of the new address
	do(t, b, b.IdentifierVerifyStart, frontend.IdentifierVerifyStartReq{IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp}, frontend.BlockTypeEmailVerify)
	sent := st.delivery.inbox(t, 2)
	if sent.To != email {
		t.Errorf("sent to %s", sent.To)
	}
	b.code(t, sent.Value, frontend.BlockTypePasskeyAppend)
	wantPlace(t, try(t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{IdentifierType: rest.IdentifierTypeEmail, Value: "late@example.com"}))
}

func TestALinkThatIsOpenedElsewhereLetsTheFirstBrowserGoOn(t *testing.T) {
	t.Parallel()
	st := newStack(t).meeting(verifying(true))
	b := st.begin(t)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf("ädä@example.com"))
	sent := st.delivery.inbox(t, 1)
	link, err := url.Parse(sent.Link)
	if err != nil || !strings.HasPrefix(sent.Link, origin+"/?") || link.Query().Get("corbadoToken") != sent.Value {
		t.Fatalf("link %q", sent.Link)
	}
	raw, err := base64.StdEncoding.DecodeString(link.Query().Get("corbadoEmailLinkID"))
	if err != nil {
		t.Fatal(err)
	}
	var id struct {
		Process   struct{ TempID, ProjectID, FrontendAPIURL string }
		BlockData struct{ Identifier, VerificationMethod string }
	}
	if err := json.Unmarshal(raw, &id); err != nil || id.BlockData.Identifier != "ädä@example.com" || id.Process.ProjectID != string(st.project.ID) || strings.ContainsRune(string(raw), 'ä') {
		t.Fatalf("%s: %+v, %v", raw, id, err)
	}
	do(t, b, b.IdentifierVerifyStatus, service.Empty{}, frontend.BlockTypeEmailVerify)

	guest := func(token string, body frontend.IdentifierVerifyFinishReq) (frontend.BlockBody, error) {
		v := st.visitOf("")
		v.TempProcess = token
		rsp, err := st.IdentifierVerifyFinish(t.Context(), service.ForVisit[frontend.IdentifierVerifyFinishReq]{Visit: v, Body: body})
		if rsp.Cookies != nil {
			t.Error("the guest got a session")
		}
		return rsp.Body.BlockBody, err
	}
	opened := frontend.IdentifierVerifyFinishReq{Code: sent.Value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailLink}
	bad := opened
	bad.Code = strings.Repeat("x", len(sent.Value))
	body, err := guest(id.Process.TempID, bad)
	if err != nil || body.ContinueOnOtherDevice != nil || problem(dataOf(t, body.Data.AsBlockVerifyIdentifier).Error) != "invalid_challenge_solution_email-link" {
		t.Errorf("a wrong token: %+v, %v", body, err)
	}
	_, err = guest(b.token, opened)
	wantGone(t, err) // the owner's token is not the guest's
	asOwner := &browser{stack: st, token: id.Process.TempID}
	wantGone(t, try(t, asOwner, asOwner.ProcessComplete, service.Empty{})) // nor the other way around

	body, err = guest(id.Process.TempID, opened)
	if err != nil || body.ContinueOnOtherDevice == nil || body.ContinueOnOtherDevice.Reason != frontend.ContinueOnOtherDeviceReasonEmailLinkVerified {
		t.Fatalf("opened: %+v, %v", body, err)
	}
	if len(st.everyone(t)) != 0 {
		t.Error("the guest has created the user")
	}
	do(t, b, b.IdentifierVerifyStatus, service.Empty{}, frontend.BlockTypePasskeyAppend)
	body, err = guest(id.Process.TempID, opened)
	if err != nil || body.ContinueOnOtherDevice == nil || body.ContinueOnOtherDevice.Reason != frontend.ContinueOnOtherDeviceReasonProcessAlreadyCompleted {
		t.Errorf("opened twice: %+v, %v", body, err)
	}
	b.skip(t, frontend.BlockTypeCompleted)
	_, err = guest(id.Process.TempID, opened)
	wantGone(t, err)
}

func TestALinkCanBeOpenedInTheSameBrowser(t *testing.T) {
	t.Parallel()
	st := newStack(t).meeting(verifying(true))
	b := st.begin(t)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(email))
	do(t, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{
		Code: st.delivery.inbox(t, 1).Value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailLink,
	}, frontend.BlockTypePasskeyAppend)
}

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
		st := newStack(t)
		b := st.begin(t)
		b.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(email))
		good := many(t, func() error {
			_, err := st.ProcessComplete(context.Background(), service.ForVisit[service.Empty]{Visit: st.visitOf(b.token)})
			return err
		})
		user := st.everyone(t)[0].ID
		if n := st.sessionsOf(t, user); n != 1 || good == 0 {
			t.Errorf("%d sessions of %d answers", n, good)
		}
		wantGone(t, try(t, b, b.ProcessComplete, service.Empty{}))
	})
	t.Run("however many finish its passkey at once", func(t *testing.T) {
		t.Parallel()
		st, d := newStack(t), phone()
		user := st.member(t, d, emailOf(email))
		st.decision.append = noAppend
		b := st.begin(t)
		b.logIn(t, email, frontend.BlockTypePasskeyVerify)
		signed := d.get(t, b.request(t).Challenge)
		before := st.sessionsOf(t, user)
		good := many(t, func() error {
			_, err := st.PasskeyLoginFinish(context.Background(), service.ForVisit[frontend.PasskeyFinishReq]{Visit: st.visitOf(b.token), Body: frontend.PasskeyFinishReq{SignedChallenge: signed}})
			return err
		})
		if n := st.sessionsOf(t, user) - before; n != 1 || good != 1 {
			t.Errorf("%d sessions of %d answers", n, good)
		}
		wantGone(t, try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: signed}))
	})
	t.Run("however many give its code at once", func(t *testing.T) {
		t.Parallel()
		st := newStack(t).meeting(verifying(false))
		st.decision.append = noAppend
		b := st.begin(t)
		b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(email))
		sent := st.delivery.inbox(t, 1)
		many(t, func() error {
			_, err := st.IdentifierVerifyFinish(context.Background(), service.ForVisit[frontend.IdentifierVerifyFinishReq]{Visit: st.visitOf(b.token), Body: frontend.IdentifierVerifyFinishReq{
				Code: sent.Value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp,
			}})
			return err
		})
		all := st.everyone(t)
		if len(all) != 1 || st.sessionsOf(t, all[0].ID) != 1 {
			t.Errorf("%d users", len(all))
		}
	})
}

func TestOneOfTwoGetsAnIdentifier(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	var blocks [4]frontend.BlockType
	var done sync.WaitGroup
	for i := range blocks {
		b := st.begin(t)
		done.Go(func() {
			rsp, err := st.SignupInit(context.Background(), service.ForVisit[frontend.SignupInitReq]{Visit: st.visitOf(b.token), Body: frontend.SignupInitReq{
				Identifiers: []frontend.LoginIdentifier{emailOf(email)},
			}})
			if err != nil {
				t.Error(err)
			}
			blocks[i] = rsp.Body.BlockBody.Block
		})
	}
	done.Wait()
	joined := 0
	for _, block := range blocks {
		if block == frontend.BlockTypePasskeyAppend {
			joined++
		} else if block != frontend.BlockTypeSignupInit {
			t.Errorf("at %s", block)
		}
	}
	if joined != 1 || len(st.everyone(t)) != 1 {
		t.Errorf("%d have it, of %d users", joined, len(st.everyone(t)))
	}
}

func TestASignUpThatIsInterruptedIsInNobodysWay(t *testing.T) {
	t.Parallel()
	signUp := func(ctx context.Context, st *stack, svc service.SignIn, token string) error {
		_, err := svc.SignupInit(ctx, service.ForVisit[frontend.SignupInitReq]{Visit: st.visitOf(token), Body: frontend.SignupInitReq{
			Identifiers: []frontend.LoginIdentifier{emailOf(email), usernameOf("ada")},
		}})
		return err
	}
	t.Run("if it goes on", func(t *testing.T) {
		t.Parallel()
		everyCrash(t, func(t *testing.T, c *crash) {
			st := newStack(t)
			st.decision.append = noAppend
			b := st.begin(t)
			_ = signUp(t.Context(), st, st.process(t, c), b.token)
			// The client asks how it stands, and begins with the form again if it is still there.
			get := func(ctx context.Context, r service.ForVisit[*frontend.BlockType]) (service.Answered[frontend.ProcessResponse], error) {
				return st.ProcessGet(ctx, r)
			}
			err := try(t, b, get, nil)
			if err == nil && b.body.Block == frontend.BlockTypeLoginInit {
				b.signUp(t, frontend.BlockTypeCompleted, emailOf(email), usernameOf("ada"))
			} else if err != nil {
				wantGone(t, err) // it was complete before
			}
			all := st.everyone(t)
			if len(all) != 1 || len(all[0].Identifiers) != 2 || all[0].SignUpUntilMs != 0 {
				t.Fatalf("users: %+v", all)
			}
			if st.sessionsOf(t, all[0].ID) != 1 {
				t.Errorf("%d sessions", st.sessionsOf(t, all[0].ID))
			}
			st.wantTold(t, all[0].ID, event.UserCreated)
		})
	})
	t.Run("if somebody else wants the identifiers later", func(t *testing.T) {
		t.Parallel()
		everyCrash(t, func(t *testing.T, c *crash) {
			st := newStack(t)
			b := st.begin(t)
			_ = signUp(t.Context(), st, st.process(t, c), b.token) // and never comes back
			st = st.restart(t)
			st.clock.advance(15 * time.Minute)
			other := st.begin(t)
			other.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(email), usernameOf("ada"))
			if n := len(st.everyone(t)); n != 1 {
				t.Errorf("%d users", n)
			}
			err := try(t, b, b.ProcessComplete, service.Empty{})
			if fault.As(err).Status < 400 {
				t.Error("the one who gave up has the identifiers too")
			}
		})
	})
}

func TestASignUpThatWasGivenUpGivesWay(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		after time.Duration
		then  func(*testing.T, *browser)
		want  frontend.BlockType
	}{
		"not at once":               {14 * time.Minute, func(*testing.T, *browser) {}, frontend.BlockTypeSignupInit},
		"after a while":             {15 * time.Minute, func(*testing.T, *browser) {}, frontend.BlockTypePasskeyAppend},
		"not once it has a passkey": {time.Hour, func(t *testing.T, b *browser) { b.append(t, phone()) }, frontend.BlockTypeSignupInit},
		"not once it is complete":   {time.Hour, func(t *testing.T, b *browser) { b.skip(t, frontend.BlockTypeCompleted) }, frontend.BlockTypeSignupInit},
		"at once if it begins anew": {0, func(t *testing.T, b *browser) {
			do(t, b, b.ProcessReset, service.Empty{}, frontend.BlockTypeSignupInit)
		}, frontend.BlockTypePasskeyAppend},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			b := st.begin(t)
			b.signUp(t, frontend.BlockTypePasskeyAppend, usernameOf("ada"))
			c.then(t, b)
			st.clock.advance(c.after)
			st.begin(t).signUp(t, c.want, usernameOf("ada"))
		})
	}
}

func TestAProcessIsGoneWhen(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(*testing.T, *browser){
		"it never was":            func(_ *testing.T, b *browser) { b.token = ident.Alphanumeric(46) },
		"there is no token":       func(_ *testing.T, b *browser) { b.token = "" },
		"the token is no token":   func(_ *testing.T, b *browser) { b.token = "*.>" },
		"the secret is another's": func(_ *testing.T, b *browser) { b.token = b.token[:20] + ident.Alphanumeric(26) },
		"it has expired":          func(_ *testing.T, b *browser) { b.clock.advance(30 * time.Minute) },
		"it is another project's": func(t *testing.T, b *browser) { b.token = newStack(t).begin(t).token },
		"it is one of Connect":    func(t *testing.T, b *browser) { b.token = b.storeProcess(t, steps.Connect) },
		"its user was deleted": func(t *testing.T, b *browser) {
			if _, err := b.DeleteUser(t.Context(), service.ForUser[service.Empty]{Project: b.project.ID, User: b.everyone(t)[0].ID}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStack(t)
			st.member(t, phone(), emailOf(email))
			b := st.begin(t)
			b.logIn(t, email, frontend.BlockTypePasskeyVerify)
			spoil(t, b)
			wantGone(t, try(t, b, b.ProcessComplete, service.Empty{}))
			wantGone(t, try(t, b, b.BlockSkip, service.Empty{}))
			wantGone(t, try(t, b, b.ProcessReset, service.Empty{}))
			wantGone(t, try(t, b, b.SignupInit, frontend.SignupInitReq{Identifiers: []frontend.LoginIdentifier{emailOf(email)}}))
			wantGone(t, try(t, b, b.LoginInit, frontend.LoginInitReq{IdentifierValue: email}))
			wantGone(t, try(t, b, b.PasskeyLoginStart, frontend.PasskeyStartReq{}))
			wantGone(t, try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
			wantGone(t, try(t, b, b.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
			wantGone(t, try(t, b, b.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
			wantGone(t, try(t, b, b.IdentifierVerifyStart, frontend.IdentifierVerifyStartReq{}))
			wantGone(t, try(t, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{Code: "123456", VerificationType: frontend.VerificationMethodEmailLink}))
			wantGone(t, try(t, b, b.IdentifierVerifyStatus, service.Empty{}))
			wantGone(t, try(t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{}))
			_, err := st.AuthEventCreate(t.Context(), service.ForVisit[frontend.EventCreateReq]{Visit: st.visitOf(b.token), Body: frontend.EventCreateReq{EventType: rest.PasskeyEventTypeLoginError}})
			wantGone(t, err)
		})
	}
}

func TestSomebodyElsesPasskeyLogsNobodyIn(t *testing.T) {
	t.Parallel()
	st, d, other := newStack(t), phone(), phone()
	st.member(t, d, emailOf(email))
	st.member(t, other, emailOf("bob@example.com"))
	b := st.begin(t)
	b.logIn(t, email, frontend.BlockTypePasskeyVerify)
	options := b.request(t).Challenge
	if err := try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: other.get(t, options)}); fault.As(err).Status != 400 {
		t.Errorf("got %v", err)
	}
	// Nor does an answer to what another process asked for.
	theirs := st.begin(t)
	theirs.logIn(t, email, frontend.BlockTypePasskeyVerify)
	again := st.begin(t)
	again.logIn(t, email, frontend.BlockTypePasskeyVerify)
	if err := try(t, again, again.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: d.get(t, theirs.request(t).Challenge)}); fault.As(err).Status != 400 {
		t.Errorf("got %v", err)
	}
	again.at(t, frontend.BlockTypePasskeyVerify)
}

func TestAProcessBeginsAnew(t *testing.T) {
	t.Parallel()
	st, d := newStack(t), phone()
	st.member(t, d, emailOf(email))
	b := st.begin(t, mediating)
	b.logIn(t, email, frontend.BlockTypePasskeyVerify)
	do(t, b, b.ProcessReset, service.Empty{}, frontend.BlockTypeLoginInit)
	form := dataOf(t, b.body.Data.AsBlockLoginInit)
	if form.IdentifierValue != "" || form.ConditionalUIChallenge == nil {
		t.Errorf("form: %+v", form)
	}
	wantPlace(t, try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: "{}"}))
	b.logIn(t, email, frontend.BlockTypePasskeyVerify)
	b.verify(t, d, frontend.BlockTypePasskeyAppend)
}

func TestARefreshTokenIsInTheBodyIfTheProjectSaysSo(t *testing.T) {
	t.Parallel()
	st := newStack(t).meeting(func(f *project.Frontend) { f.RefreshTokenInBody = true })
	b := st.begin(t)
	b.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(email))
	b.skip(t, frontend.BlockTypeCompleted)
	if done := b.session(t); done.RefreshToken == nil || done.LongSession == nil || b.cookies.RefreshToken != "" {
		t.Errorf("completed: %+v, cookies %+v", done, b.cookies)
	}
}

// storeProcess stores a process of a kind and returns its token.
func (st *stack) storeProcess(tb testing.TB, kind steps.Kind) string {
	tb.Helper()
	made, token := steps.New(st.project.ID, kind, rest.ClientInformation{}, st.clock.Now(), time.Hour)
	if err := steps.NewStore(st.buckets.processes).Create(tb.Context(), made); err != nil {
		tb.Fatal(err)
	}
	return token
}

func TestACreationThatIsOfferedNoLongerIsShownAsAProblem(t *testing.T) {
	t.Parallel()
	st, d := newStack(t), phone()
	b := st.begin(t)
	b.signUp(t, frontend.BlockTypePasskeyAppend, emailOf(email))
	shown := b.creation(t).Challenge
	do(t, b, b.PasskeyAppendStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyAppend)
	if b.creation(t).Challenge != shown {
		t.Error("what the block has shown is good, and is an offer already")
	}
	bad := edit(t, d.create(t, shown), func(_, response map[string]any) { flip(t, response, "attestationObject", 40) })
	if err := try(t, b, b.PasskeyAppendFinish, frontend.PasskeyFinishReq{SignedChallenge: bad}); fault.As(err).Status != 400 || fault.As(err).Validation[0].Field != "signedChallenge" {
		t.Fatalf("got %v", err)
	}
	st.decision.append = noAppend
	do(t, b, b.PasskeyAppendStart, frontend.PasskeyStartReq{}, frontend.BlockTypePasskeyAppend)
	if b.body.Error == nil {
		t.Error("clients would take the session that follows for options, and lose it")
	}
	b.skip(t, frontend.BlockTypeCompleted)
}

func TestADeliveryThatFailsIsToldOnSignUpAlone(t *testing.T) {
	t.Parallel()
	st := newStack(t).meeting(verifying(false))
	st.delivery.fail = func(delivery.Message) error { return fault.Unavailable(time.Second, "the mail server is away") }
	b := st.begin(t)
	req := frontend.SignupInitReq{Identifiers: []frontend.LoginIdentifier{emailOf(email)}}
	for range 7 { // what was not delivered does not count
		if err := try(t, b, b.SignupInit, req); fault.As(err).Status != 503 {
			t.Fatalf("got %v", err)
		}
	}
	st.delivery.fail = nil
	do(t, b, b.SignupInit, req, frontend.BlockTypeEmailVerify)
	b.code(t, st.delivery.inbox(t, 1).Value, frontend.BlockTypePasskeyAppend)
}

func TestAnAddressThatIsTakenAwayLogsNobodyIn(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	user := st.named(t, account.IdentifierStatusVerified)
	st.decision.login = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
	st.decision.append = noAppend
	b := st.begin(t)
	b.logIn(t, email, frontend.BlockTypeEmailVerify)
	sent := st.delivery.inbox(t, 1)
	a := st.get(t, user)
	if _, err := st.DeleteIdentifier(t.Context(), service.ForUser[ident.IdentifierID]{
		Project: st.project.ID, User: user, Body: a.Identifier(account.IdentifierTypeEmail, email).ID,
	}); err != nil {
		t.Fatal(err)
	}
	wantGone(t, try(t, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{Code: sent.Value, VerificationType: frontend.VerificationMethodEmailOtp}))
	if n := st.sessionsOf(t, user); n != 0 {
		t.Errorf("%d sessions", n)
	}
}

func TestADisabledUserLogsInNeitherByPasskeyNorByForm(t *testing.T) {
	t.Parallel()
	st, d := newStack(t), phone()
	user := st.member(t, d, emailOf(email))
	b := st.begin(t)
	b.logIn(t, email, frontend.BlockTypePasskeyVerify)
	form := st.begin(t, mediating)
	before := st.sessionsOf(t, user)
	setStatus(t, st, user, rest.UserStatusDisabled)
	if err := try(t, b, b.PasskeyLoginFinish, frontend.PasskeyFinishReq{SignedChallenge: d.get(t, b.request(t).Challenge)}); fault.As(err).Status != 400 {
		t.Errorf("got %v", err)
	}
	options := *dataOf(t, form.body.Data.AsBlockLoginInit).ConditionalUIChallenge
	do(t, form, form.PasskeyMediationFinish, frontend.PasskeyFinishReq{SignedChallenge: d.get(t, options)}, frontend.BlockTypeLoginInit)
	if n := st.sessionsOf(t, user); n != before {
		t.Errorf("%d sessions more", n-before)
	}
}
