// Package kv keeps values of one type in a JetStream key-value bucket, and says in one way what can go wrong with that. A
// Bucket touches its bucket and nothing else, and keeps nothing in memory.
//
// When a write has returned without error, the server has stored it. When it has returned an error that is ErrUnavailable,
// nobody knows whether it has. A write on a revision succeeds only while that revision is the newest, so of several writers one
// wins; Change and its kin let the others read again and decide anew, a bounded number of times and after a pause of random
// length, so that they do not meet again.
package kv

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/patience"
	"github.com/keyward/keyward/core/span"
)

// What a bucket answers. Every other error is one of its codec, of its sealer or of the caller's own function.
var (
	ErrNotFound    = errors.New("there is no such key")
	ErrExists      = errors.New("the key exists already")
	ErrConflict    = errors.New("the value was changed meanwhile")
	ErrUnavailable = errors.New("the bucket cannot be reached") // comes as a fault: 503 with Retry-After
)

// retryAfter is how long a caller is asked to wait for a bucket that cannot be reached.
const retryAfter = time.Second

// Bucket is a key-value bucket whose values are of type T. Fill it in before its first use and leave it as it is from then on;
// then it is safe for concurrent use.
type Bucket[T any] struct {
	KV   jetstream.KeyValue
	Name string // of one value in faults, as in "the session could not be read"

	Missing error // what is returned instead of ErrNotFound; nil = ErrNotFound

	// Encode and Decode say what the bytes of a value are; nil = encoding/json. A value must be encoded alike each time: so is
	// seen whether it has changed.
	Encode func(T) ([]byte, error)
	Decode func([]byte, *T) error

	Sealer Sealer // nil = values are stored as they are encoded
}

// Sealer keeps values from who can read the bucket. Place is the name of the bucket and the key, as "sessions/pro-1.ses-2":
// associated data, by which a value that was moved elsewhere does not open.
type Sealer interface {
	// Seal returns what is to be stored. It must be such that Open can tell it from a value that was stored unsealed.
	Seal(place string, value []byte) ([]byte, error)
	// Open returns what was sealed, and what was stored unsealed as it is.
	Open(place string, stored []byte) ([]byte, error)
}

// Entry is a value and where it was found.
type Entry[T any] struct {
	Key      string
	Value    T
	Revision uint64
	Gone     bool // the key was deleted; there is no value
}

// Get returns the value of a key. Its errors are ErrNotFound, also of what cannot be a key, and ErrUnavailable.
func (b *Bucket[T]) Get(ctx context.Context, key string) (Entry[T], error) {
	e, _, err := b.read(ctx, key)
	if errors.Is(err, ErrNotFound) {
		err = b.absent()
	}
	return e, err
}

// Create stores the value of a new key and returns its revision. Its errors are ErrExists and ErrUnavailable.
func (b *Bucket[T]) Create(ctx context.Context, key string, value T) (revision uint64, err error) {
	raw, err := b.encode(value)
	if err != nil {
		return 0, err
	}
	return b.create(ctx, key, raw)
}

// Put stores a value, whatever there was. Its error is ErrUnavailable.
func (b *Bucket[T]) Put(ctx context.Context, key string, value T) error {
	raw, err := b.encode(value)
	if err != nil {
		return err
	}
	if raw, err = b.seal(key, raw); err != nil {
		return err
	}
	ctx, step := b.step(ctx, "put")
	err = led(ctx, func() error {
		_, err := b.KV.Put(ctx, key, raw)
		return err
	})
	step.End(err)
	if err != nil {
		return b.unavailable("stored", err)
	}
	return nil
}

// Update stores a value in place of a revision and returns the new one. Its errors are ErrConflict, if another revision is the
// newest, and ErrUnavailable.
func (b *Bucket[T]) Update(ctx context.Context, key string, value T, revision uint64) (uint64, error) {
	raw, err := b.encode(value)
	if err != nil {
		return 0, err
	}
	return b.update(ctx, key, raw, revision)
}

// Delete removes a value without a trace of it. A key that is not there is no error. Its error is ErrUnavailable.
func (b *Bucket[T]) Delete(ctx context.Context, key string) error { return b.purge(ctx, key) }

// DeleteRevision is Delete if the revision is the newest; otherwise the error is ErrConflict.
func (b *Bucket[T]) DeleteRevision(ctx context.Context, key string, revision uint64) error {
	return b.purge(ctx, key, jetstream.LastRevision(revision))
}

// DeleteIf removes a value of which goes says so. A key that is not there, and one that somebody changes at the same time,
// stays as it is. Its error is ErrUnavailable.
func (b *Bucket[T]) DeleteIf(ctx context.Context, key string, goes func(T) bool) error {
	e, _, err := b.read(ctx, key)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err != nil || !goes(e.Value) {
		return err
	}
	if err = b.DeleteRevision(ctx, key, e.Revision); errors.Is(err, ErrConflict) {
		return nil
	}
	return err
}

// Open decodes what was read or watched elsewhere than here.
func (b *Bucket[T]) Open(stored jetstream.KeyValueEntry) (Entry[T], error) {
	e, _, err := b.open(stored)
	return e, err
}

