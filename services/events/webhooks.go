package events

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/patch"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/secret"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/events/internal/webhook"
	"github.com/keyward/keyward/services/events/internal/webhook/dispatch"
	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

// WebhookConfig says what webhook endpoints may be, and how hard they are tried.
type WebhookConfig = webhook.Config

// DefaultWebhookConfig returns the figures for production.
func DefaultWebhookConfig() WebhookConfig { return webhook.DefaultConfig() }

// Audit is told what is done to endpoints, once it is stored; it answers at once. audit.Queue is one.
type Audit interface {
	Add(ctx context.Context, events ...audit.Event)
}

// WebhookDeps is what Webhooks work with. All but Instance, Sealer and Audit are required.
type WebhookDeps struct {
	JetStream jetstream.JetStream
	Accounts  Accounts // payloads tell of a passkey what its account does
	Metrics   prometheus.Registerer
	Clock     func() time.Time
	Log       *slog.Logger
	Sealer    kv.Sealer // nil = endpoints are stored as they are, secrets included
	Audit     Audit     // nil = nobody is told of what is done to endpoints

	// Instance is a name that no other running process has, and that this one had before it was restarted, such as that of a
	// data directory that one process at a time can use: then deliveries go on at once after a crash. Empty = none; then others
	// go on when the lease is over.
	Instance string
}

// Webhooks implements service.Webhooks and delivers events to the endpoints while it runs. It is safe for concurrent use.
type Webhooks struct {
	config     WebhookConfig
	deps       WebhookDeps
	endpoints  kv.Bucket[webhook.Endpoint]
	events     jetstream.Stream
	lists      *queue.Lists
	dispatcher *dispatch.Dispatcher
}

var _ service.Webhooks = (*Webhooks)(nil)

// NewWebhooks returns webhooks on streams and buckets that must exist. Nothing is delivered before Run.
func NewWebhooks(ctx context.Context, config WebhookConfig, deps WebhookDeps) (*Webhooks, error) {
	w := &Webhooks{config: config, deps: deps}
	var err error
	if w.dispatcher, err = dispatch.New(ctx, config, dispatch.Deps{
		JetStream: deps.JetStream,
		Accounts:  deps.Accounts,
		Metrics:   deps.Metrics,
		Now:       deps.Clock,
		Log:       deps.Log,
		Instance:  deps.Instance,
		Sealer:    deps.Sealer,
		Ended: func(ctx context.Context, e *webhook.Endpoint) {
			w.tell(ctx, audit.WebhookEnded, e.Project, e.ID)
		},
	}); err != nil {
		return nil, err
	}
	if w.lists, err = queue.OpenLists(ctx, deps.JetStream); err != nil {
		return nil, err
	}
	bucket, err := kv.Open(ctx, deps.JetStream, bus.WebhooksBucket)
	if err != nil {
		return nil, err
	}
	w.endpoints = webhook.Endpoints(bucket, deps.Sealer, fault.Unknown(webhookField))
	if w.events, err = deps.JetStream.Stream(ctx, bus.EventsStream); err != nil {
		return nil, fmt.Errorf("open stream %s: %w", bus.EventsStream, err)
	}
	return w, nil
}

// Run delivers events until ctx ends. What is under way then is broken off, and delivered again when any instance goes on.
func (w *Webhooks) Run(ctx context.Context) { w.dispatcher.Run(ctx) }

const webhookField = "webhookEndpointID"

// unavailable is the fault for a bus that does not do what it is asked.
func unavailable(err error) error {
	return fault.Unavailable(time.Second, "webhooks cannot be reached at the moment").Because(err)
}

