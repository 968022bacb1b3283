package archive_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/services/decision/internal/archive"
)

// The client's own connection of each Put may forget a goroutine of its own, if it ends before that has begun.
const forgotten = "github.com/nats-io/nats.go/jetstream.(*jetStream).resetPendingAcksOnReconnect"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction(forgotten)) }

func files(text string) map[string][]byte {
	return map[string][]byte{
		"data.json":        []byte(`{}`),
		"login/login.rego": []byte("package keyward.login\n# " + text),
		".manifest":        []byte(`{"revision":"r"}`),
	}
}

func TestTheSameFilesPackToTheSameBytes(t *testing.T) {
	one, err := archive.Pack(files("a"))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		again, err := archive.Pack(files("a"))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(one, again); diff != "" {
			t.Fatal(diff)
		}
	}
	if other, _ := archive.Pack(files("b")); cmp.Equal(one, other) {
		t.Error("other files pack to the same bytes")
	}
}

func TestUnpackedFilesAreThoseThatWerePacked(t *testing.T) {
	packed, err := archive.Pack(files("a"))
	if err != nil {
		t.Fatal(err)
	}
	unpacked, err := archive.Unpack(packed)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(files("a"), readAll(t, unpacked)); diff != "" {
		t.Error(diff)
	}
}

func readAll(t *testing.T, fsys fs.FS) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		all[name], err = fs.ReadFile(fsys, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func openBus(t *testing.T, change func(*bus.Config)) jetstream.JetStream {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir, cfg.SyncInterval = t.TempDir(), time.Minute
	if change != nil {
		change(&cfg)
	}
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b.JS
}

// keep runs an archive over the revisions and returns when all are stored.
func keep(t *testing.T, js jetstream.JetStream, revisions ...string) float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	a := archive.New(js, slog.New(slog.DiscardHandler), registry)
	for _, text := range revisions {
		a.Keep(text, "revision "+text, files(text))
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { a.Run(ctx) })
	// What waits is stored before Run returns.
	stop()
	running.Wait()
	count, err := testutil.GatherAndCount(registry)
	if err != nil || count != 1 {
		t.Fatal(count, err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	return families[0].GetMetric()[0].GetCounter().GetValue()
}

// keepAll keeps revisions again until each attempt has worked: an archive that ends gives each two seconds, which a busy machine may need.
func keepAll(t *testing.T, js jetstream.JetStream, revisions ...string) {
	t.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; {
		failures := keep(t, js, revisions...)
		if failures == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v failures", failures)
		}
	}
}

func TestAKeptRevisionCanBeOpened(t *testing.T) {
	js := openBus(t, nil)
	keepAll(t, js, "a", "b", "a")
	for _, text := range []string{"a", "b"} {
		opened, err := archive.Open(t.Context(), js, text)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(files(text), readAll(t, opened)); diff != "" {
			t.Error(diff)
		}
	}
	if _, err := archive.Open(t.Context(), js, "c"); !errors.Is(err, archive.ErrUnknown) {
		t.Errorf("an unknown revision: %v", err)
	}
}

func TestARevisionThatIsKeptAlreadyIsNotStoredAgain(t *testing.T) {
	js := openBus(t, nil)
	keep(t, js, "a")
	chunks := func() string {
		store, err := js.ObjectStore(t.Context(), bus.PoliciesBucket)
		if err != nil {
			t.Fatal(err)
		}
		info, err := store.GetInfo(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		return info.NUID
	}
	before := chunks()
	keep(t, js, "b", "a")
	if after := chunks(); after != before {
		t.Error("it was stored again")
	}
}

func TestFailuresAreCounted(t *testing.T) {
	js := openBus(t, nil)
	if err := js.DeleteObjectStore(t.Context(), bus.PoliciesBucket); err != nil {
		t.Fatal(err)
	}
	if failures := keep(t, js, "a"); failures < 1 {
		t.Errorf("%v failures, want one for each attempt", failures)
	}
}

func TestOldRevisionsBeyondTheNewestHundredAreRemoved(t *testing.T) {
	const made = 120
	js := openBus(t, nil)
	store, err := js.ObjectStore(t.Context(), bus.PoliciesBucket)
	if err != nil {
		t.Fatal(err)
	}
	kept := func() int {
		all, err := store.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(all)
	}
	name := func(n int) string { return fmt.Sprintf("rev%03d", n) }
	for first := 0; first < made; first += 60 {
		var batch []string
		for n := first; n < first+60; n++ {
			batch = append(batch, name(n))
		}
		keepAll(t, js, batch...)
	}
	if n := kept(); n != made {
		t.Errorf("%d revisions are kept while decisions may name them, want %d", n, made)
	}
	decisions, err := js.Stream(t.Context(), bus.DecisionsStream)
	if err != nil {
		t.Fatal(err)
	}
	cfg := decisions.CachedInfo().Config
	cfg.MaxAge, cfg.Duplicates = 150*time.Millisecond, 100*time.Millisecond
	if _, err := js.UpdateStream(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); kept() != 100 && time.Now().Before(until); {
		keep(t, js, name(made-1))
	}
	if n := kept(); n != 100 {
		t.Errorf("%d revisions are kept once no decision can name them, want 100", n)
	}
	for n, want := range map[int]error{0: archive.ErrUnknown, made - 100: nil, made - 1: nil} {
		if _, err := archive.Open(t.Context(), js, name(n)); !errors.Is(err, want) {
			t.Errorf("revision %d: %v, want %v", n, err, want)
		}
	}
}
