package wanted_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/historycache/internal/entry"
	"github.com/keyward/keyward/core/historycache/internal/wanted"
	"github.com/keyward/keyward/core/sighting"
)

var some = sighting.KindsOf(sighting.Kind{Subject: sighting.Address, Family: sighting.Bad})

// quick are figures with which a test waits for nothing long. The lease is the longest.
func quick() wanted.Config {
	return wanted.Config{Lease: time.Second, Poll: 10 * time.Millisecond, Renew: 20 * time.Millisecond, Grace: 200 * time.Millisecond}
}

func bucket(t *testing.T) (*bus.Bus, jetstream.KeyValue) {
	t.Helper()
	settings := bus.DefaultConfig()
	settings.DataDir = t.TempDir()
	b, err := bus.Open(t.Context(), settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.EpochsBucket)
	if err != nil {
		t.Fatal(err)
	}
	return b, kv
}

func run(t *testing.T, kv jetstream.KeyValue, config wanted.Config) *wanted.Wanted {
	t.Helper()
	w := wanted.New(kv, time.Now, config, func() {})
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { w.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	return w
}

func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		<-time.After(time.Millisecond)
	}
}

func TestNothingIsLeftOutThatSomebodyMayRead(t *testing.T) {
	t.Parallel()
	b, kv := bucket(t)
	reader, writer := run(t, kv, quick()), run(t, kv, quick())
	if writer.Written() != sighting.EveryKind || reader.Now(t.Context()) != (entry.Generations{}) {
		t.Fatal("something is left out, or may be whole, before anybody has said what is read")
	}
	reader.Want(some)
	until(t, "what is wanted first is not settled at once", func() bool {
		settled := reader.Settled()
		return settled.Kinds() == sighting.EveryKind && settled.SinceMs == (entry.Settled{}).SinceMs
	})
	until(t, "what nobody reads is written", func() bool { return writer.Written() == some })

	began := time.Now()
	reader.Want(sighting.EveryKind)
	until(t, "what begins to be read is not written", func() bool { return writer.Written() == sighting.EveryKind })
	if settled := reader.Settled(); time.Since(began) < quick().Lease && settled.Kinds() != some {
		t.Error("a kind is settled while a writer may leave it out")
	}
	before := reader.Now(t.Context())
	until(t, "what begins to be read is never settled", func() bool { return reader.Settled().Generations == before })
	if time.Since(began) < quick().Lease {
		t.Error("a kind was settled while a writer may have left it out")
	}

	reader.Want(some)
	until(t, "what nobody reads any more is written", func() bool { return writer.Written() == some })
	reader.Want(sighting.EveryKind)
	until(t, "it is not written again", func() bool { return writer.Written() == sighting.EveryKind })
	for i, generation := range reader.Now(t.Context()) {
		if kind := sighting.AllKinds()[i]; some.Has(kind) != (generation == before[i]) {
			t.Errorf("%v was of generation %d and is of %d", kind, before[i], generation)
		}
	}
	reader.Want(some)
	until(t, "what nobody reads any more is written", func() bool { return writer.Written() == some })
	b.Close()
	until(t, "a writer who knows nothing leaves something out", func() bool { return writer.Written() == sighting.EveryKind })
}

func TestWhatALaterVersionSaysLeavesNothingOut(t *testing.T) {
	t.Parallel()
	_, kv := bucket(t)
	if _, err := kv.Put(t.Context(), "sightings", []byte(`{"version":2,"kinds":[{"generation":7}]}`)); err != nil {
		t.Fatal(err)
	}
	w := run(t, kv, quick())
	w.Want(some)
	<-time.After(20 * quick().Poll)
	if w.Written() != sighting.EveryKind || w.Now(t.Context()) != (entry.Generations{}) {
		t.Errorf("%b is written, and generations are %v", w.Written(), w.Now(t.Context()))
	}
	if e, err := kv.Get(t.Context(), "sightings"); err != nil || e.Revision() != 1 {
		t.Errorf("what a later version said was written over: %v", err)
	}
}
