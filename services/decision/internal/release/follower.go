package release

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/internal/retry"
)

// ErrNotLive says that what is live is not what answers.
var ErrNotLive = errors.New("what is live in the store is not what answers")

// Policy is what answers. One goroutine at a time calls Take.
type Policy interface {
	// Revision returns the number of the revision that answers; 0 = it is none of the store.
	Revision() int
	// Take has what a change makes live answer, and what it has tried be tried, or says why not; then what answers stays.
	Take(ctx context.Context, c Change, files Files) error
	// Refuse is told why what is live is not taken.
	Refuse(ctx context.Context, err error)
	// Unfinished reports whether what was refused may be found good another time.
	Unfinished() bool
	// Answering returns by what this instance answers. The follower adds how far it has followed.
	Answering() Instance
}

// Files returns a revision, with its files packed, which is the one of the digest.
type Files func(ctx context.Context, number int, digest string) (Revision, []byte, error)

// Config is how the store is followed.
type Config struct {
	Poll         time.Duration // how often it is looked whether something was made live, since signs can be missed
	RetryLongest time.Duration // the longest wait until something is tried again that did not get through
	MaxAge       time.Duration // how long another revision may answer than what is live; 0 = for ever
	Now          func() time.Time
	Log          *slog.Logger
}

// Follower follows what is live. Its methods may be called at once.
type Follower struct {
	store    *Store
	cfg      Config
	policy   Policy
	id, host string
	changed  chan struct{} // what is to be reported
	// confirmed is when what answers was last known to be what is live, in nanoseconds of Unix time: every answer looks at it.
	confirmed atomic.Int64

	taking sync.Mutex // one at a time
	mu     sync.Mutex // guards what follows
	latest Change     // the latest that is known
	taken  int        // the number of the last change that was taken, or refused
}

// Follow returns a follower of what is live, which begins with Begin and goes on with Run.
func Follow(store *Store, cfg Config, policy Policy) *Follower {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	f := &Follower{
		store: store, cfg: cfg, policy: policy, id: ident.Alphanumeric(instanceLength), host: host, changed: make(chan struct{}, 1),
	}
	f.confirmed.Store(cfg.Now().UnixNano())
	return f
}

// instanceLength is enough for no two instances to be called alike.
const instanceLength = 12

// Begin has the policy take what is live. The error is ErrNoneLive if nothing is, and wraps ErrNotLive if that is of no use.
func (f *Follower) Begin(ctx context.Context) error {
	f.taking.Lock()
	defer f.taking.Unlock()
	latest, err := f.store.Latest(ctx, 0)
	switch {
	case errors.Is(err, ErrNoneLive):
		return ErrNoneLive
	case err != nil:
		return fmt.Errorf("find what is live: %w", err)
	}
	f.mu.Lock()
	f.latest, f.taken = latest, latest.Number
	f.mu.Unlock()
	if err := f.policy.Take(ctx, latest, f.files); err != nil {
		return fmt.Errorf("%w: %w", ErrNotLive, err)
	}
	return nil
}

// files implements Files.
func (f *Follower) files(ctx context.Context, number int, digest string) (Revision, []byte, error) {
	revision, err := f.store.Revision(ctx, number)
	if err != nil {
		return revision, nil, fmt.Errorf("revision %d: %w", number, err)
	}
	if revision.Digest != digest {
		return revision, nil, fmt.Errorf("revision %d is another than the change says: %w", number, ErrDamaged)
	}
	_, packed, err := f.store.Files(ctx, revision)
	return revision, packed, err
}

// Store returns what is followed, and the ID of this instance.
func (f *Follower) Store() (*Store, string) { return f.store, f.id }

// Lapsed reports whether what answers has been behind what is live for too long.
func (f *Follower) Lapsed(now time.Time) bool {
	return f.cfg.MaxAge != 0 && now.UnixNano()-f.confirmed.Load() > int64(f.cfg.MaxAge)
}

// Behind says in which way what answers is not what is live; nil if it is.
func (f *Follower) Behind() error {
	f.mu.Lock()
	latest := f.latest
	f.mu.Unlock()
	silent := f.cfg.Now().Sub(time.Unix(0, f.confirmed.Load()))
	switch {
	case latest.Number > 0 && latest.Revision != f.policy.Revision():
		return fmt.Errorf("%w: that is revision %d, by change %d", ErrNotLive, latest.Revision, latest.Number)
	case silent > f.patience():
		return fmt.Errorf("%w: it has not been known for %s", ErrNotLive, silent.Truncate(time.Second))
	}
	return nil
}

