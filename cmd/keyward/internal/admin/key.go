package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/secret"
)

// CreateKey gives a project another API key and returns it with its text, which nobody can read again. lifetime 0 = for ever.
func (p *Projects) CreateKey(
	ctx context.Context, id, name string, permissions []string, lifetime time.Duration, now time.Time,
) (project.APIKey, secret.Text, error) {
	key, text, err := project.NewAPIKey(ident.ProjectID(id), name, permissions, lifetime, now)
	if err != nil {
		return project.APIKey{}, "", fmt.Errorf("create a key: %w", Plain(err))
	}
	var refused error
	err = p.store.Update(ctx, ident.ProjectID(id), func(stored *project.Project) { refused = stored.AddKey(key) })
	if err == nil {
		err = refused
	}
	if err != nil {
		return project.APIKey{}, "", fmt.Errorf("create a key of project %s: %w", id, Plain(err))
	}
	return key, secret.Text(text), nil
}

// Keys returns the API keys of a project, oldest first.
func (p *Projects) Keys(id string) ([]project.APIKey, error) {
	found, ok := p.store.Lookup(ident.ProjectID(id))
	if !ok {
		return nil, fmt.Errorf("list the keys of project %s: %w", id, Plain(project.ErrUnknown))
	}
	return found.Keys, nil
}

// RevokeKey removes an API key; it stops working at once.
func (p *Projects) RevokeKey(ctx context.Context, id, key string) error {
	var found bool
	err := p.store.Update(ctx, ident.ProjectID(id), func(stored *project.Project) { found = stored.RevokeKey(key) })
	if err == nil && !found {
		err = fault.Unknown("key")
	}
	if err != nil {
		return fmt.Errorf("revoke key %s of project %s: %w", key, id, Plain(err))
	}
	return nil
}
