package eventlog

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
)

const (
	shards      = 256
	epochsKey   = "epochs"
	idleAfter   = time.Second     // without readers the view is not kept fresh
	bumpLimit   = 5 * time.Second // of one attempt to raise epochs
	refreshWait = 2 * time.Second // of one read of the epochs
)

// vector holds the epoch of each shard of users.
type vector [shards]uint64

// view is what the key-value store said, and when it was asked.
type view struct {
	epochs vector
	asked  time.Time
}

// epochs is this instance's knowledge of which cache entries may be trusted.
type epochs struct {
	kv     jetstream.KeyValue
	clock  func() time.Time // must carry a monotonic reading
	config Config
	bumps  func() // counts

	view    atomic.Pointer[view]
	lastUse atomic.Int64 // Unix ns
	reading sync.Mutex   // held while asking the store
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

func newEpochs(kv jetstream.KeyValue, clock func() time.Time, config Config, bumps func()) *epochs {
	return &epochs{kv: kv, clock: clock, config: config, bumps: bumps, turn: make(chan struct{}, 1)}
}

// shardOf spreads users by the hash FNV-1a of project/user, written out because the library's needs four allocations for it.
func shardOf(project ident.ProjectID, user ident.UserID) uint8 {
	const offset, prime = 2166136261, 16777619
	sum := uint32(offset)
	for _, part := range [...]string{string(project), "/", string(user)} {
		for i := range len(part) {
			sum = (sum ^ uint32(part[i])) * prime
		}
	}
	return uint8(sum ^ sum>>8 ^ sum>>16 ^ sum>>24)
}

// run keeps the view fresh while anybody reads, until ctx ends.
func (e *epochs) run(ctx context.Context) {
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

// current returns the epoch of the shard. The error says that it could not be learned; then no entry may be trusted and none filled.
func (e *epochs) current(ctx context.Context, shard uint8) (uint64, error) {
	began := e.clock()
	e.lastUse.Store(began.UnixNano())
	if v := e.view.Load(); e.fresh(v) {
		return v.epochs[shard], nil
	}
	e.reading.Lock()
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

func (e *epochs) fresh(v *view) bool {
	return v != nil && e.clock().Sub(v.asked) < e.config.Lease
}

// refresh asks the store. The caller holds e.reading.
func (e *epochs) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, refreshWait)
	defer cancel()
	asked := e.clock()
	epochs, _, err := e.load(ctx)
	if err != nil {
		e.failed, e.failure = e.clock(), err
		return err
	}
	e.view.Store(&view{epochs: epochs, asked: asked})
	return nil
}

// load returns the epochs and their revision; 0 = there are none yet.
func (e *epochs) load(ctx context.Context) (vector, uint64, error) {
	var v vector
	entry, err := e.kv.Get(ctx, epochsKey)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return v, 0, nil
	}
	if err != nil {
		return v, 0, fmt.Errorf("read cache epochs: %w", err)
	}
	if _, err := binary.Decode(entry.Value(), binary.BigEndian, &v); err != nil {
		return v, 0, fmt.Errorf("decode cache epochs: %w", err)
	}
	return v, entry.Revision(), nil
}

// bump raises the epochs of the shards. When it returns nil, no instance trusts an entry of an older epoch any more, which takes a lease. Bumps that
// come while another is under way are raised together.
func (e *epochs) bump(ctx context.Context, which ...uint8) error {
	for {
		r := e.join(which)
		err := e.await(ctx, r)
		if err == nil {
			break
		}
		if ctx.Err() != nil || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		// It was the time of another bump that ran out.
	}
	e.bumps()
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

func (e *epochs) join(which []uint8) *raise {
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
func (e *epochs) await(ctx context.Context, r *raise) error {
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
func (e *epochs) raise(ctx context.Context, which map[uint8]bool) error {
	ctx, cancel := context.WithTimeout(ctx, bumpLimit)
	defer cancel()
	for {
		v, revision, err := e.load(ctx)
		if err != nil {
			return err
		}
		for shard := range which {
			v[shard]++
		}
		raw, err := binary.Append(nil, binary.BigEndian, v)
		if err != nil {
			return fmt.Errorf("encode cache epochs: %w", err)
		}
		if revision == 0 {
			_, err = e.kv.Create(ctx, epochsKey, raw)
		} else {
			_, err = e.kv.Update(ctx, epochsKey, raw, revision)
		}
		if err == nil {
			return nil
		}
		if !errors.Is(err, jetstream.ErrKeyExists) {
			return fmt.Errorf("raise cache epochs: %w", err)
		}
	}
}
