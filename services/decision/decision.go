// Package decision judges: it detects facts, asks the Rego policy about them and records what it answered. A decision is a function of the question, the user's
// events, the policy revision and the moment.
//
// The service reads events through the reader it is given, reads policy files if it is told a directory, and publishes records to the decision stream. It
// always answers: what cannot be found out, a policy that fails and a policy that takes too long all lead to the safe default, which offers nothing.
package decision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// Config says where the policy is and what the service may spend. A limit that is zero takes its default; only MemoEntries means what it says.
type Config struct {
	PoliciesDir  string        // directory of the bundle, watched for changes; empty = the bundle in the binary
	EvalTimeout  time.Duration // most that one policy evaluation may take; default 50 ms
	MemoEntries  int           // answers of the policy that are remembered, about 1 kB each; 0 = none, every decision evaluates the rules
	RecordQueue  int           // decisions that may wait to be recorded; more are lost and counted; default 8192
	DrainTimeout time.Duration // most that recording may take after shutdown has begun; default 5 s
	Debounce     time.Duration // quiet time after a change of a policy file before the bundle is loaded; default 150 ms
}

// DefaultConfig returns the embedded policy with the defaults.
func DefaultConfig() Config {
	return Config{
		EvalTimeout: engine.DefaultEvalTimeout, MemoEntries: 10_000, RecordQueue: 8192, DrainTimeout: 5 * time.Second, Debounce: 150 * time.Millisecond,
	}
}

// withDefaults fills what is not set.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.EvalTimeout, c.DrainTimeout, c.Debounce = cmp.Or(c.EvalTimeout, d.EvalTimeout), cmp.Or(c.DrainTimeout, d.DrainTimeout), cmp.Or(c.Debounce, d.Debounce)
	c.RecordQueue = cmp.Or(c.RecordQueue, d.RecordQueue)
	return c
}

// Validate reports every setting that cannot work, one a line.
func (c Config) Validate() error {
	var errs []error
	if c.EvalTimeout <= 0 {
		errs = append(errs, errors.New("policy_timeout: must be above 0"))
	}
	if c.MemoEntries < 0 {
		errs = append(errs, errors.New("policy_memo: must be at least 0"))
	}
	if c.RecordQueue < 1 {
		errs = append(errs, errors.New("decisions_queue: must be at least 1"))
	}
	return errors.Join(errs...)
}

// Deps are what the service needs of others. All are required.
type Deps struct {
	Events   service.EventReader
	JS       jetstream.JetStream
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Service is the decision service. Its methods may be called at once; the slices in its answers must not be changed.
type Service struct {
	cfg     Config
	deps    Deps
	source  fs.FS
	metrics *metrics
	records *recorder
	archive *archive.Archive

	active  atomic.Pointer[policy]
	refused atomic.Pointer[refusal]
	loading sync.Mutex // one load at a time
}

var _ service.Decision = (*Service)(nil)

// New loads the policy and returns a service that answers. An error says why the policy was refused, with file and line. Decisions are recorded, and changed
// policy files noticed, only while Run runs.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Events == nil || deps.JS == nil || deps.Now == nil || deps.Log == nil || deps.Registry == nil {
		return nil, errors.New("decision: a dependency is missing")
	}
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("decision: %w", err)
	}
	s := &Service{cfg: cfg, deps: deps, source: policies.Bundle}
	if s.cfg.PoliciesDir != "" {
		s.source = os.DirFS(s.cfg.PoliciesDir)
	}
	s.metrics = newMetrics(deps.Registry, func() float64 {
		if active := s.active.Load(); active != nil {
			return float64(active.MemoLen())
		}
		return 0
	})
	s.records = newRecorder(s.cfg, deps.JS, s.metrics)
	s.archive = archive.New(deps.JS, deps.Log, deps.Registry)
	loaded, err := s.load(context.Background())
	if err != nil {
		return nil, fmt.Errorf("load policy from %s: %w", s.origin(), err)
	}
	s.activate(loaded)
	return s, nil
}

// Run records decisions and watches the policy files until ctx ends; then it records what is still waiting, within the drain timeout. It returns an error only if
// it could not start to watch.
func (s *Service) Run(ctx context.Context) error {
	var owned sync.WaitGroup
	recording, stopRecording := context.WithCancel(context.WithoutCancel(ctx))
	owned.Go(func() { s.records.run(recording) })
	owned.Go(func() { s.archive.Run(recording) })
	defer owned.Wait()
	defer stopRecording()
	if s.cfg.PoliciesDir == "" {
		<-ctx.Done()
		return nil
	}
	return s.watch(ctx)
}

func (s *Service) origin() string {
	if s.cfg.PoliciesDir == "" {
		return "the binary"
	}
	return s.cfg.PoliciesDir
}
