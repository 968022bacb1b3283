package archive

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/objects"
)

// list returns what is kept, nothing if nothing ever was.
func list(ctx context.Context, js jetstream.JetStream) ([]*jetstream.ObjectInfo, error) {
	all, err := objects.List(ctx, js, bus.PoliciesBucket)
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	return all, nil
}

// content returns the bytes of an object.
func content(ctx context.Context, js jetstream.JetStream, info *jetstream.ObjectInfo) ([]byte, error) {
	return objects.Content(ctx, js, bus.PoliciesBucket, info)
}
