// Package decision judges: it detects facts, asks the Rego policy about them and records what it answered. A decision is a function of the question, the user's
// events, the policy revision and the moment.
//
// The service reads events through the reader it is given, reads policy files if it is told a directory, and publishes records to the decision stream. It
// always answers: what cannot be found out, a policy that fails and a policy that takes too long all lead to the safe default, which offers nothing.
package decision

import (
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
)

// Config says where the policy is and what the service may spend. The zero value is the embedded policy with the defaults.
type Config struct {
	PoliciesDir  string        // directory of the bundle, watched for changes; empty = the bundle in the binary
	EvalTimeout  time.Duration // most that one policy evaluation may take; default 50 ms
	RecordQueue  int           // decisions that may wait to be recorded; more are lost and counted; default 8192
	DrainTimeout time.Duration // most that recording may take after shutdown has begun; default 5 s
	Debounce     time.Duration // quiet time after a change of a policy file before the bundle is loaded; default 150 ms
}

// withDefaults fills what is not set.
func (c Config) withDefaults() Config {
	fill := func(d *time.Duration, otherwise time.Duration) {
		if *d <= 0 {
			*d = otherwise
		}
	}
	fill(&c.EvalTimeout, 50*time.Millisecond)
	fill(&c.DrainTimeout, 5*time.Second)
	fill(&c.Debounce, 150*time.Millisecond)
	if c.RecordQueue <= 0 {
		c.RecordQueue = 8192
	}
	return c
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
	s := &Service{cfg: cfg.withDefaults(), deps: deps, source: policies.Bundle}
	if s.cfg.PoliciesDir != "" {
		s.source = os.DirFS(s.cfg.PoliciesDir)
	}
	s.metrics = newMetrics(deps.Registry)
	s.records = newRecorder(s.cfg, deps.JS, s.metrics)
	loaded, err := loadPolicy(context.Background(), s.source, s.cfg.EvalTimeout, deps.Now())
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
