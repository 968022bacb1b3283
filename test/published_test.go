package test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// published is a row of testdata/published.txt.
type published struct {
	name, method string
	path         *regexp.Regexp
	parameters   int
	members      []string
	answers      [][]byte // of calls that succeeded
}

var pathParameter = regexp.MustCompile(`\{[^}]+\}`)

func readPublished(t *testing.T) []*published {
	t.Helper()
	raw, err := os.ReadFile("testdata/published.txt")
	if err != nil {
		t.Fatal(err)
	}
	var rows []*published
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, members, _ := strings.Cut(line, ": ")
		method, path, _ := strings.Cut(name, " ")
		rows = append(rows, &published{
			name: name, method: method, members: strings.Fields(members), parameters: len(pathParameter.FindAllString(path, -1)),
			path: regexp.MustCompile("^" + pathParameter.ReplaceAllString(path, "[^/]+") + "$"),
		})
	}
	return rows
}

// keep gives an answer to the row that its call belongs to.
func keep(rows []*published, method, path string, body []byte) {
	var of *published
	for _, row := range rows {
		if row.method == method && row.path.MatchString(path) && (of == nil || row.parameters < of.parameters) {
			of = row
		}
	}
	if of != nil {
		of.answers = append(of.answers, body)
	}
}

// lacks says which member an answer has not.
func lacks(value any, member string) error {
	first, rest, deeper := strings.Cut(member, ".")
	name, list := strings.CutSuffix(first, "[]")
	if name != "" {
		object, _ := value.(map[string]any)
		inner, ok := object[name]
		if !ok || inner == nil {
			return fmt.Errorf("has no %s", name)
		}
		value = inner
	}
	items := []any{value}
	if list {
		if items, _ = value.([]any); len(items) == 0 {
			return fmt.Errorf("has nothing in %s", first)
		}
	}
	if !deeper {
		return nil
	}
	for _, item := range items {
		if err := lacks(item, rest); err != nil {
			return fmt.Errorf("%s %w", first, err)
		}
	}
	return nil
}

// Clients read these members without looking whether they are there. One story calls every operation; what passes is kept and held to the
// table.
func TestEveryPublishedOperationAnswersWithTheMembersThatItsClientsRead(t *testing.T) {
	t.Parallel()
	rows := readPublished(t)
	st := everyShape()[0].start(t, func(cfg *settings.Config) { cfg.Delivery.Kind = "outbox" })
	var mu sync.Mutex
	target, err := url.Parse(st.base)
	if err != nil {
		t.Fatal(err)
	}
	between := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		ModifyResponse: func(rsp *http.Response) error {
			body, err := io.ReadAll(rsp.Body)
			rsp.Body = io.NopCloser(bytes.NewReader(body))
			if rsp.StatusCode == http.StatusOK {
				mu.Lock()
				defer mu.Unlock()
				keep(rows, rsp.Request.Method, rsp.Request.URL.Path, body)
			}
			return err
		},
	})
	t.Cleanup(between.Close)
	st.base = between.URL
	backendStory(t, st)
	frontendStory(t, st)
	connectStory(t, st)
	userServiceStory(t, st)
	mu.Lock()
	defer mu.Unlock()
	for _, row := range rows {
		if len(row.answers) == 0 {
			t.Errorf("%s: was not called with success", row.name)
		}
		for _, body := range row.answers[max(0, len(row.answers)-1):] {
			var value any
			if err := json.Unmarshal(body, &value); err != nil {
				t.Errorf("%s: %v", row.name, err)
			}
			for _, member := range row.members {
				if err := lacks(value, member); err != nil {
					t.Errorf("%s: the answer %v: %s", row.name, err, body)
				}
			}
		}
	}
}