// CreateWebhook implements service.Webhooks. The endpoint gets every event that is appended after the call returned, and may
// get some that were appended while it ran.
func (w *Webhooks) CreateWebhook(ctx context.Context, req service.ForProject[rest.WebhookEndpointCreateReq]) (rest.WebhookEndpoint, error) {
	now := w.deps.Clock()
	e := &webhook.Endpoint{
		ID:        reqctx.Seed(ctx).WebhookID(),
		Project:   req.Project,
		URL:       req.Body.URL,
		Username:  value(req.Body.BasicAuthUsername),
		Password:  webhook.Hidden(value(req.Body.BasicAuthPassword)),
		Headers:   value(req.Body.CustomHeaders),
		Events:    req.Body.SubscribedEvents,
		Secrets:   []webhook.Secret{webhook.NewSecret(now)},
		CreatedMs: now.UnixMilli(),
		UpdatedMs: now.UnixMilli(),
	}
	if faults := w.config.Check(e); len(faults) > 0 {
		return rest.WebhookEndpoint{}, fault.Fields(faults...)
	}
	others, err := w.all(ctx, req.Project)
	if err != nil {
		return rest.WebhookEndpoint{}, err
	}
	for _, made := range others {
		if made.ID == e.ID { // by an earlier attempt of this call
			return createdOnWire(made), nil
		}
	}
	if len(others) >= w.config.PerProject {
		return rest.WebhookEndpoint{}, fault.Field("url", "cannot be added: a project may have %d webhook endpoints", w.config.PerProject)
	}
	info, err := w.events.Info(ctx)
	if err != nil {
		return rest.WebhookEndpoint{}, unavailable(err)
	}
	e.Start = info.State.LastSeq + 1
	// A call that is repeated while it is under way finds what the other made.
	stored, err := w.endpoints.CreateOrChange(ctx, webhook.Key(e.Project, e.ID), *e, func(*webhook.Endpoint) error { return nil })
	if err != nil {
		return rest.WebhookEndpoint{}, err
	}
	w.tell(ctx, audit.WebhookCreated, e.Project, e.ID)
	return createdOnWire(&stored.Value), nil
}

// createdOnWire is the answer to the creation of an endpoint, which alone shows its secret.
func createdOnWire(e *webhook.Endpoint) rest.WebhookEndpoint {
	answer := endpointOnWire(e)
	answer.Secret = new(e.Secrets[0].Value.Reveal())
	return answer
}

// ListWebhooks implements service.Webhooks: oldest first.
func (w *Webhooks) ListWebhooks(ctx context.Context, req service.ForProject[service.Empty]) (rest.WebhookEndpointList, error) {
	all, err := w.all(ctx, req.Project)
	if err != nil {
		return rest.WebhookEndpointList{}, err
	}
	answer := rest.WebhookEndpointList{WebhookEndpoints: make([]rest.WebhookEndpoint, 0, len(all))}
	for _, e := range all {
		answer.WebhookEndpoints = append(answer.WebhookEndpoints, endpointOnWire(e))
	}
	return answer, nil
}

// all returns the endpoints of a project, oldest first.
func (w *Webhooks) all(ctx context.Context, project ident.ProjectID) ([]*webhook.Endpoint, error) {
	if _, err := ident.ParseProjectID(string(project)); err != nil {
		return nil, fault.Field("projectID", "%s", err)
	}
	all := []*webhook.Endpoint{}
	for e, err := range w.endpoints.All(ctx, string(project)+".*") {
		if err != nil {
			return nil, err
		}
		all = append(all, &e.Value)
	}
	slices.SortFunc(all, func(a, b *webhook.Endpoint) int {
		return cmp.Or(cmp.Compare(a.CreatedMs, b.CreatedMs), strings.Compare(string(a.ID), string(b.ID)))
	})
	return all, nil
}

// get returns an endpoint, or the fault that it does not exist.
func (w *Webhooks) get(ctx context.Context, project ident.ProjectID, id ident.WebhookID) (*webhook.Endpoint, error) {
	if err := check(project, id); err != nil {
		return nil, err
	}
	e, err := w.endpoints.Get(ctx, webhook.Key(project, id))
	return &e.Value, err
}

func check(project ident.ProjectID, id ident.WebhookID) error {
	if _, err := ident.ParseProjectID(string(project)); err != nil {
		return fault.Field("projectID", "%s", err)
	}
	if _, err := ident.ParseWebhookID(string(id)); err != nil {
		return fault.Field(webhookField, "%s", err)
	}
	return nil
}

