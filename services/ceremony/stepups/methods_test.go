package stepups_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

func startFor(
	t *testing.T, st *ceremonytest.Stack, user ident.UserID, d *authenticator.Device, id ident.StepUpID,
) (rest.PasskeyLoginStartRsp, error) {
	t.Helper()
	req := st.LoginStartReq(user, d)
	req.Body.StepUpID = new(string(id))
	rsp, err := st.LoginStart(t.Context(), req)
	return rsp.Body, err
}

func TestALoginWithAPasskeyPassesAStepUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		method service.StepUpMethod
		by     func(first, key *authenticator.Device) *authenticator.Device
		amr    []string
	}{
		"the same one, which verifies its user": {
			service.StepUpPasskeyUV, func(first, _ *authenticator.Device) *authenticator.Device { return first }, []string{"pop", "mfa"},
		},
		"another one": {
			service.StepUpOtherPasskey, func(_, key *authenticator.Device) *authenticator.Device { return key }, []string{"pop", "mfa"},
		},
		"a security key": {
			service.StepUpSecurityKey, func(_, key *authenticator.Device) *authenticator.Device { return key }, []string{"pop", "hwk", "mfa"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, first, _ := ceremonytest.Known(t, st)
			key := authenticator.SecurityKey()
			st.Enroll(t, user, key)
			opened := withhold(t, st, withheld(t, st, user, c.method))
			d := c.by(first, key)
			start, err := startFor(t, st, user, d, opened.ID)
			if err != nil || !start.LoginAllow {
				t.Fatalf("%+v, %v", start, err)
			}
			req := st.LoginFinishReq(user, d, d.Get(t, start.AssertionOptions))
			req.Body.SignPasskeyData = new(true)
			rsp, err := st.LoginFinish(t.Context(), req)
			if err != nil || rsp.Body.SignedPasskeyData != nil {
				t.Fatalf("%+v, %v", rsp, err)
			}
			passed := st.Events.OfType(event.StepUpPassed)
			if len(passed) != 1 || passed[0].Method != string(c.method) || passed[0].StepUp != opened.ID {
				t.Errorf("told %+v", passed)
			}
			had, err := redeem(t, st, st, opened.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.amr, had.PasskeyData.Amr); diff != "" {
				t.Error(diff)
			}
			if done := st.Events.OfType(event.LoginCompleted); len(done) != 2 {
				t.Errorf("%d logins", len(done))
			}
		})
	}
}

func TestAPasskeyThatDoesNotServeAStepUpIsNotNamed(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, first, _ := ceremonytest.Known(t, st)
	key := authenticator.SecurityKey()
	st.Enroll(t, user, key)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpOtherPasskey))
	start, err := startFor(t, st, user, first, opened.ID)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(start.AssertionOptions, base64.RawURLEncoding.EncodeToString(first.Key.ID)) ||
		!strings.Contains(start.AssertionOptions, base64.RawURLEncoding.EncodeToString(key.Key.ID)) ||
		!strings.Contains(start.AssertionOptions, `"userVerification":"required"`) {
		t.Errorf("asked %s", start.AssertionOptions)
	}
	// A login that is for no step-up passes none.
	answer := first.Get(t, st.BeginLogin(t, user, first).AssertionOptions)
	if _, err := st.LoginFinish(t.Context(), st.LoginFinishReq(user, first, answer)); err != nil {
		t.Fatal(err)
	}
	if passed := st.Events.OfType(event.StepUpPassed); len(passed) != 0 {
		t.Errorf("passed by %+v", passed)
	}
	_, err = redeem(t, st, st, opened.ID)
	if !errors.Is(err, fault.TypeStepUpRequired) {
		t.Errorf("redeemed: %v", err)
	}
	byCaller := withhold(t, st, withheld(t, st, user, service.StepUpCaller))
	_, err = startFor(t, st, user, first, byCaller.ID)
	ceremonytest.WantField(t, err, http.StatusBadRequest, "stepUpID", "no passkey of the user passes it; its methods are caller")
}

