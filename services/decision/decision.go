// Package decision judges: it detects facts, asks the Rego policy about them and records what it answered. A decision is a function of the
// question, the user's events, the policy revision and the moment.
//
// The service reads events through the reader it is given, reads policy files if it is told a directory, and publishes records to the
// decision stream. It always answers: what cannot be found out, a policy that fails and a policy that takes too long all lead to the safe
// default, which offers nothing.
package decision

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/metadata"
	"github.com/keyward/keyward/core/patience"
	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/authenticators"
	"github.com/keyward/keyward/services/decision/internal/control"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/download"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/metrics"
	"github.com/keyward/keyward/services/decision/internal/outside"
	"github.com/keyward/keyward/services/decision/internal/record"
	"github.com/keyward/keyward/services/decision/internal/release"
	"github.com/keyward/keyward/services/decision/internal/shadow"
	"github.com/keyward/keyward/services/decision/internal/signature"
)

// Config says where the policy is and what the service may spend. A limit that is zero takes its default; only MemoEntries means what it
// says.
type Config struct {
	// Of models of authenticators
	Metadata authenticators.Config

	PoliciesDir   string           // directory of the bundle, watched for changes; empty = the bundle in the binary
	Source        download.Config  // who serves the policy, in place of the directory and the store
	Signatures    signature.Config // who has to have signed a policy that is not the binary's
	Files         outside.Config   // of the operator, beside the policy; looked at as often as Poll says
	LookupTimeout time.Duration    // most that reading what has happened to the user may take; default 1 s
	EvalTimeout   time.Duration    // most that one policy evaluation may take; default 50 ms
	MemoEntries   int              // answers of the policy that are remembered, about 1 kB each; 0 = none, every decision evaluates the rules
	RecordQueue   int              // decisions that may wait to be recorded; more are lost and counted; default 8192
	DrainTimeout  time.Duration    // most that recording may take after shutdown has begun; default 5 s
	Debounce      time.Duration    // quiet time after a change of a policy file before the bundle is loaded; default 150 ms
	Poll          time.Duration    // how often the files are compared with what answers, since not every change sends a notice; default 2 s
	CheckTimeout  time.Duration    // most that checking a bundle may take, all its tests included; default 30 s
	RetryLongest  time.Duration    // longest wait before files are checked again whose check ran out of time or memory; default 5 min
	CheckMemory   int64            // most memory of the process that checks a bundle, in bytes; default 512 MiB; see Deps.Admit
	Store         bool             // whether the policy is what is live in the store, unless it is in a directory; and the store is told
	MaxAge        time.Duration    // how long what answers may be another revision than what is live in the store; 0 = for ever
	Version       string           // of the program; revisions that another one has checked are checked again
}

// DefaultConfig returns the embedded policy with the defaults.
func DefaultConfig() Config {
	return Config{
		LookupTimeout: time.Second, EvalTimeout: engine.DefaultEvalTimeout, MemoEntries: 10_000, RecordQueue: 8192, DrainTimeout: 5 * time.Second,
		Debounce: 150 * time.Millisecond, Poll: 2 * time.Second, CheckTimeout: 30 * time.Second, CheckMemory: 512 << 20,
		RetryLongest: 5 * time.Minute, MaxAge: time.Hour, Files: outside.Config{MaxAge: outside.DefaultMaxAge},
		Metadata: authenticators.DefaultConfig(), Signatures: signature.Config{Required: 1},
		Source: download.DefaultConfig(),
	}
}

// withDefaults fills what is not set.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.EvalTimeout, c.DrainTimeout, c.Debounce = cmp.Or(
		c.EvalTimeout, d.EvalTimeout,
	), cmp.Or(
		c.DrainTimeout, d.DrainTimeout,
	), cmp.Or(
		c.Debounce, d.Debounce,
	)
	c.LookupTimeout = cmp.Or(c.LookupTimeout, d.LookupTimeout)
	c.RecordQueue, c.Poll = cmp.Or(c.RecordQueue, d.RecordQueue), cmp.Or(c.Poll, d.Poll)
	c.RetryLongest = cmp.Or(c.RetryLongest, d.RetryLongest)
	c.CheckTimeout, c.CheckMemory = cmp.Or(c.CheckTimeout, d.CheckTimeout), cmp.Or(c.CheckMemory, d.CheckMemory)
	return c
}

