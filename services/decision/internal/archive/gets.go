package archive

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
)

// errDamaged says that an object is not what was stored: a part is missing, or it is being replaced.
var errDamaged = errors.New("its parts do not fit its digest")

// The object store of the client lists and reads objects with consumers, which a service that decides may not create. What it stores is
// read here as ADR-20 of NATS lays it out: a message for each object that says what it is, and its parts under a subject of their own.
const (
	stream = "OBJ_" + bus.PoliciesBucket
	prefix = "$O." + bus.PoliciesBucket
)

// list returns what is kept, nothing if nothing ever was.
func list(ctx context.Context, js jetstream.JetStream) ([]*jetstream.ObjectInfo, error) {
	objects, err := direct.Open(ctx, js, stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*jetstream.ObjectInfo
	err = objects.Each(ctx, prefix+".M.>", direct.Start{}, func(m direct.Message) (bool, error) {
		info := &jetstream.ObjectInfo{}
		if err := json.Unmarshal(m.Data, info); err != nil {
			return false, fmt.Errorf("decode what %s is: %w", m.Subject, err)
		}
		if info.ModTime = m.Time; !info.Deleted {
			all = append(all, info)
		}
		return true, nil
	})
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	return all, nil
}

// content returns the bytes of an object.
func content(ctx context.Context, js jetstream.JetStream, info *jetstream.ObjectInfo) ([]byte, error) {
	objects, err := direct.Open(ctx, js, stream)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 0, info.Size)
	err = objects.Each(ctx, prefix+".C."+info.NUID, direct.Start{}, func(m direct.Message) (bool, error) {
		raw = append(raw, m.Data...)
		return uint64(len(raw)) < info.Size, nil
	})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(raw)
	if whole := "SHA-256=" + base64.URLEncoding.EncodeToString(digest[:]); whole != info.Digest {
		return nil, errDamaged
	}
	return raw, nil
}
