package signin_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

func TestACodeLogsIn(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
	st.Decision.OnAppend = noAppend
	b := begin(t, st)
	b.logIn(t, " ADA@example.com ", frontend.BlockTypeEmailVerify)
	if got := b.verification(t).Identifier; got != "ADA@example.com" {
		t.Errorf("identifier %q: what is stored is nothing to tell", got)
	}
	sent := st.Delivery.Inbox(t, 1)
	if sent.To != ceremonytest.Email || sent.User != user || sent.Type != rest.ChallengeTypeEmailOtp {
		t.Errorf("message: %+v", sent)
	}
	b.code(t, sent.Value, frontend.BlockTypeCompleted)
	if got := st.IdentifierStatus(t, user, account.IdentifierTypeEmail, ceremonytest.Email); got != account.IdentifierStatusVerified {
		t.Errorf("status %s", got)
	}
	if me := whose(t, st, b.session(t).SessionToken); me.ID != string(user) || b.session(t).PasskeyOperation != nil {
		t.Errorf("session of %s: %+v", me.ID, b.session(t))
	}

	phoned := begin(t, st)
	do(t, phoned, phoned.LoginInit, frontend.LoginInitReq{IdentifierValue: ceremonytest.Mobile, IsPhone: true}, frontend.BlockTypePhoneVerify)
	text := st.Delivery.Inbox(t, 2)
	do(t, phoned, phoned.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{
		Code: text.Value, IdentifierType: rest.IdentifierTypePhone, VerificationType: frontend.VerificationMethodPhoneOtp,
	}, frontend.BlockTypeCompleted)
}

func TestACodeCannotBeGuessed(t *testing.T) {
	t.Parallel()
	st := meeting(ceremonytest.New(t), verifying(false))
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(ceremonytest.Email))
	sent := st.Delivery.Inbox(t, 1)
	var guesses sync.WaitGroup
	for range 8 {
		guesses.Go(func() {
			_, _ = st.IdentifierVerifyFinish(context.Background(), service.ForVisit[frontend.IdentifierVerifyFinishReq]{
				Visit: visitOf(st, b.token), Body: frontend.IdentifierVerifyFinishReq{
					Code: ceremonytest.Wrong(sent.Value), IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp,
				},
			})
		})
	}
	guesses.Wait()
	b.code(t, sent.Value, frontend.BlockTypeEmailVerify)

	again := frontend.IdentifierVerifyStartReq{IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp}
	for range 4 {
		do(t, b, b.IdentifierVerifyStart, again, frontend.BlockTypeEmailVerify)
	}
	last := st.Delivery.Inbox(t, 5)
	do(t, b, b.IdentifierVerifyStart, again, frontend.BlockTypeEmailVerify)
	retry := b.verification(t).RetryNotBefore
	if retry == nil || *retry != ceremonytest.Started.Add(10*time.Minute).Unix() {
		t.Errorf("retry not before %v", retry)
	}
	// Another process does not get around the limit.
	other := begin(t, st)
	other.signUp(t, frontend.BlockTypeEmailVerify, emailOf("ADA@example.com"))
	if other.verification(t).RetryNotBefore == nil {
		t.Error("another process may send more")
	}
	st.Delivery.Inbox(t, 5)
	// What was sent last is good all the same, here and nowhere else.
	other.code(t, last.Value, frontend.BlockTypeEmailVerify)
	st.Clock.Advance(30 * time.Second) // the wait after ten that were wrong
	b.code(t, last.Value, frontend.BlockTypePasskeyAppend)
	wantPlace(
		t,
		try(
			t, b, b.IdentifierVerifyFinish,
			frontend.IdentifierVerifyFinishReq{Code: last.Value, VerificationType: frontend.VerificationMethodEmailOtp},
		),
	)
}

