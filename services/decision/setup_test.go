package decision_test

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision"
)

// Storing an object may leave this goroutine of the client behind.
const forgotten = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(forgotten)) }

// fakeEvents answers every read with the same history.
type fakeEvents struct {
	events, offers []event.Event
	err            error
}

func (f fakeEvents) Read(context.Context, ident.ProjectID, ident.UserID, string) (event.Reading, error) {
	return event.Reading{Events: event.NewSet(f.events)}, f.err
}

func (f fakeEvents) Offers(context.Context, ident.ProjectID, ident.UserID, ...string) ([]event.Event, error) {
	return f.offers, f.err
}

// noStream stands in where nobody looks at what is published.
type noStream struct{ jetstream.JetStream }

func (noStream) PublishMsgAsync(*nats.Msg, ...jetstream.PublishOpt) (jetstream.PubAckFuture, error) {
	return nil, jetstream.ErrNoStreamResponse
}

func (noStream) ObjectStore(context.Context, string) (jetstream.ObjectStore, error) {
	return nil, jetstream.ErrBucketNotFound
}

func (noStream) Stream(context.Context, string) (jetstream.Stream, error) {
	return nil, jetstream.ErrStreamNotFound
}

type serviceOptions struct {
	dir      string
	events   fakeEvents
	now      time.Time
	js       jetstream.JetStream
	registry *prometheus.Registry
	log      *slog.Logger
	cfg      decision.Config
	noMemo   bool
	admit    func(context.Context, []byte) error
	metadata *metadata.Keeper
}

// deps are those of the options, and what stands in where there are none.
func deps(o serviceOptions) decision.Deps {
	if o.js == nil {
		o.js = noStream{}
	}
	if o.registry == nil {
		o.registry = prometheus.NewRegistry()
	}
	if o.log == nil {
		o.log = slog.New(slog.DiscardHandler)
	}
	now := func() time.Time { return o.now }
	if o.now.IsZero() {
		now = time.Now
	}
	return decision.Deps{Events: o.events, JS: o.js, Now: now, Log: o.log, Registry: o.registry, Admit: o.admit, Metadata: o.metadata}
}

func newService(t testing.TB, o serviceOptions) *decision.Service {
	t.Helper()
	o.cfg.PoliciesDir = o.dir
	if !o.noMemo && o.cfg.MemoEntries == 0 {
		o.cfg.MemoEntries = decision.DefaultConfig().MemoEntries
	}
	// Tests share the processor with others and with the race detector; what is slow then is not the policy.
	o.cfg.EvalTimeout = cmp.Or(o.cfg.EvalTimeout, time.Minute)
	o.cfg.CheckTimeout = cmp.Or(o.cfg.CheckTimeout, 10*time.Minute)
	svc, err := decision.New(o.cfg, deps(o))
	if err != nil {
		t.Fatal(err)
	}
	return svc
}

// policyDir returns a directory with a copy of the embedded bundle, without its tests.
func policyDir(t testing.TB) string {
	t.Helper()
	return policiestest.Dir(t, policiestest.Files(t))
}

func writeFile(dir, name string, content []byte) error {
	target := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return err
	}
	return os.WriteFile(target, content, 0o600)
}

// override sets parameters of the bundle in dir that it has.
func override(t testing.TB, dir string, parameters map[string]any) {
	t.Helper()
	name := filepath.Join(dir, "data.json")
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var data map[string]map[string]map[string]any
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	for key, value := range parameters {
		if _, known := data["keyward"]["parameters"][key]; !known {
			t.Fatalf("the bundle has no parameter %s", key)
		}
		data["keyward"]["parameters"][key] = value
	}
	if raw, err = json.Marshal(data); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// setRisk has the policy of the bundle in dir bind, with figures of risk that it has, and the label admin.
func setRisk(t testing.TB, dir string, figures map[string]any) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, "data.json"))
	if err != nil {
		t.Fatal(err)
	}
	var data struct {
		Keyward struct {
			Parameters struct {
				Risk map[string]any `json:"risk"`
			} `json:"parameters"`
		} `json:"keyward"`
	}
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	all := data.Keyward.Parameters.Risk
	all["mode"] = "enforce"
	maps.Copy(all, figures)
	override(t, dir, map[string]any{"risk": all, "labels": []string{"admin"}})
}
