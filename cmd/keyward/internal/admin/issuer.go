package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// AddIssuer lets a project take access tokens of an issuer. One that it takes tokens of already, for the same audience, is an error.
func (p *Projects) AddIssuer(ctx context.Context, id string, added project.Issuer) error {
	var refused error
	err := p.store.Update(ctx, ident.ProjectID(id), func(stored *project.Project) { refused = stored.AddIssuer(added) })
	if err == nil {
		err = refused
	}
	if err != nil {
		return fmt.Errorf("add an issuer to project %s: %w", id, Plain(err))
	}
	return nil
}

// Issuers returns the issuers whose access tokens a project takes, in the order in which they were added.
func (p *Projects) Issuers(id string) ([]project.Issuer, error) {
	found, ok := p.store.Lookup(ident.ProjectID(id))
	if !ok {
		return nil, fmt.Errorf("list the issuers of project %s: %w", id, Plain(project.ErrUnknown))
	}
	return found.Issuers, nil
}

// ErrAudience says that a project takes tokens of an issuer for several audiences, so that one must be named.
var ErrAudience = errors.New("the project takes the issuer's tokens for several audiences; name the one to remove")

// RemoveIssuer makes a project refuse the access tokens of an issuer at once, and returns what was removed. An empty audience is the only
// one there is.
func (p *Projects) RemoveIssuer(ctx context.Context, id, url, audience string) (project.Issuer, error) {
	var removed project.Issuer
	var refused error
	err := p.store.Update(ctx, ident.ProjectID(id), func(stored *project.Project) {
		if removed, refused = findIssuer(stored.Issuers, url, audience); refused == nil {
			stored.RemoveIssuer(removed.URL, removed.Audience)
		}
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return project.Issuer{}, fmt.Errorf("remove issuer %s of project %s: %w", url, id, Plain(err))
	}
	return removed, nil
}

func findIssuer(issuers []project.Issuer, url, audience string) (project.Issuer, error) {
	var found []project.Issuer
	for _, i := range issuers {
		if i.URL == url && (audience == "" || i.Audience == audience) {
			found = append(found, i)
		}
	}
	switch len(found) {
	case 0:
		return project.Issuer{}, fault.Unknown("issuer")
	case 1:
		return found[0], nil
	default:
		return project.Issuer{}, ErrAudience
	}
}
