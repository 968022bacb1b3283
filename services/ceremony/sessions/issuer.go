package sessions

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// Issuer is the URL under which frontends know the project.
func (s *Service) Issuer(p project.Project) string {
	if p.CNAME != "" {
		return "https://" + p.CNAME
	}
	return s.cfg.FrontendURL
}

// issues reports whether tokens may be issued in the name of a URL: the one that frontends know the project under, or one of the project's
// own hosts, either by https or as the configured one is written. Another's would let the project's users in at another tenant's services.
func (s *Service) issues(p project.Project, issuer string) bool {
	if issuer == s.Issuer(p) {
		return true
	}
	u, err := url.Parse(issuer)
	if err != nil || strings.Contains(u.Hostname(), "*") || !p.HasHost(u.Hostname()) {
		return false // a pattern of hosts is none
	}
	if issuer == "https://"+u.Hostname() {
		return true
	}
	configured, err := url.Parse(s.cfg.FrontendURL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	if port := configured.Port(); port != "" {
		host += ":" + port
	}
	return issuer == configured.Scheme+"://"+host
}

// audienceOf is whom tokens of a project's users are for: that project, so that services of another one refuse them (RFC 8725 §3.9).
func (s *Service) audienceOf(ctx context.Context, id ident.ProjectID) (ident.ProjectID, error) {
	p, err := s.projects.Find(ctx, id)
	switch {
	case errors.Is(err, project.ErrUnknown):
		return id, nil
	case err != nil || p.Frontend.NoAudience:
		return "", err
	}
	return id, nil
}

// isFor reports whether a token with an audience is for a project that has signed it. Tokens of earlier versions have none.
func isFor(id, audience ident.ProjectID) bool { return audience == "" || audience == id }