// Validate reports every setting that cannot work, one a line.
func (c Config) Validate() error {
	var errs []error
	if c.Files.MaxAge < 0 {
		errs = append(errs, errors.New("geo_max_age: must not be negative"))
	}
	errs = append(errs, c.Metadata.Validate(), c.Signatures.Validate(), c.Source.Validate(c.Signatures.Binds()))
	if c.Source.URL != "" && c.PoliciesDir != "" {
		errs = append(errs, errors.New("policy_source: goes without policies, which is another source"))
	}
	if c.LookupTimeout <= 0 {
		errs = append(errs, errors.New("lookup_timeout: must be above 0"))
	}
	if c.EvalTimeout <= 0 {
		errs = append(errs, errors.New("policy_timeout: must be above 0"))
	}
	if c.MemoEntries < 0 {
		errs = append(errs, errors.New("policy_memo: must be at least 0"))
	}
	if c.RecordQueue < 1 {
		errs = append(errs, errors.New("decisions_queue: must be at least 1"))
	}
	if c.Poll < 0 {
		errs = append(errs, errors.New("policy_poll: must be above 0"))
	}
	if c.CheckTimeout < time.Second {
		errs = append(errs, errors.New("policy_check_timeout: must be at least 1s"))
	}
	if c.RetryLongest < time.Second {
		errs = append(errs, errors.New("policy_retry_longest: must be at least 1s"))
	}
	if c.MaxAge != 0 && c.MaxAge < time.Minute {
		errs = append(errs, errors.New("policy_max_age: must be at least 1m, or 0s for ever"))
	}
	if c.CheckMemory < leastMemory {
		errs = append(errs, errors.New("policy_check_memory: must be at least 256MiB; the check of the default bundle takes about 160MiB"))
	}
	return errors.Join(errs...)
}

// leastMemory is what the check of the default bundle runs in, with room for rules of one's own.
const leastMemory = 256 << 20

// Audit is told of what becomes of policies, and does not make anybody wait. audit.Queue is one.
type Audit interface {
	Add(ctx context.Context, events ...audit.Event)
}

// Sightings is what is counted of events, and read in the round trip in which a user's history is. eventlog.Store is one.
type Sightings interface {
	// ReadWith reads a user's history as EventReader does, and sets of sightings; of no user those alone.
	ReadWith(
		ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string, sets []sighting.Key,
	) (sighting.Reading, error)
	// SeeUnknown is told of a login that was asked for with a name that is no user's, and does not wait.
	SeeUnknown(e event.Event)
	// Want is told of which kinds sets will be read from now on: others need not be kept.
	Want(kinds sighting.Kinds)
}

// Deps are what the service needs of others. All but Sightings, Metadata, Audit, Addresses and Admit are required.
type Deps struct {
	Events service.EventReader
	// Nil = nothing is counted, and counters say so
	Sightings Sightings
	Metadata  *metadata.Keeper // nil = nothing is known of models of authenticators
	JS        jetstream.JetStream
	Now       func() time.Time
	Log       *slog.Logger
	Registry  prometheus.Registerer
	Audit     Audit        // nil = nobody is told
	Addresses address.Form // how much of clients' addresses records keep

	// Admit checks a packed bundle (see package admit) away from this process, which a rule could end or keep busy, and returns why it is
	// refused. Without it bundles are checked within the process.
	Admit func(ctx context.Context, packed []byte) error
}

// Service is the decision service. Its methods may be called at once; the slices in its answers must not be changed.
type Service struct {
	cfg       Config
	deps      Deps
	source    fs.FS
	metrics   *metrics.Metrics
	records   *record.Recorder
	outside   *outside.Sources
	board     *control.Board // nil = there is no store
	revisions revisions
	fetched   *authenticators.Source // nil = metadata comes from nowhere
	archive   *archive.Archive
	follower  *release.Follower  // nil = there is no store
	upstream  upstream           // what the policy is followed from; nil = files
	lookups   *patience.Patience // with what users' events are read from

	course *course.Course
	shadow *shadow.Shadow

	active  atomic.Pointer[course.Policy]
	refused atomic.Pointer[refusal]
	loading sync.Mutex // one load at a time; guards seen
	seen    string     // the hash of the files that were judged last; empty if they could not be
}

var _ service.Decision = (*Service)(nil)

