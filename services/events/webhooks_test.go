package events_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/events"
)

// hooks is an installation with webhooks that may be restarted.
type hooks struct {
	t      testing.TB
	dir    string
	bus    *bus.Bus
	config events.WebhookConfig
	told   told
}

func quickHooks() events.WebhookConfig {
	c := events.DefaultWebhookConfig()
	c.AllowHTTP, c.AllowPrivate = true, true
	c.RetryMin, c.RetryMax = time.Millisecond, 20*time.Millisecond
	c.Lease = time.Second
	return c
}

// told keeps what has been told of what was done to endpoints.
type told struct {
	mu     sync.Mutex
	events []audit.Event
}

func (t *told) Add(_ context.Context, events ...audit.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, events...)
}

// count returns how often something was told.
func (t *told) count(what audit.Event) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, e := range t.events {
		if cmp.Equal(e, what) {
			n++
		}
	}
	return n
}

func newHooks(t testing.TB, config events.WebhookConfig) *hooks {
	t.Helper()
	h := &hooks{t: t, config: config, dir: t.TempDir()}
	h.open()
	t.Cleanup(func() { h.bus.Close() })
	return h
}

func (h *hooks) open() {
	h.t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = h.dir, time.Minute
	var err error
	if h.bus, err = bus.Open(h.t.Context(), cfg, slog.New(slog.DiscardHandler)); err != nil {
		h.t.Fatal(err)
	}
}

// reopen ends the bus and opens it again on the same data.
func (h *hooks) reopen() {
	h.bus.Close()
	h.open()
}

// dispatcher is one running instance of webhooks.
type dispatcher struct {
	*events.Webhooks
	t       testing.TB
	metrics *prometheus.Registry
	stop    func()
}

func (h *hooks) start(instance string) *dispatcher {
	h.t.Helper()
	kv, err := h.bus.Bucket(h.t.Context(), bus.AccountsBucket)
	if err != nil {
		h.t.Fatal(err)
	}
	d := &dispatcher{t: h.t, metrics: prometheus.NewRegistry()}
	d.Webhooks, err = events.NewWebhooks(h.t.Context(), h.config, events.WebhookDeps{
		JetStream: h.bus.JS,
		Accounts:  account.NewStore(kv),
		Metrics:   d.metrics,
		Clock:     time.Now,
		Log:       slog.New(slog.NewTextHandler(h.t.Output(), nil)),
		Instance:  instance,
		Audit:     &h.told,
	})
	if err != nil {
		h.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		d.Run(ctx)
	}()
	d.stop = sync.OnceFunc(func() { cancel(); <-ended })
	h.t.Cleanup(d.stop)
	return d
}

func (d *dispatcher) create(url string, subscribed ...string) rest.WebhookEndpoint {
	d.t.Helper()
	if len(subscribed) == 0 {
		subscribed = []string{"*"}
	}
	e, err := d.CreateWebhook(
		d.t.Context(),
		service.ForProject[rest.WebhookEndpointCreateReq]{
			Project: project, Body: rest.WebhookEndpointCreateReq{URL: url, SubscribedEvents: subscribed},
		},
	)
	if err != nil {
		d.t.Fatal(err)
	}
	return e
}

// publish appends an event to the log.
func (h *hooks) publish(user ident.UserID, t event.Type) event.Event {
	h.t.Helper()
	e := event.Event{ID: ident.NewEventID(), Project: project, User: user, Type: t, CreatedMs: time.Now().UnixMilli()}
	h.append(e)
	return e
}

func (h *hooks) append(e event.Event) {
	h.t.Helper()
	raw, err := json.Marshal(e)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.bus.JS.Publish(h.t.Context(), fmt.Sprintf("%s.%s.%s.%s", bus.EventsPrefix, e.Project, e.User, e.Type), raw); err != nil {
		h.t.Fatal(err)
	}
}

// delivery is what a receiver got.
type delivery struct {
	header http.Header
	body   []byte
	Type   string `json:"type"`
	Data   struct {
		UserID  ident.UserID  `json:"userID"`
		EventID ident.EventID `json:"eventID"`
	} `json:"data"`
}

// receiver is an endpoint that notes what it got, in the order in which it answered 2xx.
type receiver struct {
	*httptest.Server
	t      testing.TB
	mu     sync.Mutex
	got    []delivery
	answer func(http.ResponseWriter, *http.Request, delivery) bool // whether it took the event
	after  func(http.ResponseWriter)                               // what is answered when the event has been noted, if not nil
	change chan struct{}
}

func receive(t testing.TB, answer func(http.ResponseWriter, *http.Request, delivery) bool) *receiver {
	r := &receiver{t: t, answer: answer, change: make(chan struct{}, 1)}
	r.Server = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	raw, err := io.ReadAll(req.Body)
	if err != nil {
		return
	}
	d := delivery{header: req.Header, body: raw}
	if err := json.Unmarshal(raw, &d); err != nil {
		r.t.Errorf("a body that is no JSON: %v", err)
	}
	if r.answer != nil && !r.answer(w, req, d) {
		return
	}
	r.mu.Lock()
	r.got = append(r.got, d)
	r.mu.Unlock()
	select {
	case r.change <- struct{}{}:
	default:
	}
	if r.after != nil {
		r.after(w)
	}
}

// until waits for a condition on what was taken.
func (r *receiver) until(what string, holds func(got []delivery) bool) []delivery {
	r.t.Helper()
	deadline := time.After(time.Minute)
	for {
		r.mu.Lock()
		got := append([]delivery(nil), r.got...)
		r.mu.Unlock()
		if holds(got) {
			return got
		}
		select {
		case <-r.change:
		case <-deadline:
			r.t.Fatalf("%s: waited in vain, with %d deliveries", what, len(got))
		}
	}
}

func (r *receiver) atLeast(n int) []delivery {
	r.t.Helper()
	return r.until(fmt.Sprintf("%d deliveries", n), func(got []delivery) bool { return len(got) >= n })
}

func TestAnEventAppendedAfterTheCallIsDelivered(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	h.publish("usr-1", event.LoginCompleted)
	d := h.start("one")
	r := receive(t, nil)
	d.create(r.URL)
	want := h.publish("usr-1", event.LoginCompleted)
	got := r.atLeast(1)
	if got[0].Data.EventID != want.ID || got[0].Type != "passkey-login.completed" {
		t.Errorf("got %s", got[0].body)
	}
}