func TestAnAnswerThatDoesNotVerifyCountsAgainstAStepUp(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpPasskeyUV))
	for i := range 5 {
		start, err := startFor(t, st, user, d, opened.ID)
		if err != nil {
			t.Fatalf("attempt %d: %v", i, err)
		}
		broken := authenticator.Edit(t, d.Get(t, start.AssertionOptions), func(_, response map[string]any) {
			authenticator.Flip(t, response, "signature", 8)
		})
		_, err = st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, broken))
		if !errors.Is(err, fault.TypeValidationError) {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	if failed := st.Events.OfType(event.StepUpFailed); len(failed) != 1 {
		t.Errorf("told %+v", failed)
	}
	_, err := startFor(t, st, user, d, opened.ID)
	wantOver(t, "afterwards", err)
}

func TestACodePassesAStepUp(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   rest.ChallengeType
		to     string
		method service.StepUpMethod
		amr    []string
	}{
		"by mail":    {rest.ChallengeTypeEmailOtp, ceremonytest.Email, service.StepUpEmailCode, []string{"pop", "otp", "mfa"}},
		"by message": {rest.ChallengeTypeSmsOtp, ceremonytest.Mobile, service.StepUpSMSCode, []string{"pop", "sms", "mfa"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user := st.NamedUser(t, account.IdentifierStatusVerified)
			st.Enroll(t, user, authenticator.Phone())
			opened := withhold(t, st, withheld(t, st, user, c.method))

			plain, err := st.NewCode(t, user, ceremonytest.CodeTo(c.kind, c.to))
			if err == nil {
				_, err = ceremonytest.CheckCode(t.Context(), st, st, user, plain.ChallengeID, plain.Value)
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := redeem(t, st, st, opened.ID); !errors.Is(err, fault.TypeStepUpRequired) {
				t.Errorf("after a code that was for nothing: %v", err)
			}

			body := ceremonytest.CodeTo(c.kind, c.to)
			body.StepUpID = new(string(opened.ID))
			code, err := st.NewCode(t, user, body)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ceremonytest.CheckCode(
				t.Context(), st, st, user, code.ChallengeID, ceremonytest.Wrong(code.Value),
			); !errors.Is(err, fault.TypeValidationError) {
				t.Errorf("a wrong code: %v", err)
			}
			if _, err := ceremonytest.CheckCode(t.Context(), st, st, user, code.ChallengeID, code.Value); err != nil {
				t.Fatal(err)
			}
			had, err := redeem(t, st, st, opened.ID)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(&c.amr, had.PasskeyData.Amr); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestACodeThatProvesNothingIsNotSentForAStepUp(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusPending)
	st.Enroll(t, user, authenticator.Phone())
	w := withheld(t, st, user, service.StepUpEmailCode)
	w.Account.Identifiers = []account.Identifier{{Type: account.IdentifierTypeEmail, Status: account.IdentifierStatusVerified}}
	opened := withhold(t, st, w)
	for name, c := range map[string]struct {
		kind           rest.ChallengeType
		to             string
		field, message string
	}{
		"to an address that is not verified": {
			rest.ChallengeTypeEmailOtp, ceremonytest.Email, "identifierValue", "is not verified, so that no code to it passes a step-up",
		},
		"as a link": {
			rest.ChallengeTypeEmailLink, ceremonytest.Email, "challengeType", "must be email_otp or sms_otp: no link passes a step-up",
		},
	} {
		body := ceremonytest.CodeTo(c.kind, c.to)
		body.StepUpID = new(string(opened.ID))
		_, err := st.NewCode(t, user, body)
		if err == nil {
			t.Errorf("%s: sent", name)
			continue
		}
		ceremonytest.WantField(t, err, http.StatusBadRequest, c.field, c.message)
	}
}