// update changes an endpoint. change may be called several times, if others change the endpoint at the same moment.
func (w *Webhooks) update(
	ctx context.Context, project ident.ProjectID, id ident.WebhookID, change func(*webhook.Endpoint) error,
) (webhook.Endpoint, error) {
	if err := check(project, id); err != nil {
		return webhook.Endpoint{}, err
	}
	changed, err := w.endpoints.Change(ctx, webhook.Key(project, id), func(e *webhook.Endpoint) error {
		e.UpdatedMs, e.GoneMs = w.deps.Clock().UnixMilli(), 0
		return change(e)
	})
	return changed.Value, err
}

// UpdateWebhook implements service.Webhooks. A password of stars, as lists show it, is left as it is.
func (w *Webhooks) UpdateWebhook(ctx context.Context, req service.ForProject[patch.Webhook]) (rest.WebhookEndpoint, error) {
	c := req.Body.Changes
	var names []string
	changed, err := w.update(ctx, req.Project, req.Body.ID, func(e *webhook.Endpoint) error {
		before := *e
		set(&e.URL, c.URL)
		set(&e.Username, c.BasicAuthUsername)
		if c.BasicAuthPassword != nil && *c.BasicAuthPassword != secret.Stars {
			e.Password = webhook.Hidden(*c.BasicAuthPassword)
		}
		set(&e.Headers, c.CustomHeaders)
		set(&e.Events, c.SubscribedEvents)
		if faults := w.config.Check(e); len(faults) > 0 {
			return fault.Fields(faults...)
		}
		names = differing(&before, e)
		return nil
	})
	if err != nil {
		return rest.WebhookEndpoint{}, err
	}
	if len(names) > 0 {
		w.tell(ctx, audit.WebhookUpdated, req.Project, req.Body.ID, names...)
	}
	return endpointOnWire(&changed), nil
}

// differing names the members that are different, as the API calls them.
func differing(before, after *webhook.Endpoint) []string {
	var names []string
	for _, member := range []struct {
		name string
		same bool
	}{
		{"url", before.URL == after.URL},
		{"basicAuthUsername", before.Username == after.Username},
		{"basicAuthPassword", before.Password == after.Password},
		{"customHeaders", maps.Equal(before.Headers, after.Headers)},
		{"subscribedEvents", slices.Equal(before.Events, after.Events)},
	} {
		if !member.same {
			names = append(names, member.name)
		}
	}
	return names
}

// tell says what has been done to an endpoint, and of a change what is different.
func (w *Webhooks) tell(ctx context.Context, what audit.Type, project ident.ProjectID, id ident.WebhookID, changed ...string) {
	if w.deps.Audit != nil {
		w.deps.Audit.Add(ctx, audit.Event{Type: what, Project: project, Webhook: id, Changed: changed})
	}
}

func set[T any](into, from *T) {
	if from != nil {
		*into = *from
	}
}

// DeleteWebhook implements service.Webhooks.
func (w *Webhooks) DeleteWebhook(ctx context.Context, req service.ForProject[ident.WebhookID]) (service.Empty, error) {
	if _, err := w.get(ctx, req.Project, req.Body); err != nil {
		return service.Empty{}, err
	}
	if err := w.endpoints.Delete(ctx, webhook.Key(req.Project, req.Body)); err != nil {
		return service.Empty{}, err
	}
	w.tell(ctx, audit.WebhookDeleted, req.Project, req.Body)
	// Whoever delivers to it hears of that, ends, and removes what its last attempts may still write after this.
	if err := queue.Remove(ctx, w.deps.JetStream, req.Project, req.Body); err != nil {
		return service.Empty{}, unavailable(err)
	}
	return service.Empty{}, nil
}

func endpointOnWire(e *webhook.Endpoint) rest.WebhookEndpoint {
	headers := e.Headers
	if headers == nil {
		headers = map[string]string{}
	}
	return rest.WebhookEndpoint{
		GoneMs:            present(e.GoneMs),
		PausedMs:          present(e.PausedMs),
		ID:                string(e.ID),
		URL:               e.URL,
		BasicAuthUsername: e.Username,
		BasicAuthPassword: e.Password.String(),
		CustomHeaders:     headers,
		SubscribedEvents:  e.Events,
		Created:           account.Timestamp(e.CreatedMs),
		CreatedMs:         e.CreatedMs,
		Updated:           account.Timestamp(e.UpdatedMs),
		UpdatedMs:         e.UpdatedMs,
	}
}
