package app

import (
	"context"
	"fmt"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/telemetry"
	"github.com/keyward/keyward/services/ceremony/integrity"
)

// watchIntegrity finds out in the background whether the store lacks what it had. Calls are answered meanwhile, and afterwards too: what is
// there is right, and an operator decides what to do about the rest.
func (a *App) watchIntegrity(ctx context.Context) error {
	if a.cfg.MarkInterval == 0 || !a.cfg.Runs(settings.Ceremony) {
		return nil
	}
	checker, err := integrity.Open(ctx, integrity.Deps{JetStream: a.bus.JS, Now: a.opts.Now, Log: a.logger("integrity")})
	if err != nil {
		return fmt.Errorf("watch the store's integrity: %w", err)
	}
	a.health.Register("integrity", func(context.Context) telemetry.Status {
		if found := checker.Found(); len(found) > 0 {
			return telemetry.Status{State: telemetry.Degraded, Detail: integrity.Summary(found) + "; see keyward check"}
		}
		if err := checker.Err(); err != nil {
			return telemetry.Status{State: telemetry.Degraded, Detail: "not compared with what it was: " + err.Error()}
		}
		return telemetry.Status{State: telemetry.OK}
	})
	a.run("integrity", func(ctx context.Context) error {
		checker.Run(ctx, a.cfg.MarkInterval)
		return nil
	})
	return nil
}
