// Package index is in which operators look through what was decided: a file of this process, made of the stream of decisions, which answers
// by anything that a decision has, a page or as decisions come.
//
// It promises that whichever instance answers, it answers alike: all make their index of the same stream, by the same rules, and the place
// of a decision is that of its record. It is bounded in age, size and rate, and says with each answer what it leaves out. What is lost of
// it is made anew. Of a user who was deleted it holds nothing. The record of a decision is read from the stream itself.
//
// It touches its own file, and reads the streams of decisions and events.
package index

import (
	"context"
	"encoding/json"
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
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/index/internal/rowfile"
	"github.com/keyward/keyward/services/decision/internal/projection"
	"github.com/keyward/keyward/services/decision/replay"
)

// Config bounds the index.
type Config struct {
	On      bool
	MaxAge  time.Duration // of a decision; 0 = as long as there is room
	MaxSize int64         // of the file, in bytes
	Rate    int           // decisions of a second; 0 = all
}

// DefaultConfig returns the defaults: as long as decisions are kept, in about as much room as ten million of them take.
func DefaultConfig() Config {
	const gib, usualRate = 1 << 30, 5000
	return Config{On: true, MaxAge: 30 * 24 * time.Hour, MaxSize: gib, Rate: usualRate} //nolint:mnd // a month
}

// Validate reports every setting that cannot work, one a line.
func (c Config) Validate() error {
	const least = 64 << 20
	var errs []error
	if c.MaxAge != 0 && c.MaxAge < time.Minute {
		errs = append(errs, errors.New("decision_index_max_age: must be at least 1m, or 0s for as long as there is room"))
	}
	if c.MaxSize < least {
		errs = append(errs, errors.New("decision_index_max_size: must be at least 64MiB"))
	}
	if c.Rate < 0 {
		errs = append(errs, errors.New("decision_index_rate: must not be negative"))
	}
	return errors.Join(errs...)
}

// Deps are what an index works with. All are required.
type Deps struct {
	Dir      string // of the file; it is made. Empty = one of the process's own, which goes with it
	JS       jetstream.JetStream
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
	Version  string // of the program, for the decision log
}

// Index implements service.Decisions.
type Index struct {
	cfg     Config
	deps    Deps
	file    *rowfile.File
	records *replay.Records
	anew    prometheus.Counter
	own     string // the directory, if it goes with the process
}

var _ service.Decisions = (*Index)(nil)

// New returns an index that is kept up while Run runs.
func New(cfg Config, deps Deps) (*Index, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("index of decisions: %w", err)
	}
	i := &Index{
		cfg: cfg, deps: deps, records: replay.NewRecords(deps.JS),
		anew: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "keyward_decision_index_rebuilt_total",
			Help: "Times that the index of decisions was made anew: it was damaged, removed, or of another stream.",
		}),
	}
	if !cfg.On {
		return i, nil
	}
	dir, own, err := projection.Directory(deps.Dir, "keyward-decisions-")
	i.own = own
	if err != nil {
		return nil, fmt.Errorf("index of decisions: %w", err)
	}
	i.file = rowfile.New(rowfile.Config{
		Path: filepath.Join(dir, "decisions.db"), MaxAge: cfg.MaxAge, MaxSize: cfg.MaxSize, Rate: cfg.Rate, Now: deps.Now,
	})
	behind := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "keyward_decision_index_behind", Help: "Records of decisions that are yet to be indexed.",
	}, func() float64 { return float64(i.file.Behind()) })
	if err := errors.Join(deps.Registry.Register(i.anew), deps.Registry.Register(behind)); err != nil {
		return nil, fmt.Errorf("metrics of the index of decisions: %w", err)
	}
	return i, nil
}

const (
	batch  = 256
	gather = 50 * time.Millisecond // in which what comes is indexed together
	// lately is how far back a new index hears of deletions: what the stream of decisions has of users who were deleted before is gone.
	lately = time.Hour
)

// Run keeps the index up until ctx ends.
func (i *Index) Run(ctx context.Context) error {
	if i.file == nil {
		<-ctx.Done()
		return nil
	}
	sources := make([]projection.Source, rowfile.SourceCount)
	sources[rowfile.Decisions] = projection.Source{Stream: bus.DecisionsStream, Subject: bus.DecisionsPrefix + ".>"}
	sources[rowfile.Deletions] = projection.Source{
		Stream: bus.EventsStream, Subject: bus.EventsPrefix + ".*.*." + string(event.UserDeleted),
		From: func(now time.Time) time.Time { return now.Add(-lately) },
	}
	keeper := projection.Keeper{
		JS: i.deps.JS, File: i.file, Sources: sources, Now: i.deps.Now, Log: i.deps.Log, Name: "the index of decisions",
		Most: batch, Gather: gather, Anew: i.anew.Inc,
	}
	keeper.Run(ctx)
	if i.own != "" {
		return os.RemoveAll(i.own)
	}
	return nil
}

