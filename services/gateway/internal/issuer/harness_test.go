package issuer_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var started = time.Unix(1_800_000_000, 0)

// clock is moved by hand.
type clock struct{ ns atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.ns.Store(started.UnixNano())
	return c
}

func (c *clock) now() time.Time          { return time.Unix(0, c.ns.Load()) }
func (c *clock) advance(d time.Duration) { c.ns.Add(int64(d)) }

// signer is a private key of an issuer.
type signer struct {
	id        string
	algorithm jwa.SignatureAlgorithm
	private   any
}

// rsaKey is made once: it takes a tenth of a second of a processor.
var rsaKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })

func must[T any](made T, err error) T {
	if err != nil {
		panic(err)
	}
	return made
}

func ecKey(id string) signer {
	return signer{id, jwa.ES256(), must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

func edKey(id string) signer {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return signer{id, jwa.EdDSA(), must(private, err)}
}

// publish returns the public part as a JWK, with changes: nil removes a member.
func (s signer) publish(changes map[string]any) map[string]any {
	public := must(must(jwk.Import(s.private)).PublicKey())
	members := map[string]any{}
	if err := json.Unmarshal(must(json.Marshal(public)), &members); err != nil {
		panic(err)
	}
	members["use"] = "sig"
	if s.id != "" {
		members["kid"] = s.id
	}
	return changed(members, changes)
}

func changed(members, changes map[string]any) map[string]any {
	all := maps.Clone(members)
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, value any) bool { return value == nil })
	return all
}

// sign returns a token with claims and header fields of choice.
func (s signer) sign(claims any, headers map[string]any) string {
	h := jws.NewHeaders()
	if s.id != "" {
		headers = changed(map[string]any{"kid": s.id}, headers)
	}
	for name, value := range headers {
		if err := h.Set(name, value); err != nil {
			panic(err)
		}
	}
	return string(must(jws.Sign(must(json.Marshal(claims)), jws.WithKey(s.algorithm, s.private, jws.WithProtectedHeaders(h)))))
}

// provider is an OpenID Connect issuer on a loopback address.
type provider struct {
	*httptest.Server
	discoveries, fetches atomic.Int64 // requests for the two documents

	mu       sync.Mutex
	document any          // a value in JSON, or raw bytes
	keys     any          // the same
	status   int          // of the keys; 0 = 200
	gate     func()       // called before the keys are answered
	discover http.Handler // in place of the document
}

func newProvider(t *testing.T, published ...signer) *provider {
	t.Helper()
	p := &provider{}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, r *http.Request) {
		p.discoveries.Add(1)
		p.mu.Lock()
		document, handler := p.document, p.discover
		p.mu.Unlock()
		if handler != nil {
			handler.ServeHTTP(w, r)
			return
		}
		write(w, http.StatusOK, document)
	})
	mux.HandleFunc("GET /keys", func(w http.ResponseWriter, _ *http.Request) {
		p.fetches.Add(1)
		p.mu.Lock()
		keys, status, gate := p.keys, p.status, p.gate
		p.mu.Unlock()
		if gate != nil {
			gate()
		}
		write(w, max(status, http.StatusOK), keys)
	})
	p.Server = httptest.NewServer(mux)
	t.Cleanup(p.Close)
	p.document = map[string]any{"issuer": p.URL, "jwks_uri": p.URL + "/keys", "token_endpoint": p.URL + "/token"}
	p.rotate(published...)
	return p
}

func write(w http.ResponseWriter, status int, body any) {
	raw, isRaw := body.([]byte)
	if !isRaw {
		raw = must(json.Marshal(body))
	}
	w.WriteHeader(status)
	_, _ = w.Write(raw)
}

// change alters what the provider answers.
func (p *provider) change(alter func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	alter()
}

func (p *provider) rotate(published ...signer) {
	all := []any{}
	for _, s := range published {
		all = append(all, s.publish(nil))
	}
	p.change(func() { p.keys = map[string]any{"keys": all} })
}

