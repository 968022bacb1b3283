package gateway_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway"
)

// provider is an OpenID Connect issuer on the loopback.
type provider struct {
	*httptest.Server
	private *ecdsa.PrivateKey
	away    atomic.Bool
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public, err := jwk.Import(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range map[string]any{"kid": "one", "use": "sig", "alg": "ES256"} {
		if err := public.Set(k, v); err != nil {
			t.Fatal(err)
		}
	}
	p := &provider{private: private}
	mux := http.NewServeMux()
	document := func(path string, body func() any) {
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) {
			if p.away.Load() {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			_ = json.NewEncoder(w).Encode(body())
		})
	}
	document("/.well-known/openid-configuration", func() any { return map[string]string{"issuer": p.URL, "jwks_uri": p.URL + "/keys"} })
	document("/keys", func() any { return map[string]any{"keys": []any{public}} })
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	return p
}

// bearer returns the header of a token that lives for an hour, with claims besides.
func (p *provider) bearer(t *testing.T, now time.Time, claims map[string]any) map[string]string {
	t.Helper()
	all := map[string]any{
		"iss": p.URL, "aud": "keyward", "scope": "openid urn:zitadel:iam:org:project:id:zitadel:aud", "iat": now.Unix(),
		"exp": now.Add(time.Hour).Unix(),
	}
	for k, v := range claims {
		all[k] = v
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	header := jws.NewHeaders()
	if err := header.Set("kid", "one"); err != nil {
		t.Fatal(err)
	}
	text, err := jws.Sign(payload, jws.WithKey(jwa.ES256(), p.private, jws.WithProtectedHeaders(header)))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"Authorization": "Bearer " + string(text)}
}

// taking returns the two projects, those of which that are named take tokens of the provider.
func (p *provider) taking(t *testing.T, ids ...string) tenants {
	t.Helper()
	all := newTenants()
	for id, one := range all {
		for _, named := range ids {
			if string(id) != named {
				continue
			}
			issuer, err := project.NewIssuer(p.URL, "keyward", project.IssuerOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if err := one.AddIssuer(issuer); err != nil {
				t.Fatal(err)
			}
			all[id] = one
		}
	}
	return all
}

// also returns the headers of both, the second one's if both have one.
func also(headers map[string]string, more ...string) map[string]string {
	all := map[string]string{}
	for k, v := range headers {
		all[k] = v
	}
	for i := 0; i < len(more); i += 2 {
		all[more[i]] = more[i+1]
	}
	return all
}

func TestAccessTokensAdmitUsersAndServiceUsers(t *testing.T) {
	t.Parallel()
	issuer := newProvider(t)
	projects := issuer.taking(t, "pro-1")
	reader, writer := withKey(t, projects, 0, "credentials:read"), withKey(t, projects, 0, "credentials:write")
	s := serve(t, setup{projects: projects})
	user := issuer.bearer(t, time.Now(), map[string]any{"sub": "usr-7"})
	service := issuer.bearer(t, time.Now(), map[string]any{"sub": "someone", "permissions": []string{"credentials:read"}})
	stranger := newProvider(t)
	for _, tc := range []struct {
		name    string
		headers map[string]string
		user    string
		code    string
	}{
		{"a user about itself", user, "usr-7", "ok"},
		{"a user about another", user, "usr-8", "permission_denied"},
		{"a service user with the permission", service, "usr-8", "ok"},
		{
			"a service user without it",
			issuer.bearer(t, time.Now(), map[string]any{"sub": "someone", "permissions": []string{"passkeys:append"}}), "usr-8",
			"permission_denied",
		},
		{"an API key with the permission", reader, "usr-8", "ok"},
		{"an API key without it", writer, "usr-8", "permission_denied"},
		{"the API secret", nil, "usr-8", "ok"},
		{"a token from a page of the project", also(user, "Origin", originA), "usr-7", "ok"},
		{"a token from a page of another project", also(user, "Origin", originB), "usr-7", "permission_denied"},
		{"a token and the header of its project", also(user, "X-Corbado-ProjectID", "pro-1"), "usr-7", "ok"},
		{"a token and the header of another project", also(user, "X-Corbado-ProjectID", "pro-2"), "usr-7", "permission_denied"},
		{"a token and the organization of its project", also(user, "x-zitadel-orgid", "pro-1"), "usr-7", "ok"},
		{"a token and the organization of another project", also(user, "x-zitadel-orgid", "pro-2"), "usr-7", "unauthenticated"},
		{"an expired token", issuer.bearer(t, time.Now().Add(-3*time.Hour), map[string]any{"sub": "usr-7"}), "usr-7", "unauthenticated"},
		{"a token for another audience", issuer.bearer(t, time.Now(), map[string]any{"sub": "usr-7", "aud": "shop"}), "usr-7", "unauthenticated"},
		{
			"a token without the scopes", issuer.bearer(t, time.Now(), map[string]any{"sub": "usr-7", "scope": "openid"}), "usr-7",
			"permission_denied",
		},
		{"a token of an unknown issuer", stranger.bearer(t, time.Now(), map[string]any{"sub": "usr-7"}), "usr-7", "unauthenticated"},
		{
			"a token that another has signed", stranger.bearer(t, time.Now(), map[string]any{"sub": "usr-7", "iss": issuer.URL}),
			"usr-7", "unauthenticated",
		},
		{"a token of no known form", map[string]string{"Authorization": "Bearer opaque"}, "usr-7", "unauthenticated"},
		{"an empty token", map[string]string{"Authorization": "Bearer "}, "usr-7", "unauthenticated"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, w := range ways() {
				if got := s.listPasskeys(w, tc.user, tc.headers); got.code != tc.code {
					t.Errorf("%v: got %+v, want %s", w, got, tc.code)
				}
			}
		})
	}
	for _, secret := range []string{strings.Fields(user["Authorization"])[1], "kwk1_", secretA} {
		if strings.Contains(string(s.log.bytes()), secret) {
			t.Errorf("%.20s is in the log", secret)
		}
	}
}

