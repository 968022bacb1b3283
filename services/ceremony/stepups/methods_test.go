package stepups_test

import (
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/internal/risk"
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

// TestWhereNobodyVouchesNoPasskeyIsAProof has a decision service of a version that cannot be asked.
func TestWhereNobodyVouchesNoPasskeyIsAProof(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, _, _ := ceremonytest.Known(t, st)
	st.Decision.VouchErr = fault.Unavailable(time.Second, "no decision service is running").Because(fault.ErrNobody)
	opened, err := st.Withhold(t.Context(), withheld(t, st, user, service.StepUpPasskeyUV, service.StepUpCaller))
	if err != nil || !slices.Equal(opened.Methods, []service.StepUpMethod{service.StepUpCaller}) {
		t.Errorf("opened %v, %v", opened.Methods, err)
	}
	_, err = st.Withhold(t.Context(), withheld(t, st, user, service.StepUpPasskeyUV))
	if !errors.Is(err, fault.ErrNobody) || errors.Is(err, risk.ErrNoStepUp) {
		t.Errorf("a user who has passkeys alone: %v", err)
	}
	st.Decision.VouchErr = fault.Unavailable(time.Second, "it did not answer in time")
	_, err = st.Withhold(t.Context(), withheld(t, st, user, service.StepUpPasskeyUV, service.StepUpCaller))
	if !errors.Is(err, st.Decision.VouchErr) {
		t.Errorf("a decision service that is late: %v", err)
	}
}

// vouching has a reason speak against passkeys.
func vouching(st *ceremonytest.Stack, reason service.RiskReason, passkeys ...ident.CredentialID) {
	st.Decision.Mu.Lock()
	defer st.Decision.Mu.Unlock()
	st.Decision.OnVouch = func(service.Question) (v service.Vouched) {
		for _, id := range passkeys {
			v.Against = append(v.Against, service.Against{Passkey: id, Reasons: []service.RiskReason{reason}})
		}
		return v
	}
}

// TestAPasskeyThatIsInDoubtIsNoProof holds a user with two passkeys, of which the second is a security key.
func TestAPasskeyThatIsInDoubtIsNoProof(t *testing.T) {
	t.Parallel()
	grave := service.RiskReason{Code: "fresh", Severity: 3, Passkey: true}
	noted := service.RiskReason{Code: "short", Severity: 2, Passkey: true}
	caller, passkeyUV, otherPasskey, securityKey := service.StepUpCaller, service.StepUpPasskeyUV, service.StepUpOtherPasskey,
		service.StepUpSecurityKey
	for name, c := range map[string]struct {
		methods []service.StepUpMethod
		reason  service.RiskReason
		asked   string // why the proof is asked for
		doubted []int
		left    []service.StepUpMethod
		named   []int
	}{
		"the other one": {
			[]service.StepUpMethod{otherPasskey, caller}, grave, "travel", []int{1}, []service.StepUpMethod{caller}, nil,
		},
		"the security key": {
			[]service.StepUpMethod{securityKey, passkeyUV}, grave, "travel", []int{1}, []service.StepUpMethod{passkeyUV}, []int{0},
		},
		"the one used": {
			[]service.StepUpMethod{passkeyUV}, grave, "travel", []int{0}, []service.StepUpMethod{passkeyUV}, []int{1},
		},
		"both": {[]service.StepUpMethod{passkeyUV, otherPasskey, securityKey}, grave, "travel", []int{0, 1}, nil, nil},
		"the security key, of what asks for no proof": {
			[]service.StepUpMethod{securityKey}, noted, "travel", []int{1}, []service.StepUpMethod{securityKey}, []int{1},
		},
		"the security key, of what the proof is asked for": {
			[]service.StepUpMethod{securityKey, caller}, noted, "short", []int{1}, []service.StepUpMethod{caller}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			user, first, _ := ceremonytest.Known(t, st)
			key := authenticator.SecurityKey()
			st.Enroll(t, user, key)
			devices, of := []*authenticator.Device{first, key}, []ident.CredentialID{}
			for _, at := range c.doubted {
				of = append(of, st.Account(t, user).Credentials[at].ID)
			}
			vouching(st, c.reason, of...)
			w := withheld(t, st, user, c.methods...)
			w.Verdict.Risk.Reasons = []service.RiskReason{{Code: c.asked, Severity: 3}}
			opened, err := st.Withhold(t.Context(), w)
			if len(c.left) == 0 {
				if !errors.Is(err, risk.ErrNoStepUp) {
					t.Fatalf("opened %+v, %v", opened, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.left, opened.Methods); diff != "" {
				t.Error(diff)
			}
			start, err := startFor(t, st, user, first, opened.ID)
			if len(c.named) == 0 {
				ceremonytest.WantField(t, err, http.StatusBadRequest, "stepUpID", "no passkey of the user passes it; its methods are caller")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, d := range devices {
				named := strings.Contains(start.AssertionOptions, base64.RawURLEncoding.EncodeToString(d.Key.ID))
				if named != slices.Contains(c.named, i) {
					t.Errorf("passkey %d is named: %t", i, named)
				}
			}
		})
	}
}

func TestAPasskeyThatCameIntoDoubtSinceItWasNamedIsNoProof(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user, d, _ := ceremonytest.Known(t, st)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpPasskeyUV))
	start, err := startFor(t, st, user, d, opened.ID)
	if err != nil {
		t.Fatal(err)
	}
	st.Decision.Mu.Lock()
	st.Decision.OnFinish = func(q service.FinishQuestion) (service.Verdict, error) {
		said := service.Risk{
			Action: service.RiskChallenge, Enforced: true, Reasons: []service.RiskReason{{Code: "copied", Severity: 3, Passkey: true}},
		}
		if q.Proof {
			said = said.OfProof()
		}
		return service.Verdict{Decided: service.Decided{Decision: "dec-8"}, Risk: &said}, nil
	}
	st.Decision.Mu.Unlock()
	_, err = st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, d.Get(t, start.AssertionOptions)))
	if judged := service.JudgementOf(fault.As(err)); !errors.Is(err, fault.TypeRiskDenied) || judged == nil || judged.Decision != "dec-8" {
		t.Errorf("the proof ends with %v", err)
	}
	if _, err := redeem(t, st, st, opened.ID); !errors.Is(err, fault.TypeStepUpRequired) {
		t.Errorf("redeemed: %v", err)
	}
}

