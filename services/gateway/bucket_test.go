package gateway_test

import (
	"context"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
)

// bucket is a key-value bucket in memory that can be made to fail. core/idempotency is tested with a real one.
type bucket struct {
	jetstream.KeyValue // what is not needed

	mu       sync.Mutex
	entries  map[string]entry
	revision uint64
}

type entry struct {
	jetstream.KeyValueEntry // what is not needed
	key                     string
	value                   []byte
	revision                uint64
}

func (e entry) Key() string                   { return e.key }
func (e entry) Value() []byte                 { return e.value }
func (e entry) Revision() uint64              { return e.revision }
func (entry) Operation() jetstream.KeyValueOp { return jetstream.KeyValuePut }

func (*bucket) Bucket() string { return "idempotency" }

func (b *bucket) Create(_ context.Context, key string, value []byte, _ ...jetstream.KVCreateOpt) (uint64, error) {
	return b.put(key, value, 0)
}

func (b *bucket) Update(_ context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return b.put(key, value, revision)
}

func (b *bucket) put(key string, value []byte, revision uint64) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.entries[key].revision != revision {
		return 0, fmt.Errorf("put %s: %w", key, jetstream.ErrKeyExists)
	}
	if b.entries == nil {
		b.entries = map[string]entry{}
	}
	b.revision++
	b.entries[key] = entry{key: key, value: value, revision: b.revision}
	return b.revision, nil
}

func (b *bucket) Get(_ context.Context, key string) (jetstream.KeyValueEntry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, ok := b.entries[key]
	if !ok {
		return nil, jetstream.ErrKeyNotFound
	}
	return e, nil
}

func (b *bucket) Purge(_ context.Context, key string, _ ...jetstream.KVDeleteOpt) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, key)
	return nil
}