func TestACodeThatHasExpiredIsNotTaken(t *testing.T) {
	t.Parallel()
	st := meeting(ceremonytest.New(t), verifying(false))
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(ceremonytest.Email))
	sent := st.Delivery.Inbox(t, 1)
	st.Clock.Advance(5 * time.Minute)
	b.code(t, sent.Value, frontend.BlockTypeEmailVerify)
}

func TestAnAddressIsCorrectedBeforeItIsVerified(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	member(t, st, authenticator.Phone(), emailOf("taken@example.com"))
	meeting(st, verifying(false))
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf("adda@example.com"))
	old := st.Delivery.Inbox(t, 1)
	for value, code := range map[string]string{"@": "identifier_invalid_format", "Taken@example.com": "identifier_already_in_use"} {
		do(
			t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{IdentifierType: rest.IdentifierTypeEmail, Value: value},
			frontend.BlockTypeEmailVerify,
		)
		if problem(b.body.Error) != code || b.verification(t).Identifier != "adda@example.com" {
			t.Errorf("%s: problem %q at %s", value, problem(b.body.Error), b.verification(t).Identifier)
		}
	}
	do(
		t, b, b.IdentifierUpdate,
		frontend.IdentifierUpdateReq{IdentifierType: rest.IdentifierTypeEmail, Value: ceremonytest.Email},
		frontend.BlockTypeEmailVerify,
	)
	b.code(t, old.Value, frontend.BlockTypeEmailVerify) // proves nothing of the new address
	do(
		t, b, b.IdentifierVerifyStart,
		frontend.IdentifierVerifyStartReq{IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailOtp},
		frontend.BlockTypeEmailVerify,
	)
	sent := st.Delivery.Inbox(t, 2)
	if sent.To != ceremonytest.Email {
		t.Errorf("sent to %s", sent.To)
	}
	b.code(t, sent.Value, frontend.BlockTypePasskeyAppend)
	wantPlace(
		t,
		try(t, b, b.IdentifierUpdate, frontend.IdentifierUpdateReq{IdentifierType: rest.IdentifierTypeEmail, Value: "late@example.com"}),
	)
}

func TestALinkThatIsOpenedElsewhereLetsTheFirstBrowserGoOn(t *testing.T) {
	t.Parallel()
	st := meeting(ceremonytest.New(t), verifying(true))
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf("ädä@example.com"))
	sent := st.Delivery.Inbox(t, 1)
	link, err := url.Parse(sent.Link)
	if err != nil || !strings.HasPrefix(sent.Link, authenticator.Origin+"/?") || link.Query().Get("corbadoToken") != sent.Value {
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
	if err := json.Unmarshal(
		raw, &id,
	); err != nil || id.BlockData.Identifier != "ädä@example.com" || id.Process.ProjectID != string(st.Project.ID) ||
		strings.ContainsRune(string(raw), 'ä') {
		t.Fatalf("%s: %+v, %v", raw, id, err)
	}
	do(t, b, b.IdentifierVerifyStatus, service.Empty{}, frontend.BlockTypeEmailVerify)

	guest := func(token string, body frontend.IdentifierVerifyFinishReq) (frontend.BlockBody, error) {
		v := visitOf(st, "")
		v.TempProcess = token
		rsp, err := st.IdentifierVerifyFinish(t.Context(), service.ForVisit[frontend.IdentifierVerifyFinishReq]{Visit: v, Body: body})
		if rsp.Cookies != nil {
			t.Error("the guest got a session")
		}
		return rsp.Body.BlockBody, err
	}
	opened := frontend.IdentifierVerifyFinishReq{
		Code: sent.Value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailLink,
	}
	bad := opened
	bad.Code = strings.Repeat("x", len(sent.Value))
	body, err := guest(id.Process.TempID, bad)
	if err != nil || body.ContinueOnOtherDevice != nil ||
		problem(dataOf(t, body.Data.AsBlockVerifyIdentifier).Error) != "invalid_challenge_solution_email-link" {
		t.Errorf("a wrong token: %+v, %v", body, err)
	}
	_, err = guest(b.token, opened)
	wantGone(t, err) // the owner's token is not the guest's
	asOwner := &browser{Stack: st, token: id.Process.TempID}
	wantGone(t, try(t, asOwner, asOwner.ProcessComplete, service.Empty{})) // nor the other way around

	body, err = guest(id.Process.TempID, opened)
	if err != nil || body.ContinueOnOtherDevice == nil ||
		body.ContinueOnOtherDevice.Reason != frontend.ContinueOnOtherDeviceReasonEmailLinkVerified {
		t.Fatalf("opened: %+v, %v", body, err)
	}
	if len(st.Everyone(t)) != 0 {
		t.Error("the guest has created the user")
	}
	do(t, b, b.IdentifierVerifyStatus, service.Empty{}, frontend.BlockTypePasskeyAppend)
	body, err = guest(id.Process.TempID, opened)
	if err != nil || body.ContinueOnOtherDevice == nil ||
		body.ContinueOnOtherDevice.Reason != frontend.ContinueOnOtherDeviceReasonProcessAlreadyCompleted {
		t.Errorf("opened twice: %+v, %v", body, err)
	}
	b.skip(t, frontend.BlockTypeCompleted)
	_, err = guest(id.Process.TempID, opened)
	wantGone(t, err)
}