func TestATokenThatSeveralProjectsTakeNeedsTheHeaderThatNamesOne(t *testing.T) {
	t.Parallel()
	issuer := newProvider(t)
	s := serve(t, setup{projects: issuer.taking(t, "pro-1", "pro-2")})
	token := issuer.bearer(t, time.Now(), map[string]any{"sub": "usr-7"})
	if got := s.listPasskeys(way{overGRPC, portGRPC}, "usr-7", also(token, "x-zitadel-orgid", "pro-2")); got.code != "ok" {
		t.Errorf("got %+v", got)
	}
	if line := s.logged(1)[0]; line["project"] != "pro-2" {
		t.Errorf("logged %v", line)
	}
}

func TestWrongTokensCountAsFailuresAndAnIssuerThatIsAwayDoesNot(t *testing.T) {
	t.Parallel()
	issuer := newProvider(t)
	clock := newClock()
	projects := issuer.taking(t, "pro-1")
	s := serve(t, setup{projects: projects, now: clock.now, cfg: gateway.Config{RateFailures: perTenSeconds(3)}})
	good := issuer.bearer(t, clock.now(), map[string]any{"sub": "usr-7"})

	issuer.away.Store(true)
	for _, w := range ways() {
		if got := s.listPasskeys(w, "usr-7", good); got.code != "unavailable" || got.header.Get("Retry-After") == "" {
			t.Fatalf("%v: got %+v", w, got)
		}
	}
	issuer.away.Store(false)
	s.listPasskeys(way{overJSON, portHTTP}, "usr-7", map[string]string{"Authorization": ""}) // no guess
	clock.pass(time.Minute)
	if got := s.listPasskeys(way{overConnect, portHTTP}, "usr-7", good); got.code != "ok" {
		t.Fatalf("got %+v", got)
	}
	wrong := []map[string]string{
		{"Authorization": good["Authorization"][:len(good["Authorization"])-4] + "AAAA", "x-zitadel-orgid": "pro-1"},
		{"Authorization": "Bearer kwk1_1_a_b"},
		{"Authorization": "Bearer opaque", "x-zitadel-orgid": "pro-1"},
	}
	for i, w := range []way{{overGRPC, portGRPC}, {overConnect, portHTTP}, {overGRPCWeb, portGRPC}} {
		if got := s.listPasskeys(w, "usr-7", wrong[i]); got.code != "unauthenticated" {
			t.Fatalf("%v: got %+v", w, got)
		}
	}
	for _, w := range ways() {
		got := s.listPasskeys(w, "usr-7", wrong[0])
		if got.code != "resource_exhausted" || got.message != "too many wrong credentials from this address" ||
			got.header.Get("Retry-After") == "" {
			t.Errorf("%v: one more wrong token: %+v", w, got)
		}
		if got := s.listPasskeys(w, "usr-7", good); got.code != "ok" {
			t.Errorf("%v: a good token from the address of wrong ones: %+v", w, got)
		}
	}
	if a := s.call("GET", "/v2/users", "", basic("pro-1", "x")); a.status != 429 {
		t.Errorf("a guess at the Backend API got %d", a.status)
	}
	clock.pass(time.Minute)
	if got := s.listPasskeys(way{overConnect, portHTTP}, "usr-7", good); got.code != "ok" {
		t.Errorf("later: got %+v", got)
	}
}

