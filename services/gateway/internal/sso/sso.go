// Package sso signs operators in by an OpenID Connect provider of the company: with a code and PKCE in a browser, and with the provider's
// tokens elsewhere. What an operator may do follows from groups that the provider says they are in. Nothing of them is kept but their
// sessions; package issuer verifies what the provider says.
package sso

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/gateway/internal/issuer"
)

// Provider signs operators in. It may be shared. Close it.
type Provider struct {
	cfg      operator.Provider
	now      func() time.Time
	groups   []operator.Group
	verifier *issuer.Verifier
	log      *slog.Logger
}

// New returns a provider. Nothing is asked of it until somebody signs in.
func New(cfg operator.Provider, now func() time.Time, log *slog.Logger) (*Provider, error) {
	p := &Provider{cfg: cfg, now: now, log: log}
	for _, text := range cfg.Groups {
		g, err := operator.ReadGroup(text)
		if err != nil {
			return nil, fmt.Errorf("operator_oidc_groups: %w", err)
		}
		p.groups = append(p.groups, g)
	}
	p.verifier = issuer.New(issuer.Deps{Now: now, Log: log, Issuers: func(url string) []project.Candidate {
		if url != cfg.Issuer {
			return nil
		}
		return []project.Candidate{{Issuer: project.Issuer{URL: cfg.Issuer, Audience: cfg.ClientID}}}
	}})
	return p, nil
}

// Close ends what is fetched.
func (p *Provider) Close() { p.verifier.Close() }

// errNoGroup is of somebody whom the provider knows and who is no operator.
var errNoGroup = (&fault.Fault{
	Type: fault.TypeLoginError, Status: http.StatusForbidden,
	Details: "none of the groups that the provider says they are in is one of operators",
}).Named("operator-no-group")

// Bearer returns who a token of the provider is of. Its faults are 401 of a token that is not good, 403 of who is in no group of operators,
// and 503 if the provider does not answer.
func (p *Provider) Bearer(ctx context.Context, token string) (operator.Operator, error) {
	said, err := p.verifier.Claims(ctx, token, p.cfg.ClientID)
	if err != nil {
		return operator.Operator{}, err
	}
	o, err := p.operator(said)
	o.ExpiresMs = int64(said.Seconds("exp") * 1000) //nolint:mnd // milliseconds
	return o, err
}

// operator is who a token is of, by the first group that they are in.
func (p *Provider) operator(said issuer.Claims) (operator.Operator, error) {
	subject := said.Text("sub")
	if subject == "" {
		return operator.Operator{}, fault.Login("the token names nobody: it has no sub")
	}
	in := said.Words(p.cfg.GroupsClaim)
	for _, g := range p.groups {
		if slices.Contains(in, g.Name) {
			return operator.Operator{
				ID: p.id(subject), Name: name(said), Role: g.Role, Projects: g.Projects, CreatedBy: p.cfg.Issuer, Outside: true,
				Member: &operator.Member{Issuer: p.cfg.Issuer, Group: g.Name, SaidMs: p.now().UnixMilli()},
			}, nil
		}
	}
	return operator.Operator{}, errNoGroup
}

// Worth is what a group makes of a member now; false if it is none of operators any more, or another provider's.
func (p *Provider) Worth(m *operator.Member) (operator.Group, bool) {
	i := slices.IndexFunc(p.groups, func(g operator.Group) bool { return g.Name == m.Group })
	if i < 0 || m.Issuer != p.cfg.Issuer {
		return operator.Group{}, false
	}
	return p.groups[i], true
}

// id is the same for the same subject whenever they sign in, so that whoever has pushed a revision is known again.
func (p *Provider) id(subject string) ident.OperatorID {
	sum := sha256.Sum256([]byte(p.cfg.Issuer + "\x00" + subject))
	return ident.OperatorID(fmt.Sprintf("opr-%d", binary.BigEndian.Uint64(sum[:8])>>1))
}

// maxName bounds names, in characters.
const maxName = 100

