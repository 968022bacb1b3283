package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

// browser calls the Operator API as the console does: by the cookie that it was given, and with what no other site can say.
type browser struct {
	t      *testing.T
	base   string
	cookie string
}

func (s *stack) browser(t *testing.T) *browser {
	return &browser{t: t, base: s.base}
}

// ask sends a call. Headers that are named without a value are left out.
func (b *browser) ask(method, path string, body any, header ...string) answer {
	b.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		b.t.Fatal(err)
	}
	if body == nil {
		raw = nil
	}
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+"/operator/v1"+path, bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header.Set("X-Keyward-Console", "1")
	if b.cookie != "" {
		req.Header.Set("Cookie", "__Host-keyward-operator="+b.cookie)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Del(header[i])
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	alone := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	rsp, err := alone.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	answered, err := io.ReadAll(rsp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, set := range rsp.Header.Values("Set-Cookie") {
		if c, err := http.ParseSetCookie(set); err == nil && c.Name == "__Host-keyward-operator" {
			b.cookie = c.Value
		}
	}
	return answer{rsp.StatusCode, rsp.Header, answered}
}

func (b *browser) wants(status int, method, path string, body any, header ...string) answer {
	b.t.Helper()
	a := b.ask(method, path, body, header...)
	if a.status != status {
		b.t.Errorf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a
}

// passkeysByOperator adds a passkey, signs in with it, and is signed out by an admin who takes it away.
func passkeysByOperator(t *testing.T, st *stack, root desk) {
	t.Helper()
	root.t = t
	b := st.browser(t)
	if ways := as[api.SignIn](t, b.ask("GET", "/session/ways", nil)); !ways.Passkey || ways.Oidc {
		t.Fatalf("the ways in are %+v", ways)
	}
	made := as[api.OperatorCreated](t, root.ask("POST", "/operators", map[string]any{"name": "Pia", "role": "viewer"}))
	b.wants(200, "POST", "/session", nil, "Authorization", "Bearer "+made.Token)
	d := authenticator.SecurityKey()
	d.Origin, d.RPID = "http://localhost:8080", "localhost"
	d.Options.UserHandle = []byte(made.Operator.OperatorID)
	options := as[api.PasskeyOptions](t, b.ask("POST", "/operators/me/passkeys/options", nil))
	added := as[api.OperatorPasskey](t, b.wants(200, "POST", "/operators/me/passkeys", map[string]any{
		"name": "key", "answer": d.Create(t, options.Options),
	}))
	b.wants(200, "DELETE", "/session", nil)
	b.cookie = ""
	signIn := func(status int) answer {
		t.Helper()
		asked := as[api.PasskeyOptions](t, b.wants(200, "POST", "/session/passkey/options", nil))
		return b.wants(status, "POST", "/session/passkey", map[string]any{"answer": d.Get(t, asked.Options)})
	}
	if in := as[api.Operator](t, signIn(200)); in.OperatorID != made.Operator.OperatorID || in.Expires == nil || b.cookie == "" {
		t.Errorf("it signs in %+v, with the cookie %q", in, b.cookie)
	}
	b.wants(200, "GET", "/me", nil)
	b.wants(403, "GET", "/operators/"+made.Operator.OperatorID+"/passkeys", nil)
	of := "/operators/" + made.Operator.OperatorID + "/passkeys"
	if list := as[api.OperatorPasskeyList](t, root.ask("GET", of, nil)); len(list.Passkeys) != 1 || list.Passkeys[0].LastUsed == nil {
		t.Errorf("the passkeys are %+v", list)
	}
	root.wants(404, "DELETE", of+"/cre-1", nil)
	root.wants(200, "DELETE", of+"/"+added.CredentialID, nil)
	b.wants(401, "GET", "/me", nil)
	if a := signIn(401); !strings.Contains(string(a.body), "none of an operator") {
		t.Errorf("%s", a.body)
	}
}
