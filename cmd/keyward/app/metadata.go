package app

import (
	"context"
	"fmt"
	"time"

	"github.com/keyward/keyward/cmd/keyward/app/readiness"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/core/telemetry"
)

// openMetadata begins to keep what is known of models of authenticators. Whoever decides gets it, and whoever runs ceremonies reads what
// was got.
func (a *App) openMetadata() error {
	cfg := a.cfg.Decision.Metadata
	if !cfg.On() || !a.cfg.Runs(settings.Decision) && !a.cfg.Runs(settings.Ceremony) {
		return nil
	}
	trust := metadata.Trust{Name: cfg.Name}
	if cfg.Root != "" {
		text, err := plainfile.ReadOnce(cfg.Root, plainfile.MaxText)
		if err != nil {
			return err
		}
		if trust.Roots, err = metadata.ReadRoots(text); err != nil {
			return fmt.Errorf("%s: %w", cfg.Root, err)
		}
	}
	a.metadata = metadata.NewKeeper(metadata.Deps{
		JS: a.bus.JS, Trust: trust, Grace: cfg.Grace, Now: a.opts.Now, Log: a.logger("metadata"), Registry: a.registry,
	})
	a.run("metadata of authenticators", func(ctx context.Context) error {
		a.metadata.Run(ctx, metadataPause)
		return nil
	})
	if !a.cfg.Runs(settings.Decision) {
		a.health.Register("authenticators", func(context.Context) telemetry.Status { return readiness.Metadata(a.metadata.Err()) })
	}
	return nil
}

// metadataPause is how often it is looked for what another process has got.
const metadataPause = 10 * time.Second
