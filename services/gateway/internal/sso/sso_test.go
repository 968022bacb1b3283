package sso_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/services/gateway/internal/sso"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Unix(1_800_000_000, 0)

const client, clientSecret = "keyward", "s3cret"

// company is an OpenID Connect provider: it signs, hands out codes that are bound to a challenge, and redeems them once.
type company struct {
	*httptest.Server
	key *rsa.PrivateKey

	mu     sync.Mutex
	codes  map[string]url.Values // what was asked for, by the code
	claims func(map[string]any)  // changes what the next ID token says
}

func newCompany(t *testing.T) *company {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	c := &company{key: key, codes: map[string]url.Values{}, claims: func(map[string]any) {}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer": c.URL, "jwks_uri": c.URL + "/keys", "authorization_endpoint": c.URL + "/authorize",
			"token_endpoint": c.URL + "/token",
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
		_ = json.NewEncoder(w).Encode(map[string]any{"keys": []any{public}})
	})
	mux.HandleFunc("POST /token", c.redeem)
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

// authorize is what the provider does when somebody has signed in there.
func (c *company) authorize(at string) (code, state string) {
	asked, err := url.Parse(at)
	if err != nil {
		panic(err)
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
	change := c.claims
	c.mu.Unlock()
	challenge := sha256.Sum256([]byte(r.FormValue("code_verifier")))
	id, secret, _ := r.BasicAuth()
	if !known || id != client || secret != clientSecret || asked.Get("redirect_uri") != r.FormValue("redirect_uri") ||
		asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]string{"error": "invalid_grant"})
		return
	}
	said := c.said()
	said["nonce"] = asked.Get("nonce")
	change(said)
	_ = json.NewEncoder(w).Encode(map[string]string{"id_token": c.sign(said, c.key), "access_token": "a", "token_type": "Bearer"})
}

