package test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
)

const oidcClient, oidcSecret = "keyward", "s3cret"

// company is an OpenID Connect provider of the operators' company: it signs, gives out codes that are bound to a challenge, and redeems
// each once.
type company struct {
	*httptest.Server
	t   *testing.T
	key *rsa.PrivateKey

	mu     sync.Mutex
	codes  map[string]url.Values // what was asked for, by the code
	change func(said map[string]any)
	signer *rsa.PrivateKey // of the next token
}

func newCompany(t *testing.T) *company {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &company{t: t, key: key, signer: key, codes: map[string]url.Values{}, change: func(map[string]any) {}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		c.write(w, map[string]string{
			"issuer": c.URL, "jwks_uri": c.URL + "/keys", "authorization_endpoint": c.URL + "/authorize", "token_endpoint": c.URL + "/token",
		})
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		public, err := jwk.Import(key.Public())
		if err == nil {
			err = errors.Join(public.Set(jwk.KeyIDKey, "k1"), public.Set(jwk.AlgorithmKey, jwa.RS256()))
		}
		if err != nil {
			t.Error(err)
		}
		c.write(w, map[string]any{"keys": []any{public}})
	})
	mux.HandleFunc("POST /token", c.redeem)
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

func (c *company) write(w http.ResponseWriter, body any) {
	if err := json.NewEncoder(w).Encode(body); err != nil {
		c.t.Error(err)
	}
}