func TestCallsOfBothPortsCountAgainstTheSameLimits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, refusal string
		cfg           gateway.Config
		another       map[string]string // credentials
	}{
		{"of a project", "too many calls of this project", gateway.Config{RateProject: perTenSeconds(5)}, basic("pro-2", secretB)},
		{
			"of an address", "too many calls from this address",
			gateway.Config{RateAddress: perTenSeconds(5), TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}},
			map[string]string{"X-Forwarded-For": "192.0.2.9"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newClock()
			s := serve(t, setup{cfg: tc.cfg, now: clock.now})
			var remaining []string
			for _, w := range []way{{overJSON, portHTTP}, {overGRPC, portGRPC}, {overConnect, portHTTP}, {overGRPCWeb, portGRPC}} {
				remaining = append(remaining, s.listPasskeys(w, "usr-1", map[string]string{"Origin": originA}).header.Get("RateLimit-Remaining"))
			}
			remaining = append(remaining, s.call("GET", "/v2/users", "", nil).header.Get("RateLimit-Remaining"))
			if diff := cmp.Diff([]string{"4", "3", "2", "1", "0"}, remaining); diff != "" {
				t.Error(diff)
			}
			for _, w := range ways() {
				got := s.listPasskeys(w, "usr-1", map[string]string{"Origin": originA})
				if got.code != "resource_exhausted" || got.message != tc.refusal || got.header.Get("Retry-After") != "12" ||
					got.header.Get("Access-Control-Allow-Origin") != originA {
					t.Errorf("%v: got %+v", w, got)
				}
			}
			for _, w := range []way{{overGRPC, portGRPC}, {overConnect, portHTTP}} {
				if got := s.listPasskeys(w, "usr-1", tc.another); got.code != "ok" {
					t.Errorf("another, %v: got %+v", w, got)
				}
			}
		})
	}
}

func TestTheUserServiceLearnsWhereABrowserIsBehindATrustedProxy(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}})
	for i, port := range []string{portHTTP, portGRPC} {
		a := s.send(
			port, "POST", "/v2/users/usr-1/passkeys", "{}",
			also(basic("pro-1", secretA), "Origin", originA, "X-Forwarded-For", "2001:db8::7", "User-Agent", "Mozilla"),
		)
		if a.status != 200 {
			t.Fatalf("got %d %s", a.status, a.body)
		}
		if got := s.services.Calls()[i].Request; !strings.Contains(sprint(got), "UserAgent:Mozilla Address:2001:db8::7") {
			t.Errorf("the service saw %+v", got)
		}
	}
}
