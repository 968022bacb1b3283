package test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/keyward/keyward/cmd/keyward/app"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/loopbacktest"
)

const (
	project1 = "pro-1"
	secret1  = "corbado1_e2eSecretOfProjectOne0000000001"
	origin   = "http://localhost:8080"
	patience = time.Minute
)

// patientPing keeps a server that is only busy from being taken for one that hangs.
const patientPing = 20 * time.Second

// shape is one way to run Keyward.
type shape struct {
	name  string
	split bool
	redis bool
	parts []string // what each process of a split runs; nil = one service each, callees first

	deployed bool // a split over the NATS server of deploy/, each service with its own user
	outside  bool // what is asked runs as a binary, which the race detector sees nothing of
}

// shapes are all of them, and with the race detector the two that run everything there is to run: all in one process, and several of each
// over the network. The run without it, when it is told -short, leaves these two to the other.
func shapes() []shape {
	all := everyShape()
	switch last := len(all) - 1; {
	case detecting:
		return []shape{all[0], all[last]}
	case testing.Short():
		return all[1:last]
	default:
		return all
	}
}

// left says that the run without the race detector has the shape, also where there are both.
func (s shape) left() bool {
	all := everyShape()
	return s.outside || slices.ContainsFunc(all[1:len(all)-1], func(other shape) bool { return other.name == s.name })
}

func everyShape() []shape {
	return []shape{
		{name: "one process with the embedded cache"},
		{name: "one process with Redis", redis: true},
		{name: "split without Redis", split: true},
		{name: "split with Redis", split: true, redis: true},
		{name: "split in two halves", split: true, redis: true, parts: []string{"events,decision", "ceremony,gateway"}},
		{
			name:  "split with two of each",
			split: true,
			redis: true,
			parts: []string{"events,decision,ceremony", "events,decision,ceremony", "gateway"},
		},
	}
}

// stack is a running Keyward.
type stack struct {
	client
	redis   *redisServer // nil without one
	dataDir string
	apps    []*app.App
	gateway *app.App
	natsURL string
	nats    *deployedNATS // nil = one without permissions
}

func (s shape) start(t *testing.T, change ...func(*settings.Config)) *stack {
	t.Helper()
	return s.startAt(t, nil, change...)
}

// startAt is start with a clock; nil is the machine's clock.
func (s shape) startAt(t *testing.T, now func() time.Time, change ...func(*settings.Config)) *stack {
	t.Helper()
	if !s.left() {
		inside(t)
	}
	st := &stack{dataDir: t.TempDir()}
	if s.redis {
		st.redis = startRedis(t)
	}
	configure := func() settings.Config {
		cfg := settings.DefaultConfig()
		cfg.HTTP.Addr, cfg.HTTP.GRPCAddr, cfg.AdminAddr = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
		cfg.NATS.Addr, cfg.NATS.DataDir = "off", st.dataDir
		cfg.Bootstrap.APISecret = secret1
		// Machines are busy and the race detector is slow; what a policy that takes too long leads to is tested where it can be forced.
		cfg.Decision.EvalTimeout, cfg.Decision.LookupTimeout = 15*time.Second, 15*time.Second
		cfg.Decision.CheckTimeout = 5 * patience
		cfg.Calls.Timeout, cfg.HTTP.RequestTimeout = 45*time.Second, time.Minute
		cfg.NATS.PingInterval, cfg.NATS.StartTimeout = patientPing, 5*patience
		if st.redis != nil {
			cfg.Redis.URL = settings.Secret(st.redis.url())
		}
		for _, c := range change {
			c(&cfg)
		}
		return cfg
	}
	if s.deployed {
		st.nats = startDeployedNATS(t, st.dataDir)
		st.provision(t, configure())
	}
	if !s.split {
		cfg := configure()
		st.gateway = startAppAt(t, cfg, testLog(t), now)
		st.apps = []*app.App{st.gateway}
	} else {
		if st.nats == nil {
			st.natsURL = startNATS(t, st.dataDir)
		}
		parts := s.parts
		if parts == nil {
			parts = []string{"events", "decision", "ceremony", "gateway"}
		}
		for _, names := range parts {
			cfg := configure()
			cfg.NATS.URL = settings.Secret(st.natsURL)
			if st.nats != nil {
				cfg.NATS.URL, cfg.NATS.Provisioned = settings.Secret(st.nats.url(names)), true
			}
			cfg.Services = strings.Split(names, ",")
			a := startAppAt(t, cfg, testLog(t), now)
			st.apps = append(st.apps, a)
			st.gateway = a
		}
	}
	st.client = client{base: "http://" + st.gateway.HTTPAddr(), project: project1, secret: secret1}
	return st
}

// gateways returns a client for each process that runs a gateway.
func (s *stack) gateways() []client {
	var all []client
	for _, a := range s.apps {
		if address := a.HTTPAddr(); address != "" {
			all = append(all, client{base: "http://" + address, project: s.project, secret: s.secret})
		}
	}
	return all
}

// startAppAt starts a process with a log and a clock; nil is the machine's clock.
func startAppAt(t *testing.T, cfg settings.Config, log *slog.Logger, now func() time.Time) *app.App {
	t.Helper()
	a, err := app.Start(t.Context(), cfg, app.Options{Log: log, Out: io.Discard, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := a.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return a
}

// testLog is silent unless KEYWARD_TEST_LOG is set.
func testLog(t *testing.T) *slog.Logger {
	if os.Getenv("KEYWARD_TEST_LOG") == "" {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// startNATS runs a NATS server that stands for an external one.
func startNATS(t *testing.T, dir string) string {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.Addr, cfg.PingInterval = dir, "127.0.0.1:0", patientPing
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	address, err := bus.ServerURL(dir)
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// redisServer is a real redis-server of our own.
type redisServer struct {
	*redis.Client
	port int
	dir  string
	cmd  *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	r := &redisServer{port: loopbacktest.Port(t), dir: t.TempDir()}
	r.Client = redis.NewClient(&redis.Options{Addr: fmt.Sprintf("127.0.0.1:%d", r.port)})
	t.Cleanup(func() {
		_ = r.Client.Close()
		r.stop()
	})
	r.start(t)
	return r
}

func (r *redisServer) url() string { return fmt.Sprintf("redis://127.0.0.1:%d/0", r.port) }

func (r *redisServer) start(t *testing.T) {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	if err != nil {
		t.Fatalf("redis-server is not installed (make test installs it): %v", err)
	}
	r.cmd = exec.Command(path, "--port", fmt.Sprint(r.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", r.dir)
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "redis did not answer", func() bool { return r.Ping(t.Context()).Err() == nil })
}

func (r *redisServer) stop() {
	if r.cmd == nil {
		return
	}
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
	r.cmd = nil
}

// eventually asks until the answer is yes, and fails after a while.
func eventually(t *testing.T, complaint string, holds func() bool) {
	t.Helper()
	within(t, patience, complaint, holds)
}

// within is eventually with a patience of its own.
func within(t *testing.T, patience time.Duration, complaint string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
	}
}

// repoFile reads a file of the repository.
func repoFile(t *testing.T, name string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("..", name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(raw), "\r\n", "\n")
}
