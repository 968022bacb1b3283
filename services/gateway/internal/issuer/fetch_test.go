package issuer_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/lestrrat-go/jwx/v3/jwa"

	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
)

func TestWhatAnIssuerAnswersIsNotTrusted(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	plain := func(url string) map[string]any { return map[string]any{"issuer": url, "jwks_uri": url + "/keys"} }
	for name, c := range map[string]struct {
		alter func(*provider)
		logs  string
	}{
		"the document of another issuer": {func(p *provider) {
			p.document = changed(plain(p.URL), map[string]any{"issuer": "https://swordfish.example.com"})
		}, "that of another issuer"},
		"its issuer with a slash": {
			func(p *provider) { p.document = changed(plain(p.URL), map[string]any{"issuer": p.URL + "/"}) },
			"that of another issuer",
		},
		"a document without an issuer": {
			func(p *provider) { p.document = changed(plain(p.URL), map[string]any{"issuer": nil}) }, "that of another issuer",
		},
		"a document that is no JSON":    {func(p *provider) { p.document = []byte("<html>") }, "read what"},
		"a document that says it twice": {func(p *provider) { p.document = []byte(`{"issuer":"a","issuer":"b"}`) }, "duplicate"},
		"a huge document":               {func(p *provider) { p.document = bytes.Repeat([]byte(" "), 1<<20+1) }, "larger than 1048576 bytes"},
		"keys in the clear": {func(p *provider) {
			p.document = changed(plain(p.URL), map[string]any{"jwks_uri": "http://192.0.2.1/keys"})
		}, "neither https"},
		"keys in a file": {func(p *provider) {
			p.document = changed(plain(p.URL), map[string]any{"jwks_uri": "file:///etc/passwd"})
		}, "neither https"},
		"keys with a password": {func(p *provider) {
			p.document = changed(plain(p.URL), map[string]any{"jwks_uri": "https://a:b@example.com"})
		}, "neither https"},
		"keys nowhere": {
			func(p *provider) { p.document = changed(plain(p.URL), map[string]any{"jwks_uri": nil}) }, "neither https",
		},
		"keys at what is no URL": {
			func(p *provider) { p.document = changed(plain(p.URL), map[string]any{"jwks_uri": "https://%zz"}) }, "neither https",
		},
		"keys that are not there": {
			func(p *provider) { p.document = changed(plain(p.URL), map[string]any{"jwks_uri": p.URL + "/none"}) }, "answers 404",
		},
		"huge keys":             {func(p *provider) { p.keys = bytes.Repeat([]byte("["), 2<<20) }, "larger than 1048576 bytes"},
		"keys that are no JSON": {func(p *provider) { p.keys = []byte("swordfi") }, "read what"},
		"keys that are a text":  {func(p *provider) { p.keys = map[string]any{"keys": "none"} }, "read what"},
		"too many keys":         {func(p *provider) { p.keys = map[string]any{"keys": make([]int, 101)} }, "more than 100"},
		"no content":            {func(p *provider) { p.status = http.StatusNoContent; p.keys = []byte{} }, "answers 204"},
		"a redirect out of protection": {
			func(p *provider) { p.discover = http.RedirectHandler("http://192.0.2.1/", http.StatusFound) }, "neither https",
		},
		"a redirect to another scheme": {
			func(p *provider) { p.discover = http.RedirectHandler("ftp://127.0.0.1/", http.StatusFound) }, "neither https",
		},
		"a redirect to itself": {func(p *provider) {
			p.discover = http.RedirectHandler(p.URL+"/.well-known/openid-configuration", http.StatusTemporaryRedirect)
		}, "more than 3 times"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t, with)
			p.change(func() { c.alter(p) })
			s := verifier(t, p)
			_, err := s.Verify(t.Context(), with.sign(p.claims(nil), nil), "")
			refused(t, err, http.StatusServiceUnavailable, "cannot be had")
			if !strings.Contains(strings.ReplaceAll(s.log.String(), "swordfi", ""), c.logs) {
				t.Errorf("logged %s, want %s", s.log, c.logs)
			}
			if n := p.discoveries.Load(); n > 4 {
				t.Errorf("it was asked %d times", n)
			}
		})
	}
}

func TestRedirectsAreFollowedThreeTimes(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	p := newProvider(t, with)
	hops := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"/1": "/2", "/2": "/3", "/3": p.URL + "/keys"}[r.URL.Path]
		http.Redirect(w, r, next, http.StatusMovedPermanently)
	}))
	t.Cleanup(hops.Close)
	p.change(func() { p.document = map[string]any{"issuer": p.URL, "jwks_uri": hops.URL + "/1"} })
	accepted(t, verifier(t, p), with.sign(p.claims(nil), nil))
}

