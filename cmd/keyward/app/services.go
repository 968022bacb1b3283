package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/cmd/keyward/app/readiness"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/core/rpc"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/remote"
	"github.com/keyward/keyward/core/telemetry"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/ceremony"
	"github.com/keyward/keyward/services/ceremony/aaguid"
	"github.com/keyward/keyward/services/ceremony/delivery"
	"github.com/keyward/keyward/services/ceremony/signing"
	"github.com/keyward/keyward/services/decision"
	"github.com/keyward/keyward/services/decision/admit"
	"github.com/keyward/keyward/services/decision/adoption"
	"github.com/keyward/keyward/services/decision/index"
	"github.com/keyward/keyward/services/decision/invariant"
	"github.com/keyward/keyward/services/decision/study"
	"github.com/keyward/keyward/services/decision/trial"
	"github.com/keyward/keyward/services/decision/workbench"
	"github.com/keyward/keyward/services/events"
	"github.com/keyward/keyward/services/events/timeline"
)

// parts are the services as this process sees them: its own, or clients of others'.
type parts struct {
	events   service.Events
	decision service.Decision
	ceremony service.Ceremony
	webhooks service.Webhooks

	explanations service.Explanations
	standings    service.Standings
	timelines    service.Timelines
	desk         service.Desk
	policies     service.Policies
	decisions    service.Decisions
	adoption     service.Adoption
	studies      service.Studies
}

// openCache opens Redis. Without one, the memory of the process takes its place, which is right only if no other process writes events:
// with the embedded NATS alone. Otherwise every read goes to the log.
func (a *App) openCache() error {
	cfg := a.cfg.Redis.Cache()
	switch {
	case cfg.URL == "" && a.cfg.NATS.URL == "":
		return nil
	case cfg.URL == "":
		a.cache = cache.None(errNoRedis)
	default:
		opened, err := cache.Open(cfg)
		if err != nil {
			return fmt.Errorf("open redis: %w", err)
		}
		a.cache = opened
	}
	a.onStop(func(context.Context) error { return a.cache.Close() })
	if a.usesLog() {
		a.health.Register("redis", telemetry.Seldom(probePause, telemetry.PingCheck(a.cache.Writable, telemetry.Degraded)))
	}
	return nil
}

var errNoRedis = errors.New("no redis_url is set; events are read from the log")

// usesLog reports whether a service of this process reads or writes events itself.
func (a *App) usesLog() bool {
	return a.cfg.Runs(settings.Events) || a.cfg.Runs(settings.Decision) || a.cfg.Runs(settings.Ceremony)
}

