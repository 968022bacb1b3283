// Package objects reads JetStream object stores without consumers, which a service may not create (package direct has the reason): what is
// there, and what an object holds. It promises that what it returns is whole, by its digest. It reads, and touches nothing.
//
// What is stored is read as ADR-20 of NATS lays it out: a message for each object that says what it is, and its parts under a subject of
// their own.
package objects

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/direct"
)

// ErrDamaged says that an object is not what was stored: a part is missing, or it is being replaced.
var ErrDamaged = errors.New("its parts do not fit its digest")

// List returns what an object store holds, nothing if there is no such store.
func List(ctx context.Context, js jetstream.JetStream, bucket string) ([]*jetstream.ObjectInfo, error) {
	stream, err := direct.Open(ctx, js, "OBJ_"+bucket)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []*jetstream.ObjectInfo
	err = stream.Each(ctx, "$O."+bucket+".M.>", direct.Start{}, func(m direct.Message) (bool, error) {
		info := &jetstream.ObjectInfo{}
		if err := json.Unmarshal(m.Data, info); err != nil {
			return false, fmt.Errorf("decode what %s is: %w", m.Subject, err)
		}
		if info.ModTime = m.Time; !info.Deleted {
			all = append(all, info)
		}
		return true, nil
	})
	return all, err
}

// Content returns the bytes of an object. The error is or wraps ErrDamaged if they are not all there.
func Content(ctx context.Context, js jetstream.JetStream, bucket string, info *jetstream.ObjectInfo) ([]byte, error) {
	stream, err := direct.Open(ctx, js, "OBJ_"+bucket)
	if err != nil {
		return nil, err
	}
	raw := make([]byte, 0, info.Size)
	err = stream.Each(ctx, "$O."+bucket+".C."+info.NUID, direct.Start{}, func(m direct.Message) (bool, error) {
		raw = append(raw, m.Data...)
		return uint64(len(raw)) < info.Size, nil
	})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(raw)
	if whole := "SHA-256=" + base64.URLEncoding.EncodeToString(digest[:]); whole != info.Digest {
		return nil, ErrDamaged
	}
	return raw, nil
}
