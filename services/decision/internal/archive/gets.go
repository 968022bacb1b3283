package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/objects"
)

// releases is what the names of revisions begin with that were pushed. They are not the archive's to remove.
const releases = "release."

// list returns what is kept of the revisions that answer, nothing if nothing ever was.
func list(ctx context.Context, js jetstream.JetStream) ([]*jetstream.ObjectInfo, error) {
	all, err := objects.List(ctx, js, bus.PoliciesBucket)
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	return slices.DeleteFunc(all, func(info *jetstream.ObjectInfo) bool { return strings.HasPrefix(info.Name, releases) }), nil
}

// Release stores a packed revision under its digest for good. One that is there already stays as it is.
func Release(ctx context.Context, js jetstream.JetStream, digest, name string, packed []byte) error {
	objects, err := js.ObjectStore(ctx, bus.PoliciesBucket)
	if err != nil {
		return fmt.Errorf("open bucket %s: %w", bus.PoliciesBucket, err)
	}
	if _, err := objects.GetInfo(ctx, releases+digest); err == nil {
		return nil
	} else if !errors.Is(err, jetstream.ErrObjectNotFound) {
		return fmt.Errorf("look for revision %s: %w", digest, err)
	}
	meta := jetstream.ObjectMeta{Name: releases + digest, Description: name}
	if _, err := objects.Put(ctx, meta, bytes.NewReader(packed)); err != nil {
		return fmt.Errorf("store revision %s: %w", digest, err)
	}
	return nil
}

// Released returns what Release stored.
func Released(ctx context.Context, js jetstream.JetStream, digest string) ([]byte, error) {
	return open(ctx, js, releases+digest)
}

// content returns the bytes of an object.
func content(ctx context.Context, js jetstream.JetStream, info *jetstream.ObjectInfo) ([]byte, error) {
	return objects.Content(ctx, js, bus.PoliciesBucket, info)
}
