package historycache

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/historycache/internal/epochs"
)

// DistrustRestored makes every entry of every cache be filled anew, for a store that was restored: what a cache holds may be of the time
// after the backup.
func DistrustRestored(ctx context.Context, bucket jetstream.KeyValue) error {
	return epochs.Leap(ctx, bucket)
}
