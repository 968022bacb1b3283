package kv_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"

	"github.com/nats-io/nats.go/jetstream"
	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/kv"
)

// openings are the ways in which a bucket is listed and followed.
func openings() map[string]func(*bus.Bus, jetstream.KeyValue) (jetstream.KeyValue, error) {
	leader := func(b *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) {
		stream, err := b.Stream(context.Background(), "KV_"+bucket.Bucket())
		if err != nil {
			return nil, err
		}
		cfg := stream.CachedInfo().Config
		cfg.AllowDirect = false // as with replicas
		if _, err := b.JS.UpdateStream(context.Background(), cfg); err != nil {
			return nil, err
		}
		if bucket, err = b.Bucket(context.Background(), bucket.Bucket()); err != nil {
			return nil, err
		}
		return kv.ByGets(context.Background(), b.JS, bucket)
	}
	return map[string]func(*bus.Bus, jetstream.KeyValue) (jetstream.KeyValue, error){
		"with a consumer": func(_ *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) { return bucket, nil },
		"by direct gets": func(b *bus.Bus, bucket jetstream.KeyValue) (jetstream.KeyValue, error) {
			return kv.ByGets(context.Background(), b.JS, bucket)
		},
		"from the leader": leader,
	}
}

func opened(t *testing.T, open func(*bus.Bus, jetstream.KeyValue) (jetstream.KeyValue, error)) jetstream.KeyValue {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	bucket, err := b.Bucket(t.Context(), bus.IdentifiersBucket)
	if err != nil {
		t.Fatal(err)
	}
	if bucket, err = open(b, bucket); err != nil {
		t.Fatal(err)
	}
	return bucket
}

// seal is a sealer that hides nothing but from a search, and checks the place.
type seal struct{}

func flip(raw []byte) []byte {
	flipped := slices.Clone(raw)
	for i := range flipped {
		flipped[i] ^= 0xff
	}
	return flipped
}

// sealedOnly reports whether what is stored can be opened by a bucket with a sealer alone.
func sealedOnly(t *rapid.T, raw jetstream.KeyValue, key string) bool {
	entry, err := raw.Get(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.HasPrefix(entry.Value(), []byte{0})
}

func TestWhatWasStoredPlainIsReadAndSealedWhenItChanges(t *testing.T) {
	t.Parallel()
	raw := open(t)
	plain := kv.Bucket[thing]{KV: raw, Name: "thing"}
	sealed := kv.Bucket[thing]{KV: raw, Name: "thing", Sealer: seal{}}
	secret := thing{Text: "hidden"}
	if _, err := plain.Create(t.Context(), "one", secret); err != nil {
		t.Fatal(err)
	}
	if e, err := sealed.Get(t.Context(), "one"); err != nil || e.Value != secret {
		t.Errorf("got %v, %v", e, err)
	}
	if _, err := sealed.Change(t.Context(), "one", more); err != nil {
		t.Fatal(err)
	}
	stored, err := raw.Get(t.Context(), "one")
	if err != nil || bytes.Contains(stored.Value(), []byte(secret.Text)) {
		t.Errorf("got %s, %v", stored.Value(), err)
	}
	if e, err := sealed.Get(t.Context(), "one"); err != nil || e.Value.Text != secret.Text || e.Value.N != 1 {
		t.Errorf("got %v, %v", e, err)
	}
	if _, err := raw.Put(t.Context(), "two", stored.Value()); err != nil {
		t.Fatal(err)
	}
	if e, err := sealed.Get(t.Context(), "two"); err == nil {
		t.Errorf("what was sealed under another key opens: %v", e)
	}
}

func (seal) Seal(place string, value []byte) ([]byte, error) {
	return append([]byte("\x00"+place+"\x00"), flip(value)...), nil
}

func (seal) Open(place string, stored []byte) ([]byte, error) {
	if !bytes.HasPrefix(stored, []byte{0}) {
		return stored, nil
	}
	sealed, ok := bytes.CutPrefix(stored, []byte("\x00"+place+"\x00"))
	if !ok {
		return nil, errors.New("sealed elsewhere")
	}
	return flip(sealed), nil
}