// claims are those of a good token of the provider, with changes: nil removes a claim.
func (p *provider) claims(changes map[string]any) map[string]any {
	return changed(map[string]any{
		"iss": p.URL, "aud": []string{"keyward", "other"}, "sub": "usr-1", "scope": "openid email urn:zitadel:iam:org:project:id:zitadel:aud",
		"iat": started.Unix(), "exp": started.Add(time.Hour).Unix(), "jti": "swordfish-jti",
	}, changes)
}

// projects are the candidates that a verifier knows.
type projects struct {
	mu  sync.Mutex
	all []project.Candidate
}

// take lets a project take tokens of an issuer. They are to be named in the order of their IDs, as the store has them.
func (p *projects) take(t *testing.T, id ident.ProjectID, url, audience string, options project.IssuerOptions) {
	t.Helper()
	made, err := project.NewIssuer(url, audience, options)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, project.Candidate{Project: id, Issuer: made})
}

func (p *projects) issuers(url string) []project.Candidate {
	p.mu.Lock()
	defer p.mu.Unlock()
	var of []project.Candidate
	for _, c := range p.all {
		if c.Issuer.URL == url {
			of = append(of, c)
		}
	}
	return of
}

// log keeps what was logged.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// setup is a verifier and what is around it.
type setup struct {
	*issuer.Verifier
	clock    *clock
	projects *projects
	log      *log
}

// verifier returns one whose project pro-1 takes tokens of the provider for the audience keyward, if there is one.
func verifier(t *testing.T, p *provider) setup {
	t.Helper()
	transport := &http.Transport{}
	s := verifierThrough(t, transport)
	t.Cleanup(func() {
		s.Close()
		transport.CloseIdleConnections()
	})
	if p != nil {
		s.projects.take(t, "pro-1", p.URL, "keyward", project.IssuerOptions{})
	}
	return s
}

// verifierThrough returns one that knows no project.
func verifierThrough(t *testing.T, transport http.RoundTripper) setup {
	t.Helper()
	s := setup{clock: newClock(), projects: &projects{}, log: &log{}}
	s.Verifier = issuer.New(issuer.Deps{
		Issuers: s.projects.issuers, HTTP: &http.Client{Transport: transport}, Now: s.clock.now, Log: slog.New(slog.NewTextHandler(s.log, nil)),
	})
	t.Cleanup(func() {
		s.Close()
		if strings.Contains(s.log.String(), "swordfish") || strings.Contains(s.log.String(), "eyJ") {
			t.Errorf("something of a token is in the log: %s", s.log)
		}
	})
	return s
}

// refused checks that an error is a fault of a status that says something, and nothing of the token.
func refused(t *testing.T, err error, status int, says string) {
	t.Helper()
	if err == nil {
		t.Errorf("it is accepted, want %d %s", status, says)
		return
	}
	f := fault.As(err)
	if f.Status != status || !strings.Contains(f.Details, says) {
		t.Errorf("got %d %v, want %d %s", f.Status, err, status, says)
	}
	if strings.Contains(err.Error(), "swordfish") || strings.Contains(err.Error(), "eyJ") {
		t.Errorf("something of the token is in the error: %v", err)
	}
	if status == http.StatusServiceUnavailable && (f.RetryAfter < time.Second || f.RetryAfter > 10*time.Second) {
		t.Errorf("it may be tried again after %v", f.RetryAfter)
	}
}

// accepted checks that a token is verified.
func accepted(t *testing.T, s setup, token string) {
	t.Helper()
	if got, err := s.Verify(t.Context(), token, ""); err != nil || got.Project != "pro-1" || got.User != "usr-1" {
		t.Errorf("got %+v, %v", got, err)
	}
}

// until waits for a condition that another goroutine brings about.
func until(t *testing.T, condition func() bool) {
	t.Helper()
	late, tick := time.After(time.Minute), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-late:
			t.Fatal("it does not come about")
		case <-tick.C:
		}
	}
}
