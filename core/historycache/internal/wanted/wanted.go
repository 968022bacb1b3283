// Package wanted says which kinds of sets of sightings are written: those that somebody's rules read. It touches one key of the key-value
// bucket "cache-epochs".
//
// It promises that who reads sets of a kind is never told that they are whole while some writer leaves that kind out. Each kind that is
// wanted has a generation, which it gets when it begins to be wanted and never has again. What is whole is whole for a generation. Writers
// go by what was asked of the bucket within a lease, and otherwise write everything; and nobody begins to make sets whole for a generation
// until a lease after it was there, when no writer can leave its kind out any more. Since an event is in the log before it is counted, what
// a writer left out before is found there.
//
// A kind that nobody's rules read is left out once nobody has wanted it for a while, so that an instance that is replaced, or a policy
// that is rolled back, finds all that it needs.
package wanted

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/sighting"
)

// Config holds what may be tuned. All instances must have the same figures.
type Config struct {
	Lease time.Duration // how long what was asked is taken for current
	Poll  time.Duration // how often it is asked; below Lease
	Renew time.Duration // how often it is said anew what is wanted
	Grace time.Duration // after how long that nobody has wanted a kind it is left out; far above Renew
}

// DefaultConfig returns the figures for production.
func DefaultConfig() Config {
	return Config{Lease: 2 * time.Second, Poll: 300 * time.Millisecond, Renew: 10 * time.Minute, Grace: time.Hour}
}

// key is where it is stored, and version of which form that is.
const (
	key     = "sightings"
	version = 1
)

// stored is what all instances share.
type stored struct {
	Version int                       `json:"version"`
	Kinds   [sighting.KindCount]state `json:"kinds"` // by their numbers
}

type state struct {
	Generation uint64 `json:"generation,omitempty"` // 0 = it is not wanted
	First      bool   `json:"first,omitempty"`      // no writer has ever left it out
	WantedMs   int64  `json:"wantedMs,omitempty"`   // when somebody last said so
}

// view is what the bucket said, and when it was asked.
type view struct {
	stored
	generations entry.Generations
	asked       time.Time
	since       [sighting.KindCount]time.Time // since when a generation has been known here
}

// Wanted is this instance's knowledge. It is safe for concurrent use.
type Wanted struct {
	bucket  kv.Bucket[stored]
	clock   func() time.Time
	config  Config
	changed func()
	own     atomic.Pointer[sighting.Kinds] // what this process wants; nil = it has not said
	woken   chan struct{}
	view    atomic.Pointer[view]

	asking sync.Mutex
	failed time.Time // when asking last failed; guarded by asking
}

// New returns what is known at first: nothing, so that everything is written. The reads of the bucket must come from the leader, the clock
// must have a monotonic reading, and changed is called when there are other generations.
func New(bucket jetstream.KeyValue, clock func() time.Time, config Config, changed func()) *Wanted {
	return &Wanted{
		bucket: kv.Bucket[stored]{KV: bucket, Name: "what is counted"}, clock: clock, config: config, changed: changed,
		woken: make(chan struct{}, 1),
	}
}

// Want says which kinds this process's rules read from now on.
func (w *Wanted) Want(kinds sighting.Kinds) {
	w.own.Store(&kinds)
	select {
	case w.woken <- struct{}{}:
	default:
	}
}

// Written returns the kinds that a writer must not leave out: all if it is not known which are wanted.
func (w *Wanted) Written() sighting.Kinds {
	if v := w.current(); v != nil && v.Version != 0 {
		return v.generations.Kinds()
	}
	return sighting.EveryKind
}

// Now returns the generations of what is wanted; none if that cannot be learned. As a rule it is known.
func (w *Wanted) Now(ctx context.Context) entry.Generations {
	if v := w.current(); v != nil {
		return v.generations
	}
	began := w.clock()
	w.asking.Lock()
	defer w.asking.Unlock()
	v := w.current()
	if v == nil && !w.failed.After(began) { // who waited for somebody who asked in vain does not ask
		w.ask(ctx)
		v = w.current()
	}
	if v == nil {
		return entry.Generations{}
	}
	return v.generations
}