// authorize is what the provider does when somebody has signed in there: it gives out a code for what the URL asks for.
func (c *company) authorize(at string) (code, state string) {
	asked, err := url.Parse(at)
	if err != nil {
		c.t.Fatal(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	code = rand.Text()
	c.codes[code] = asked.Query()
	return code, asked.Query().Get("state")
}

func (c *company) redeem(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	asked, known := c.codes[r.FormValue("code")]
	delete(c.codes, r.FormValue("code"))
	change, signer := c.change, c.signer
	c.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, given, _ := r.BasicAuth()
	if !known || id != oidcClient || given != oidcSecret || asked.Get("redirect_uri") != r.FormValue("redirect_uri") ||
		asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		w.WriteHeader(http.StatusBadRequest)
		c.write(w, map[string]string{"error": "invalid_grant"})
		return
	}
	said := c.said("security")
	said["nonce"] = asked.Get("nonce")
	change(said)
	c.write(w, map[string]string{"id_token": c.sign(said, signer), "access_token": "a", "token_type": "Bearer"})
}

// said is what a good token says of somebody in a group.
func (c *company) said(group string) map[string]any {
	return map[string]any{
		"iss": c.URL, "aud": oidcClient, "sub": "u-1", "name": "Ada Lovelace", "groups": []string{"staff", group},
		"iat": time.Now().Unix(), "exp": time.Now().Add(5 * time.Minute).Unix(),
	}
}

func (c *company) sign(said map[string]any, key *rsa.PrivateKey) string {
	payload, err := json.Marshal(said)
	if err != nil {
		c.t.Fatal(err)
	}
	headers := jws.NewHeaders()
	if err := headers.Set(jws.KeyIDKey, "k1"); err != nil {
		c.t.Fatal(err)
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.RS256(), key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		c.t.Fatal(err)
	}
	return string(signed)
}

// signIn goes the whole way of a browser, and returns where it ends up. spoil may change what the browser brings back.
func (c *company) signIn(b *browser, spoil func(query url.Values)) *url.URL {
	c.t.Helper()
	begun := b.wants(http.StatusSeeOther, "GET", "/session/oidc", nil)
	kept, err := http.ParseSetCookie(begun.header.Get("Set-Cookie"))
	if err != nil || !kept.HttpOnly || !kept.Secure || kept.SameSite != http.SameSiteLaxMode {
		c.t.Fatalf("the browser keeps %v, %v", kept, err)
	}
	code, state := c.authorize(begun.header.Get("Location"))
	back := url.Values{"code": {code}, "state": {state}, "iss": {c.URL}}
	if spoil != nil {
		spoil(back)
	}
	return b.back(back, kept.Name+"="+kept.Value)
}

// back is how the provider sends a browser back.
func (b *browser) back(query url.Values, cookie string) *url.URL {
	b.t.Helper()
	ended := b.wants(http.StatusSeeOther, "GET", "/session/oidc/callback?"+query.Encode(), nil, "Cookie", cookie)
	at, err := url.Parse(ended.header.Get("Location"))
	if err != nil || at.Path != "/console/" || at.Host != "" {
		b.t.Fatalf("it is sent to %v, %v", at, err)
	}
	return at
}

// Operators whom the company's identity provider knows sign in to a server that runs: by code, and by its tokens.
func TestOperatorsSignInByTheIdentityProviderOfTheCompany(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	var later atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	st := shape{name: "one process"}.startAt(t, now, func(cfg *settings.Config) {
		cfg.OperatorOIDC.Issuer, cfg.OperatorOIDC.ClientID, cfg.OperatorOIDC.ClientSecret = c.URL, oidcClient, secret.Text(oidcSecret)
		cfg.OperatorOIDC.Groups = []string{"security=approver", "shop=viewer:" + project1}
		cfg.HTTP.RateFailures = ratelimit.Limit{}
	})
	t.Run("a group becomes a role", func(t *testing.T) { groupsBecomeRoles(t, c, st) })
	t.Run("attacks on the code flow", func(t *testing.T) { codesAreAttacked(t, c, st) })
	t.Run("tokens that are not good", func(t *testing.T) { tokensAreAttacked(t, c, st) })
	t.Run("a passkey beside it", func(t *testing.T) { memberAddsPasskey(t, c, st, &later) })
}

func groupsBecomeRoles(t *testing.T, c *company, st *stack) {
	b := st.browser(t)
	if at := c.signIn(b, nil); at.RawQuery != "" {
		t.Fatalf("it is sent to %s", at)
	}
	me := as[api.Operator](t, b.wants(200, "GET", "/me", nil))
	if me.Role != "approver" || me.Name != "Ada Lovelace" || me.Projects != nil || me.Expires == nil {
		t.Errorf("it is signed in as %+v", me)
	}
	b.wants(403, "GET", "/operators", nil)
	c.says(func(said map[string]any) { said["sub"], said["groups"] = "u-2", []string{"shop"} })
	if at := c.signIn(b, nil); at.RawQuery != "" {
		t.Fatalf("it is sent to %s", at)
	}
	limited := as[api.Operator](t, b.wants(200, "GET", "/me", nil))
	if limited.Role != "viewer" || limited.Projects == nil || (*limited.Projects)[0] != project1 || limited.OperatorID == me.OperatorID {
		t.Errorf("it is signed in as %+v", limited)
	}
	for name, groups := range map[string]any{"in no group of operators": []string{"staff"}, "in none": []string{}, "without groups": nil} {
		c.says(func(said map[string]any) { said["groups"] = groups })
		b.cookie = ""
		if at := c.signIn(b, nil); !strings.Contains(at.Query().Get("signInError"), "none of the groups") || b.cookie != "" {
			t.Errorf("who is %s is sent to %s, with %q", name, at, b.cookie)
		}
	}
	c.says(nil)
}

// says has the next tokens say something else; nil = what is good.
func (c *company) says(change func(map[string]any)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.change = change; change == nil {
		c.change, c.signer = func(map[string]any) {}, c.key
	}
}

func codesAreAttacked(t *testing.T, c *company, st *stack) {
	b := st.browser(t)
	forger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(name string, at *url.URL, why string) {
		t.Helper()
		if !strings.Contains(at.Query().Get("signInError"), why) || b.cookie != "" {
			t.Errorf("%s: it is sent to %s, with the cookie %q, want %s", name, at, b.cookie, why)
		}
	}
	for name, c2 := range map[string]struct {
		change func(map[string]any)
		spoil  func(url.Values)
		signer *rsa.PrivateKey
		why    string
	}{
		"another state":                 {nil, func(q url.Values) { q.Set("state", "x") }, nil, "has not begun the sign-in"},
		"no state":                      {nil, func(q url.Values) { q.Del("state") }, nil, "has not begun the sign-in"},
		"a code that was not given out": {nil, func(q url.Values) { q.Set("code", "x") }, nil, "does not take the code"},
		"a refusal of the provider":     {nil, func(q url.Values) { q.Set("error", "access_denied") }, nil, "access_denied"},
		"another nonce":                 {func(s map[string]any) { s["nonce"] = "x" }, nil, nil, "nonce"},
		"no nonce":                      {func(s map[string]any) { delete(s, "nonce") }, nil, nil, "nonce"},
		"an expired token":              {func(s map[string]any) { s["exp"] = time.Now().Add(-time.Hour).Unix() }, nil, nil, "expired"},
		"a token for another client":    {func(s map[string]any) { s["aud"] = "other" }, nil, nil, ""},
		"a token of another issuer":     {func(s map[string]any) { s["iss"] = "https://evil.example" }, nil, nil, ""},
		"a forged signature":            {nil, nil, forger, ""},
		"a token of nobody":             {func(s map[string]any) { delete(s, "sub") }, nil, nil, ""},
	} {
		c.says(c2.change)
		if c2.signer != nil {
			c.mu.Lock()
			c.signer = c2.signer
			c.mu.Unlock()
		}
		at := c.signIn(b, c2.spoil)
		if at.Query().Get("signInError") == "" {
			t.Errorf("%s signs in", name)
		}
		refused(name, at, c2.why)
		c.says(nil)
	}
	// What brought one browser in brings no other in: neither the same way back again, nor the code with another browser's cookie.
	begun := b.wants(http.StatusSeeOther, "GET", "/session/oidc", nil)
	kept, err := http.ParseSetCookie(begun.header.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	code, state := c.authorize(begun.header.Get("Location"))
	query := url.Values{"code": {code}, "state": {state}}
	refused("in a browser that has not begun it", b.back(query, ""), "has not begun the sign-in")
	if at := b.back(query, kept.Name+"="+kept.Value); at.RawQuery != "" || b.cookie == "" {
		t.Fatalf("the right one is sent to %s", at)
	}
	b.cookie = ""
	refused("replayed", b.back(query, kept.Name+"="+kept.Value), "does not take the code")
}

func tokensAreAttacked(t *testing.T, c *company, st *stack) {
	forger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, c2 := range map[string]struct {
		group  string
		change func(map[string]any)
		signer *rsa.PrivateKey
		status int
	}{
		"a good one":            {"security", func(map[string]any) {}, c.key, 200},
		"one that has expired":  {"security", func(s map[string]any) { s["exp"] = time.Now().Add(-time.Hour).Unix() }, c.key, 401},
		"without an expiry":     {"security", func(s map[string]any) { delete(s, "exp") }, c.key, 401},
		"of another client":     {"security", func(s map[string]any) { s["aud"] = "other" }, c.key, 401},
		"of another issuer":     {"security", func(s map[string]any) { s["iss"] = "https://evil.example" }, c.key, 401},
		"with a forged key":     {"security", func(map[string]any) {}, forger, 401},
		"of who is no operator": {"staff", func(map[string]any) {}, c.key, 403},
	} {
		said := c.said(c2.group)
		c2.change(said)
		d := desk{t, st.base, c.sign(said, c2.signer)}
		if a := d.ask("GET", "/me", nil); a.status != c2.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	good := strings.Split(c.sign(c.said("security"), c.key), ".")
	header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"k1"}`))
	for name, token := range map[string]string{
		"without a signature": good[0] + "." + good[1] + ".", "of no algorithm": header + "." + good[1] + ".",
	} {
		if a := (desk{t, st.base, token}).ask("GET", "/me", nil); a.status != 401 {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// Somebody whom the provider knows adds a passkey, and is with it what the group is worth.
func memberAddsPasskey(t *testing.T, c *company, st *stack, later *atomic.Int64) {
	b := st.browser(t)
	c.signIn(b, nil)
	me := as[api.Operator](t, b.wants(200, "GET", "/me", nil))
	d := authenticator.Phone()
	d.Origin, d.RPID = "http://localhost:8080", "localhost"
	d.Options.UserHandle = []byte(me.OperatorID)
	options := as[api.PasskeyOptions](t, b.wants(200, "POST", "/operators/me/passkeys/options", nil))
	b.wants(200, "POST", "/operators/me/passkeys", map[string]any{"name": "phone", "answer": d.Create(t, options.Options)})
	b.cookie = ""
	signIn := func(status int) answer {
		asked := as[api.PasskeyOptions](t, b.wants(200, "POST", "/session/passkey/options", nil))
		return b.wants(status, "POST", "/session/passkey", map[string]any{"answer": d.Get(t, asked.Options)})
	}
	in := as[api.Operator](t, signIn(200))
	if in.OperatorID != me.OperatorID || in.Role != "approver" {
		t.Errorf("it signs in %+v", in)
	}
	b.wants(200, "GET", "/me", nil)
	root := st.admin(t)
	list := as[api.OperatorAccountList](t, root.wants(200, "GET", "/operators", nil))
	if last := list.Operators[len(list.Operators)-1]; last.OperatorID != me.OperatorID || last.Outside == nil || last.Passkeys != 1 {
		t.Errorf("the last operator is %+v", last)
	}
	// Whoever has left the company is none of its operators for long.
	later.Store(int64(8 * 24 * time.Hour))
	if a := signIn(401); !strings.Contains(string(a.body), "has not said for 168h") {
		t.Errorf("after a week: %s", a.body)
	}
	later.Store(0)
	root.wants(200, "DELETE", "/operators/"+me.OperatorID, nil)
	b.wants(401, "GET", "/me", nil)
}
