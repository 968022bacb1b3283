// Package keyringtest gives tests the keys of a project whose bucket cannot be read any more. It touches nothing.
package keyringtest

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
)

// Cut returns the keys of a project, of one version, from a bucket that has been out of reach since they were made.
func Cut(tb testing.TB, project ident.ProjectID) *keyring.Ring {
	tb.Helper()
	s, err := keyring.Open(tb.Context(), keyring.Deps{
		Bucket: &bucket{}, Keep: time.Hour, Now: time.Now, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		tb.Fatal(err)
	}
	r, err := s.Ring(tb.Context(), project)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// bucket takes one value, and is out of reach then.
type bucket struct {
	jetstream.KeyValue
	cut atomic.Bool
}

func (*bucket) Bucket() string { return "keys" }

func (*bucket) Watch(context.Context, string, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	all := make(watcher, 1)
	all <- nil
	return all, nil
}

func (b *bucket) Get(context.Context, string) (jetstream.KeyValueEntry, error) {
	if b.cut.Load() {
		return nil, nats.ErrConnectionClosed
	}
	return nil, jetstream.ErrKeyNotFound
}

func (b *bucket) Create(context.Context, string, []byte, ...jetstream.KVCreateOpt) (uint64, error) {
	b.cut.Store(true)
	return 1, nil
}

type watcher chan jetstream.KeyValueEntry

func (w watcher) Updates() <-chan jetstream.KeyValueEntry { return w }
func (watcher) Stop() error                               { return nil }
func (watcher) Error() <-chan error                       { return nil }