func TestALinkCanBeOpenedInTheSameBrowser(t *testing.T) {
	t.Parallel()
	st := meeting(ceremonytest.New(t), verifying(true))
	b := begin(t, st)
	b.signUp(t, frontend.BlockTypeEmailVerify, emailOf(ceremonytest.Email))
	do(t, b, b.IdentifierVerifyFinish, frontend.IdentifierVerifyFinishReq{
		Code: st.Delivery.Inbox(t, 1).Value, IdentifierType: rest.IdentifierTypeEmail, VerificationType: frontend.VerificationMethodEmailLink,
	}, frontend.BlockTypePasskeyAppend)
}

func TestADeliveryThatFailsIsToldOnSignUpAlone(t *testing.T) {
	t.Parallel()
	st := meeting(ceremonytest.New(t), verifying(false))
	st.Delivery.Fail = func(delivery.Message) error { return fault.Unavailable(time.Second, "the mail server is away") }
	b := begin(t, st)
	req := frontend.SignupInitReq{Identifiers: []frontend.LoginIdentifier{emailOf(ceremonytest.Email)}}
	for range 7 { // what was not delivered does not count
		if err := try(t, b, b.SignupInit, req); fault.As(err).Status != 503 {
			t.Fatalf("got %v", err)
		}
	}
	st.Delivery.Fail = nil
	do(t, b, b.SignupInit, req, frontend.BlockTypeEmailVerify)
	b.code(t, st.Delivery.Inbox(t, 1).Value, frontend.BlockTypePasskeyAppend)
}

func TestAnAddressThatIsTakenAwayLogsNobodyIn(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusVerified)
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Allow = false }
	st.Decision.OnAppend = noAppend
	b := begin(t, st)
	b.logIn(t, ceremonytest.Email, frontend.BlockTypeEmailVerify)
	sent := st.Delivery.Inbox(t, 1)
	a := st.Account(t, user)
	if _, err := st.DeleteIdentifier(t.Context(), service.ForUser[ident.IdentifierID]{
		Project: st.Project.ID, User: user, Body: a.Identifier(account.IdentifierTypeEmail, ceremonytest.Email).ID,
	}); err != nil {
		t.Fatal(err)
	}
	wantGone(
		t,
		try(
			t, b, b.IdentifierVerifyFinish,
			frontend.IdentifierVerifyFinishReq{Code: sent.Value, VerificationType: frontend.VerificationMethodEmailOtp},
		),
	)
	if n := sessionsOf(t, st, user); n != 0 {
		t.Errorf("%d sessions", n)
	}
}
