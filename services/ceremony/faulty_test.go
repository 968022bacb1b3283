package ceremony_test

import (
	"context"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// faulty is a bucket that fails on demand, as one whose server is away.
type faulty struct {
	jetstream.KeyValue
	mu                                    sync.Mutex
	reads, puts, creates, updates, purges int // how many calls to come fail
}

func (f *faulty) failReads(n int) { f.set(&f.reads, n) }

func (f *faulty) failPuts(n int) { f.set(&f.puts, n) }

func (f *faulty) failCreates(n int) { f.set(&f.creates, n) }

func (f *faulty) failUpdates(n int) { f.set(&f.updates, n) }

func (f *faulty) failPurges(n int) { f.set(&f.purges, n) }

func (f *faulty) set(left *int, n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	*left = n
}

func (f *faulty) fails(left *int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if *left == 0 {
		return false
	}
	*left--
	return true
}

func (f *faulty) Get(ctx context.Context, key string) (jetstream.KeyValueEntry, error) {
	if f.fails(&f.reads) {
		return nil, nats.ErrConnectionClosed
	}
	return f.KeyValue.Get(ctx, key)
}

func (f *faulty) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	if f.fails(&f.puts) {
		return 0, nats.ErrConnectionClosed
	}
	return f.KeyValue.Put(ctx, key, value)
}

func (f *faulty) Create(ctx context.Context, key string, value []byte, opts ...jetstream.KVCreateOpt) (uint64, error) {
	if f.fails(&f.creates) {
		return 0, nats.ErrConnectionClosed
	}
	return f.KeyValue.Create(ctx, key, value, opts...)
}

func (f *faulty) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	if f.fails(&f.updates) {
		return 0, nats.ErrConnectionClosed
	}
	return f.KeyValue.Update(ctx, key, value, revision)
}

func (f *faulty) Purge(ctx context.Context, key string, opts ...jetstream.KVDeleteOpt) error {
	if f.fails(&f.purges) {
		return nats.ErrConnectionClosed
	}
	return f.KeyValue.Purge(ctx, key, opts...)
}

// keys lists what a bucket holds.
type keys struct{ jetstream.KeyValue }

func (k keys) ListKeys(ctx context.Context) ([]string, error) {
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
