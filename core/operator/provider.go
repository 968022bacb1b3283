package operator

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/origin"
	"github.com/keyward/keyward/core/secret"
)

// Provider is the OpenID Connect provider that signs operators in, beside their tokens. The zero value is none.
type Provider struct {
	Issuer       string // its URL, as tokens have it
	ClientID     string
	ClientSecret secret.Text   // empty = a public client
	GroupsClaim  string        // holds the groups of a user
	Groups       []string      // what each makes of its members: see ReadGroup. The first that somebody is in counts
	Passkeys     time.Duration // how long those of members work after the provider last said who they are
	Home         string        // URL of this installation, to which the provider sends browsers back
}

// CallbackPath is where browsers come back from the provider.
const CallbackPath = "/operator/v1/session/oidc/callback"

// Callback is the URL that the provider has to know.
func (p Provider) Callback() string { return strings.TrimSuffix(p.Home, "/") + CallbackPath }

// Validate reports every setting that cannot work.
func (p Provider) Validate() error {
	if p.Issuer == "" {
		return nil
	}
	var errs []error
	if err := origin.CheckURL(p.Issuer, origin.Parts{}); err != nil {
		errs = append(errs, fmt.Errorf("operator_oidc_issuer: %w", err))
	}
	if p.ClientID == "" {
		errs = append(errs, errors.New("operator_oidc_client_id: cannot be empty where there is an operator_oidc_issuer"))
	}
	if len(p.Groups) == 0 {
		errs = append(errs, errors.New("operator_oidc_groups: names no group, so that nobody could sign in"))
	}
	const longest = 720 * time.Hour
	if p.Passkeys < 0 || p.Passkeys > longest {
		errs = append(errs, fmt.Errorf("operator_oidc_passkeys: must be between 0s and %s", longest))
	}
	for _, text := range p.Groups {
		if _, err := ReadGroup(text); err != nil {
			errs = append(errs, fmt.Errorf("operator_oidc_groups: %w", err))
		}
	}
	return errors.Join(errs...)
}

// Group is what a group of the provider makes of its members.
type Group struct {
	Name     string
	Role     Role
	Projects []ident.ProjectID // none = all
}

// ReadGroup reads group=role, or group=role:project+project for operators of some projects.
func ReadGroup(text string) (Group, error) {
	at := strings.LastIndexByte(text, '=')
	if at <= 0 {
		return Group{}, fmt.Errorf("%q must be of the form group=role or group=role:project+project", text)
	}
	role, projects, limited := strings.Cut(text[at+1:], ":")
	g := Group{Name: text[:at], Role: Role(role)}
	if !g.Role.Known() {
		return Group{}, fmt.Errorf("%q: there is no role %q; it must be %s", text, role, words(Roles()))
	}
	if !limited {
		return g, nil
	}
	for one := range strings.SplitSeq(projects, "+") {
		id, err := ident.ParseProjectID(one)
		if err != nil {
			return Group{}, fmt.Errorf("%q: %q is no ID of a project", text, one)
		}
		g.Projects = append(g.Projects, id)
	}
	return g, nil
}
