package eventlog_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/cache"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/historycache"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/redistest"
	"github.com/keyward/keyward/core/sighting"
)

func TestMain(m *testing.M) {
	// After it could not reach a server, the client looks for it once a second and only then sees that it has been closed.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
}

const project = ident.ProjectID("pro-1")

// installation is NATS and Redis, with any number of instances on them.
type installation struct {
	t     *testing.T
	bus   *bus.Bus
	redis *cache.Cache
}

func install(t *testing.T) *installation {
	t.Helper()
	config := bus.DefaultConfig()
	config.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), config, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return &installation{t: t, bus: b, redis: double(t)}
}

// double is a Redis of our own.
func double(t *testing.T) *cache.Cache {
	t.Helper()
	config := cache.DefaultConfig()
	config.URL = redistest.Double(t)
	c, err := cache.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// instance is one process of the installation, with a connection to Redis of its own that can be cut.
type instance struct {
	*eventlog.Store
	metrics *prometheus.Registry
	client  *redis.Client
	cut     atomic.Bool
	hung    atomic.Bool
	server  atomic.Pointer[cache.Cache] // the Redis that the address leads to now
	mu      sync.Mutex
	conns   []net.Conn
}

func quick() historycache.Config {
	config := historycache.DefaultConfig()
	config.BreakerPause = 50 * time.Millisecond
	return config
}

func (i *installation) start(config historycache.Config, change ...func(*redis.Options)) *instance {
	i.t.Helper()
	n := &instance{metrics: prometheus.NewRegistry()}
	options := *i.redis.Client.(*redis.Client).Options()
	options.Dialer = n.dial
	for _, c := range change {
		c(&options)
	}
	options.CredentialsProvider = func() (string, string) { return "", n.serving(i).Client.(*redis.Client).Options().Password }
	n.client = redis.NewClient(&options)
	n.client.AddHook(runID{func() string { return n.serving(i).Client.(*redis.Client).Options().Addr }})
	i.t.Cleanup(func() { _ = n.client.Close() })
	epochs, err := i.bus.Bucket(i.t.Context(), bus.EpochsBucket)
	if err != nil {
		i.t.Fatal(err)
	}
	n.Store, err = eventlog.Open(i.t.Context(), eventlog.Deps{
		JetStream: i.bus.JS, Epochs: epochs, Redis: n.client, Metrics: n.metrics, Clock: time.Now, Log: slog.New(slog.DiscardHandler),
	}, config)
	if err != nil {
		i.t.Fatal(err)
	}
	n.Want(sighting.EveryKind)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { n.Run(ctx) })
	i.t.Cleanup(func() { stop(); running.Wait() })
	return n
}

func (n *instance) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	if n.hung.Load() {
		here, _ := net.Pipe() // nobody reads at the other end, or writes
		return here, nil
	}
	if n.cut.Load() {
		return nil, fmt.Errorf("dial %s: cut off", addr)
	}
	if server := n.server.Load(); server != nil {
		addr = server.Client.(*redis.Client).Options().Addr
	}
	conn, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		n.mu.Lock()
		n.conns = append(n.conns, conn)
		n.mu.Unlock()
	}
	return conn, err
}

// serving returns the Redis that the instance reaches.
func (n *instance) serving(i *installation) *cache.Cache {
	if server := n.server.Load(); server != nil {
		return server
	}
	return i.redis
}

// runID lets the double tell a run ID, as a real Redis does.
type runID struct{ of func() string }

func (r runID) DialHook(next redis.DialHook) redis.DialHook { return next }

func (r runID) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		if info, ok := cmd.(*redis.StringCmd); ok && cmd.Name() == "info" && err == nil {
			info.SetVal("# Server\r\nrun_id:" + r.of() + "\r\n")
		}
		return err
	}
}

func (r runID) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

// cutOff ends the instance's way to Redis; the others keep theirs.
func (n *instance) cutOff() {
	n.cut.Store(true)
	n.disconnect()
}

// hang lets Redis take whatever the instance sends, and never answer.
func (n *instance) hang() {
	n.hung.Store(true)
	n.disconnect()
}

func (n *instance) disconnect() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range n.conns {
		_ = conn.Close()
	}
	n.conns = nil
}

// reads returns how often reads ended in each way.
func (n *instance) reads(t *testing.T) map[string]int {
	t.Helper()
	families, err := n.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	reads := map[string]int{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name = label.GetValue()
			}
			reads[name] = int(metric.GetCounter().GetValue())
		}
	}
	return reads
}

func failure(user ident.UserID) event.Event {
	return event.Event{
		ID: ident.NewEventID(), Project: project, User: user, Type: event.LoginError, CreatedMs: 1_764_000_000_000,
		Environment: "env-1",
	}
}

func mustAppend(t *testing.T, n *instance, e event.Event) {
	t.Helper()
	if receipt, err := n.Append(t.Context(), e); err != nil || receipt.Duplicate {
		t.Fatalf("append: %+v, %v", receipt, err)
	}
}

func ids(events []event.Event) []ident.EventID {
	out := []ident.EventID{}
	for _, e := range event.NewSet(events).Live() {
		out = append(out, e.ID)
	}
	slices.Sort(out)
	return out
}

func expect(t *testing.T, n *instance, user ident.UserID, want ...event.Event) {
	t.Helper()
	got, err := n.Events(t.Context(), project, user)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(ids(want), ids(got)); diff != "" {
		t.Fatal(diff)
	}
}

// disturb empties Redis in every flush'th round and cuts n off from it in every cut'th, until end is called. Between rounds it waits for
// less than pace milliseconds.
func (i *installation) disturb(n *instance, pace, cut, flush int) (end func()) {
	var work sync.WaitGroup
	stop := make(chan struct{})
	work.Go(func() {
		for k := 0; ; k++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(k%pace) * time.Millisecond):
			}
			if k%cut == 0 {
				n.cutOff()
			} else {
				n.cut.Store(false)
			}
			if k%flush == 0 {
				_ = i.redis.Client.FlushAll(context.Background()).Err()
			}
		}
	})
	return func() {
		close(stop)
		work.Wait()
	}
}