func backendStory(t *testing.T, st *stack) {
	o := st.newOwner(t)
	mediation(t, o.person)
	for _, path := range []string{"/identifiers", "/socialAccounts", "/sessions", "/connectTokens", "/users"} {
		of := map[string]string{
			"/identifiers": "identifierID", "/socialAccounts": "userID", "/sessions": "sessionID", "/connectTokens": "connectTokenID",
			"/users": "userID",
		}[path]
		eventually(t, path+" does not show what there is", func() bool {
			return strings.Contains(string(o.call(t, "GET", "/v2"+path, nil).body), o.ids[of])
		})
	}
	code := as[rest.Challenge](t, o.call(t, "POST", o.fill("/v2/users/{userID}/challenges"), map[string]any{
		"challengeType": "email_otp", "identifierValue": "owner@example.com", "clientInformation": mac(""),
	}))
	signed := map[string]any{"signedPasskeyData": o.signed}
	for _, c := range []struct {
		method, path string
		body         any
	}{
		{"GET", "/users/{userID}", nil},
		{"PATCH", "/users/{userID}", map[string]any{"fullName": "Ada Lovelace"}},
		{"GET", "/users/{userID}/credentials", nil},
		{"GET", "/users/{userID}/socialAccounts", nil},
		{"PATCH", "/users/{userID}/challenges/" + code.ChallengeID, map[string]any{"value": code.Value}},
		{"PATCH", "/users/{userID}/identifiers/{identifierID}", map[string]any{"status": "verified"}},
		{"POST", "/users/{userID}/authEvents", map[string]any{
			"username": "ada", "eventType": "login", "method": "password", "status": "success", "clientInformation": mac(""),
		}},
		{"GET", "/users/{userID}/passkeyChallenges", nil},
		{"PATCH", "/users/{userID}/passkeyChallenges/{passkeyChallengeID}", map[string]any{"status": "consumed"}},
		{"GET", "/users/{userID}/passwordManagers", nil},
		{"GET", "/users/{userID}/clientEnvs", nil},
		{"GET", "/users/{userID}/passkeyEvents", nil},
		{"POST", "/passkey/verifySignedData", signed},
		{"POST", "/passkeys/verifySignedData", signed},
		{"POST", "/passkey/postLogin", map[string]any{"signedPasskeyData": signedLogin(t, o.person)}},
		{"PATCH", "/connectTokens/{connectTokenID}", map[string]any{"status": "consumed"}},
		{"DELETE", "/connectTokens/{connectTokenID}", nil},
		{"GET", "/webhookEndpoints", nil},
		{"PUT", "/webhookEndpoints/{webhookEndpointID}", map[string]any{"url": "https://owner.example.com/other"}},
		{"DELETE", "/webhookEndpoints/{webhookEndpointID}", nil},
		{"GET", "/users/{userID}/longSessions/{longSessionID}", nil},
		{"GET", "/longSessions/{longSessionID}", nil},
		{"POST", "/users/{userID}/longSessions/{longSessionID}/shortSessions", map[string]any{"appType": "web", "issuer": origin}},
		{"PATCH", "/users/{userID}/longSessions/{longSessionID}", map[string]any{"status": "logged_out"}},
		{"DELETE", "/users/{userID}/passkeyEvents/{passkeyEventID}", nil},
		{"DELETE", "/users/{userID}/identifiers/{identifierID}", nil},
		{"DELETE", "/users/{userID}/credentials/{credentialID}", nil},
	} {
		as[json.RawMessage](t, o.call(t, c.method, "/v2"+o.fill(c.path), c.body))
	}
	second := as[rest.LongSession](t, o.call(t, "POST", o.fill("/v2/users/{userID}/longSessions"), map[string]any{
		"appType": "web", "identifierValue": "ada",
	}))
	as[rest.GenericRsp](t, o.call(t, "POST", "/v2/sessions/"+second.LongSessionID+"/revoke", nil))
	as[rest.GenericRsp](t, o.call(t, "DELETE", o.fill("/v2/users/{userID}"), nil))
}

func frontendStory(t *testing.T, st *stack) {
	v := &visitor{client: client{base: st.base}, device: authenticator.Phone()}
	for _, path := range []string{"/v2/session-config", "/v2/process-config", "/v2/user-details-config"} {
		as[json.RawMessage](t, v.visit(t, "GET", path, ""))
	}
	v.signUp(t, "ada")
	v.process = as[frontend.ProcessInitRsp](t, v.visit(t, "POST", "/v2/auth/process/init", `{"clientInformation": `+visitorSays+`}`)).Token
	as[json.RawMessage](t, v.visit(t, "GET", "/v2/auth/process", ""))
	as[json.RawMessage](t, v.visit(t, "POST", "/v2/auth/process/reset", ""))
	v.process = ""
	logIn(t, st, v)
	as[json.RawMessage](t, v.visit(t, "GET", "/v2/me", ""))
	as[json.RawMessage](t, v.visit(t, "GET", "/v2/oidc/userInfo", ""))
	as[json.RawMessage](t, v.visit(t, "PATCH", "/v2/me", `{"fullName": "Ada Lovelace"}`))
	as[json.RawMessage](t, v.visit(t, "POST", "/v2/me/passkeys/append/start", `{"clientInformation": `+visitorSays+`}`))
	kept := as[frontend.MePasskeyRsp](t, v.visit(t, "GET", "/v2/me/passkeys", "")).Passkeys
	access := v.token
	v.token = v.refresh
	as[json.RawMessage](t, v.visit(t, "POST", "/v2/me/refresh", ""))
	v.token = access
	as[json.RawMessage](t, v.visit(t, "DELETE", "/v2/me/passkeys/"+kept[0].ID, ""))
	as[json.RawMessage](t, v.visit(t, "DELETE", "/v2/me", ""))
}

