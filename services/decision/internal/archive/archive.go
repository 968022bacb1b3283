// Package archive keeps the files of every policy revision that answers, so that a recorded decision can be explained and evaluated again
// with the revision that made it. Revisions lie in a JetStream object store under the hash of their content; any number of processes may
// keep the same one.
//
// Keeping never delays an answer or the activation of a revision. It is tried again until it works; failures are counted.
package archive

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/keyward/keyward/core/bus"
)

// Bounds of what is kept: the newest revisions, and beyond them those that a decision on the stream may still name.
const (
	newest     = 100
	maxWaiting = 64 // revisions that wait to be stored; the oldest goes first
)

// Times of keeping.
const (
	callTimeout  = 30 * time.Second
	lastTimeout  = 2 * time.Second // once the process is to end
	firstPause   = time.Second
	longestPause = time.Minute
	reminder     = 24 * time.Hour // the active revision is marked as used this often
)

// ErrUnknown is wrapped by the error of reading a revision that is not in the archive.
var ErrUnknown = errors.New("the revision is not in the archive")

// Archive keeps revisions. Keep may be called at once with everything.
type Archive struct {
	js       jetstream.JetStream
	log      *slog.Logger
	failures prometheus.Counter

	mu      sync.Mutex
	waiting []revision
	wake    chan struct{}
}

// revision is what is kept. Without files it is stored already and only marked as used.
type revision struct {
	hash, name string
	files      map[string][]byte
}

// New returns an archive that stores what it is told to keep while Run runs.
func New(js jetstream.JetStream, log *slog.Logger, registry prometheus.Registerer) *Archive {
	failures := promauto.With(registry).NewCounter(prometheus.CounterOpts{
		Name: "keyward_policy_archive_failures_total",
		Help: "Attempts to keep a policy revision for later explanations that failed; healthy is 0.",
	})
	return &Archive{js: js, log: log, failures: failures, wake: make(chan struct{}, 1)}
}

// Keep takes a revision without waiting. The files must not change.
func (a *Archive) Keep(hash, name string, files map[string][]byte) {
	a.mu.Lock()
	a.waiting = append(a.waiting, revision{hash: hash, name: name, files: files})
	if len(a.waiting) > maxWaiting {
		a.waiting = slices.Delete(a.waiting, 0, 1)
		a.failures.Inc()
	}
	a.mu.Unlock()
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

func (a *Archive) next() (revision, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) == 0 {
		return revision{}, false
	}
	first := a.waiting[0]
	a.waiting = slices.Delete(a.waiting, 0, 1)
	return first, true
}

// Run stores revisions until ctx ends, and then those that still wait, each tried once. The revision stored last counts as the active one:
// it is marked as used now and then, and when another takes its place.
func (a *Archive) Run(ctx context.Context) {
	var active revision
	use := time.NewTicker(reminder)
	defer use.Stop()
	for {
		for one, ok := a.next(); ok; one, ok = a.next() {
			if active.hash != "" && active.hash != one.hash {
				a.insist(ctx, active)
			}
			a.insist(ctx, one)
			active = revision{hash: one.hash, name: one.name}
		}
		if ctx.Err() != nil {
			return
		}
		select {
		case <-ctx.Done():
		case <-a.wake:
		case <-use.C:
			if active.hash != "" {
				a.insist(ctx, active)
			}
		}
	}
}

