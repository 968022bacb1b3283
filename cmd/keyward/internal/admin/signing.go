package admin

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/signing"
)

// SigningKeys returns the keys that a project signs with, none if it has signed nothing yet. A project that does not exist is an error.
func (p *Projects) SigningKeys(ctx context.Context, id string) (signing.Keys, error) {
	store, err := p.signing(ctx, id)
	if err != nil {
		return nil, err
	}
	return store.List(ctx, ident.ProjectID(id))
}

// RotateSigningKey publishes another key, which signs after an hour or at once, and returns the keys.
func (p *Projects) RotateSigningKey(ctx context.Context, id string, immediately bool) (signing.Keys, error) {
	store, err := p.signing(ctx, id)
	if err != nil {
		return nil, err
	}
	keys, err := store.Rotate(ctx, ident.ProjectID(id), immediately)
	if err != nil {
		return nil, fmt.Errorf("rotate the signing key of project %s: %w", id, Plain(err))
	}
	told := audit.Event{Type: audit.SigningKeyRotated, Project: ident.ProjectID(id), SigningKey: keys[len(keys)-1].ID}
	if len(keys) == 1 { // there was none to rotate
		told.Type = audit.SigningKeyCreated
	}
	p.told.Add(ctx, told)
	return keys, nil
}

// RemoveSigningKey unpublishes a key that does not sign; what it signed is refused from then on.
func (p *Projects) RemoveSigningKey(ctx context.Context, id, key string) error {
	store, err := p.signing(ctx, id)
	if err != nil {
		return err
	}
	if err := store.Remove(ctx, ident.ProjectID(id), ident.KeyID(key)); err != nil {
		return fmt.Errorf("remove signing key %s of project %s: %w", key, id, Plain(err))
	}
	p.told.Add(ctx, audit.Event{Type: audit.SigningKeyRemoved, Project: ident.ProjectID(id), SigningKey: ident.KeyID(key)})
	return nil
}

func (p *Projects) signing(ctx context.Context, id string) (*signing.Store, error) {
	bucket, err := p.secrets(ctx, id, bus.KeysBucket)
	if err != nil {
		return nil, err
	}
	sealer, err := p.sealer(ctx, bucket)
	if err != nil {
		return nil, err
	}
	return signing.Open(ctx, signing.Deps{
		Bucket: bucket, Sealer: sealer, MaxAge: ceremony.DefaultConfig().SigningKeyMaxAge, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
}
