package kv

import (
	"bytes"
	"context"
	"errors"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// How a change that others have come before is tried again. With these pauses, of which each is half as long in the mean, the
// last attempt is made after about three seconds.
const (
	attempts   = 30
	firstPause = 4 * time.Millisecond
	lastPause  = 250 * time.Millisecond
)

// Change reads a value, lets change change it, and stores it if that has made it another. If another writer was faster it does
// so again, so change may be called several times. It returns the value as it is stored then. An error of change ends it and
// nothing is stored; the value comes with it as change has left it. Its other errors are ErrNotFound and ErrUnavailable, which
// it is too if others were faster every time, or until ctx ended; then it is ErrConflict as well.
func (b *Bucket[T]) Change(ctx context.Context, key string, change func(*T) error) (Entry[T], error) {
	return b.again(ctx, func() (Entry[T], error) { return b.change(ctx, key, b.absent(), change) })
}

// Upsert is Change for a key that need not be there: then change gets the zero value, and unless it leaves it as that, the key
// is created. It is for values that are mostly there.
func (b *Bucket[T]) Upsert(ctx context.Context, key string, change func(*T) error) (Entry[T], error) {
	return b.again(ctx, func() (Entry[T], error) { return b.change(ctx, key, nil, change) })
}

// CreateOrChange creates a key with a fresh value or, where there is one already, is Change. It is for keys that are mostly not there.
func (b *Bucket[T]) CreateOrChange(ctx context.Context, key string, fresh T, change func(*T) error) (Entry[T], error) {
	raw, err := b.encode(fresh)
	if err != nil {
		return Entry[T]{}, err
	}
	return b.again(ctx, func() (Entry[T], error) {
		revision, err := b.create(ctx, key, raw)
		if !errors.Is(err, ErrExists) {
			return Entry[T]{Key: key, Value: fresh, Revision: revision}, err
		}
		return b.change(ctx, key, errOutrun, change) // what is gone since can be created
	})
}

// errOutrun says that another writer was faster. It never leaves this package, so none that change returns is one.
var errOutrun = errors.New("another writer was faster")

// change makes one attempt. A key that is not there is the error missing; nil = it is created.
func (b *Bucket[T]) change(ctx context.Context, key string, missing error, change func(*T) error) (Entry[T], error) {
	e, before, err := b.read(ctx, key)
	absent := errors.Is(err, ErrNotFound)
	if absent {
		err = missing
	}
	if absent && err == nil {
		e.Key = key
		before, err = b.encode(e.Value)
	}
	if err != nil {
		return Entry[T]{}, err
	}
	if err := change(&e.Value); err != nil {
		return e, err
	}
	raw, err := b.encode(e.Value)
	if err != nil {
		return Entry[T]{}, err
	}
	switch {
	case bytes.Equal(raw, before):
	case absent:
		e.Revision, err = b.create(ctx, key, raw)
	default:
		e.Revision, err = b.update(ctx, key, raw, e.Revision)
	}
	if errors.Is(err, ErrConflict) || errors.Is(err, ErrExists) {
		return Entry[T]{}, errOutrun
	}
	return e, err
}

// again tries until no other writer is faster. Each pause is of random length between nothing and twice the interval (full
// jitter), which doubles.
func (b *Bucket[T]) again(ctx context.Context, try func() (Entry[T], error)) (Entry[T], error) {
	pauses := &backoff.ExponentialBackOff{
		InitialInterval: firstPause / 2, MaxInterval: lastPause / 2, Multiplier: 2, RandomizationFactor: 1,
	}
	var last Entry[T]
	var err error
	_, ended := backoff.Retry(ctx, func() (struct{}, error) {
		if last, err = try(); errors.Is(err, errOutrun) {
			return struct{}{}, err
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(pauses), backoff.WithMaxTries(attempts))
	if ended != nil {
		return Entry[T]{}, b.unavailable("changed", errors.Join(ErrConflict, ended))
	}
	return last, err
}