// TestAStepUpThatWasPassedTakesNoOtherProof holds each way to begin one, and to end one that was begun before.
func TestAStepUpThatWasPassedTakesNoOtherProof(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	user := st.NamedUser(t, account.IdentifierStatusVerified)
	d := authenticator.Phone()
	st.Enroll(t, user, d)
	opened := withhold(t, st, withheld(t, st, user, service.StepUpPasskeyUV, service.StepUpEmailCode))
	start, err := startFor(t, st, user, d, opened.ID)
	if err != nil {
		t.Fatal(err)
	}
	body := ceremonytest.CodeTo(rest.ChallengeTypeEmailOtp, ceremonytest.Email)
	body.StepUpID = new(string(opened.ID))
	code, err := st.NewCode(t, user, body)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ceremonytest.CheckCode(t.Context(), st, st, user, code.ChallengeID, code.Value); err != nil {
		t.Fatal(err)
	}
	_, err = st.LoginFinish(t.Context(), st.LoginFinishReq(user, d, d.Get(t, start.AssertionOptions)))
	wantOver(t, "the end of a login that was begun before", err)
	_, err = startFor(t, st, user, d, opened.ID)
	wantOver(t, "a login", err)
	_, err = st.NewCode(t, user, body)
	wantOver(t, "a code", err)
	if passed := st.Events.OfType(event.StepUpPassed); len(passed) != 1 || passed[0].Method != "email-code" {
		t.Errorf("told %+v", passed)
	}
	if _, err := redeem(t, st, st, opened.ID); err != nil {
		t.Error(err)
	}
}
