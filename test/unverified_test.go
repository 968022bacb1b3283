package test

import (
	"net/http"
	"os/exec"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/services/ceremony/delivery"
)

func TestThePasskeyOfASignUpWaitsForTheCodeWhateverTheShape(t *testing.T) {
	t.Parallel()
	for _, s := range []shape{everyShape()[0], everyShape()[5]} {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			box := newPostbox(t)
			st := s.start(t, func(cfg *settings.Config) {
				cfg.NATS.Addr = "127.0.0.1:0"
				cfg.Delivery.Kind, cfg.Delivery.WebhookURL = delivery.Webhook, settings.Secret(box.URL)
				cfg.Delivery.WebhookSecret = settings.Secret(box.secret)
			})
			where := []string{"--data-dir", st.dataDir}
			if st.natsURL != "" {
				where = []string{"--nats-url", st.natsURL}
			}
			described := exec.CommandContext(
				t.Context(), build(t), append([]string{"project", "frontend", "set", "--project", project1, "-"}, where...)...,
			)
			described.Stdin = strings.NewReader("identifiers: [{type: email, verify: after-passkey}]\n")
			if out, err := described.CombinedOutput(); err != nil {
				t.Fatalf("describe the frontend: %v\n%s", err, out)
			}
			passkeyThenCode(t, st, box)
		})
	}
}

func passkeyThenCode(t *testing.T, st *stack, box *postbox) {
	t.Helper()
	ada := &visitor{client: client{base: st.base}, device: authenticator.Phone()}
	begin := func() {
		t.Helper()
		begun := ada.visit(t, "POST", "/v2/auth/process/init", `{"clientInformation": `+visitorSays+`}`)
		ada.process = as[frontend.ProcessInitRsp](t, begun).Token
	}
	begin()
	var offered frontend.BlockPasskeyAppend
	eventually(t, "the project is as it was", func() bool {
		a := ada.visit(t, "POST", "/v2/auth/signup/init", `{"identifiers": [{"type": "email", "identifier": "ada@example.com"}]}`)
		if !strings.Contains(string(a.body), `"passkey-append"`) {
			begin()
			return false
		}
		offered = at[frontend.BlockPasskeyAppend](t, a, frontend.BlockTypePasskeyAppend)
		return true
	})
	created, err := ada.device.Create(offered.Challenge, origin)
	if err != nil {
		t.Fatal(err)
	}
	ada.visit(t, "POST", "/v2/auth/passkey/append/finish", quoted(t, "signedChallenge", created))
	at[frontend.BlockVerifyIdentifier](t, ada.visit(t, "POST", "/v2/auth/block/skip", ""), frontend.BlockTypeEmailVerify)
	signUp := ada.process

	// To the backend the user is pending, and no login is offered for a reason of its own.
	users := as[rest.UserList](t, st.call(t, http.MethodGet, "/v2/users", nil))
	if len(users.Users) != 1 || users.Users[0].Status != rest.UserStatusPending {
		t.Fatalf("users: %+v", users)
	}
	start := as[rest.PasskeyLoginStartRsp](t, st.call(t, http.MethodPost, "/v2/passkey/login/start", map[string]any{
		"userID": users.Users[0].UserID, "processID": "p", "crossDeviceAuthenticationStrategy": "standard", "clientInformation": mac(""),
	}))
	if start.LoginAllow || start.DecisionInsights.Reason == nil || *start.DecisionInsights.Reason != "unverified" {
		t.Errorf("login start: %+v", start)
	}
	// A form takes the passkey, and says what it waits for.
	begin()
	form := at[frontend.BlockLoginInit](t, ada.visit(t, "GET", "/v2/auth/process", ""), frontend.BlockTypeLoginInit)
	if form.ConditionalUIChallenge == nil {
		t.Fatal("the form has no options")
	}
	signed, err := ada.device.Get(*form.ConditionalUIChallenge, origin)
	if err != nil {
		t.Fatal(err)
	}
	refused := ada.visit(t, "POST", "/v2/auth/passkey/mediation/finish", quoted(t, "signedChallenge", signed))
	if !strings.Contains(string(refused.body), "conditional_ui_login_unverified") {
		t.Errorf("in the form: %s", refused.body)
	}

	ada.process = signUp
	done := at[frontend.BlockCompleted](t, ada.visit(
		t, "POST", "/v2/auth/identifier/verify/finish",
		`{"identifierType": "email", "verificationType": "email-otp", "code": "`+box.last(t).Value+`"}`,
	), frontend.BlockTypeCompleted)
	if done.SessionToken == "" {
		t.Error("there is no session")
	}
	begin()
	named := ada.visit(t, "POST", "/v2/auth/login/init", `{"identifierValue": "ada@example.com", "isPhone": false}`)
	asked := at[frontend.BlockPasskeyVerify](t, named, frontend.BlockTypePasskeyVerify)
	if signed, err = ada.device.Get(asked.Challenge, origin); err != nil {
		t.Fatal(err)
	}
	if a := ada.visit(t, "POST", "/v2/auth/passkey/login/finish", quoted(t, "signedChallenge", signed)); a.status != http.StatusOK {
		t.Errorf("the passkey does not log in: %s", a.body)
	}
}