func connectStory(t *testing.T, st *stack) {
	v := &visitor{client: client{base: st.base}, device: authenticator.Phone()}
	const begin = `{"clientInformation": ` + visitorSays + `, "flags": {}}`
	token := func(kind string) string {
		return *as[rest.ConnectToken](t, st.call(t, "POST", "/v2/connectTokens", map[string]any{
			"type": kind, "data": map[string]any{"displayName": "Ada", "identifier": "connect@example.com"},
		})).Secret
	}
	v.process = as[frontend.ConnectAppendInitRsp](t, v.visit(t, "POST", "/v2/connect/append/init", begin)).ProcessID
	offered := as[frontend.ConnectAppendStartRsp](t, v.visit(t, "POST", "/v2/connect/append/start",
		`{"appendTokenValue": "`+token("passkey-append")+`", "loadedMs": 1, "forcePasskeyAppend": true}`))
	created, err := v.device.Create(offered.AttestationOptions, origin)
	if err != nil {
		t.Fatal(err)
	}
	as[json.RawMessage](t, v.visit(t, "POST", "/v2/connect/append/finish", quoted(t, "attestationResponse", created)))
	v.process = as[frontend.ConnectLoginInitRsp](t, v.visit(t, "POST", "/v2/connect/login/init", begin)).Token
	asked := as[frontend.ConnectLoginStartRsp](t, v.visit(t, "POST", "/v2/connect/login/start",
		`{"identifier": "connect@example.com", "source": "text-field", "loadedMs": 1}`))
	response, err := v.device.Get(asked.AssertionOptions, origin)
	if err != nil {
		t.Fatalf("%v: %+v", err, asked)
	}
	finish, err := json.Marshal(map[string]any{"isConditionalUI": false, "assertionResponse": response})
	if err != nil {
		t.Fatal(err)
	}
	as[json.RawMessage](t, v.visit(t, "POST", "/v2/connect/login/finish", string(finish)))
	v.process = as[frontend.ConnectManageInitRsp](t, v.visit(t, "POST", "/v2/connect/manage/init", begin)).ProcessID
	passkeys := as[frontend.ConnectManageListRsp](
		t, v.visit(t, "POST", "/v2/connect/manage/list", quoted(t, "connectToken", token("passkey-list"))),
	).Passkeys
	as[json.RawMessage](t, v.visit(t, "POST", "/v2/connect/manage/delete",
		`{"connectToken": "`+token("passkey-delete")+`", "credentialID": "`+passkeys[0].ID+`"}`))
	as[json.RawMessage](t, v.visit(t, "POST", "/v2/connect/process/clear", `{"processId": "`+v.process+`"}`))
	as[rest.GenericRsp](t, st.call(t, "PUT", "/v2/projectConfig/cname", map[string]any{"cname": "login.xn--p1ai.example.xn--p1ai"}))
}

func userServiceStory(t *testing.T, st *stack) {
	for _, version := range []string{"/v2", "/v2beta"} {
		p := st.newPerson(t)
		users := version + "/users/" + p.id + "/passkeys"
		begun := userServiceCall[struct {
			PasskeyID string          `json:"passkeyId"`
			Options   json.RawMessage `json:"publicKeyCredentialCreationOptions"`
		}](t, st.client, "POST", users, map[string]any{})
		credential, err := p.device.Create(string(begun.Options), origin)
		if err != nil {
			t.Fatal(err)
		}
		userServiceCall[json.RawMessage](t, st.client, "POST", users+"/"+begun.PasskeyID, map[string]any{
			"publicKeyCredential": json.RawMessage(credential), "passkeyName": "Ada's phone",
		})
		userServiceCall[json.RawMessage](t, st.client, "POST", users+"/registration_link", map[string]any{"returnCode": map[string]any{}})
		if version == "/v2" {
			userServiceCall[json.RawMessage](t, st.client, "POST", users+"/_search", map[string]any{})
			userServiceCall[json.RawMessage](t, st.client, "DELETE", users+"/"+begun.PasskeyID, nil)
		}
	}
}
