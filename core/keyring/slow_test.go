package keyring_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/keyring/keyringtest"
	"github.com/keyward/keyward/core/kv"
)

// slow is a bucket with nothing in it that takes three seconds for everything.
type slow struct {
	jetstream.KeyValue
	made atomic.Int32
}

const takes = 3 * time.Second

func (*slow) Bucket() string { return "keys" }

func (*slow) Watch(context.Context, string, ...jetstream.WatchOpt) (jetstream.KeyWatcher, error) {
	all := make(watcher, 1)
	all <- nil
	return all, nil
}

func (*slow) Get(ctx context.Context, _ string) (jetstream.KeyValueEntry, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(takes):
		return nil, jetstream.ErrKeyNotFound
	}
}

func (s *slow) Create(ctx context.Context, _ string, _ []byte, _ ...jetstream.KVCreateOpt) (uint64, error) {
	select {
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(takes):
		return uint64(s.made.Add(1)), nil
	}
}

type watcher chan jetstream.KeyValueEntry

func (w watcher) Updates() <-chan jetstream.KeyValueEntry { return w }
func (watcher) Stop() error                               { return nil }
func (watcher) Error() <-chan error                       { return nil }

// A new project's first calls were refused for as long as a busy store took longer than a second for its two steps.
func TestTheFirstCallersOfAProjectGetItsKeysFromABusyStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		bucket := &slow{}
		s, err := keyring.Open(t.Context(), keyring.Deps{Bucket: bucket, Keep: keep, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		for i := range 3 {
			callers.Go(func() {
				ctx, gone := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second) // each goes away before the end
				defer gone()
				if _, err := s.Ring(ctx, shop); err != nil {
					t.Errorf("caller %d: %v", i, err)
				}
			})
		}
		callers.Wait()
		if n := bucket.made.Load(); n != 1 {
			t.Errorf("keys were made %d times", n)
		}
	})
}

// Unknown is no no: a token of a version that another instance may have made a moment ago was refused while the store was away.
func TestWhetherAVersionIsOneIsNotKnownWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	r := keyringtest.Cut(t, shop)
	own := r.Newest(keyring.RefreshToken)
	for name, c := range map[string]struct {
		version int
		want    error
	}{
		"its own":                  {own.Version, nil},
		"the next":                 {own.Version + 1, kv.ErrUnavailable},
		"one that nobody made yet": {own.Version + 2, keyring.ErrVersion},
		"one of before versions":   {keyring.Legacy, keyring.ErrVersion},
		"one that is no version":   {-1, keyring.ErrVersion},
	} {
		if _, err := r.Key(keyring.RefreshToken, c.version); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
