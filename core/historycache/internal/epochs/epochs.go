// Package epochs says which cache entries may be trusted, by numbers that all instances share. Each of a number of shards of users has one,
// which whoever could not update an entry raises, so that nobody trusts what was filled before. It touches the key-value bucket
// "cache-epochs".
package epochs

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
)

// Shards is how many epochs there are.
const Shards = 256

const (
	epochsKey   = "epochs"
	idleAfter   = time.Second     // without readers the view is not kept fresh
	raiseLimit  = 5 * time.Second // of one attempt to raise epochs
	refreshWait = time.Second     // of one read of the epochs
)

// vector holds the epoch of each shard of users.
type vector [Shards]uint64

// view is what the key-value store said, and when it was asked.
type view struct {
	epochs vector
	asked  time.Time
}

// Config holds what may be tuned. All instances must have the same lease.
type Config struct {
	Lease time.Duration // how long a view is taken for current
	Poll  time.Duration // how often it is renewed while there are readers
}

// Epochs is this instance's knowledge of which cache entries may be trusted. It is safe for concurrent use.
type Epochs struct {
	stored kv.Bucket[vector] // under epochsKey alone
	clock  func() time.Time  // must carry a monotonic reading
	config Config
	bumps  func() // counts

	view    atomic.Pointer[view]
	lastUse atomic.Int64 // Unix ns
	reading sync.Mutex   // held while asking the store
	failing atomic.Bool  // it did not answer when it was asked last
	failed  time.Time    // when asking last failed, with failure; guarded by reading
	failure error

	turn    chan struct{} // held while raising
	mu      sync.Mutex
	pending *raise // what the next turn will raise
}

// raise is a number of shards to be raised at once.
type raise struct {
	shards map[uint8]bool
	done   chan struct{}
	err    error // valid once done is closed
}

// New returns what is known at first, nothing. The reads of the bucket must come from the leader, the clock must have a monotonic reading,
// and bumps is called when epochs have been raised.
func New(bucket jetstream.KeyValue, clock func() time.Time, config Config, bumps func()) *Epochs {
	stored := kv.Bucket[vector]{
		KV: bucket, Name: "cache epochs",
		Encode: func(v vector) ([]byte, error) { return binary.Append(nil, binary.BigEndian, v) },
		Decode: func(raw []byte, v *vector) error {
			_, err := binary.Decode(raw, binary.BigEndian, v)
			return err
		},
	}
	return &Epochs{stored: stored, clock: clock, config: config, bumps: bumps, turn: make(chan struct{}, 1)}
}

// ShardOf spreads users by the hash FNV-1a of project/user, written out because the library's needs four allocations for it.
func ShardOf(project ident.ProjectID, user ident.UserID) uint8 {
	const offset, prime = 2166136261, 16777619
	sum := uint32(offset)
	for _, part := range [...]string{string(project), "/", string(user)} {
		for i := range len(part) {
			sum = (sum ^ uint32(part[i])) * prime
		}
	}
	return uint8(sum ^ sum>>8 ^ sum>>16 ^ sum>>24)
}

// Run keeps the view fresh while anybody reads, until ctx ends.
func (e *Epochs) Run(ctx context.Context) {
	ticker := time.NewTicker(e.config.Poll)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if e.clock().UnixNano()-e.lastUse.Load() < int64(idleAfter) {
				e.reading.Lock()
				_ = e.refresh(ctx) // a failure shows in the age of the view
				e.reading.Unlock()
			}
		}
	}
}

var errFailing = errors.New("the cache epochs could not be read")

// Current returns the epoch of the shard. The error says that it could not be learned; then no entry may be trusted and none filled.
func (e *Epochs) Current(ctx context.Context, shard uint8) (uint64, error) {
	began := e.clock()
	e.lastUse.Store(began.UnixNano())
	if v := e.view.Load(); e.fresh(v) {
		return v.epochs[shard], nil
	}
	if !e.reading.TryLock() {
		if e.failing.Load() {
			return 0, errFailing // whoever asks now finds out when that is over
		}
		e.reading.Lock()
	}
	defer e.reading.Unlock()
	if v := e.view.Load(); e.fresh(v) {
		return v.epochs[shard], nil
	}
	if e.failed.After(began) {
		// Somebody asked while this call waited. Asking one after the other would add up.
		return 0, e.failure
	}
	if err := e.refresh(ctx); err != nil {
		return 0, err
	}
	v := e.view.Load()
	if !e.fresh(v) {
		return 0, errors.New("the cache epochs took longer to read than they are valid")
	}
	return v.epochs[shard], nil
}

func (e *Epochs) fresh(v *view) bool {
	return v != nil && e.clock().Sub(v.asked) < e.config.Lease
}

// refresh asks the store. The caller holds e.reading.
func (e *Epochs) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshWait)
	defer cancel()
	asked := e.clock()
	found, err := e.stored.Get(ctx, epochsKey) // before the first write they are zero
	failed := err != nil && !errors.Is(err, kv.ErrNotFound)
	e.failing.Store(failed)
	if failed {
		e.failed, e.failure = e.clock(), err
		return err
	}
	e.view.Store(&view{epochs: found.Value, asked: asked})
	return nil
}

// Bump raises the epochs of the shards. When it returns nil, no instance trusts an entry of an older epoch any more, which takes a lease.
func (e *Epochs) Bump(ctx context.Context, which ...uint8) error {
	if err := e.Announce(ctx, which...); err != nil {
		return err
	}
	// Clocks of two machines run at slightly different speeds.
	lease := time.NewTimer(e.config.Lease + e.config.Lease/10)
	defer lease.Stop()
	select {
	case <-lease.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait for the cache lease: %w", ctx.Err())
	}
}

// Announce raises the epochs of the shards. A lease after it has returned nil, no instance trusts an entry of an older epoch any more. What
// comes while another is under way is raised together.
func (e *Epochs) Announce(ctx context.Context, which ...uint8) error {
	for {
		r := e.join(which)
		err := e.await(ctx, r)
		if err == nil {
			e.bumps()
			return nil
		}
		if ctx.Err() != nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		// It was the time of another that ran out.
	}
}

func (e *Epochs) join(which []uint8) *raise {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pending == nil {
		e.pending = &raise{shards: make(map[uint8]bool), done: make(chan struct{})}
	}
	for _, shard := range which {
		e.pending.shards[shard] = true
	}
	return e.pending
}

// await returns when r has been raised, by this call if it gets the turn.
func (e *Epochs) await(ctx context.Context, r *raise) error {
	select {
	case <-r.done:
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	case e.turn <- struct{}{}:
	}
	defer func() { <-e.turn }()
	select {
	case <-r.done:
		return r.err
	default:
	}
	e.mu.Lock()
	e.pending = nil
	e.mu.Unlock()
	r.err = e.raise(ctx, r.shards)
	close(r.done)
	return r.err
}

// raise adds one to each of the shards in the store, against whoever else does.
func (e *Epochs) raise(ctx context.Context, which map[uint8]bool) error {
	ctx, cancel := context.WithTimeout(ctx, raiseLimit)
	defer cancel()
	_, err := e.stored.Upsert(ctx, epochsKey, func(v *vector) error {
		for shard := range which {
			v[shard]++
		}
		return nil
	})
	return err
}
