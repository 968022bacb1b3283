// Package issuer verifies access tokens of OpenID Connect issuers: JWTs of the issuers that projects name (core/project). It fetches their
// discovery documents and keys over HTTP, keeps the keys in memory, and touches nothing else. What a token holds is in no error and in no
// log.
package issuer

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/lestrrat-go/jwx/v3/jws"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// Deps are what a Verifier works with. All but HTTP are required.
type Deps struct {
	// Issuers returns the projects that take tokens of an issuer, and how they read them; project.Store.Issuers is one. It is asked at each
	// token.
	Issuers func(url string) []project.Candidate
	// HTTP reaches the issuers. Its rules for redirects and its cookies are not used. nil = a client of the Verifier's own, which heeds the
	// proxy of the environment.
	HTTP *http.Client
	Now  func() time.Time
	Log  *slog.Logger
}

// Identity is who a token is of, as the project reads it. Either User or Permissions may be empty, not both.
type Identity struct {
	Project     ident.ProjectID
	User        ident.UserID // as the token has it, 1 to 200 runes: it need not have the form of Keyward's own IDs. Empty: a service user
	Permissions []string     // as the token has them
	LoggedInMs  int64        // when the user logged in: the claim auth_time (OpenID Connect Core 1.0 §2); 0: the token does not say
}

// Verifier verifies tokens and keeps the keys of issuers. It may be shared. Close it.
type Verifier struct {
	deps    Deps
	fetcher fetcher
	life    context.Context // of fetches, which outlive the call that began them
	end     context.CancelFunc
	running sync.WaitGroup // fetches

	mu      sync.Mutex
	closed  bool
	sources map[string]*source // by the issuer's URL; only of issuers that a project takes tokens of
}

// New returns a Verifier. It fetches nothing until there is a token to verify.
func New(deps Deps) *Verifier {
	v := &Verifier{deps: deps, fetcher: fetcher{client: deps.HTTP, limit: fetchLimit}, sources: map[string]*source{}}
	if v.fetcher.client == nil {
		v.fetcher.client = newClient()
	}
	v.life, v.end = context.WithCancel(context.Background())
	return v
}

// Close ends the fetches under way and waits for them. Afterwards nothing is fetched any more.
func (v *Verifier) Close() {
	v.mu.Lock()
	v.closed = true
	v.mu.Unlock()
	v.end()
	v.running.Wait()
	if v.deps.HTTP == nil {
		v.fetcher.client.CloseIdleConnections()
	}
}

// Knows reports whether a token names an issuer that a project takes tokens of. It says nothing about whether the token is good.
func (v *Verifier) Knows(text string) bool { return len(v.deps.Issuers(issuerOf(text))) > 0 }

// Verify returns who a token is of. hint names the project that the caller means to speak to; it is needed only if several projects take
// the token, and a token that this project does not take is refused. Faults: 401 for a token that is not good, 403 for one that lacks a
// scope, 503 with RetryAfter if the issuer's keys cannot be had. An error that is no fault is that of ctx.
func (v *Verifier) Verify(ctx context.Context, text string, hint ident.ProjectID) (Identity, error) {
	parsed, err := parse(text)
	if err != nil {
		return Identity{}, err
	}
	// Before anything is fetched: whoever sends a token must not choose what is.
	candidates := v.deps.Issuers(parsed.issuer)
	if len(candidates) == 0 {
		return Identity{}, fault.Login("the access token is of an issuer that no project takes tokens of")
	}
	if err := v.checkSignature(ctx, parsed); err != nil {
		return Identity{}, err
	}
	// What follows tells how projects are configured, so only to whom the issuer has given a token.
	if err := parsed.claims.checkTimes(v.deps.Now()); err != nil {
		return Identity{}, err
	}
	return identify(parsed.claims, candidates, hint)
}

// checkSignature verifies with the key that the token names, or, if it names none, with the only one that fits its algorithm. A key that is
// not known may be new.
func (v *Verifier) checkSignature(ctx context.Context, t token) error {
	s := v.source(t.issuer)
	known, err := s.keys(ctx)
	if err != nil {
		return err
	}
	key, found := known.find(t.keyID, t.algorithm.String())
	if found && t.signedBy(key) {
		return nil
	}
	if found && t.keyID != "" {
		return fault.Login("the signature of the access token is wrong")
	}
	newer, err := s.newer(ctx, known)
	if err != nil {
		return err
	}
	if key, found = newer.find(t.keyID, t.algorithm.String()); !found {
		return fault.Login("the access token is signed with a key that its issuer does not publish")
	}
	if !t.signedBy(key) {
		return fault.Login("the signature of the access token is wrong")
	}
	return nil
}

func (t token) signedBy(key publicKey) bool {
	payload, err := jws.Verify([]byte(t.text), jws.WithCompact(), jws.WithKey(t.algorithm, key.public))
	// The claims were read before the signature was verified; let there be no doubt that they are what is signed.
	return err == nil && bytes.Equal(payload, t.payload)
}

// source returns where the keys of an issuer are kept. A new one drives out those of issuers whose tokens no project takes any more.
func (v *Verifier) source(url string) *source {
	v.mu.Lock()
	defer v.mu.Unlock()
	if s := v.sources[url]; s != nil {
		return s
	}
	for other := range v.sources {
		if len(v.deps.Issuers(other)) == 0 {
			delete(v.sources, other)
		}
	}
	s := &source{verifier: v, url: url}
	v.sources[url] = s
	return s
}

// start runs a fetch that Close waits for, and reports whether it does.
func (v *Verifier) start(fetch func(context.Context)) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return false
	}
	v.running.Go(func() { fetch(v.life) })
	return true
}
