package bus_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
)

func open(t *testing.T, cfg bus.Config) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func config(t *testing.T) bus.Config {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	return cfg
}

func TestWhatWasAcknowledgedIsThereAfterARestart(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	first := open(t, cfg)
	if _, err := first.JS.Publish(t.Context(), bus.EventsPrefix+".pro-1.usr-1.login-error", []byte("x")); err != nil {
		t.Fatal(err)
	}
	kv, err := first.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Create(t.Context(), "pro-1.usr-1", []byte("y")); err != nil {
		t.Fatal(err)
	}
	first.Close()

	second := open(t, cfg)
	stream, err := second.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if got := stream.CachedInfo().State.Msgs; got != 1 {
		t.Errorf("messages after restart: got %d, want 1", got)
	}
	kv, err = second.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := kv.Get(t.Context(), "pro-1.usr-1")
	if err != nil || string(entry.Value()) != "y" {
		t.Errorf("account after restart: got %v, %v", entry, err)
	}
}

func TestASecondProcessCannotOpenTheSameDataDirectory(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	open(t, cfg)
	_, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "in use by another keyward") {
		t.Errorf("second open: got %v", err)
	}
}

func TestPlainNATSToolsConnectWithTheURLInTheDataDirectory(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Addr = "127.0.0.1:0"
	b := open(t, cfg)
	url, err := bus.ServerURL(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatalf("connect with %s: %v", bus.URLFile, err)
	}
	nc.Close()
	if _, err := nats.Connect("nats://" + b.ListenAddr()); err == nil {
		t.Error("a client without credentials was let in")
	}
	if info, err := os.Stat(filepath.Join(cfg.DataDir, bus.URLFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode of %s: %v, %v", bus.URLFile, info.Mode(), err)
	}
	ext := bus.DefaultConfig()
	ext.URL = url
	external := open(t, ext)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := external.Writable(ctx); err != nil {
		t.Error(err)
	}
}

func TestObservationsArePersistedAsynchronouslyAndEventsAreNot(t *testing.T) {
	t.Parallel()
	b := open(t, config(t))
	want := map[string]jetstream.PersistModeType{
		bus.EventsStream:             jetstream.DefaultPersistMode,
		"KV_" + bus.AccountsBucket:   jetstream.DefaultPersistMode,
		bus.OffersStream:             jetstream.AsyncPersistMode,
		bus.DecisionsStream:          jetstream.AsyncPersistMode,
		"KV_" + bus.ChallengesBucket: jetstream.AsyncPersistMode,
		"KV_" + bus.MarksBucket:      jetstream.DefaultPersistMode,
	}
	for name, mode := range want {
		stream, err := b.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.PersistMode; got != mode {
			t.Errorf("%s: persist mode %v, want %v", name, got, mode)
		}
	}
}

func TestObservationsMayComeInBatchesWhereTheServerKnowsThem(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]bool{
		"2.12.1": false, "2.13.0": false, "2.14.0": true, "2.15.2": true, "3.0.0": true, "2.14.0-RC.1": true, "": false, "dev": false,
	} {
		if got := bus.TakesBatches(version); got != want {
			t.Errorf("%q: %v", version, got)
		}
	}
	b := open(t, config(t))
	for name, want := range map[string]bool{
		bus.OffersStream: true, bus.DecisionsStream: true, bus.EventsStream: false, bus.AuditStream: false,
	} {
		stream, err := b.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.AllowBatchPublish; got != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestWhatIsCountedOfNamesThatNobodyHasIsKeptAsLongAsAccountsAndIsBounded(t *testing.T) {
	t.Parallel()
	stream, err := open(t, config(t)).Stream(t.Context(), "KV_"+bus.NobodiesBucket)
	if err != nil {
		t.Fatal(err)
	}
	if cfg := stream.CachedInfo().Config; cfg.MaxAge != 0 || cfg.MaxMsgs <= 0 || cfg.Discard != jetstream.DiscardOld {
		t.Errorf("%+v", cfg)
	}
}

func TestAWriteFailsAtOnceWhenTheServerIsGone(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.Addr = "127.0.0.1:0"
	server := open(t, cfg)
	url, err := bus.ServerURL(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	ext := bus.DefaultConfig()
	ext.URL = url
	client := open(t, ext)
	server.Close()
	for client.Conn.Status() == nats.CONNECTED {
		if err := client.Conn.FlushTimeout(1e8); err != nil {
			break
		}
	}
	if _, err := client.JS.Publish(t.Context(), bus.EventsPrefix+".pro-1.usr-1.login-error", nil); err == nil {
		t.Error("a publish succeeded without a server")
	}
}

func TestALogIsBoundedAsConfiguredAndTheOldestGoFirst(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	cfg.SyncInterval = time.Minute
	unbounded := open(t, cfg)
	for name, prefix := range map[string]string{bus.EventsStream: bus.EventsPrefix, bus.OffersStream: bus.OffersPrefix} {
		stream, err := unbounded.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().Config.MaxBytes; got != -1 {
			t.Errorf("%s: bounded to %d bytes without having been asked to", name, got)
		}
		if _, err := unbounded.JS.Publish(t.Context(), prefix+".pro-1.usr-1.first", nil); err != nil {
			t.Fatal(err)
		}
	}
	unbounded.Close()

	const bound = 64 << 20
	cfg.EventsMaxBytes, cfg.OffersMaxBytes, cfg.EventsMaxAge = bound, bound, time.Hour
	bounded := open(t, cfg)
	body := make([]byte, 1<<20)
	for name, prefix := range map[string]string{bus.EventsStream: bus.EventsPrefix, bus.OffersStream: bus.OffersPrefix} {
		for range 80 {
			if _, err := bounded.JS.Publish(t.Context(), prefix+".pro-1.usr-2.x", body); err != nil {
				t.Fatal(err)
			}
		}
		stream, err := bounded.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		if got := stream.CachedInfo().State.Bytes; got > bound {
			t.Errorf("%s holds %d bytes of %d", name, got, bound)
		}
		if msg, err := stream.GetLastMsgForSubject(t.Context(), prefix+".pro-1.usr-1.first"); err == nil {
			t.Errorf("%s: the oldest is still there: %+v", name, msg)
		}
		if _, err := stream.GetLastMsgForSubject(t.Context(), prefix+".pro-1.usr-2.x"); err != nil {
			t.Errorf("%s: the newest: %v", name, err)
		}
	}
}

func TestAStreamOfAnEarlierVersionTakesAtomicBatchesAfterAnUpgrade(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	first := open(t, cfg)
	stream, err := first.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	earlier := stream.CachedInfo().Config
	earlier.AllowAtomicPublish = false
	if _, err := first.JS.UpdateStream(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	first.Close()
	if stream, err = open(t, cfg).Stream(t.Context(), bus.EventsStream); err != nil {
		t.Fatal(err)
	}
	if !stream.CachedInfo().Config.AllowAtomicPublish {
		t.Error("the stream takes no atomic batches")
	}
}

func TestAStreamRemembersUpToWherePlainPositionsWereTold(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	said := func(b *bus.Bus) string {
		t.Helper()
		stream, err := b.Stream(t.Context(), bus.EventsStream)
		if err != nil {
			t.Fatal(err)
		}
		return stream.CachedInfo().Config.Metadata[bus.PositionsTold]
	}
	publish := func(b *bus.Bus) {
		t.Helper()
		if _, err := b.JS.Publish(t.Context(), bus.EventsPrefix+".pro-1.usr-1.local-unlock", []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	first := open(t, cfg)
	if got := said(first); got != "0" {
		t.Errorf("of a new stream: %q", got)
	}
	publish(first)
	stream, err := first.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	earlier := stream.CachedInfo().Config
	earlier.Metadata = nil
	if _, err := first.JS.UpdateStream(t.Context(), earlier); err != nil {
		t.Fatal(err)
	}
	first.Close()
	upgraded := open(t, cfg)
	if got := said(upgraded); got != "1" {
		t.Errorf("after an upgrade: %q", got)
	}
	publish(upgraded)
	upgraded.Close()
	if got := said(open(t, cfg)); got != "1" {
		t.Errorf("after another start: %q", got)
	}
}

func TestBoundsThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	for field, change := range map[string]func(*bus.Config){
		"events_max_bytes": func(c *bus.Config) { c.EventsMaxBytes = 1 << 20 },
		"offers_max_bytes": func(c *bus.Config) { c.OffersMaxBytes = -1 },
		"events_max_age":   func(c *bus.Config) { c.EventsMaxAge = time.Minute },
		"offers_max_age":   func(c *bus.Config) { c.OffersMaxAge = time.Minute },
	} {
		cfg := config(t)
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), field+":") {
			t.Errorf("%s: %v", field, err)
		}
	}
}
