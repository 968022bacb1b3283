// Package faulty is storage that fails on demand, for tests.
package faulty

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bucket fails on demand, as one whose server is away.
type Bucket struct {
	jetstream.KeyValue
	mu                                    sync.Mutex
	reads, puts, creates, updates, purges int // how many calls to come fail
}

// FailReads lets a number of reads to come fail.
func (f *Bucket) FailReads(n int) { f.set(&f.reads, n) }

// FailPuts lets a number of puts to come fail.
func (f *Bucket) FailPuts(n int) { f.set(&f.puts, n) }

// FailCreates lets a number of creations to come fail.
func (f *Bucket) FailCreates(n int) { f.set(&f.creates, n) }

// FailUpdates lets a number of updates to come fail.
func (f *Bucket) FailUpdates(n int) { f.set(&f.updates, n) }

// FailPurges lets a number of purges to come fail.
func (f *Bucket) FailPurges(n int) { f.set(&f.purges, n) }

func (f *Bucket) set(left *int, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*left = n
}

func (f *Bucket) fails(left *int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *left == 0 {
		return false
	}
	*left--
	return true
}

// Get implements jetstream.KeyValue.
func (f *Bucket) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if f.fails(&f.reads) {
		return nil, nats.ErrConnectionClosed
	}
	return f.KeyValue.Get(ctx, key)
}

// Put implements jetstream.KeyValue.
func (f *Bucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	if f.fails(&f.puts) {
		return 0, nats.ErrConnectionClosed
	}
	return f.KeyValue.Put(ctx, key, value)
}

// Create implements jetstream.KeyValue.
func (f *Bucket) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	if f.fails(&f.creates) {
		return 0, nats.ErrConnectionClosed
	}
	return f.KeyValue.Create(ctx, key, value, opts...)
}

// Update implements jetstream.KeyValue.
func (f *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if f.fails(&f.updates) {
		return 0, nats.ErrConnectionClosed
	}
	return f.KeyValue.Update(ctx, key, value, revision)
}

// Purge implements jetstream.KeyValue.
func (f *Bucket) Purge(ctx context.Context, key string, opts ...jetstream.KVDeleteOpt) error {
	if f.fails(&f.purges) {
		return nats.ErrConnectionClosed
	}
	return f.KeyValue.Purge(ctx, key, opts...)
}

// Keys lists what a bucket holds.
type Keys struct{ jetstream.KeyValue }

// ListKeys returns every key.
func (k Keys) ListKeys(ctx context.Context) ([]string, error) {
	lister, err := k.KeyValue.ListKeys(ctx)
	if err != nil {
		return nil, err
	}
	var all []string
	for key := range lister.Keys() {
		all = append(all, key)
	}
	return all, nil
}

// Watched is a bucket in which something happens once after a call, as another instance would have it happen.
type Watched struct {
	jetstream.KeyValue
	AfterGet, AfterCreate func() // nil: nothing does
}

// Get reads, and then has happen what happens after it.
func (w *Watched) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	defer once(&w.AfterGet)
	return w.KeyValue.Get(ctx, key)
}

// Create writes, and then has happen what happens after it.
func (w *Watched) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	defer once(&w.AfterCreate)
	return w.KeyValue.Create(ctx, key, value, opts...)
}

func once(do *func()) {
	if happens := *do; happens != nil {
		*do = nil
		happens()
	}
}