// Settled returns those generations whose kinds no writer leaves out any more, so that sets may be made whole for them, and since when
// none has, in Unix ms.
func (w *Wanted) Settled() entry.Settled {
	v := w.current()
	if v == nil {
		return entry.Settled{}
	}
	settled, now := entry.Settled{Generations: v.generations}, w.clock()
	lease := w.config.Lease + w.config.Lease/10 // clocks of two machines run at slightly different speeds
	for i := range settled.Generations {
		switch since := v.since[i].Add(lease); {
		case v.Kinds[i].First:
		case since.After(now):
			settled.Generations[i] = 0
		default:
			settled.SinceMs[i] = since.UnixMilli()
		}
	}
	return settled
}

func (w *Wanted) current() *view {
	if v := w.view.Load(); v != nil && w.clock().Sub(v.asked) < w.config.Lease {
		return v
	}
	return nil
}

// Run keeps what is known fresh, and says what is wanted, until ctx ends.
func (w *Wanted) Run(ctx context.Context) {
	next := time.NewTimer(0)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		case <-w.woken:
		}
		w.look(ctx)
		next.Reset(w.config.Poll)
	}
}

// askLimit is how long one question may take.
const askLimit = time.Second

// look asks, and says what is wanted if that has to be said. A failure shows in the age of what is known.
func (w *Wanted) look(ctx context.Context) {
	w.asking.Lock()
	defer w.asking.Unlock()
	said, known := w.ask(ctx)
	own := w.own.Load()
	if !known || own == nil || !w.renew(&said, *own, w.clock().UnixMilli()) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	asked := w.clock()
	found, err := w.bucket.Upsert(ctx, key, func(s *stored) error {
		w.renew(s, *own, w.clock().UnixMilli())
		return nil
	})
	if err == nil {
		w.see(found.Value, asked)
	}
}

// ask takes up what the bucket says now. The caller holds asking.
func (w *Wanted) ask(ctx context.Context) (said stored, known bool) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	asked := w.clock()
	found, err := w.bucket.Get(ctx, key)
	if err != nil && !errors.Is(err, kv.ErrNotFound) {
		w.failed = w.clock()
		return stored{}, false
	}
	w.see(found.Value, asked)
	return found.Value, true
}

// see takes up what the bucket said. What a later version says is as good as nothing: everything is written.
func (w *Wanted) see(said stored, asked time.Time) {
	if said.Version > version {
		said = stored{}
	}
	before := w.view.Load()
	v := &view{stored: said, asked: asked}
	now := w.clock()
	for i, kind := range said.Kinds {
		v.generations[i], v.since[i] = kind.Generation, now
		if before != nil && before.generations[i] == kind.Generation {
			v.since[i] = before.since[i]
		}
	}
	w.view.Store(v)
	if before == nil || before.generations != v.generations {
		w.changed()
	}
}

// renew says in s what this process wants, and takes back what nobody has wanted for long. It reports whether that changes anything.
// At first everything is wanted: nobody knows who has read what.
func (w *Wanted) renew(s *stored, own sighting.Kinds, now int64) (changes bool) {
	if s.Version > version {
		return false
	}
	if s.Version == 0 {
		s.Version = version
		for i := range s.Kinds {
			s.Kinds[i] = state{Generation: drawn(), First: true, WantedMs: now}
		}
		return true
	}
	for i := range s.Kinds {
		kind, age := &s.Kinds[i], time.Duration(now-s.Kinds[i].WantedMs)*time.Millisecond
		switch mine := own&(1<<i) != 0; {
		case mine && kind.Generation == 0:
			*kind, changes = state{Generation: drawn(), WantedMs: now}, true
		case mine && age >= w.config.Renew:
			kind.WantedMs, changes = now, true
		case !mine && kind.Generation != 0 && age >= w.config.Grace:
			*kind, changes = state{}, true
		}
	}
	return changes
}

// drawn returns a generation that none has had.
func drawn() uint64 { return max(1, rand.Uint64()>>1) } //nolint:gosec // it has to differ, and is no secret
