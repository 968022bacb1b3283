package app

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/project"
)

// openEncryption finds the keys that this process stores secrets under. With the embedded NATS there is one in any case.
func (a *App) openEncryption(ctx context.Context) error {
	if !a.cfg.Runs(settings.Ceremony) && !a.cfg.Runs(settings.Events) {
		return nil
	}
	keys, err := a.cfg.MakeEncryptionKeys()
	if err != nil {
		return err
	}
	if keys == nil {
		a.log.WarnContext(
			ctx, "secrets are stored unencrypted: who can read the disk of NATS or a backup of it can sign as any project; set encryption_key "+
				"(KEYWARD_ENCRYPTION_KEY)",
		)
		a.audit.Add(ctx, audit.Event{Type: audit.StartedUnencrypted})
	}
	a.keys = keys
	return nil
}

// secretBucket opens a bucket of secrets and encrypts what is not yet, or under an older key. Only what is encrypted is
// believed from then on.
func (a *App) secretBucket(ctx context.Context, name string) (jetstream.KeyValue, kv.Sealer, error) {
	bucket, err := kv.Open(ctx, a.bus.JS, name)
	if err != nil {
		return nil, nil, err
	}
	n, err := atrest.Rewrite(ctx, bucket, a.keys)
	if errors.Is(err, atrest.ErrKey) {
		return nil, nil, fmt.Errorf(
			"encryption_key (KEYWARD_ENCRYPTION_KEY, KEYWARD_ENCRYPTION_KEY_FILE%s) has not the key that secrets are stored under: %w", a.keyFile(),
			err,
		)
	}
	if errors.Is(err, atrest.ErrPlain) {
		return nil, nil, fmt.Errorf(
			"encryption_key (KEYWARD_ENCRYPTION_KEY): if what is stored was stored before it was set, add the word %s behind the keys for one "+
				"start: %w",
			atrest.Plain, err,
		)
	}
	if err != nil {
		return nil, nil, err
	}
	if n > 0 {
		a.log.InfoContext(ctx, "secrets were encrypted under the first key", "bucket", name, "entries", n)
	}
	if a.keys == nil {
		return bucket, nil, nil
	}
	return bucket, a.keys.Strict(), nil
}

// keyFile names the file that may hold the key too.
func (a *App) keyFile() string {
	if a.cfg.NATS.URL != "" {
		return ""
	}
	return ", or the file " + filepath.Join(a.cfg.NATS.DataDir, atrest.FileName)
}

// openProjectKeys opens what tokens, handles and codes are made with. The keys that an earlier version kept in the projects
// themselves are taken over first, and leave there: a gateway reads projects.
func (a *App) openProjectKeys(ctx context.Context) (*keyring.Store, error) {
	bucket, sealer, err := a.secretBucket(ctx, bus.ProjectKeysBucket)
	if err != nil {
		return nil, err
	}
	keys, err := keyring.Open(ctx, keyring.Deps{
		Bucket: bucket, Sealer: sealer, Keep: a.cfg.KeepKeys(), Now: a.opts.Now, Log: a.logger(settings.Ceremony),
	})
	if err != nil {
		return nil, err
	}
	for _, p := range a.projects.All() {
		if err := keys.Adopt(ctx, p.ID, p.Legacy); err != nil {
			return nil, err
		}
		if len(p.Legacy) == 0 && len(p.IdempotencySalt) > 0 && len(p.SightingKey) > 0 {
			continue
		}
		if err := a.projects.Update(ctx, p.ID, func(p *project.Project) {
			p.Legacy = nil
			if len(p.IdempotencySalt) == 0 {
				p.IdempotencySalt = project.NewSalt()
			}
			if len(p.SightingKey) == 0 {
				p.SightingKey = project.NewSightingKey()
			}
		}); err != nil {
			return nil, err
		}
	}
	if err := keys.EndAdoption(ctx); err != nil {
		return nil, err
	}
	a.run("project keys", keys.Run)
	return keys, nil
}
