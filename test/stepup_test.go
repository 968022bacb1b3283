package test

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// strict is a project whose policy binds what it says of risk.
const (
	strict       = "pro-2"
	strictSecret = "corbado1_e2eSecretOfProjectTwo0000000002"
)

// enforceIn makes the policy of one project strict. The label is declared already.
func enforceIn(t *testing.T, bundle string) {
	t.Helper()
	path := filepath.Join(bundle, "data.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	changed := bytes.Replace(data, []byte(`"projects": {}`), []byte(
		`"projects": {"`+strict+`": {"parameters": {"risk": {"mode": "enforce"}}}}`,
	), 1)
	if bytes.Equal(changed, data) {
		t.Fatal("data.json does not say that there are no projects of their own")
	}
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newAdmin is a person of the strict project with a passkey on a phone and one on a security key.
func (s *stack) newAdmin(t *testing.T) (phone, key *person) {
	t.Helper()
	c := client{s.base, strict, strictSecret}
	eventually(t, "the new project is not let in", func() bool {
		a, err := c.do("GET", "/v2/users", nil)
		return err == nil && a.status == 200
	})
	phone = c.newPerson(t)
	phone.createPasskey(t)
	key = phone.elsewhere(authenticator.SecurityKey())
	key.add(t)
	as[rest.UserLabels](t, c.call(t, http.MethodPut, "/v2/users/"+phone.id+"/labels", map[string]any{"labels": []string{"admin"}}))
	return phone, key
}

// withheld logs in while another system finds it risky, and returns the step-up that is waited for.
func (p *person) withheld(t *testing.T) string {
	t.Helper()
	process := p.nextProcess()
	body := p.loginFinishBody(t, process, p.loginStart(t, process).AssertionOptions)
	body["signPasskeyData"], body["context"] = true, map[string]any{"externalScore": 99}
	a := p.call(t, http.MethodPost, "/v2/passkey/login/finish?include=risk", body)
	if e := a.fault(t, 403); e.Error.Type != rest.ErrorTypeStepUpRequired {
		t.Fatalf("refused with %s", a.body)
	}
	told := regexp.MustCompile(`^(stu-[0-9]+);methods="passkey-uv"$`).FindStringSubmatch(a.header.Get("X-Keyward-Step-Up"))
	if told == nil || !strings.Contains(string(a.body), `"id":"`+told[1]+`"`) || strings.Contains(string(a.body), "passkeyData") {
		t.Fatalf("the step-up is %q, the body %s", a.header.Get("X-Keyward-Step-Up"), a.body)
	}
	return told[1]
}

// prove answers the challenge of a login that passes a step-up; from is the origin that it comes from.
func (p *person) prove(t *testing.T, stepUp, from string) answer {
	t.Helper()
	process := p.nextProcess()
	body := p.loginStartBody(process)
	body["stepUpID"] = stepUp
	start := as[rest.PasskeyLoginStartRsp](t, p.call(t, http.MethodPost, "/v2/passkey/login/start", body))
	if !start.LoginAllow {
		t.Fatalf("the login that passes the step-up is not offered: %+v", start)
	}
	return p.call(t, http.MethodPost, "/v2/passkey/login/finish", p.signed(t, process, start.AssertionOptions, from))
}

// tellStepUps has further proofs asked for, given and failed.
func tellStepUps(t *testing.T, st *stack) {
	t.Helper()
	addProject(t, st.natsAddress(t), strict, strictSecret)
	phone, key := st.newAdmin(t)
	failed := phone.withheld(t)
	for range 5 {
		key.prove(t, failed, "https://evil.example").fault(t, 400)
	}
	redeem := func(stepUp string) answer {
		return phone.call(t, http.MethodPost, "/v2/risk/stepUps/"+stepUp+"/redeem", nil)
	}
	redeem(failed).fault(t, 404)

	passed := phone.withheld(t)
	if e := redeem(passed).fault(t, 403); e.Error.Type != rest.ErrorTypeStepUpRequired {
		t.Errorf("before the proof: %+v", e.Error)
	}
	as[rest.PasskeyLoginFinishRsp](t, key.prove(t, passed, origin))
	had := as[rest.StepUpRedeemRsp](t, redeem(passed))
	if had.SignedPasskeyData == nil || had.PasskeyData.Amr == nil || strings.Join(*had.PasskeyData.Amr, " ") != "pop mfa" {
		t.Errorf("redeemed %+v", had)
	}
	redeem(passed).fault(t, 404)
	phone.tellFraud(t, phone.evaluated(t, map[string]any{"action": "payment"}).Risk.DecisionID)
}