// insist stores one revision, however often it takes, until ctx ends; then it tries a last time.
func (a *Archive) insist(ctx context.Context, one revision) {
	for pause := firstPause; ctx.Err() == nil; pause = min(2*pause, longestPause) {
		if a.try(ctx, one, callTimeout) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
	a.try(context.WithoutCancel(ctx), one, lastTimeout)
}

func (a *Archive) try(ctx context.Context, one revision, timeout time.Duration) bool {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	err := a.store(limited, one)
	if err != nil {
		a.failures.Inc()
		a.log.WarnContext(ctx, "policy revision could not be kept for later explanations", "revision", one.name, "error", err)
	}
	return err == nil
}

// store writes a revision, or marks it as used if it is there, and removes what no decision needs any more.
func (a *Archive) store(ctx context.Context, one revision) error {
	objects, err := a.js.ObjectStore(ctx, bus.PoliciesBucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bus.PoliciesBucket, err)
	}
	meta := jetstream.ObjectMeta{Name: one.hash, Description: one.name}
	err = objects.UpdateMeta(ctx, one.hash, meta)
	switch {
	case err == nil:
	case !errors.Is(err, jetstream.ErrUpdateMetaDeleted) && !errors.Is(err, jetstream.ErrObjectNotFound):
		return fmt.Errorf("mark revision %s as used: %w", one.hash, err)
	case one.files == nil:
		return nil
	default:
		if err := put(ctx, objects, meta, one.files); err != nil {
			return err
		}
	}
	return a.prune(ctx, objects)
}

func put(ctx context.Context, objects jetstream.ObjectStore, meta jetstream.ObjectMeta, files map[string][]byte) error {
	packed, err := Pack(files)
	if err != nil {
		return err
	}
	if _, err := objects.Put(ctx, meta, bytes.NewReader(packed)); err != nil {
		return fmt.Errorf("store revision %s: %w", meta.Name, err)
	}
	return nil
}

// prune removes the revisions that are neither among the newest nor younger than the oldest decision.
func (a *Archive) prune(ctx context.Context, objects jetstream.ObjectStore) error {
	all, err := list(ctx, a.js)
	if err != nil || len(all) <= newest {
		return err
	}
	decisions, err := a.js.Stream(ctx, bus.DecisionsStream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", bus.DecisionsStream, err)
	}
	age := decisions.CachedInfo().Config.MaxAge
	if age == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b *jetstream.ObjectInfo) int {
		return cmp.Or(b.ModTime.Compare(a.ModTime), cmp.Compare(a.Name, b.Name))
	})
	// Times are those of the server, as is the newest of them.
	oldest := all[0].ModTime.Add(-age)
	for _, info := range all[newest:] {
		if info.ModTime.After(oldest) {
			continue
		}
		if err := objects.Delete(ctx, info.Name); err != nil && !errors.Is(err, jetstream.ErrObjectNotFound) {
			return fmt.Errorf("remove revision %s: %w", info.Name, err)
		}
	}
	return nil
}

// Latest returns the files of the revision that answered last. The error wraps ErrUnknown if none is kept.
func Latest(ctx context.Context, js jetstream.JetStream) (fs.FS, error) {
	all, err := list(ctx, js)
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, ErrUnknown
	}
	last := slices.MaxFunc(all, func(a, b *jetstream.ObjectInfo) int { return a.ModTime.Compare(b.ModTime) })
	return Open(ctx, js, last.Name)
}

// Open returns the files of a kept revision. The error wraps ErrUnknown if there is none of that hash.
func Open(ctx context.Context, js jetstream.JetStream, hash string) (fs.FS, error) {
	packed, err := open(ctx, js, hash)
	if err != nil {
		return nil, err
	}
	return Unpack(packed)
}

func open(ctx context.Context, js jetstream.JetStream, name string) ([]byte, error) {
	objects, err := js.ObjectStore(ctx, bus.PoliciesBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, fmt.Errorf("revision %s: %w", name, ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bus.PoliciesBucket, err)
	}
	info, err := objects.GetInfo(ctx, name)
	if errors.Is(err, jetstream.ErrObjectNotFound) {
		return nil, fmt.Errorf("revision %s: %w", name, ErrUnknown)
	}
	if err != nil {
		return nil, fmt.Errorf("read revision %s: %w", name, err)
	}
	packed, err := content(ctx, js, info)
	if err != nil {
		return nil, fmt.Errorf("read revision %s: %w", name, err)
	}
	return packed, nil
}
