package subscribe_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	stored "github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/sdk/audit"
	"github.com/keyward/keyward/sdk/subscribe"
)

// A service that hands security events to a SIEM: each reaches it at least once.
func ExampleOpenAudit() {
	address, stop := keyward()
	defer stop()
	conn, err := nats.Connect(address, nats.MaxReconnects(-1))
	if err != nil {
		panic(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		panic(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	tell := stored.NewRecorder(js, stored.Actor{Kind: stored.Command, Name: "keyward project rotate-secret"}, time.Now)
	if err := tell.Record(ctx, stored.Event{Type: stored.SecretRotated, Project: "pro-1"}); err != nil {
		panic(err)
	}

	events, err := subscribe.OpenAudit(ctx, js, subscribe.AuditConfig{Name: "siem", Since: subscribe.Beginning})
	if err != nil {
		panic(err)
	}
	err = events.Run(ctx, func(_ context.Context, e subscribe.AuditEvent) error {
		fmt.Println(e.Type == audit.SecretRotated, e.Project, e.Actor.Name)
		cancel() // the end of this example
		return nil
	})
	fmt.Println("stopped:", err)
	// Output:
	// true pro-1 keyward project rotate-secret
	// stopped: <nil>
}

func TestTheClientsSecurityEventsAreThoseOfTheContract(t *testing.T) {
	t.Parallel()
	base := readSchema(t, "events/base/audit.json")
	carried := maps.Clone(base.Properties)
	var types, known []string
	for _, kind := range stored.Types() {
		types = append(types, string(kind))
		maps.Copy(carried, readSchema(t, "events/audit-"+string(kind)+".json").Properties)
	}
	for _, kind := range audit.Types() {
		known = append(known, string(kind))
	}
	for what, pair := range map[string][2][]string{
		"types":     {types, known},
		"events":    {keys(carried), members[audit.Event]()},
		"actors":    {keys(base.Defs["actor"].Properties), members[audit.Actor]()},
		"kinds":     {base.Defs["actor"].Properties["kind"].Enum, {string(audit.Command), string(audit.Service), string(audit.Operator)}},
		"keys":      {keys(base.Defs["key"].Properties), members[audit.Key]()},
		"operators": {keys(base.Defs["operator"].Properties), members[audit.OperatorAccount]()},
		"issuers":   {keys(base.Defs["issuer"].Properties), members[audit.Issuer]()},
		"policies":  {keys(base.Defs["policy"].Properties), members[audit.Policy]()},
	} {
		if diff := cmp.Diff(pair[0], pair[1]); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

func TestSecurityEventsComeTypedAsTheConsumerFiltersThemAndAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	h := start(t)
	tell := stored.NewRecorder(h.bus.JS, stored.Actor{Kind: stored.Service, Name: "events"}, time.Now)
	told := []stored.Event{
		{Type: stored.WebhookUpdated, Project: "pro-1", Webhook: "whe-1", Changed: []string{"url"}},
		{Type: stored.LimitHit, Limit: "rate_limit_address", Count: 3, FromMs: 1, ToMs: 2},
		{Type: stored.KeyCreated, Project: "pro-2", Key: &stored.Key{ID: "abc", Name: "reader", Permissions: []string{"users:read"}}},
	}
	if err := tell.Record(t.Context(), told...); err != nil {
		t.Fatal(err)
	}
	made, err := h.bus.JS.CreateConsumer(t.Context(), subscribe.AuditStream, jetstream.ConsumerConfig{
		Durable: "auditor", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	all := []audit.Type{audit.WebhookUpdated, audit.LimitHit, audit.KeyCreated}
	for name, c := range map[string]struct {
		cfg  subscribe.AuditConfig
		want []audit.Type
	}{
		"all":                      {subscribe.AuditConfig{Name: "all", Since: subscribe.Beginning}, all},
		"of a project":             {subscribe.AuditConfig{Name: "project", Since: subscribe.Beginning, Project: "pro-2"}, all[2:]},
		"of a type":                {subscribe.AuditConfig{Name: "type", Since: subscribe.Beginning, Types: all[1:2]}, all[1:2]},
		"by a consumer of another": {subscribe.AuditConfig{Name: "auditor", Made: true}, all},
	} {
		c.cfg.MinBackoff = time.Millisecond
		s, err := subscribe.OpenAudit(t.Context(), h.bus.JS, c.cfg)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var mu sync.Mutex
		var got []subscribe.AuditEvent
		failed := false
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() {
			ended <- s.Run(ctx, func(_ context.Context, e subscribe.AuditEvent) error {
				mu.Lock()
				defer mu.Unlock()
				if !failed {
					failed = true
					return errors.New("not now")
				}
				got = append(got, e)
				return nil
			})
		}()
		h.eventually(name+": not all came", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(got) == len(c.want)
		})
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s: %v", name, err)
		}
		slices.SortFunc(got, func(a, b subscribe.AuditEvent) int { return int(a.Sequence) - int(b.Sequence) })
		for i, e := range got {
			same := told[slices.IndexFunc(told, func(x stored.Event) bool { return string(x.Type) == string(e.Type) })]
			if e.Type != c.want[i] || string(e.Project) != string(same.Project) || e.Actor.Name != "events" || e.Webhook != string(same.Webhook) ||
				e.Limit != same.Limit || e.Count != same.Count || (e.Key == nil) != (same.Key == nil) || e.ID == "" {
				t.Errorf("%s: %+v", name, e)
			}
		}
	}
	if info, err := made.Info(t.Context()); err != nil || info.AckFloor.Stream != uint64(len(told)) {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := subscribe.OpenAudit(t.Context(), h.bus.JS, subscribe.AuditConfig{Name: "nobody", Made: true}); !errors.Is(
		err, jetstream.ErrConsumerNotFound,
	) {
		t.Errorf("a consumer that nobody has made: %v", err)
	}
}
