package issuer

import (
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

const (
	skew    = 60 * time.Second // that the issuer's clock may be wrong by
	maxUser = 200              // runes
)

// claims are those of a token, by their names at the top level, as they are written.
type claims map[string]jsontext.Value

// text returns a claim that is a string.
func (c claims) text(name string) (string, bool) {
	var text string
	if c[name].Kind() != jsontext.KindString || json.Unmarshal(c[name], &text) != nil {
		return "", false
	}
	return text, true
}

// texts returns a claim that is an array of strings; nil if it is something else.
func (c claims) texts(name string) []string {
	var all []string
	if c[name].Kind() != jsontext.KindBeginArray || json.Unmarshal(c[name], &all) != nil {
		return nil
	}
	return all
}

// words returns a claim that is an array of strings, or a string of words with spaces between; none if it is something else.
func (c claims) words(name string) []string {
	if text, ok := c.text(name); ok {
		return strings.Fields(text)
	}
	return slices.DeleteFunc(c.texts(name), func(word string) bool { return word == "" })
}

// seconds returns a claim that is a time: a number of seconds since 1970, which may have a fraction (RFC 7519 §2). there is false without
// the claim, ok if it is no time.
func (c claims) seconds(name string) (at float64, there, ok bool) {
	raw, there := c[name]
	if !there {
		return 0, false, true
	}
	if raw.Kind() != jsontext.KindNumber || json.Unmarshal(raw, &at) != nil {
		return 0, true, false
	}
	return at, true, true
}

// checkTimes refuses a token outside of its time, which must have an end. The errors are faults, 401.
func (c claims) checkTimes(now time.Time) error {
	at := float64(now.UnixMilli()) / 1000
	expires, ends, ok1 := c.seconds("exp")
	begins, waits, ok2 := c.seconds("nbf")
	issued, stated, ok3 := c.seconds("iat")
	switch {
	case !ok1 || !ok2 || !ok3:
		return malformed()
	case !ends:
		return fault.Login("the access token never expires; it must have the claim exp")
	case at >= expires+skew.Seconds():
		return fault.Login("the access token has expired")
	case waits && at < begins-skew.Seconds():
		return fault.Login("the access token is not valid yet")
	case stated && at < issued-skew.Seconds():
		return fault.Login("the access token was issued in the future; is a clock wrong?")
	}
	return nil
}

// identify reads a token as the project does that it is for. The errors are faults, 401 or 403.
func identify(c claims, candidates []project.Candidate, hint ident.ProjectID) (Identity, error) {
	matching, err := match(c, candidates, hint)
	if err != nil {
		return Identity{}, err
	}
	// A project may take tokens of an issuer for several audiences; one that is for two of them is good if it is good for either.
	var first error
	for _, candidate := range matching {
		identity, err := read(c, candidate)
		if err == nil {
			return identity, nil
		}
		if first == nil {
			first = err
		}
	}
	return Identity{}, first
}

// match returns the candidates that a token is for, at least one, all of the same project.
func match(c claims, candidates []project.Candidate, hint ident.ProjectID) ([]project.Candidate, error) {
	audiences := c.texts("aud")
	if one, ok := c.text("aud"); ok {
		audiences = []string{one}
	}
	var matching []project.Candidate
	hinted := hint == ""
	for _, candidate := range candidates {
		if hint != "" && candidate.Project != hint {
			continue
		}
		hinted = true
		if slices.Contains(audiences, candidate.Issuer.Audience) {
			matching = append(matching, candidate)
		}
	}
	switch {
	case !hinted:
		return nil, fault.Login("the project that the request names takes no tokens of this issuer")
	case len(matching) == 0 && hint != "":
		return nil, fault.Login("the access token is not for an audience of the project that the request names")
	case len(matching) == 0:
		return nil, fault.Login("the access token is not for an audience of any project")
	case matching[0].Project != matching[len(matching)-1].Project: // they are ordered by project
		return nil, fault.Login("several projects take this access token; send the ID of the one that is meant as x-zitadel-orgid")
	}
	return matching, nil
}

func read(c claims, candidate project.Candidate) (Identity, error) {
	issuer := candidate.Issuer
	if missing := c.missing(issuer.Scopes); len(missing) > 0 {
		return Identity{}, &fault.Fault{Type: fault.TypeLoginError, Status: http.StatusForbidden,
			Details: "the access token lacks the scope " + strings.Join(missing, " ")}
	}
	permissions := c.words(issuer.PermissionClaim)
	user, _ := c.text(issuer.UserClaim)
	switch {
	case utf8.RuneCountInString(user) > maxUser:
		return Identity{}, fault.Login("the claim %s of the access token is longer than %d characters", issuer.UserClaim, maxUser)
	case user == "" && len(permissions) == 0:
		return Identity{}, fault.Login(
			"the access token names no user and grants no permission; the project reads them from the claims %s and %s", issuer.UserClaim,
			issuer.PermissionClaim,
		)
	}
	identity := Identity{Project: candidate.Project, User: ident.UserID(user), Permissions: permissions}
	if at, stated, ok := c.seconds("auth_time"); stated && ok {
		identity.LoggedInMs = int64(at * 1000)
	}
	return identity, nil
}

// missing returns the wanted scopes that a token has not. Issuers write them as RFC 8693 §4.2 has it, or as an array, or under the name
// scp.
func (c claims) missing(wanted []string) []string {
	has := append(c.words("scope"), c.words("scp")...)
	return slices.DeleteFunc(slices.Clone(wanted), func(scope string) bool { return slices.Contains(has, scope) })
}
