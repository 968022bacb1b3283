// Package adoption tells what becomes of passkeys: how often they are offered, taken up, declined and used, by whatever a decision was
// about. It counts the stream of decisions and the log of events (package fold says what counts as what) into a file of this process.
//
// It promises that a report is what a count over both streams would give, also after a restart and after the file was lost: what is
// counted is stored with the position after it. Reports of what the streams have no more are as good as the file is old. There are no more
// sums than the combinations of a day that Config allows; what is beyond is counted as other, and said to be.
//
// Every process counts by itself, so whichever answers, answers alike. It touches its own file, and reads the two streams.
package adoption

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/adoption/internal/rollfile"
	"github.com/keyward/keyward/services/decision/internal/projection"
)

// Config says whether and how much is counted.
type Config struct {
	On           bool
	Combinations int // of dimensions in a day that are counted apart
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	const some = 5000 // of about 100 bytes in each of a day's 1,464 sums at most; usual days have some hundred
	return Config{On: true, Combinations: some}
}

// Validate reports every setting that cannot work, one a line.
func (c Config) Validate() error {
	if c.Combinations < 1 {
		return errors.New("adoption_combinations: must be at least 1")
	}
	return nil
}

// Deps are what counting works with. All are required.
type Deps struct {
	Dir      string // of the file; it is made. Empty = one of the process's own, which goes with it
	JS       jetstream.JetStream
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Adoption implements service.Adoption.
type Adoption struct {
	deps Deps
	file *rollfile.File // nil = nothing is counted
	own  string         // the directory, if it goes with the process
}

var _ service.Adoption = (*Adoption)(nil)

// New returns what counts while Run runs.
func New(cfg Config, deps Deps) (*Adoption, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &Adoption{deps: deps}
	if !cfg.On {
		return a, nil
	}
	dir, own, err := projection.Directory(deps.Dir, "keyward-adoption-")
	a.own = own
	if err != nil {
		return nil, fmt.Errorf("sums of adoption: %w", err)
	}
	a.file = rollfile.New(rollfile.Config{Path: filepath.Join(dir, "adoption.db"), Combinations: cfg.Combinations, Now: deps.Now})
	if err := deps.Registry.Register(collector{a.file}); err != nil {
		return nil, fmt.Errorf("metrics of adoption: %w", err)
	}
	return a, nil
}

const (
	batch  = 4096
	gather = time.Second // in which what comes is added up together
)

// Run counts until ctx ends.
func (a *Adoption) Run(ctx context.Context) error {
	if a.file == nil {
		<-ctx.Done()
		return nil
	}
	sources := make([]projection.Source, rollfile.SourceCount)
	sources[rollfile.Decisions] = projection.Source{Stream: bus.DecisionsStream, Subject: bus.DecisionsPrefix + ".>"}
	sources[rollfile.Events] = projection.Source{Stream: bus.EventsStream, Subject: bus.EventsPrefix + ".>"}
	keeper := projection.Keeper{
		JS: a.deps.JS, File: a.file, Sources: sources, Now: a.deps.Now, Log: a.deps.Log, Name: "the sums of adoption",
		Most: batch, Gather: gather,
	}
	keeper.Run(ctx)
	if a.own != "" {
		return os.RemoveAll(a.own)
	}
	return nil
}

const retryAfter = time.Second

// GetAdoption implements service.Adoption.
func (a *Adoption) GetAdoption(ctx context.Context, req service.ForOperator[inquiry.Adoption]) (operator.AdoptionReport, error) {
	r, err := newReport(req.Body, a.deps.Now())
	if err != nil {
		return operator.AdoptionReport{}, err
	}
	if a.file == nil {
		return operator.AdoptionReport{}, fault.Unavailable(time.Minute, "nothing is counted here: adoption is off")
	}
	covers, err := a.file.Read(ctx, r.unit, r.since, r.until, r.add)
	if err == nil {
		r.holders, err = a.file.Holders(ctx)
	}
	if err != nil && ctx.Err() == nil {
		return operator.AdoptionReport{}, fault.Unavailable(retryAfter, "what was counted could not be read").Because(err)
	}
	return r.told(covers), err
}