// retryAfter is when to ask again if there is no index at the moment.
const retryAfter = time.Second

var errOff = errors.New("decision_index is off")

// find asks the index. Its error is a fault.
func (i *Index) find(ctx context.Context, q rowfile.Query) (rowfile.Page, error) {
	if i.file == nil {
		return rowfile.Page{}, i.unfound(ctx, errOff)
	}
	page, err := i.file.Find(ctx, q)
	if err != nil {
		return page, i.unfound(ctx, err)
	}
	return page, nil
}

// ListDecisions implements service.Decisions.
func (i *Index) ListDecisions(ctx context.Context, req service.ForOperator[service.List]) (operator.DecisionList, error) {
	asked, err := listing.Parse(req.Body, fields(), "created:desc")
	if err != nil {
		return operator.DecisionList{}, err
	}
	q, err := query(asked.Terms)
	if err != nil {
		return operator.DecisionList{}, err
	}
	q.Oldest, q.Offset, q.Most = !asked.Descending, asked.Offset(), asked.Size
	page, err := i.find(ctx, q)
	if err != nil {
		return operator.DecisionList{}, err
	}
	paging := asked.Paging(page.Total)
	list := operator.DecisionList{
		Decisions: make([]operator.DecisionSummary, len(page.Rows)), Coverage: coverage(page.Coverage),
		Paging: operator.Paging{Page: paging.Page, TotalItems: paging.TotalItems, TotalPages: paging.TotalPages},
	}
	for n := range page.Rows {
		list.Decisions[n] = summary(&page.Rows[n])
	}
	return list, nil
}

const (
	most    = 100                    // decisions that FollowDecisions returns
	waiting = time.Second            // that it takes at most
	looking = 100 * time.Millisecond // how often it looks meanwhile
)

// FollowDecisions implements service.Decisions.
func (i *Index) FollowDecisions(ctx context.Context, req service.ForOperator[inquiry.DecisionsAfter]) (inquiry.NewDecisions, error) {
	asked, err := listing.Parse(service.List{Filter: req.Body.Filter}, fields(), "")
	if err != nil {
		return inquiry.NewDecisions{}, err
	}
	q, err := query(asked.Terms)
	if err != nil {
		return inquiry.NewDecisions{}, err
	}
	if req.Body.After == nil {
		q.Most = 0
		now, err := i.find(ctx, q)
		return inquiry.NewDecisions{Decisions: []inquiry.NewDecision{}, Position: now.Position}, err
	}
	q.Oldest, q.After, q.Most = true, *req.Body.After, most
	ctx, cancel := context.WithTimeout(ctx, waiting)
	defer cancel()
	tick := time.NewTicker(looking)
	defer tick.Stop()
	told := inquiry.NewDecisions{Decisions: []inquiry.NewDecision{}, Position: q.After}
	for {
		if i.file == nil || i.file.Position() > told.Position {
			q.After = told.Position
			page, err := i.find(ctx, q)
			if err != nil && ctx.Err() == nil {
				return told, err
			}
			if told, err = newDecisions(&page, told.Position); err != nil || len(told.Decisions) > 0 {
				return told, err
			}
		}
		select {
		case <-ctx.Done():
			return told, nil
		case <-tick.C:
		}
	}
}

// newDecisions are those of a page, and where to go on: where the index stands, if the page has all of them.
func newDecisions(page *rowfile.Page, after uint64) (inquiry.NewDecisions, error) {
	told := inquiry.NewDecisions{Decisions: []inquiry.NewDecision{}, Position: max(page.Position, after)}
	for n := range page.Rows {
		raw, err := json.Marshal(summary(&page.Rows[n]))
		if err != nil {
			return told, err
		}
		told.Decisions = append(told.Decisions, inquiry.NewDecision{Position: page.Rows[n].Sequence, Summary: raw})
	}
	if len(page.Rows) == most {
		told.Position = page.Rows[most-1].Sequence
	}
	return told, nil
}

// GetDecision implements service.Decisions.
func (i *Index) GetDecision(ctx context.Context, req service.ForOperator[ident.DecisionID]) (operator.Decision, error) {
	record, err := i.records.Find(ctx, req.Body)
	if err != nil {
		return operator.Decision{}, unread(err)
	}
	steps, err := i.records.Outcome(ctx, &record)
	if err != nil {
		return operator.Decision{}, unread(err)
	}
	return decision(&record, steps)
}

// unread says of an error of the records whether there is nothing to be had or nothing could be looked up.
func unread(err error) error {
	for _, absent := range []error{replay.ErrNotFound, replay.ErrEvicted, replay.ErrUntimely} {
		if errors.Is(err, absent) {
			return fault.NotFound("no such decision is recorded (yet)").Because(err)
		}
	}
	return fault.Unavailable(retryAfter, "the decision could not be looked up").Because(err)
}