func (b *Bucket[T]) create(ctx context.Context, key string, raw []byte) (uint64, error) {
	raw, err := b.seal(key, raw)
	if err != nil {
		return 0, err
	}
	ctx, step := b.step(ctx, "create")
	var revision uint64
	err = led(ctx, func() error {
		revision, err = b.KV.Create(ctx, key, raw)
		return err
	})
	step.End(failure(err))
	if Outrun(err) {
		return 0, ErrExists
	}
	if err != nil {
		return 0, b.unavailable("stored", err)
	}
	return revision, nil
}

func (b *Bucket[T]) update(ctx context.Context, key string, raw []byte, last uint64) (revision uint64, err error) {
	raw, err = b.seal(key, raw)
	if err != nil {
		return 0, err
	}
	ctx, step := b.step(ctx, "update")
	err = led(ctx, func() error {
		revision, err = b.KV.Update(ctx, key, raw, last)
		return err
	})
	step.End(failure(err))
	if Outrun(err) {
		return 0, ErrConflict
	}
	if err != nil {
		return 0, b.unavailable("stored", err)
	}
	return revision, nil
}

func (b *Bucket[T]) purge(ctx context.Context, key string, opts ...jetstream.KVDeleteOpt) error {
	ctx, step := b.step(ctx, "purge")
	err := led(ctx, func() error { return b.KV.Purge(ctx, key, opts...) })
	step.End(failure(err))
	if Outrun(err) {
		return ErrConflict
	}
	if err != nil {
		return b.unavailable("deleted", err)
	}
	return nil
}

// Outrun reports whether a write to a bucket, be it not by a Bucket, was refused because another writer's came first. A server says that of
// one replica by another code than of several.
func Outrun(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// led writes as soon as the bucket has a leader, for as long as the caller waits. A write that nobody took has not been made, so it can
// be made then; what was sent and not answered is left to the caller, who alone knows whether it may be made twice.
func led(ctx context.Context, write func() error) error {
	err := write()
	_, bounded := ctx.Deadline()
	for bounded && errors.Is(err, jetstream.ErrNoStreamResponse) && patience.Pause(ctx) {
		err = write()
	}
	return err
}

// step tells the trace of a call of an operation on the bucket.
func (b *Bucket[T]) step(ctx context.Context, operation string) (context.Context, span.Step) {
	return span.Stream(ctx, operation, b.KV.Bucket())
}

// failure is err unless another writer was faster.
func failure(err error) error {
	if Outrun(err) {
		return nil
	}
	return err
}

// read returns a value, and as it was encoded, or ErrNotFound.
func (b *Bucket[T]) read(ctx context.Context, key string) (Entry[T], []byte, error) {
	ctx, step := b.step(ctx, "get")
	stored, err := patience.Ask(ctx, func(ctx context.Context) (jetstream.KeyValueEntry, error) { return b.KV.Get(ctx, key) })
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrInvalidKey) {
		step.End(nil)
		return Entry[T]{}, nil, ErrNotFound
	}
	step.End(err)
	if err != nil {
		return Entry[T]{}, nil, b.unavailable("read", err)
	}
	return b.open(stored)
}

func (b *Bucket[T]) absent() error { return cmp.Or(b.Missing, ErrNotFound) }

func (b *Bucket[T]) open(stored jetstream.KeyValueEntry) (Entry[T], []byte, error) {
	e := Entry[T]{Key: stored.Key(), Revision: stored.Revision(), Gone: stored.Operation() != jetstream.KeyValuePut}
	if e.Gone {
		return e, nil, nil
	}
	raw, err := stored.Value(), error(nil)
	if b.Sealer != nil {
		raw, err = b.Sealer.Open(b.place(e.Key), raw)
	}
	switch {
	case err != nil:
	case b.Decode != nil:
		err = b.Decode(raw, &e.Value)
	default:
		err = json.Unmarshal(raw, &e.Value)
	}
	if err != nil {
		return e, nil, fault.Internal(fmt.Errorf("decode %s %s: %w", b.Name, e.Key, err))
	}
	return e, raw, nil
}

func (b *Bucket[T]) encode(value T) (raw []byte, err error) {
	if b.Encode != nil {
		raw, err = b.Encode(value)
	} else {
		raw, err = json.Marshal(value)
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", b.Name, err)
	}
	return raw, nil
}

func (b *Bucket[T]) seal(key string, raw []byte) ([]byte, error) {
	if b.Sealer == nil {
		return raw, nil
	}
	sealed, err := b.Sealer.Seal(b.place(key), raw)
	if err != nil {
		return nil, fmt.Errorf("seal %s: %w", b.Name, err)
	}
	return sealed, nil
}

func (b *Bucket[T]) place(key string) string { return b.KV.Bucket() + "/" + key }

func (b *Bucket[T]) unavailable(done string, cause error) error {
	return fault.Unavailable(retryAfter, "the %s could not be %s", b.Name, done).Because(fmt.Errorf("%w: %w", ErrUnavailable, cause))
}
