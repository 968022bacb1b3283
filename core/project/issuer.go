package project

import (
	"net"
	"net/url"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/origin"
)

// What an issuer's tokens are read by unless the operator says otherwise. The scopes are those that clients of the user service ask for.
const (
	ScopeOpenID            = "openid"
	ScopeAudience          = "urn:zitadel:iam:org:project:id:zitadel:aud"
	DefaultUserClaim       = "sub"
	DefaultPermissionClaim = "permissions"
)

const (
	maxIssuers   = 20  // of a project
	maxIssuerURL = 500 // bytes
	maxAudience  = 500 // bytes
	maxScopes    = 20
	maxScope     = 200 // bytes
	maxClaim     = 100 // bytes
)

// Issuer is an OpenID Connect issuer whose access tokens a project takes.
type Issuer struct {
	URL             string   `json:"url"`             // exactly as tokens have it in iss; the discovery document is under it
	Audience        string   `json:"audience"`        // exactly as tokens for the project have it in aud
	Scopes          []string `json:"scopes"`          // that a token must have, all of them; empty = none
	UserClaim       string   `json:"userClaim"`       // holds the ID of the Keyward user who the token is of
	PermissionClaim string   `json:"permissionClaim"` // holds permissions, of a service user
}

// IssuerOptions are the parts of an issuer that have a default. The zero value is all defaults.
type IssuerOptions struct {
	Scopes          []string // nil = ScopeOpenID and ScopeAudience; empty, but not nil = none
	UserClaim       string   // empty = DefaultUserClaim
	PermissionClaim string   // empty = DefaultPermissionClaim
}

// NewIssuer checks an issuer. It does not ask whether the issuer is there.
func NewIssuer(issuer, audience string, options IssuerOptions) (Issuer, error) {
	made := Issuer{URL: issuer, Audience: audience, Scopes: []string{}, UserClaim: options.UserClaim, PermissionClaim: options.PermissionClaim}
	if options.Scopes == nil {
		options.Scopes = []string{ScopeOpenID, ScopeAudience}
	}
	if made.UserClaim == "" {
		made.UserClaim = DefaultUserClaim
	}
	if made.PermissionClaim == "" {
		made.PermissionClaim = DefaultPermissionClaim
	}
	for _, scope := range options.Scopes {
		if !isScope(scope) {
			return Issuer{}, fault.Field("scopes", "each must be 1 to %d visible ASCII characters without quotes and backslashes", maxScope)
		}
		if !slices.Contains(made.Scopes, scope) {
			made.Scopes = append(made.Scopes, scope)
		}
	}
	if len(made.Scopes) > maxScopes {
		return Issuer{}, fault.Field("scopes", "must be at most %d", maxScopes)
	}
	if err := checkIssuerURL(issuer); err != nil {
		return Issuer{}, err
	}
	for _, text := range []struct {
		field, value string
		limit        int
	}{
		{"audience", made.Audience, maxAudience}, {"userClaim", made.UserClaim, maxClaim}, {"permissionClaim", made.PermissionClaim, maxClaim},
	} {
		if text.value == "" || len(text.value) > text.limit || strings.ContainsFunc(text.value, invisible) {
			return Issuer{}, fault.Field(text.field, "must be 1 to %d visible ASCII characters", text.limit)
		}
	}
	return made, nil
}

// checkIssuerURL refuses what could not be an issuer's identifier (OpenID Connect Discovery 1.0 §3): it has neither a query nor a fragment.
func checkIssuerURL(text string) error {
	if text == "" || len(text) > maxIssuerURL || strings.ContainsFunc(text, invisible) {
		return fault.Field("url", "must be 1 to %d visible ASCII characters", maxIssuerURL)
	}
	if err := origin.CheckURL(text, origin.Parts{}); err != nil {
		return fault.Field("url", "%s", err)
	}
	if u, err := url.Parse(text); err != nil || !Protected(u) {
		return fault.Field("url", "must be https://..., or http://... on a loopback address")
	}
	return nil
}

// Protected reports whether nobody on the way can change what is fetched from the URL: it is https, or http that does not leave the
// machine.
func Protected(u *url.URL) bool {
	switch u.Scheme {
	case "https":
		return u.Hostname() != ""
	case "http":
		return Loopback(u.Hostname())
	default:
		return false
	}
}

// Loopback reports whether a host is this machine, by its name or address alone.
func Loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	address := net.ParseIP(host)
	return address != nil && address.IsLoopback()
}

func invisible(r rune) bool { return r <= ' ' || r > '~' }

// isScope is the grammar of RFC 6749 §3.3.
func isScope(text string) bool {
	return text != "" && len(text) <= maxScope && !strings.ContainsFunc(text, invisible) && !strings.ContainsAny(text, `"\`)
}

// AddIssuer adds an issuer. One that is there with the same audience is a fault, and so is one too many.
func (p *Project) AddIssuer(added Issuer) error {
	if slices.ContainsFunc(p.Issuers, func(i Issuer) bool { return i.is(added.URL, added.Audience) }) {
		return fault.Conflict("issuer", "the project takes its tokens for this audience already; remove it first to change it")
	}
	if len(p.Issuers) >= maxIssuers {
		return fault.Field("issuers", "a project has at most %d; remove one first", maxIssuers)
	}
	p.Issuers = append(slices.Clone(p.Issuers), added)
	return nil
}

// RemoveIssuer removes an issuer and reports whether it was there.
func (p *Project) RemoveIssuer(issuer, audience string) bool {
	left := slices.DeleteFunc(slices.Clone(p.Issuers), func(i Issuer) bool { return i.is(issuer, audience) })
	found := len(left) < len(p.Issuers)
	p.Issuers = left
	return found
}

func (i Issuer) is(issuer, audience string) bool { return i.URL == issuer && i.Audience == audience }

// Candidate is a project that takes tokens of an issuer, and how it reads them.
type Candidate struct {
	Project ident.ProjectID
	Issuer  Issuer
}

// Issuers returns the projects that take access tokens of an issuer, ordered by ID, and those of one project in the order in which they
// were added. It answers from memory; the caller must not change what it gets.
func (s *Store) Issuers(issuer string) []Candidate { return s.snapshot.Load().issuers[issuer] }

// candidates maps the URL of each issuer to the projects that take its tokens.
func candidates(projects map[ident.ProjectID]Project) map[string][]Candidate {
	all := map[string][]Candidate{}
	for id, p := range projects {
		for _, i := range p.Issuers {
			all[i.URL] = append(all[i.URL], Candidate{Project: id, Issuer: i})
		}
	}
	for _, of := range all {
		slices.SortStableFunc(of, func(a, b Candidate) int { return strings.Compare(string(a.Project), string(b.Project)) })
	}
	return all
}
