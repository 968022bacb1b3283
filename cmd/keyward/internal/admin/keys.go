package admin

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
)

// KeyVersions returns the versions of the keys that a project makes tokens, handles and codes with.
func (p *Projects) KeyVersions(ctx context.Context, id string) (keyring.Versions, error) {
	store, err := p.rings(ctx, id)
	if err != nil {
		return nil, err
	}
	return store.List(ctx, ident.ProjectID(id))
}

// RotateKeys makes another version, and returns those that are kept. With drop the older ones go: what they made is refused
// from then on.
func (p *Projects) RotateKeys(ctx context.Context, id string, drop bool) (keyring.Versions, error) {
	store, err := p.rings(ctx, id)
	if err != nil {
		return nil, err
	}
	versions, err := store.Rotate(ctx, ident.ProjectID(id))
	if err == nil {
		p.told.Add(ctx, audit.Event{Type: audit.KeysRotated, Project: ident.ProjectID(id), Version: versions[len(versions)-1].Number})
	}
	if err == nil && drop {
		if versions, err = store.Drop(ctx, ident.ProjectID(id)); err == nil {
			p.told.Add(ctx, audit.Event{Type: audit.KeysDropped, Project: ident.ProjectID(id), Version: versions[len(versions)-1].Number})
		}
	}
	if err != nil {
		return nil, fmt.Errorf("rotate the keys of project %s: %w", id, Plain(err))
	}
	return versions, nil
}

// keepAll is longer than anything that is made may be valid: a version is dropped by the server, which knows its settings.
const keepAll = 100 * 365 * 24 * time.Hour

// secrets opens a bucket of secrets, for a project that there must be.
func (p *Projects) secrets(ctx context.Context, id, name string) (jetstream.KeyValue, error) {
	if _, ok := p.store.Lookup(ident.ProjectID(id)); !ok {
		return nil, fmt.Errorf("find project %s: %w", id, Plain(project.ErrUnknown))
	}
	js, err := jetstream.New(p.conn)
	if err != nil {
		return nil, fmt.Errorf("open jetstream: %w", err)
	}
	bucket, err := js.KeyValue(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", name, err)
	}
	return bucket, nil
}

func (p *Projects) rings(ctx context.Context, id string) (*keyring.Store, error) {
	bucket, err := p.secrets(ctx, id, bus.ProjectKeysBucket)
	if err != nil {
		return nil, err
	}
	sealer, err := p.sealer(ctx, bucket)
	if err != nil {
		return nil, err
	}
	return keyring.Open(ctx, keyring.Deps{Bucket: bucket, Sealer: sealer, Keep: keepAll, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
}
