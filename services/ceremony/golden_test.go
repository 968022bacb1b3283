package ceremony_test

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// The shapes on the wire: options as clients parse them, and whole answers as they are sent.
func TestGoldenAnswers(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	tags := []rest.DetectionTag{{Category: rest.DetectionTagCategorySupport, Name: "webauthn"}}
	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) { v.Insights.Tags = tags }
	st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) { v.Insights.Tags = tags }
	u, err := st.NewUserOf(t, rest.UserCreateReq{FullName: new("Ada Lovelace"), Status: rest.UserStatusActive, ExplicitWebauthnID: new("ada")})
	if err != nil {
		t.Fatal(err)
	}
	user, d := ident.UserID(u.UserID), authenticator.Phone()
	golden(t, "user", u)

	append1 := st.BeginAppend(t, user, d)
	golden(t, "append-start", append1)
	goldenOptions(t, "creation-options", append1.AttestationOptions)
	created, err := st.FinishAppend(t, user, d, d.Create(t, append1.AttestationOptions))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "append-finish", rest.PasskeyAppendFinishRsp{PasskeyData: created})
	goldenOptions(t, "creation-options-second", st.BeginAppend(t, user, d).AttestationOptions)

	login := st.BeginLogin(t, user, d)
	golden(t, "login-start", login)
	goldenOptions(t, "request-options", login.AssertionOptions)
	data, err := st.FinishLogin(t, user, d, d.Get(t, login.AssertionOptions))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "login-finish", rest.PasskeyLoginFinishRsp{PasskeyData: data})

	mediation := st.BeginMediation(t, d)
	golden(t, "mediation-start", mediation)
	goldenOptions(t, "request-options-mediation", mediation.AssertionOptions)

	credentials, err := st.ListCredentials(t.Context(), service.ForUser[service.List]{Project: st.Project.ID, User: user})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "credentials", credentials)
	users, err := ceremonytest.Patiently(t, func() (rest.UserList, error) {
		return st.ListUsers(t.Context(), service.ForProject[service.List]{Project: st.Project.ID})
	})
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "users", users)
	golden(t, "challenges", st.Challenges(t, user, "status:eq:completed", "type:eq:register"))

	if _, err := st.DeleteCredential(
		t.Context(),
		service.ForUser[ident.CredentialID]{Project: st.Project.ID, User: user, Body: ident.CredentialID(data.ID)},
	); err != nil {
		t.Fatal(err)
	}
	d.Options.UserHandle = []byte("ada")
	gone, err := st.FinishMediation(t, d, d.Get(t, mediation.AssertionOptions))
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "mediation-finish-deleted", gone)

	st.Decision.OnLogin = func(_ service.LoginQuestion, v *service.LoginVerdict) {
		v.Allow, v.Tag = false, rest.DecisionTagUserNoPks
	}
	golden(t, "login-start-denied", st.BeginLogin(t, user, d))
	st.Decision.OnAppend = func(_ service.AppendQuestion, v *service.AppendVerdict) {
		v.Allow, v.Tag, v.Reason = false, rest.DecisionTagEnvNoPkSupport, "passkeys_not_supported"
	}
	golden(t, "append-start-denied", st.BeginAppend(t, user, d))
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

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares v as JSON with a file, IDs, challenges and handles aside.
func golden(t *testing.T, name string, v any) {
	t.Helper()
	raw, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text := string(raw) + "\n"
	text = regexp.MustCompile(`(usr|cre|was|env|pke)-\d+`).ReplaceAllString(text, "$1-N")
	text = regexp.MustCompile(`ceh1_[A-Za-z0-9_-]+`).ReplaceAllString(text, "ceh1_HANDLE")
	text = regexp.MustCompile(`(\\?"(?:challenge|value|credentialID)\\?": ?\\?")[A-Za-z0-9_-]+`).ReplaceAllString(text, "${1}BYTES")
	text = regexp.MustCompile(`(\\"(?:type\\":\\"public-key\\",\\"id)\\":\\")[A-Za-z0-9_-]+`).ReplaceAllString(text, "${1}BYTES")
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(text, "\n")); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}