// New loads the policy and returns a service that answers: with the files of the directory, or, if they are refused, with the revision that
// answered last, as the archive has it. An error says why the policy was refused, with file and line, and that there is no other. Decisions
// are recorded, and changed policy files noticed, only while Run runs.
func New(cfg Config, deps Deps) (*Service, error) {
	if deps.Events == nil || deps.JS == nil || deps.Now == nil || deps.Log == nil || deps.Registry == nil {
		return nil, errors.New("decision: a dependency is missing")
	}
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("decision: %w", err)
	}
	s := &Service{
		cfg: cfg, deps: deps, source: policies.Bundle, lookups: patience.New(cfg.LookupTimeout),
		course: course.New(deps.Now),
	}
	s.shadow = shadow.New(s.sets)
	if s.cfg.PoliciesDir != "" {
		s.source = plainfile.Dir(s.cfg.PoliciesDir)
	}
	s.metrics = metrics.New(deps.Registry, func() float64 {
		if active := s.active.Load(); active != nil {
			return float64(active.MemoLen())
		}
		return 0
	})
	s.records = record.NewRecorder(cfg.RecordQueue, cfg.DrainTimeout, deps.JS, s.metrics)
	s.archive = archive.New(deps.JS, deps.Log, deps.Registry)
	s.outside = outside.New(cfg.Files, deps.Now, deps.Log)
	if cfg.Metadata.On() && deps.Metadata != nil {
		s.fetched = authenticators.New(cfg.Metadata.Source, deps.Metadata, &http.Client{}, deps.Log)
	}
	if cfg.Store {
		releases, err := release.Open(context.Background(), deps.JS)
		if err != nil {
			return nil, fmt.Errorf("decision: %w", err)
		}
		follow := release.Config{Poll: cfg.Poll, RetryLongest: cfg.RetryLongest, MaxAge: cfg.MaxAge, Now: deps.Now, Log: deps.Log}
		s.follower = release.Follow(releases, follow, following{s})
	}
	if err := s.follow(); err != nil {
		return nil, fmt.Errorf("decision: %w", err)
	}
	if s.follower != nil {
		var err error
		if s.board, err = control.NewBoard(context.Background(), deps.JS, deps.Log, s.follower.Report); err != nil {
			return nil, fmt.Errorf("decision: %w", err)
		}
	}
	if err := s.begin(context.Background()); err != nil {
		return nil, fmt.Errorf("load policy from %s: %w", s.origin(), err)
	}
	return s, nil
}

// Files returns why files of the operator are not used as they are now; none if they are.
func (s *Service) Files() []error { return s.outside.Now().Wrong }

// Metadata returns why what is said of models of authenticators is not used as it is now; nil if it is.
func (s *Service) Metadata() error {
	if s.fetched == nil {
		return nil
	}
	return errors.Join(s.fetched.Err(), s.deps.Metadata.Err())
}

// Run records decisions and watches the policy files and those of the operator until ctx ends; then it records what is still waiting,
// within the drain timeout. It returns no error.
func (s *Service) Run(ctx context.Context) error {
	var owned sync.WaitGroup
	recording, stopRecording := context.WithCancel(context.WithoutCancel(ctx))
	owned.Go(func() { s.records.Run(recording) })
	owned.Go(func() { s.archive.Run(recording) })
	owned.Go(func() { s.outside.Run(ctx, s.cfg.Poll) })
	if s.fetched != nil {
		owned.Go(func() { s.fetched.Run(ctx, s.cfg.Poll) })
	}
	if s.follower != nil {
		owned.Go(func() { s.follower.RunReports(ctx) })
		owned.Go(func() { s.board.Run(ctx, s.cfg.Poll) })
		store, instance := s.follower.Store()
		owned.Go(func() { s.watchCanary(ctx, store, instance) })
		owned.Go(func() { s.shadow.Tell(ctx, store, instance, s.deps.Log) })
		owned.Go(func() { s.shadow.Run(ctx) })
	}
	defer owned.Wait()
	defer stopRecording()
	switch {
	case s.cfg.PoliciesDir != "":
		s.watch(ctx)
	case s.upstream != nil:
		s.upstream.Run(ctx)
	default:
		<-ctx.Done()
	}
	return nil
}

func (s *Service) origin() string {
	switch {
	case s.cfg.PoliciesDir != "":
		return s.cfg.PoliciesDir
	case s.cfg.Source.URL != "":
		return s.cfg.Source.URL
	case s.follower != nil:
		return "the store"
	default:
		return "the binary"
	}
}