func TestAnIssuerOnTheNetworkDoesNotReachThisMachine(t *testing.T) {
	t.Parallel()
	with := ecKey("one")
	inner := newProvider(t, with)
	// The network is played by a transport that answers for id.example.com and lets through everything else.
	for name, answer := range map[string]http.Handler{
		"by its keys": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"issuer":"https://id.example.com/","jwks_uri":%q}`, inner.URL+"/keys")
		}),
		"by a redirect": http.RedirectHandler(inner.URL+"/.well-known/openid-configuration", http.StatusFound),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asked := make(chan string, 10)
			s := verifierThrough(t, network(func(r *http.Request) *http.Response {
				asked <- r.URL.String()
				w := httptest.NewRecorder()
				answer.ServeHTTP(w, r)
				return w.Result()
			}))
			s.projects.take(t, "pro-1", "https://id.example.com/", "keyward", project.IssuerOptions{})
			_, err := s.Verify(t.Context(), with.sign(inner.claims(map[string]any{"iss": "https://id.example.com/"}), nil), "")
			refused(t, err, http.StatusServiceUnavailable, "cannot be had")
			if first := <-asked; first != "https://id.example.com/.well-known/openid-configuration" || len(asked) != 0 {
				t.Errorf("asked for %s and %d others", first, len(asked))
			}
		})
	}
	if inner.fetches.Load()+inner.discoveries.Load() != 0 {
		t.Error("it reached this machine")
	}
}

func TestKeysThatAreOfNoUseArePassedOver(t *testing.T) {
	t.Parallel()
	good := ecKey("good")
	weak := must(rsa.GenerateKey(rand.Reader, 1024)).N.Bytes()
	for name, c := range map[string]struct {
		published any
		with      signer
		status    int
	}{
		"of a kind to come": {map[string]any{"kty": "AKP", "kid": "new", "pub": "AAAA"}, good, 0},
		"symmetric":         {map[string]any{"kty": "oct", "kid": "oct", "k": "c2VjcmV0"}, good, 0},
		"no object":         {"swordfish", good, 0},
		"a point that is on no curve": {
			good.publish(map[string]any{"kid": "off", "x": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}), good, 0,
		},
		"for encryption":           {edKey("x").publish(map[string]any{"kid": "good", "use": "enc"}), good, 0},
		"for encryption, it alone": {longKey("enc", map[string]any{"use": "enc"}), signer{"enc", jwa.RS256(), rsaKey()}, 401},
		"to sign with":             {longKey("ops", map[string]any{"key_ops": []string{"sign"}}), signer{"ops", jwa.RS256(), rsaKey()}, 401},
		"to verify with": {
			longKey("ops", map[string]any{"key_ops": []string{"verify"}, "use": nil}), signer{"ops", jwa.RS256(), rsaKey()}, 0,
		},
		"for another algorithm": {longKey("alg", map[string]any{"alg": "PS256"}), signer{"alg", jwa.RS256(), rsaKey()}, 401},
		"for the algorithm":     {longKey("alg", map[string]any{"alg": "PS256"}), signer{"alg", jwa.PS256(), rsaKey()}, 0},
		"too short": {
			longKey("weak", map[string]any{"n": base64.RawURLEncoding.EncodeToString(weak)}), signer{"weak", jwa.RS256(), rsaKey()},
			401,
		},
		"without an ID, the only one":     {longKey("", nil), signer{"", jwa.RS256(), rsaKey()}, 0},
		"without an ID, one of two":       {ecKey("").publish(nil), signer{"", jwa.ES256(), good.private}, 401},
		"with the ID of another, earlier": {edKey("").publish(map[string]any{"kid": "good"}), good, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProvider(t)
			p.change(func() { p.keys = map[string]any{"keys": []any{c.published, good.publish(nil)}} })
			s := verifier(t, p)
			_, err := s.Verify(t.Context(), c.with.sign(p.claims(nil), nil), "")
			if c.status != 0 {
				refused(t, err, c.status, "does not publish")
			} else if err != nil {
				t.Error(err)
			}
		})
	}
}

func FuzzKeysAreReadOrPassedOver(f *testing.F) {
	for _, s := range []signer{ecKey("ec"), edKey("ed"), {"rsa", jwa.RS256(), rsaKey()}} {
		f.Add(must(json.Marshal(map[string]any{"keys": []any{s.publish(nil)}})))
	}
	for _, seed := range []string{
		``, `{}`, `{"keys":null}`, `{"keys":[{"kty":"RSA","n":"","e":""}]}`, `{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}`,
		`{"keys":[{"kty":"oct","k":"AA"}]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		keys, err := issuer.ParseKeys(raw)
		if err != nil && keys != nil {
			t.Error("keys of what cannot be read")
		}
		for _, algorithms := range keys {
			if len(algorithms) == 0 {
				t.Error("a key of no use is kept")
			}
		}
	})
}

// longKey is an RSA key that is long enough, with changes.
func longKey(id string, changes map[string]any) map[string]any {
	return signer{id, jwa.RS256(), rsaKey()}.publish(changes)
}

// network answers in place of servers.
type network func(*http.Request) *http.Response

func (n network) RoundTrip(r *http.Request) (*http.Response, error) { return n(r), nil }