// patience is how long the store may be silent until that is told.
func (f *Follower) patience() time.Duration {
	const looks, least = 5, 10 * time.Second
	return max(looks*f.cfg.Poll, least)
}

// Run has the policy take what is made live, until ctx ends. What it could not take, though nothing is wrong with it, is tried again.
func (f *Follower) Run(ctx context.Context) {
	signs := make(chan struct{}, 1)
	var heard sync.WaitGroup
	defer heard.Wait()
	heard.Go(func() { f.hear(ctx, signs) })
	tries := retry.New(f.cfg.Poll, f.cfg.RetryLongest)
	defer tries.Stop()
	tries.Next(f.policy.Unfinished())
	poll := time.NewTicker(f.cfg.Poll)
	defer poll.Stop()
	for {
		again := false
		select {
		case <-ctx.Done():
			return
		case <-signs:
		case <-poll.C:
		case <-tries.C:
			again = true
		}
		if !f.look(ctx, again) {
			continue
		}
		if !again {
			tries.Reset()
		}
		tries.Next(f.policy.Unfinished())
	}
}

// hear passes on signs of the store.
func (f *Follower) hear(ctx context.Context, signs chan<- struct{}) {
	for ctx.Err() == nil {
		err := f.store.Signs(ctx, func() {
			select {
			case signs <- struct{}{}:
			default:
			}
		})
		if err != nil {
			f.cfg.Log.WarnContext(ctx, "what is made live sends no sign; it is looked for every "+f.cfg.Poll.String(), "error", err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(f.cfg.Poll):
		}
	}
}

// look has the policy take what is live if that was not taken yet, or again, and reports whether it was asked to.
func (f *Follower) look(ctx context.Context, again bool) bool {
	f.taking.Lock()
	defer f.taking.Unlock()
	latest, err := f.find(ctx)
	if err != nil {
		return false // Behind tells, and the next look may find it
	}
	f.mu.Lock()
	known := f.taken == latest.Number
	f.mu.Unlock()
	if known && !again {
		f.confirm(latest)
		return false
	}
	if err := f.takeLogged(ctx, latest); err != nil {
		if ctx.Err() != nil {
			return true
		}
		f.policy.Refuse(ctx, err)
	}
	f.confirm(latest)
	f.mu.Lock()
	f.taken = latest.Number
	f.mu.Unlock()
	f.Report()
	return true
}

func (f *Follower) takeLogged(ctx context.Context, c Change) error {
	start := time.Now()
	if err := f.policy.Take(ctx, c, f.files); err != nil {
		return err
	}
	f.cfg.Log.InfoContext(
		ctx, "policy activated", "origin", "the store", "revision", c.Revision, "change", c.Number, "took_ms", time.Since(start).Milliseconds(),
	)
	return nil
}

// find returns the latest change; its number is 0 if there is none.
func (f *Follower) find(ctx context.Context) (Change, error) {
	limited, cancel := context.WithTimeout(ctx, f.patience())
	defer cancel()
	f.mu.Lock()
	known := f.latest
	f.mu.Unlock()
	latest, err := f.store.Latest(limited, known.Number)
	switch {
	case errors.Is(err, ErrNoneLive):
		return known, nil
	case err != nil:
		return Change{}, err
	}
	f.mu.Lock()
	f.latest = latest
	f.mu.Unlock()
	return latest, nil
}

// confirm notes it if what answers is what is live.
func (f *Follower) confirm(latest Change) {
	if latest.Number == 0 || latest.Revision == f.policy.Revision() {
		f.confirmed.Store(f.cfg.Now().UnixNano())
	}
}

// Report has the store told by what this instance answers.
func (f *Follower) Report() {
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// RunReports tells the store by what this instance answers, when that changes and often enough to count, until ctx ends.
func (f *Follower) RunReports(ctx context.Context) {
	tick := time.NewTicker(Silence)
	defer tick.Stop()
	for {
		if err := f.store.Report(ctx, f.instance()); err != nil && ctx.Err() == nil {
			f.cfg.Log.DebugContext(ctx, "the store could not be told which policy answers", "error", err)
		}
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
			defer cancel()
			_ = f.store.Withdraw(last, f.id) // it is forgotten otherwise
			return
		case <-f.changed:
		case <-tick.C:
		}
	}
}

func (f *Follower) instance() Instance {
	told := f.policy.Answering()
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.cfg.Now()
	told.ID, told.Host, told.HeardMs = f.id, f.host, now.UnixMilli()
	if told.Source == FromStore {
		told.Change, told.Lapsed = f.taken, f.Lapsed(now)
		if told.Revision == 0 && f.latest.Number == 0 {
			told.Source = FromBinary
		}
	}
	return told
}
