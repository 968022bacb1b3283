package kv

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// All yields the values of the keys that match a pattern ("pro-1.*", or ">" for all), in no particular order. An error is the
// last that it yields.
func (b *Bucket[T]) All(ctx context.Context, pattern string) iter.Seq2[Entry[T], error] {
	return func(yield func(Entry[T], error) bool) {
		more := true
		err := b.watch(ctx, sought{pattern: pattern, values: true}, func(stored jetstream.KeyValueEntry) bool {
			if stored == nil {
				return false
			}
			e, err := b.Open(stored)
			more = yield(e, err) && err == nil
			return more
		})
		if err != nil && more {
			yield(Entry[T]{}, err)
		}
	}
}

// Keys returns the keys that match a pattern, in no particular order. Its error is ErrUnavailable.
func (b *Bucket[T]) Keys(ctx context.Context, pattern string) ([]string, error) {
	var keys []string
	err := b.watch(ctx, sought{pattern: pattern}, func(stored jetstream.KeyValueEntry) bool {
		if stored == nil {
			return false
		}
		keys = append(keys, stored.Key())
		return true
	})
	return keys, err
}

// DeleteAll removes the keys that match a pattern. An interrupted one is repeated by asking for it again.
func (b *Bucket[T]) DeleteAll(ctx context.Context, pattern string) error {
	keys, err := b.Keys(ctx, pattern)
	for _, key := range keys {
		if err == nil {
			err = b.Delete(ctx, key)
		}
	}
	return err
}

// Load hands what there is to see, entries of deleted keys too. What cannot be decoded comes with an error, and does not end it.
func (b *Bucket[T]) Load(ctx context.Context, see func(Entry[T], error)) error {
	return b.watch(ctx, sought{pattern: jetstream.AllKeys, values: true, gone: true}, func(stored jetstream.KeyValueEntry) bool {
		if stored != nil {
			see(b.Open(stored))
		}
		return stored != nil
	})
}

// Follow does what Load does and goes on with all that is written, until ctx ends or the connection is closed; that is no error.
func (b *Bucket[T]) Follow(ctx context.Context, see func(Entry[T], error)) error {
	err := b.watch(ctx, sought{pattern: jetstream.AllKeys, values: true, gone: true}, func(stored jetstream.KeyValueEntry) bool {
		if stored != nil {
			see(b.Open(stored))
		}
		return true
	})
	if ctx.Err() == nil && !errors.Is(err, errWatchEnded) {
		return err
	}
	return nil
}

// Keep is Follow beside maintain, which is called at once and then every so often. It returns when both have.
func (b *Bucket[T]) Keep(
	ctx context.Context, see func(Entry[T], error), every time.Duration, maintain func(context.Context),
) error {
	var maintained sync.WaitGroup
	defer maintained.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	maintained.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			maintain(ctx)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return b.Follow(ctx, see)
}

// Watch hands the entries of a bucket to see as they are stored, those of deleted keys too, nil once it has had all that there were, and
// from then on what is written, until see wants no more, ctx ends or the connection is closed.
func Watch(ctx context.Context, bucket jetstream.KeyValue, see func(jetstream.KeyValueEntry) bool) error {
	stored := Bucket[[]byte]{KV: bucket, Name: "entry of " + bucket.Bucket()}
	return stored.watch(ctx, sought{pattern: jetstream.AllKeys, values: true, gone: true}, see)
}

var errWatchEnded = errors.New("the watch ended")

// sought says which entries are wanted.
type sought struct {
	pattern string
	values  bool // and not the keys alone
	gone    bool // of deleted keys too
}

func (w sought) options() []jetstream.WatchOpt {
	var opts []jetstream.WatchOpt
	if !w.gone {
		opts = append(opts, jetstream.IgnoreDeletes())
	}
	if !w.values {
		opts = append(opts, jetstream.MetaOnly())
	}
	return opts
}

// watch hands entries to see, and nil when it has had all that there were, until see says that it wants no more.
func (b *Bucket[T]) watch(ctx context.Context, wanted sought, see func(jetstream.KeyValueEntry) bool) error {
	if d, ok := b.KV.(*gets); ok {
		if err := d.watch(ctx, wanted, see); err != nil {
			return b.unavailable("read", err)
		}
		return nil
	}
	w, err := b.KV.Watch(ctx, wanted.pattern, wanted.options()...)
	if err != nil {
		return b.unavailable("read", err)
	}
	defer func() { _ = w.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return b.unavailable("read", ctx.Err())
		case stored, open := <-w.Updates():
			if !open {
				return b.unavailable("read", errWatchEnded)
			}
			if !see(stored) {
				return nil
			}
		}
	}
}
