package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/atrest"
	"github.com/keyward/keyward/core/kv"
)

var errKeys = errors.New(
	"the server stores secrets under other keys; set encryption_key (KEYWARD_ENCRYPTION_KEY, KEYWARD_ENCRYPTION_KEY_FILE) as it has it, " +
		"or name its data directory with --data-dir",
)

// sealer returns what the server encrypts a bucket with. Something would be written there that it cannot read if it had other
// keys, so what is there must open.
func (p *Projects) sealer(ctx context.Context, bucket jetstream.KeyValue) (kv.Sealer, error) {
	if err := atrest.Check(ctx, bucket, p.keys); err != nil {
		return nil, fmt.Errorf("%w: %w", errKeys, err)
	}
	if p.keys == nil {
		return nil, nil
	}
	return p.keys.Strict(), nil
}
