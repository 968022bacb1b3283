// Package app is a running Keyward: it builds the services that a configuration names, connects them with each other, directly or over
// NATS, and ends them in order. It decides nothing itself. Other programs of this repository start one to test or measure it.
package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/telemetry"
	"github.com/keyward/keyward/services/gateway"
)

// Options are what a process has besides its configuration. The zero value logs JSON to stderr and greets nobody.
type Options struct {
	Log     *slog.Logger
	Out     io.Writer           // for the person who starts it: the first project's secret, once
	Build   telemetry.Build     // what runs
	Getenv  func(string) string // of the OTEL_* variables; nil = the process's
	Now     func() time.Time    // nil = time.Now
	Program string              // keyward, to check policy bundles in a process of its own; empty = they are checked in this one
}

func (o Options) withDefaults(cfg settings.Config) Options {
	if o.Log == nil {
		o.Log = telemetry.NewLogger(os.Stderr, cfg.LogLevel)
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.Build.Version == "" {
		o.Build.Version = "0.0.0-dev"
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// App is a running Keyward. Make it with Start; end it with Stop.
type App struct {
	cfg  settings.Config
	opts Options
	log  *slog.Logger

	registry  *prometheus.Registry
	health    *telemetry.Health
	admin     *telemetry.Admin
	tracer    trace.TracerProvider // nil = nothing is traced
	bus       *bus.Bus
	cache     *cache.Cache // nil = the memory of the process takes its place
	projects  *project.Store
	operators *operator.Store // nil = this process does not serve the Operator API
	audit     *audit.Queue
	keys      *atrest.Keys     // nil = secrets are stored as they are
	metadata  *metadata.Keeper // nil = nothing is known of models of authenticators
	gateway   *gateway.Gateway
	parts     parts
	servers   []*rpc.Server // in the order of starting

	bootstrapSecret settings.Secret
	started         atomic.Bool

	// work runs until background ends. The first of it to fail ends failed, with the failure as the cause.
	work       sync.WaitGroup
	background context.Context
	cancel     context.CancelFunc
	failed     context.Context
	fail       context.CancelCauseFunc
	// release undoes what Start did, last first.
	release []func(context.Context) error
}

// Start builds and starts everything and returns when calls are answered. ctx bounds the start only. An error says what is wrong; nothing
// is left running then.
func Start(ctx context.Context, cfg settings.Config, opts Options) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	opts = opts.withDefaults(cfg)
	a := &App{cfg: cfg, opts: opts, log: opts.Log, health: &telemetry.Health{}, registry: telemetry.NewRegistry(opts.Build)}
	a.background, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	a.failed, a.fail = context.WithCancelCause(context.WithoutCancel(ctx))
	began := opts.Now()
	if err := a.start(ctx); err != nil {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownGrace)
		defer cancel()
		return nil, errors.Join(err, a.Stop(stopping))
	}
	a.log.InfoContext(
		ctx, "ready", "services", cfg.Services, "http_addr", a.HTTPAddr(), "grpc_addr", a.GRPCAddr(), "admin_addr", a.AdminAddr(), "nats_addr",
		a.bus.ListenAddr(), "version", opts.Build.Version, "took_ms", opts.Now().Sub(began).Milliseconds(),
	)
	return a, nil
}

func (a *App) start(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		a.probeAddrs, a.startTelemetry, a.openStores, a.watchIntegrity, a.startServices, a.certify, a.openGateway, a.bootstrap, a.firstOperator,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	a.serveGateway()
	a.started.Store(true)
	a.warn(ctx)
	a.run("health", func(ctx context.Context) error { return a.health.Watch(ctx, a.registry, a.log) })
	a.greet()
	return nil
}

// role returns what traces call a process that runs one service of several; empty: it runs more than one.
func (a *App) role() string {
	if len(a.cfg.Services) == 1 && !a.cfg.RunsAll() {
		return a.cfg.Services[0]
	}
	return ""
}

// startTelemetry comes first, so that a probe is answered while the rest still starts.
func (a *App) startTelemetry(ctx context.Context) error {
	tracer, stop, err := telemetry.StartTracing(ctx, a.opts.Getenv, a.role(), a.opts.Build)
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	a.tracer = tracer
	a.onStop(stop)
	a.health.Register("services", func(context.Context) telemetry.Status {
		if !a.started.Load() {
			return telemetry.Status{State: telemetry.Down, Detail: "starting"}
		}
		return telemetry.Status{State: telemetry.OK}
	})
	a.admin, err = telemetry.NewAdmin(ctx, a.cfg.AdminAddr, telemetry.Shown{
		Metrics: a.registry, Health: a.health, Build: a.opts.Build, Profiles: a.cfg.AdminProfiles,
	}, a.log)
	if err != nil {
		return fmt.Errorf("telemetry: %w", err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := a.admin.Serve(); err != nil {
			a.fail(err)
		}
	}()
	a.onStop(func(ctx context.Context) error {
		err := a.admin.Shutdown(ctx)
		<-served
		return err
	})
	return nil
}

// openStores opens what the services keep things in.
func (a *App) openStores(ctx context.Context) error {
	var err error
	if a.bus, err = bus.Open(ctx, a.cfg.Bus(), a.log); err != nil {
		return fmt.Errorf("open nats: %w", err)
	}
	a.onStop(func(context.Context) error {
		a.bus.Close()
		return nil
	})
	a.health.Register("nats", telemetry.Seldom(probePause, a.storage))
	recorder := audit.NewRecorder(a.bus.JS, audit.Actor{Kind: audit.Service, Name: strings.Join(a.cfg.Services, ",")}, a.opts.Now)
	a.audit = audit.NewQueue(recorder, a.registry, a.log)
	a.run("audit", a.audit.Run)
	if err := a.openEncryption(ctx); err != nil {
		return err
	}
	if err := a.openCache(); err != nil {
		return err
	}
	if !a.cfg.Runs(settings.Gateway) && !a.cfg.Runs(settings.Ceremony) {
		return nil
	}
	if a.projects, err = openProjects(ctx, a.bus, a.opts); err != nil {
		return err
	}
	a.projects.TellTo(a.audit)
	if home, err := url.Parse(a.cfg.Ceremony.FrontendURL); err == nil {
		a.projects.LiveAt(home.Hostname())
	}
	a.run("projects", a.projects.Run)
	return a.openOperators(ctx)
}

// probePause is how often readiness writes at most to what it asks whether it can be written.
const probePause = 500 * time.Millisecond

// storage finds out whether anything can be stored.
func (a *App) storage(ctx context.Context) telemetry.Status {
	err := a.bus.Writable(ctx)
	switch {
	case err == nil:
		return telemetry.Status{State: telemetry.OK}
	case errors.Is(err, bus.ErrProbesMissing):
		return telemetry.Status{State: telemetry.Degraded, Detail: err.Error()}
	default:
		return telemetry.Status{State: telemetry.Down, Detail: err.Error()}
	}
}

// run starts work that is to last until background ends. If it ends earlier, that is a failure.
func (a *App) run(what string, work func(context.Context) error) {
	a.work.Go(func() {
		err := work(a.background)
		switch {
		case a.background.Err() == nil && err == nil:
			err = errors.New("ended before its time")
		case a.background.Err() != nil && errors.Is(err, context.Canceled):
			err = nil // it was told to end while it began
		}
		if err != nil {
			a.fail(fmt.Errorf("%s: %w", what, err))
		}
	})
}

func (a *App) onStop(do func(context.Context) error) { a.release = append(a.release, do) }

// HTTPAddr returns where the Backend API listens, or "" if this process runs no gateway.
func (a *App) HTTPAddr() string {
	if a.gateway == nil {
		return ""
	}
	return a.gateway.Addr()
}

// GRPCAddr returns where the user service listens for gRPC, or "" if this process does not.
func (a *App) GRPCAddr() string {
	if a.gateway == nil {
		return ""
	}
	return a.gateway.GRPCAddr()
}

// AdminAddr returns where health and metrics are served.
func (a *App) AdminAddr() string { return a.admin.Addr() }

// BootstrapSecret returns the API secret of the project that this start created, or "" if it created none.
func (a *App) BootstrapSecret() string { return a.bootstrapSecret.Reveal() }

// Failed is closed when something that should run for as long as the process has ended. Stop then says what.
func (a *App) Failed() <-chan struct{} { return a.failed.Done() }

// Stop drains and ends everything: readiness says down, for the configured delay calls are answered still, the gateway accepts no more,
// calls under way finish until ctx ends, records are flushed, connections close. It returns what went wrong, now or before, and must be
// called once.
func (a *App) Stop(ctx context.Context) error {
	a.health.Drain()
	var errs []error
	if a.gateway != nil {
		a.gateway.Drain()
		a.linger(ctx)
		errs = append(errs, a.gateway.Shutdown(ctx))
	}
	for i := len(a.servers) - 1; i >= 0; i-- {
		errs = append(errs, a.servers[i].Close(ctx))
	}
	// Nobody is left who could ask for anything: what works in the background finishes what it holds, and then its means are taken away.
	a.cancel()
	a.work.Wait()
	for i := len(a.release) - 1; i >= 0; i-- {
		errs = append(errs, a.release[i](ctx))
	}
	if a.failed.Err() != nil {
		errs = append(errs, context.Cause(a.failed))
	}
	a.fail(nil)
	return errors.Join(errs...)
}

// linger goes on answering while load balancers find out that this process is to end.
func (a *App) linger(ctx context.Context) {
	if a.cfg.ShutdownDelay == 0 || !a.started.Load() || a.failed.Err() != nil {
		return
	}
	delay := time.NewTimer(a.cfg.ShutdownDelay)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-a.Failed():
	case <-ctx.Done():
	}
}

// Run starts, runs until ctx ends or something fails, and stops within the configured grace.
func Run(ctx context.Context, cfg settings.Config, opts Options) error {
	a, err := Start(ctx, cfg, opts)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		a.log.Info("stopping", "grace", cfg.ShutdownGrace.String())
	case <-a.Failed():
		a.log.Error("stopping, since something failed")
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), cfg.ShutdownDelay+cfg.ShutdownGrace)
	defer cancel()
	return a.Stop(stopping)
}