func name(said issuer.Claims) string {
	for _, claim := range []string{"name", "preferred_username", "email", "sub"} {
		clean := strings.TrimSpace(strings.Map(func(r rune) rune {
			if unicode.IsPrint(r) {
				return r
			}
			return -1
		}, said.Text(claim)))
		if letters := []rune(clean); len(letters) > 0 {
			return string(letters[:min(len(letters), maxName)])
		}
	}
	return "somebody"
}

// Begun is a sign-in that a browser has begun: where it goes, and what it brings back beside the code.
type Begun struct {
	URL    string
	Cookie string
}

// Begin begins a sign-in.
func (p *Provider) Begin(ctx context.Context) (Begun, error) {
	at, err := p.verifier.Endpoints(ctx, p.cfg.Issuer)
	if err != nil {
		return Begun{}, p.away(ctx, err)
	}
	target, err := url.Parse(at.Authorization)
	if err != nil {
		return Begun{}, p.away(ctx, err)
	}
	state, nonce, verifier := rand.Text(), rand.Text(), rand.Text()+rand.Text()
	challenge := sha256.Sum256([]byte(verifier))
	query := target.Query()
	for key, value := range map[string]string{
		"response_type": "code", "client_id": p.cfg.ClientID, "redirect_uri": p.cfg.Callback(), "scope": "openid profile email",
		"state": state, "nonce": nonce, "code_challenge_method": "S256",
		"code_challenge": base64.RawURLEncoding.EncodeToString(challenge[:]),
	} {
		query.Set(key, value)
	}
	target.RawQuery = query.Encode()
	return Begun{URL: target.String(), Cookie: strings.Join([]string{state, nonce, verifier}, ".")}, nil
}

// Finish ends a sign-in with what a browser brought back, and returns who it is.
func (p *Provider) Finish(ctx context.Context, code, state, cookie string) (operator.Operator, error) {
	parts := strings.Split(cookie, ".")
	if len(parts) != 3 || state == "" || subtle.ConstantTimeCompare([]byte(parts[0]), []byte(state)) != 1 {
		return operator.Operator{}, fault.Login("this browser has not begun the sign-in, or too long ago; begin it again")
	}
	at, err := p.verifier.Endpoints(ctx, p.cfg.Issuer)
	if err != nil {
		return operator.Operator{}, p.away(ctx, err)
	}
	form := url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {p.cfg.Callback()}, "client_id": {p.cfg.ClientID},
		"code_verifier": {parts[2]},
	}
	token, err := p.verifier.Redeem(ctx, at.Token, form, p.cfg.ClientID, p.cfg.ClientSecret.Reveal())
	if err != nil {
		p.log.WarnContext(ctx, "a code of the operators' provider could not be redeemed", "error", err)
		return operator.Operator{}, fault.Login("the provider does not take the code")
	}
	said, err := p.verifier.Claims(ctx, token, p.cfg.ClientID)
	if err != nil {
		return operator.Operator{}, err
	}
	if subtle.ConstantTimeCompare([]byte(said.Text("nonce")), []byte(parts[1])) != 1 {
		return operator.Operator{}, fault.Login("the token was made for another sign-in: its nonce is wrong")
	}
	return p.operator(said)
}

func (p *Provider) away(ctx context.Context, err error) error {
	p.log.WarnContext(ctx, "the operators' provider does not answer", "error", err)
	return fault.Unavailable(time.Second, "the identity provider does not answer").Because(err)
}

// Stored are the operators that are kept. operator.Store is one.
type Stored interface {
	Authenticate(ctx context.Context, token string, now time.Time) (operator.Operator, error)
	Resume(ctx context.Context, text string, now time.Time) (operator.Operator, error)
}

// Operators are those that are kept, and those whom a provider knows.
type Operators struct {
	Stored
	Provider *Provider // nil: there is none
}

// Authenticate returns whose token it is, of either.
func (o Operators) Authenticate(ctx context.Context, token string, now time.Time) (operator.Operator, error) {
	if o.Provider != nil && issuer.LooksLikeJWT(token) {
		return o.Provider.Bearer(ctx, token)
	}
	return o.Stored.Authenticate(ctx, token, now)
}
