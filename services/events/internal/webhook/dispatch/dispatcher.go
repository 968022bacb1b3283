package dispatch

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/services/events/internal/webhook"
	"github.com/keyward/keyward/services/events/internal/webhook/claim"
	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

// Deps is what a Dispatcher works with. All but Instance, Accounts, Sealer and Ended are required.
type Deps struct {
	JetStream jetstream.JetStream
	Accounts  webhook.Accounts // nil = payloads tell of a passkey no more than its ID
	Metrics   prometheus.Registerer
	Now       func() time.Time
	Log       *slog.Logger
	Sealer    kv.Sealer // nil = endpoints are stored as they are, secrets included

	// Ended is told, by one of all instances, of an endpoint that asked for nothing more. It returns at once. nil = nobody is told.
	Ended func(context.Context, *webhook.Endpoint)

	// Instance is a name that no other running process has, of letters, digits and dashes, and that this one had before it was
	// restarted: then it goes on with its endpoints at once. Empty = none; after a crash the endpoints are taken over when the
	// lease is over.
	Instance string
}

// Dispatcher delivers events to the endpoints, sharing them with the dispatchers of other processes. Make it with New, and let it Run.
type Dispatcher struct {
	tools
	deps Deps
	work jetstream.KeyValue
}

// New returns a dispatcher on streams and buckets that must exist.
func New(ctx context.Context, config webhook.Config, deps Deps) (*Dispatcher, error) {
	if err := config.Validate(); err != nil {
		return nil, err
	}
	d := &Dispatcher{deps: deps}
	m, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	kept, err := queue.Open(ctx, deps.JetStream)
	if err != nil {
		return nil, err
	}
	events, err := deps.JetStream.Stream(ctx, bus.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", bus.EventsStream, err)
	}
	source, err := direct.Open(ctx, deps.JetStream, bus.EventsStream)
	if err != nil {
		return nil, err
	}
	endpoints, err := kv.Open(ctx, deps.JetStream, bus.WebhooksBucket)
	if err != nil {
		return nil, err
	}
	if d.work, err = kv.Open(ctx, deps.JetStream, bus.WebhookWorkBucket); err != nil {
		return nil, err
	}
	d.tools = tools{
		endpoints: webhook.Endpoints(endpoints, deps.Sealer, nil),
		config:    config, js: deps.JetStream, events: events, source: source, queue: kept,
		sender: webhook.NewSender(config, deps.Now), records: queue.NewRecorder(deps.JetStream, m.lost.Inc),
		accounts: deps.Accounts, ended: deps.Ended, metrics: m, now: deps.Now, log: deps.Log,
	}
	return d, nil
}

// Run delivers until ctx ends. Nothing is under way any more when it returns.
func (d *Dispatcher) Run(ctx context.Context) {
	var owned sync.WaitGroup
	owned.Go(func() { d.records.Run(ctx) })
	for ctx.Err() == nil {
		if err := d.term(ctx); err != nil && ctx.Err() == nil {
			d.metrics.lapses.Inc()
			d.log.Warn("webhooks are not delivered for a moment", "error", err)
			wait(ctx, time.Second)
		}
	}
	owned.Wait()
	d.sender.Close()
}

func wait(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// term works under one name, until ctx ends or the lease cannot be renewed.
func (d *Dispatcher) term(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	claims := claim.New(d.work, d.deps.Instance, d.config.Lease, time.Now)
	if err := claims.Renew(ctx); err != nil {
		return err
	}
	var owned sync.WaitGroup
	owned.Go(func() { fail(claims.Keep(ctx)) })
	m := &management{
		Dispatcher: d, claims: claims, running: make(map[string]*employment), endpoints: make(map[string]*webhook.Endpoint),
		ended: make(chan string),
	}
	fail(m.run(ctx))
	owned.Wait()
	if err := claims.Leave(context.WithoutCancel(ctx)); err != nil {
		d.log.Debug("the lease of webhooks was not given back", "error", err)
	}
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// management decides which endpoints this instance works for. One goroutine uses it.
type management struct {
	*Dispatcher
	claims    *claim.Claims
	endpoints map[string]*webhook.Endpoint
	running   map[string]*employment
	ended     chan string // endpoint keys
	sessions  sync.WaitGroup
}

// employment is the work for one endpoint.
type employment struct {
	*session
	stop    context.CancelFunc
	err     error // valid after it has ended
	leaving bool  // for another instance
}

func (m *management) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		m.drain()
	}()
	var watches sync.WaitGroup
	defer watches.Wait()
	defer cancel()
	return m.follow(ctx, watch(ctx, &watches, m.Dispatcher.endpoints.KV), watch(ctx, &watches, m.work))
}

// watch returns what a bucket has and gets, nil after what it has, until ctx ends. The channel is closed if it ends earlier.
func watch(ctx context.Context, watches *sync.WaitGroup, bucket jetstream.KeyValue) <-chan jetstream.KeyValueEntry {
	entries := make(chan jetstream.KeyValueEntry)
	watches.Go(func() {
		defer close(entries)
		_ = kv.Watch(ctx, bucket, func(e jetstream.KeyValueEntry) bool {
			select {
			case entries <- e:
				return true
			case <-ctx.Done():
				return false
			}
		}) // why it ended is of no use: it begins anew
	})
	return entries
}

