package epochs

import (
	"context"
	"crypto/rand"
	"encoding/binary"

	"github.com/nats-io/nats.go/jetstream"
)

// Leap gives every shard an epoch that no cache has seen: a store that was restored would otherwise raise its own to ones that entries of
// the time after the backup were filled under.
func Leap(ctx context.Context, bucket jetstream.KeyValue) error {
	var leap [4]byte
	_, _ = rand.Read(leap[:]) // does not fail
	// So far that raising one after the other does not get there, and not so far that they would come to an end.
	by := (1 + uint64(binary.BigEndian.Uint32(leap[:]))) << 24
	e := New(bucket, nil, Config{}, nil)
	_, err := e.stored.Upsert(ctx, epochsKey, func(v *vector) error {
		for shard := range v {
			v[shard] += by
		}
		return nil
	})
	return err
}