// startServices starts what this process runs and connects it with what it does not. Whoever is called starts before its callers.
func (a *App) startServices(ctx context.Context) error {
	remoteEvents := remote.NewEventsClient(a.bus.Conn, a.cfg.Calls)
	remoteDecision := remote.NewDecisionClient(a.bus.Conn, a.cfg.Calls)
	remoteCeremony := remote.NewCeremonyClient(a.bus.Conn, a.cfg.Calls)
	a.parts = parts{
		events:       remoteEvents,
		webhooks:     remoteEvents,
		decision:     remoteDecision,
		explanations: remoteDecision,
		policies:     remote.NewPolicyClient(a.bus.Conn, a.policyCalls()),
		decisions:    remote.NewPolicyClient(a.bus.Conn, a.policyCalls()),
		adoption:     remote.NewPolicyClient(a.bus.Conn, a.policyCalls()),
		studies:      remote.NewPolicyClient(a.bus.Conn, a.policyCalls()),
		ceremony:     remoteCeremony,
		standings:    remoteDecision,
		timelines:    remoteEvents,
		desk:         remoteCeremony,
	}
	for _, name := range a.needed() {
		a.health.Register(name, a.remote(name))
	}
	if !a.usesLog() {
		return nil
	}
	store, err := a.openLog(ctx)
	if err != nil {
		return err
	}
	var kept *account.Store
	if a.cfg.Runs(settings.Events) || a.cfg.Runs(settings.Ceremony) {
		if kept, err = a.openAccounts(ctx, store); err != nil {
			return fmt.Errorf("open accounts: %w", err)
		}
	}
	if err := a.openMetadata(); err != nil {
		return fmt.Errorf("mds_root: %w", err)
	}
	for _, start := range []func(context.Context, *eventlog.Store, *account.Store) error{a.startEvents, a.startDecision, a.startCeremony} {
		if err := start(ctx, store, kept); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) openAccounts(ctx context.Context, changes *eventlog.Store) (*account.Store, error) {
	bucket, err := kv.Open(ctx, a.bus.JS, bus.AccountsBucket)
	if err != nil {
		return nil, err
	}
	deps := account.Deps{Bucket: bucket, Changes: changes, Logins: changes, Metrics: a.registry, Wait: a.cfg.Decision.LookupTimeout}
	return account.Open(deps, a.cfg.AccountsNear)
}

func (a *App) openLog(ctx context.Context) (*eventlog.Store, error) {
	epochs, err := a.bus.Bucket(ctx, bus.EpochsBucket)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	deps := eventlog.Deps{JetStream: a.bus.JS, Epochs: epochs, Metrics: a.registry, Clock: a.opts.Now, Log: a.logger("eventlog")}
	if a.cache != nil {
		deps.Redis = a.cache.Client
	}
	store, err := eventlog.Open(ctx, deps, a.cfg.Events)
	if err != nil {
		return nil, fmt.Errorf("open the event log: %w", err)
	}
	if a.cache != nil {
		a.health.Register("redis-circuit", telemetry.PingCheck(func(context.Context) error { return store.Degraded() }, telemetry.Degraded))
	}
	a.run("event log", func(ctx context.Context) error {
		store.Run(ctx)
		return nil
	})
	return store, nil
}

func (a *App) startEvents(ctx context.Context, store *eventlog.Store, accounts *account.Store) error {
	if !a.cfg.Runs(settings.Events) {
		return nil
	}
	svc, err := events.New(events.Deps{
		Accounts: accounts, Store: store, JetStream: a.bus.JS, Clock: a.opts.Now, Log: a.logger(settings.Events), Metrics: a.registry,
		Unproven: a.cfg.Unproven, Addresses: address.Form(a.cfg.Ceremony.AddressStorage),
	})
	if err != nil {
		return fmt.Errorf("make the events service: %w", err)
	}
	a.run(settings.Events, func(ctx context.Context) error {
		svc.Run(ctx)
		return nil
	})
	a.parts.events = svc
	hooks, err := a.startWebhooks(ctx, accounts)
	if err != nil {
		return err
	}
	timelines, err := timeline.Open(ctx, a.bus.JS, accounts, store)
	if err != nil {
		return err
	}
	a.parts.timelines = timelines
	return a.serve(remote.EventsMethods(svc, svc, timelines, hooks))
}

// startWebhooks delivers events while the process runs. One process at a time has a data directory, so with the embedded NATS it goes on
// with its deliveries at once after a crash.
func (a *App) startWebhooks(ctx context.Context, accounts *account.Store) (*events.Webhooks, error) {
	instance := ""
	if a.cfg.NATS.URL == "" {
		instance = "embedded"
	}
	_, sealer, err := a.secretBucket(ctx, bus.WebhooksBucket)
	if err != nil {
		return nil, fmt.Errorf("start webhooks: %w", err)
	}
	hooks, err := events.NewWebhooks(ctx, a.cfg.Webhooks, events.WebhookDeps{
		JetStream: a.bus.JS,
		Accounts:  accounts,
		Metrics:   a.registry,
		Clock:     a.opts.Now,
		Log:       a.logger(settings.Events),
		Instance:  instance,
		Sealer:    sealer,
		Audit:     a.audit.By(audit.Actor{Kind: audit.Service, Name: settings.Events}),
	})
	if err != nil {
		return nil, fmt.Errorf("start webhooks: %w", err)
	}
	a.run("webhooks", func(ctx context.Context) error {
		hooks.Run(ctx)
		return nil
	})
	a.parts.webhooks = hooks
	return hooks, nil
}

func (a *App) startDecision(ctx context.Context, store *eventlog.Store, _ *account.Store) error {
	if !a.cfg.Runs(settings.Decision) {
		return nil
	}
	deps := decision.Deps{
		Events: store, Sightings: store, Metadata: a.metadata, JS: a.bus.JS, Now: a.opts.Now, Log: a.logger(settings.Decision),
		Registry: a.registry, Addresses: address.Form(a.cfg.Ceremony.AddressStorage),
	}
	deps.Audit = a.audit.By(audit.Actor{Kind: audit.Service, Name: settings.Decision})
	if a.opts.Program != "" {
		// A bundle that breaks an invariant is its authors' affair: "keyward policy check" tells them.
		none := invariant.Options{}
		deps.Admit = admit.Keyward(a.opts.Program, a.cfg.Decision.CheckMemory, a.cfg.Decision.CheckTimeout, none).Admit
	}
	cfg := a.cfg.Decision
	cfg.Store, cfg.Version = true, a.program()
	if a.cfg.NATS.URL == "" { // otherwise the archive has it
		cfg.Source.File = filepath.Join(a.cfg.NATS.DataDir, "policy-source.tar.gz")
	}
	svc, err := decision.New(cfg, deps)
	if err != nil {
		return fmt.Errorf("start the decision service: %w", err)
	}
	a.run(settings.Decision, svc.Run)
	a.health.Register("policy", func(context.Context) telemetry.Status { return readiness.Policy(svc.Status()) })
	a.health.Register("policy-files", func(context.Context) telemetry.Status { return readiness.Files(svc.Files()) })
	if a.metadata != nil {
		a.health.Register("authenticators", func(context.Context) telemetry.Status { return readiness.Metadata(svc.Metadata()) })
	}
	explanations := trial.New(a.bus.JS)
	a.parts.decision, a.parts.explanations, a.parts.standings = svc, explanations, svc
	if err := a.startWorkbench(ctx); err != nil {
		return err
	}
	return a.serve(remote.DecisionMethods(svc, explanations, svc))
}

// program names what runs, for what it answers for.
func (a *App) program() string { return a.opts.Build.Version + "+" + a.opts.Build.Revision }

// startWorkbench answers what operators do with the policy.
func (a *App) startWorkbench(ctx context.Context) error {
	none := invariant.Options{}
	check, try := admit.Here(none)
	if a.opts.Program != "" {
		check, try = admit.Keyward(a.opts.Program, a.cfg.Decision.CheckMemory, a.cfg.Decision.CheckTimeout, none).Checks()
	}
	bench, err := workbench.New(
		ctx,
		workbench.Config{
			FourEyes: a.cfg.FourEyes, Signatures: a.cfg.Decision.Signatures, CheckTimeout: a.cfg.Decision.CheckTimeout, Version: a.program(),
		},
		workbench.Deps{
			JS: a.bus.JS, Check: check, Try: try, Now: a.opts.Now,
			Tell: func(ctx context.Context, by audit.Actor, e audit.Event) { a.audit.By(by).Add(ctx, e) },
		},
	)
	if err != nil {
		return err
	}
	decisions, err := index.New(a.cfg.Index, index.Deps{
		Dir: a.cfg.IndexPath(), JS: a.bus.JS, Now: a.opts.Now, Log: a.logger(settings.Decision), Registry: a.registry,
		Version: a.program(),
	})
	if err != nil {
		return err
	}
	a.run("index of decisions", decisions.Run)
	counted, err := adoption.New(a.cfg.Adoption, adoption.Deps{
		Dir: a.cfg.AdoptionPath(), JS: a.bus.JS, Now: a.opts.Now, Log: a.logger(settings.Decision), Registry: a.registry,
	})
	if err != nil {
		return err
	}
	a.run("sums of adoption", counted.Run)
	studied, err := study.New(ctx, a.bus.JS, a.opts.Now)
	if err != nil {
		return err
	}
	a.parts.policies, a.parts.decisions, a.parts.adoption, a.parts.studies = bench, decisions, counted, studied
	return a.serve(remote.PolicyMethods(counted, decisions, bench, studied))
}

func (a *App) startCeremony(ctx context.Context, store *eventlog.Store, accounts *account.Store) error {
	if !a.cfg.Runs(settings.Ceremony) {
		return nil
	}
	svc, err := a.openCeremony(ctx, store, accounts)
	if err != nil {
		return fmt.Errorf("start the ceremony service: %w", err)
	}
	a.run(settings.Ceremony, svc.Run)
	a.parts.ceremony, a.parts.desk = svc, svc
	return a.serve(remote.CeremonyMethods(svc, svc, svc))
}

func (a *App) openCeremony(ctx context.Context, store *eventlog.Store, accounts *account.Store) (*ceremony.Service, error) {
	buckets, err := a.ceremonyBuckets(ctx)
	if err != nil {
		return nil, err
	}
	bucket, sealer, err := a.secretBucket(ctx, bus.KeysBucket)
	if err != nil {
		return nil, err
	}
	keys, err := signing.Open(ctx, signing.Deps{
		Bucket: bucket, Sealer: sealer, MaxAge: a.cfg.Ceremony.SigningKeyMaxAge, Now: a.opts.Now, Log: a.logger(settings.Ceremony),
		Audit: a.audit.By(audit.Actor{Kind: audit.Service, Name: settings.Ceremony}),
	})
	if err != nil {
		return nil, err
	}
	a.run("signing keys", keys.Run)
	if err := a.projects.Settle(ctx); err != nil {
		return nil, err
	}
	rings, err := a.openProjectKeys(ctx)
	if err != nil {
		return nil, err
	}
	names, err := a.openNames()
	if err != nil {
		return nil, err
	}
	lists, err := a.openLists()
	if err != nil {
		return nil, err
	}
	courier, err := a.openCourier()
	if err != nil {
		return nil, err
	}
	cfg := a.cfg.Ceremony
	cfg.LookupTimeout = cmp.Or(a.cfg.Decision.LookupTimeout, cfg.LookupTimeout)
	return ceremony.New(cfg, ceremony.Deps{
		Projects:        a.projects,
		Keys:            rings,
		Accounts:        accounts,
		Challenges:      buckets[bus.ChallengesBucket],
		Marks:           buckets[bus.MarksBucket],
		Index:           buckets[bus.CredentialsBucket],
		Names:           buckets[bus.IdentifiersBucket],
		Sessions:        buckets[bus.SessionsBucket],
		SessionIDs:      buckets[bus.SessionIndexBucket],
		Tokens:          buckets[bus.TokensBucket],
		Codes:           buckets[bus.CodesBucket],
		Nobodies:        buckets[bus.NobodiesBucket],
		Delivery:        courier,
		Spent:           buckets[bus.SpentBucket],
		Processes:       buckets[bus.ProcessesBucket],
		StepUps:         buckets[bus.StepUpsBucket],
		Attested:        buckets[bus.AttestationsBucket],
		Metadata:        a.metadata,
		Signing:         keys,
		Events:          a.parts.events,
		Offers:          store,
		Positions:       store,
		Logins:          store,
		Folded:          buckets[bus.IntegrityBucket],
		DNS:             net.DefaultResolver,
		Decision:        a.parts.decision,
		Records:         a.parts.explanations,
		Standings:       a.parts.standings,
		Acts:            a.audit.By(audit.Actor{Kind: audit.Service, Name: settings.Ceremony}),
		Audit:           a.audit,
		AAGUIDs:         names,
		Lists:           lists,
		Unfinished:      lists,
		Now:             a.opts.Now,
		Log:             a.logger(settings.Ceremony),
		Metrics:         a.registry,
		ChallengeMaxAge: a.cfg.NATS.ChallengeMaxAge,
		EventsForgotten: a.cfg.NATS.EventsMaxBytes > 0,
	})
}

func (a *App) openCourier() (*delivery.Courier, error) {
	courier, err := delivery.New(a.cfg.DeliveryConfig(), delivery.Deps{Out: a.opts.Out, Now: a.opts.Now, Metrics: a.registry})
	if err != nil {
		return nil, err
	}
	a.onStop(func(context.Context) error {
		courier.Close()
		return nil
	})
	return courier, nil
}

// ceremonyBuckets are opened such that nothing makes a consumer: a NATS user that may, may have what it delivers said to anybody.
func (a *App) ceremonyBuckets(ctx context.Context) (map[string]jetstream.KeyValue, error) {
	buckets := make(map[string]jetstream.KeyValue)
	for _, name := range []string{
		bus.ChallengesBucket, bus.MarksBucket, bus.CredentialsBucket, bus.IdentifiersBucket, bus.SessionsBucket,
		bus.SessionIndexBucket, bus.TokensBucket, bus.CodesBucket, bus.NobodiesBucket, bus.SpentBucket,
		bus.ProcessesBucket, bus.StepUpsBucket, bus.AttestationsBucket, bus.IntegrityBucket,
	} {
		bucket, err := kv.Open(ctx, a.bus.JS, name)
		if err != nil {
			return nil, err
		}
		buckets[name] = bucket
	}
	return buckets, nil
}

// openNames opens the names of authenticators, which are the policy's.
func (a *App) openNames() (*aaguid.BundleNames, error) {
	var bundle fs.FS = policies.Bundle
	if a.cfg.Decision.PoliciesDir != "" {
		bundle = plainfile.Dir(a.cfg.Decision.PoliciesDir)
	}
	return aaguid.NewBundleNames(bundle, policies.Bundle, a.opts.Now, a.logger(settings.Ceremony))
}

// openLists opens the read model. What it has to read first it reads in the background: readiness does not wait for it.
func (a *App) openLists() (*ceremony.Lists, error) {
	lists, err := ceremony.OpenLists(ceremony.ListsDeps{
		JetStream: a.bus.JS, Dir: a.cfg.ReadModelPath(), Now: a.opts.Now, Log: a.logger(settings.Ceremony), Metrics: a.registry,
	})
	if err != nil {
		return nil, err
	}
	a.onStop(func(context.Context) error { return lists.Close() })
	a.run("read model", lists.Run)
	a.health.Register("read-model", func(context.Context) telemetry.Status {
		if detail, building := lists.Building(); building {
			return telemetry.Status{State: telemetry.Degraded, Detail: "being read anew: " + detail}
		}
		return telemetry.Status{State: telemetry.OK}
	})
	return lists, nil
}

// serve answers calls of other processes to a service of this one; NATS tools find it too.
func (a *App) serve(svc rpc.Service) error {
	server, err := rpc.Serve(
		a.bus.Conn, svc, rpc.Options{Version: semantic(a.opts.Build.Version), Concurrency: a.cfg.CallLimit}, a.logger(svc.Name),
	)
	if err != nil {
		return fmt.Errorf("serve %s on the bus: %w", svc.Name, err)
	}
	a.servers = append(a.servers, server)
	return nil
}

// needed returns the services that those of this process call and that run elsewhere.
func (a *App) needed() []string {
	calls := map[string][]string{
		settings.Gateway: {settings.Ceremony, settings.Events}, settings.Ceremony: {settings.Decision, settings.Events},
	}
	var names []string
	for _, callee := range []string{settings.Ceremony, settings.Decision, settings.Events} {
		for caller, callees := range calls {
			if !a.cfg.Runs(callee) && a.cfg.Runs(caller) && slices.Contains(callees, callee) && !slices.Contains(names, callee) {
				names = append(names, callee)
			}
		}
	}
	return names
}

// remote checks whether any instance of a service is on the bus, as the NATS micro protocol has it.
func (a *App) remote(name string) telemetry.Check {
	return telemetry.PingCheck(func(ctx context.Context) error {
		_, err := a.bus.Conn.RequestWithContext(ctx, "$SRV.PING.keyward-"+name, nil)
		if errors.Is(err, nats.ErrNoResponders) {
			return fmt.Errorf("no %s service is running", name)
		}
		if err != nil {
			return fmt.Errorf("ask for a %s service: %w", name, err)
		}
		return nil
	}, telemetry.Down)
}

func (a *App) logger(name string) *slog.Logger { return a.log.With(telemetry.KeyService, name) }

// semantic returns the version as the NATS micro protocol wants it: without a leading v, and 0.0.0 if it is none.
func semantic(version string) string {
	if found := regexp.MustCompile(`\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?`).FindString(version); found != "" {
		return found
	}
	return "0.0.0"
}
