package ceremony_test

import (
	"encoding/json"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// The shapes on the wire: options as clients parse them, and whole answers as they are sent.
func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	st := newStack(t)
	tags := []rest.DetectionTag{{Category: rest.DetectionTagCategorySupport, Name: "webauthn"}}
	st.decision.login = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Insights.Tags = tags }
	st.decision.append = func(_ service.AppendQuestion, v *service.AppendVerdict) { v.Insights.Tags = tags }
	u, err := st.createUser(t, rest.UserCreateReq{FullName: ptr("Ada Lovelace"), Status: rest.UserStatusActive, ExplicitWebauthnID: ptr("ada")})
	if err != nil {
		t.Fatal(err)
	}
	user, d := ident.UserID(u.UserID), phone()
	golden(t, "user", u)

	append1 := st.appendStart(t, user, d)
	golden(t, "append-start", append1)
	goldenOptions(t, "creation-options", append1.AttestationOptions)
	created, err := st.appendFinish(t, user, d, d.create(t, append1.AttestationOptions))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "append-finish", rest.PasskeyAppendFinishRsp{PasskeyData: created})
	goldenOptions(t, "creation-options-second", st.appendStart(t, user, d).AttestationOptions)

	login := st.loginStart(t, user, d)
	golden(t, "login-start", login)
	goldenOptions(t, "request-options", login.AssertionOptions)
	data, err := st.loginFinish(t, user, d, d.get(t, login.AssertionOptions))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "login-finish", rest.PasskeyLoginFinishRsp{PasskeyData: data})

	mediation := st.mediationStart(t, d)
	golden(t, "mediation-start", mediation)
	goldenOptions(t, "request-options-mediation", mediation.AssertionOptions)

	credentials, err := st.ListCredentials(t.Context(), service.ForUser[service.List]{Project: st.project.ID, User: user})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "credentials", credentials)
	users, err := patiently(t, func() (rest.UserList, error) {
		return st.ListUsers(t.Context(), service.ForProject[service.List]{Project: st.project.ID})
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "users", users)
	golden(t, "challenges", st.challenges(t, user, "status:eq:completed", "type:eq:register"))

	if _, err := st.DeleteCredential(t.Context(), service.ForUser[ident.CredentialID]{Project: st.project.ID, User: user, Body: ident.CredentialID(data.ID)}); err != nil {
		t.Fatal(err)
	}
	d.options.UserHandle = []byte("ada")
	gone, err := st.mediationFinish(t, d, d.get(t, mediation.AssertionOptions))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "mediation-finish-deleted", gone)

	st.decision.login = func(_ service.LoginQuestion, v *service.LoginVerdict) {
		v.Allow, v.Tag = false, rest.DecisionTagUserNoPks
	}
	golden(t, "login-start-denied", st.loginStart(t, user, d))
	st.decision.append = func(_ service.AppendQuestion, v *service.AppendVerdict) {
		v.Allow, v.Tag, v.Reason = false, rest.DecisionTagEnvNoPkSupport, "passkeys_not_supported"
	}
	golden(t, "append-start-denied", st.appendStart(t, user, d))
}

// goldenOptions checks the options string by itself, in the form that a client parses.
func goldenOptions(t *testing.T, name, options string) {
	t.Helper()
	var parsed struct {
		PublicKey map[string]any `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(options), &parsed); err != nil {
		t.Fatal(err)
	}
	for _, list := range []string{"allowCredentials", "excludeCredentials"} {
		members, _ := parsed.PublicKey[list].([]any)
		for _, member := range members {
			member.(map[string]any)["id"] = "BYTES"
		}
	}
	golden(t, name, parsed)
}