// drain waits for the sessions, which end since their context has.
func (m *management) drain() {
	all := make(chan struct{})
	go func() {
		m.sessions.Wait()
		close(all)
	}()
	for {
		select {
		case <-m.ended:
		case <-all:
			return
		}
	}
}

var errWatch = errors.New("a watch ended")

func (m *management) follow(ctx context.Context, endpoints, work <-chan jetstream.KeyValueEntry) error {
	ticker := time.NewTicker(min(m.config.Lease/8, 500*time.Millisecond))
	defer ticker.Stop()
	report := time.NewTicker(reportPeriod)
	defer report.Stop()
	unread := 2 // of the two watches, those whose initial content has not been read
	for {
		changed := true
		select {
		case <-ctx.Done():
			return nil
		case entry, ok := <-endpoints:
			switch {
			case !ok:
				return errWatch
			case entry == nil:
				unread--
			default:
				m.learn(entry)
			}
		case entry, ok := <-work:
			switch {
			case !ok:
				return errWatch
			case entry == nil:
				unread--
			default:
				changed = false // the next tick will do, but for what is woken
				m.claims.See(entry)
				m.wake(entry)
			}
		case key := <-m.ended:
			m.dismiss(ctx, key)
			changed = false // begun anew with the next tick
		case <-ticker.C:
		case <-report.C:
			m.report(ctx)
			changed = false
		}
		if changed && unread == 0 && ctx.Err() == nil {
			if err := m.arrange(ctx); err != nil && ctx.Err() == nil {
				m.log.Warn("the work for webhooks could not be arranged", "error", err)
			}
		}
	}
}

// wake tells the work for an endpoint that there is something to do.
func (m *management) wake(entry jetstream.KeyValueEntry) {
	key, ok := strings.CutPrefix(entry.Key(), queue.WakePrefix)
	if e := m.running[key]; ok && e != nil && entry.Operation() == jetstream.KeyValuePut {
		e.nudge()
	}
}

// learn takes up what was written of an endpoint.
func (m *management) learn(entry jetstream.KeyValueEntry) {
	e, err := m.Dispatcher.endpoints.Open(entry)
	if err != nil {
		m.log.Error("a webhook endpoint cannot be read", "key", e.Key, "error", err)
		return
	}
	if e.Gone {
		delete(m.endpoints, e.Key)
		return
	}
	m.endpoints[e.Key] = &e.Value
	if running := m.running[e.Key]; running != nil {
		running.adopt(e)
	}
}

// arrange claims, begins and ends work so that each endpoint has one instance, the one that all prefer.
func (m *management) arrange(ctx context.Context) error {
	preference := m.claims.Preference()
	for key, e := range m.running {
		if known := m.endpoints[key]; known == nil || known.Halted() {
			e.stop()
		}
	}
	for key, e := range m.endpoints {
		if e.Halted() {
			continue
		}
		best, me := preference(key)
		if err := m.place(ctx, key, e, best, me); err != nil {
			return err
		}
	}
	for key := range m.claims.Owned() {
		if m.endpoints[key] == nil && m.running[key] == nil && (m.claims.Mine(key) || m.claims.Free(ctx, key)) {
			if err := m.clean(ctx, key); err != nil {
				return err
			}
		}
	}
	m.claims.Bury(ctx)
	return nil
}

func (m *management) place(ctx context.Context, key string, e *webhook.Endpoint, best string, me bool) error {
	running := m.running[key]
	switch {
	case running != nil && !me && m.claims.Settled(best):
		running.leaving = true
		running.stop()
	case running == nil && m.claims.Mine(key):
		m.employ(ctx, key, e)
	case running == nil && me && m.claims.Free(ctx, key):
		won, err := m.claims.Take(ctx, key)
		if err != nil {
			return err
		}
		if won {
			m.employ(ctx, key, e)
		}
	}
	return nil
}

func (m *management) employ(ctx context.Context, key string, e *webhook.Endpoint) {
	ctx, stop := context.WithCancel(ctx)
	work := &employment{session: newSession(m.tools, e), stop: stop}
	m.running[key] = work
	m.sessions.Go(func() {
		defer stop()
		work.err = work.run(ctx)
		m.ended <- key
	})
}

// dismiss settles what ended.
func (m *management) dismiss(ctx context.Context, key string) {
	e := m.running[key]
	delete(m.running, key)
	if e.err != nil {
		m.metrics.restarts.Inc()
		m.log.Warn("the work for a webhook endpoint begins anew", "endpoint", key, "error", e.err)
	}
	if e.leaving {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.config.Lease/4)
		defer cancel()
		if err := m.claims.Release(ctx, key); err != nil {
			m.log.Warn("a webhook endpoint could not be handed over", "endpoint", key, "error", err)
		}
	}
}

// clean removes what is left of a deleted endpoint. Nobody works for it any more.
func (m *management) clean(ctx context.Context, key string) error {
	if project, endpoint, ok := strings.Cut(key, "."); ok {
		if err := queue.Remove(ctx, m.js, ident.ProjectID(project), ident.WebhookID(endpoint)); err != nil {
			return err
		}
	}
	if err := m.work.Purge(ctx, queue.WakePrefix+key); err != nil {
		return fmt.Errorf("forget a webhook endpoint: %w", err)
	}
	return m.claims.Forget(ctx, key)
}