// said is what a good token says.
func (c *company) said() map[string]any {
	return map[string]any{
		"iss": c.URL, "aud": client, "sub": "u-1", "name": "Ada Lovelace", "groups": []string{"staff", "security"},
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
}

func (c *company) sign(said map[string]any, key *rsa.PrivateKey) string {
	payload, err := json.Marshal(said)
	if err != nil {
		panic(err)
	}
	headers := jws.NewHeaders()
	if err := headers.Set(jws.KeyIDKey, "k1"); err != nil {
		panic(err)
	}
	signed, err := jws.Sign(payload, jws.WithKey(jwa.RS256(), key, jws.WithProtectedHeaders(headers)))
	if err != nil {
		panic(err)
	}
	return string(signed)
}

func provider(t *testing.T, c *company) *sso.Provider {
	t.Helper()
	p, err := sso.New(operator.Provider{
		Issuer: c.URL, ClientID: client, ClientSecret: clientSecret, GroupsClaim: "groups", Home: "https://keyward.example/",
		Groups: []string{"shop=viewer:pro-1+pro-2", "security=approver", "staff=viewer"},
	}, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func TestATokenOfTheProviderIsOfItsOperatorOrRefused(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	p := provider(t, c)
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(map[string]any)
		key    *rsa.PrivateKey
		status int
		why    string
	}{
		"a good one":             {func(map[string]any) {}, c.key, 200, ""},
		"one of two audiences":   {func(m map[string]any) { m["aud"] = []string{"other", client} }, c.key, 200, ""},
		"a forged one":           {func(map[string]any) {}, stranger, 401, "signature"},
		"an expired one":         {func(m map[string]any) { m["exp"] = now.Add(-time.Hour).Unix() }, c.key, 401, "expired"},
		"one that never ends":    {func(m map[string]any) { delete(m, "exp") }, c.key, 401, "exp"},
		"one of the future":      {func(m map[string]any) { m["nbf"] = now.Add(time.Hour).Unix() }, c.key, 401, "not valid yet"},
		"for another audience":   {func(m map[string]any) { m["aud"] = "other" }, c.key, 401, "audience"},
		"of another issuer":      {func(m map[string]any) { m["iss"] = "https://evil.example" }, c.key, 401, "issuer"},
		"of nobody":              {func(m map[string]any) { delete(m, "sub") }, c.key, 401, "sub"},
		"of an unknown group":    {func(m map[string]any) { m["groups"] = []string{"sales"} }, c.key, 403, "groups"},
		"of no group any more":   {func(m map[string]any) { m["groups"] = []string{} }, c.key, 403, "groups"},
		"that tells no groups":   {func(m map[string]any) { delete(m, "groups") }, c.key, 403, "groups"},
		"of a group that begins": {func(m map[string]any) { m["groups"] = []string{"secur"} }, c.key, 403, "groups"},
	} {
		said := c.said()
		tc.change(said)
		got, err := p.Bearer(t.Context(), c.sign(said, tc.key))
		if tc.status == 200 {
			if err != nil || got.Name != "Ada Lovelace" || got.Role != operator.Approver || got.Limited() || !got.Outside ||
				got.ExpiresMs != now.Add(5*time.Minute).UnixMilli() {
				t.Errorf("%s is of %+v, %v", name, got, err)
			}
			continue
		}
		if f := fault.As(err); err == nil || f.Status != tc.status || !strings.Contains(f.Details, tc.why) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	said := c.said()
	said["groups"] = "shop security"
	got, err := p.Bearer(t.Context(), c.sign(said, c.key))
	if err != nil || got.Role != operator.Viewer || !slices.Equal(got.Projects, []ident.ProjectID{"pro-1", "pro-2"}) {
		t.Errorf("the first group that counts makes %+v, %v", got, err)
	}
	if _, err := p.Bearer(t.Context(), "a.b.c"); fault.As(err).Status != 401 {
		t.Error(err)
	}
}

func TestABrowserIsSignedInByACodeOrToldWhyNot(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	p := provider(t, c)
	begin := func() (sso.Begun, string, string) {
		begun, err := p.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		code, state := c.authorize(begun.URL)
		return begun, code, state
	}
	begun, code, state := begin()
	query, err := url.Parse(begun.URL)
	if q := query.Query(); err != nil || q.Get("code_challenge_method") != "S256" || q.Get("nonce") == "" ||
		q.Get("redirect_uri") != "https://keyward.example/operator/v1/session/oidc/callback" {
		t.Errorf("the browser goes to %s, %v", begun.URL, err)
	}
	first, err := p.Finish(t.Context(), code, state, begun.Cookie)
	if err != nil || first.Role != operator.Approver || first.ExpiresMs != 0 {
		t.Fatalf("it is %+v, %v", first, err)
	}
	if bearer, err := p.Bearer(t.Context(), c.sign(c.said(), c.key)); err != nil || bearer.ID != first.ID {
		t.Errorf("with a token it is another operator: %s and %s, %v", first.ID, bearer.ID, err)
	}
	for name, finish := range map[string]func(begun sso.Begun, code, state string) error{
		"a code that was redeemed": func(begun sso.Begun, code, state string) error {
			if _, err := p.Finish(t.Context(), code, state, begun.Cookie); err != nil {
				t.Error(err)
			}
			_, err := p.Finish(t.Context(), code, state, begun.Cookie)
			return err
		},
		"another browser's": func(_ sso.Begun, code, state string) error {
			other, _, _ := begin()
			_, err := p.Finish(t.Context(), code, state, other.Cookie)
			return err
		},
		"no cookie": func(_ sso.Begun, code, state string) error {
			_, err := p.Finish(t.Context(), code, state, "")
			return err
		},
		"no state": func(begun sso.Begun, code, _ string) error {
			_, err := p.Finish(t.Context(), code, "", begun.Cookie)
			return err
		},
		"another verifier": func(begun sso.Begun, code, state string) error {
			_, err := p.Finish(t.Context(), code, state, begun.Cookie+"x")
			return err
		},
		"another nonce":       saying(t, c, p, func(m map[string]any) { m["nonce"] = "other" }),
		"no nonce":            saying(t, c, p, func(m map[string]any) { delete(m, "nonce") }),
		"an expired ID token": saying(t, c, p, func(m map[string]any) { m["exp"] = now.Add(-time.Hour).Unix() }),
		"another audience":    saying(t, c, p, func(m map[string]any) { m["aud"] = "other" }),
		"a removed group":     saying(t, c, p, func(m map[string]any) { m["groups"] = []string{} }),
	} {
		begun, code, state := begin()
		if err := finish(begun, code, state); err == nil || fault.As(err).Status != 401 && fault.As(err).Status != 403 {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.Close()
	if _, err := p.Begin(t.Context()); fault.As(err).Status != 503 {
		t.Errorf("a provider that is away: %v", err)
	}
}

// saying finishes a sign-in in which the provider says otherwise.
func saying(t *testing.T, c *company, p *sso.Provider, change func(map[string]any)) func(sso.Begun, string, string) error {
	t.Helper()
	return func(begun sso.Begun, code, state string) error {
		c.mu.Lock()
		c.claims = change
		c.mu.Unlock()
		defer func() {
			c.mu.Lock()
			c.claims = func(map[string]any) {}
			c.mu.Unlock()
		}()
		_, err := p.Finish(t.Context(), code, state, begun.Cookie)
		return err
	}
}

// stored are operators that are kept, here none.
type stored struct{}

func (stored) Authenticate(context.Context, string, time.Time) (operator.Operator, error) {
	return operator.Operator{}, operator.ErrWrong
}

func (stored) Resume(context.Context, string, time.Time) (operator.Operator, error) {
	return operator.Operator{}, operator.ErrSessionOver
}

func TestATokenIsTheProvidersOrOneThatIsKept(t *testing.T) {
	t.Parallel()
	c := newCompany(t)
	both := sso.Operators{Stored: stored{}, Provider: provider(t, c)}
	if got, err := both.Authenticate(t.Context(), c.sign(c.said(), c.key), now); err != nil || got.Role != operator.Approver {
		t.Errorf("%+v, %v", got, err)
	}
	for _, o := range []sso.Operators{both, {Stored: stored{}}} {
		if _, err := o.Authenticate(t.Context(), "keyop_1_ABCDEFGHIJKLMNOPQRSTUVWXYZ", now); !errors.Is(err, operator.ErrWrong) {
			t.Error(err)
		}
	}
	alone := sso.Operators{Stored: stored{}}
	if _, err := alone.Authenticate(t.Context(), c.sign(c.said(), c.key), now); !errors.Is(err, operator.ErrWrong) {
		t.Errorf("without a provider: %v", err)
	}
}
