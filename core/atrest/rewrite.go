package atrest

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/kv"
)

// Rewrite encrypts what a bucket holds and is not encrypted by the first key, and returns how much that was. A value that none
// of the keys opens is an error, and what it stands in stays as it is. What others write meanwhile, they encrypt.
func Rewrite(ctx context.Context, bucket jetstream.KeyValue, keys *Keys) (rewritten int, err error) {
	stored, err := entries(ctx, bucket)
	if err != nil {
		return 0, err
	}
	for _, entry := range stored {
		place := bucket.Bucket() + "/" + entry.Key()
		value, err := keys.Open(place, entry.Value())
		if err != nil {
			return rewritten, fmt.Errorf("open %s: %w", place, err)
		}
		if keys.current(entry.Value()) {
			continue
		}
		sealed, err := keys.Seal(place, value)
		if err != nil {
			return rewritten, fmt.Errorf("encrypt %s: %w", place, err)
		}
		_, err = bucket.Update(ctx, entry.Key(), sealed, entry.Revision())
		switch {
		case kv.Outrun(err):
		case err != nil:
			return rewritten, fmt.Errorf("encrypt %s: %w", place, err)
		default:
			rewritten++
		}
	}
	return rewritten, nil
}

// Check reports the first value of a bucket that is not stored as the keys have it: ErrKey, ErrBroke or ErrPlain.
func Check(ctx context.Context, bucket jetstream.KeyValue, keys *Keys) error {
	stored, err := entries(ctx, bucket)
	if err != nil {
		return err
	}
	for _, entry := range stored {
		place := bucket.Bucket() + "/" + entry.Key()
		if _, err := keys.Strict().Open(place, entry.Value()); err != nil {
			return fmt.Errorf("open %s: %w", place, err)
		}
	}
	return nil
}

func entries(ctx context.Context, bucket jetstream.KeyValue) ([]jetstream.KeyValueEntry, error) {
	var all []jetstream.KeyValueEntry
	err := kv.Watch(ctx, bucket, func(entry jetstream.KeyValueEntry) bool {
		if entry != nil && entry.Operation() == jetstream.KeyValuePut {
			all = append(all, entry)
		}
		return entry != nil
	})
	if err != nil {
		return nil, fmt.Errorf("read bucket %s: %w", bucket.Bucket(), err)
	}
	return all, nil
}
