package app

import (
	"context"
	"fmt"
	"net/url"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/cmd/keyward/app/devtls"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/feed"
	"github.com/keyward/keyward/core/idempotency"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/services/gateway"
)

// certify makes the certificate of tls_dev and says how clients come to trust it.
func (a *App) certify(ctx context.Context) error {
	if !a.cfg.TLSDev || !a.cfg.Runs(settings.Gateway) {
		return nil
	}
	dir := devtls.Dir(a.cfg.NATS.DataDir)
	u, err := url.Parse(a.cfg.Ceremony.FrontendURL)
	if err != nil {
		return fmt.Errorf("frontend_url: %w", err)
	}
	if err := devtls.Ensure(dir, u.Hostname(), a.opts.Now()); err != nil {
		return fmt.Errorf("tls_dev: %w", err)
	}
	a.log.InfoContext(
		ctx,
		"clients trust this server by the certificate of its local authority: SSL_CERT_FILE for Go, Python and curl, NODE_EXTRA_CA_CERTS for "+
			"Node; "+
			"docs/sdks.md has the others",
		"authority",
		devtls.Authority(dir),
	)
	return nil
}

// openGateway makes the gateway and binds its addresses. Calls are taken once everything else has started.
func (a *App) openGateway(ctx context.Context) error {
	if !a.cfg.Runs(settings.Gateway) {
		return nil
	}
	cfg := a.cfg.HTTP
	cfg.OperatorTimeout = a.policyTimeout()
	cfg.Grace, cfg.Version = a.cfg.ShutdownGrace, a.opts.Build.Version
	bucket, err := a.bus.Bucket(ctx, bus.IdempotencyBucket)
	if err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	limits, err := a.openLimits()
	if err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	stream, err := feed.Open(ctx, a.bus.JS, a.logger("feed"), a.registry)
	if err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	a.run("feed", func(ctx context.Context) error {
		stream.Run(ctx)
		return nil
	})
	deps := gateway.Deps{
		Ceremony:     a.parts.ceremony,
		Events:       a.parts.events,
		Webhooks:     a.parts.webhooks,
		Explanations: a.parts.explanations,
		Projects:     a.projects,
		Issuers:      a.projects,
		Idempotency:  idempotency.NewStore(bucket, cfg.RequestTimeout+gateway.HoldMargin, a.opts.Now),
		Limits:       limits,
		Audit:        a.audit,
		Feed:         stream,
		Log:          a.logger(settings.Gateway),
		Metrics:      a.registry,
		Tracer:       a.tracer,
		Now:          a.opts.Now,
	}
	if err := a.operate(ctx, &deps); err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	made, err := gateway.New(cfg, deps)
	if err != nil {
		return fmt.Errorf("start the gateway: %w", err)
	}
	if err := made.Listen(); err != nil {
		return err // it names the setting
	}
	a.gateway = made
	return nil
}

// openLimits counts calls. Gateways tell one another through a Redis that they share.
func (a *App) openLimits() (*ratelimit.Limiter, error) {
	var shared redis.UniversalClient
	if a.cfg.Redis.URL != "" {
		shared = a.cache.Client
	}
	limits, err := ratelimit.New(ratelimit.DefaultConfig(), ratelimit.Deps{Redis: shared, Clock: a.opts.Now, Metrics: a.registry})
	if err != nil {
		return nil, err
	}
	a.run("rate limits", func(ctx context.Context) error {
		limits.Run(ctx)
		return nil
	})
	return limits, nil
}

func (a *App) serveGateway() {
	if a.gateway == nil {
		return
	}
	a.work.Go(func() {
		if err := a.gateway.Run(a.background); err != nil {
			a.fail(err)
		}
	})
}
