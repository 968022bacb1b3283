package bus_test

import (
	"errors"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
)

func TestWhatLogsReserveFitsTheDisk(t *testing.T) {
	t.Parallel()
	const mib, gib = int64(1) << 20, int64(1) << 30
	for name, c := range map[string]struct {
		total      int64
		change     func(*bus.Config)
		decisions  int64 // the most that they may take
		deliveries int64
		refused    string
	}{
		"a large disk takes what is asked for":         {total: 100 * gib, decisions: 4 * gib, deliveries: gib},
		"a small disk keeps half for what must not go": {total: gib, decisions: 410 * mib, deliveries: 103 * mib},
		"bounds that fit are left alone": {
			total: gib, change: func(c *bus.Config) { c.DecisionsMaxBytes, c.WebhookDeliveriesMaxBytes = 100*mib, 50*mib },
			decisions: 100 * mib, deliveries: 50 * mib,
		},
		"events are not thrown away to fit": {
			total:   gib,
			change:  func(c *bus.Config) { c.EventsMaxBytes = 2 * gib },
			refused: "events_max_bytes: ",
		},
		"a disk of little more than the reserve is not": {total: 100 * mib, refused: "disk_reserve"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			if c.change != nil {
				c.change(&cfg)
			}
			b, err := bus.OpenOn(t.Context(), cfg, func() (int64, int64) { return c.total, c.total / 2 })
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Fatalf("%v, want %s", err, c.refused)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(b.Close)
			for stream, most := range map[string]int64{bus.DecisionsStream: c.decisions, bus.WebhookDeliveriesStream: c.deliveries} {
				s, err := b.Stream(t.Context(), stream)
				if err != nil {
					t.Fatal(err)
				}
				if got := s.CachedInfo().Config.MaxBytes; got > most || got < most*9/10 {
					t.Errorf("%s may take %d MiB, want %d", stream, got/mib, most/mib)
				}
			}
		})
	}
}

func TestWhileTheDiskIsFullWritesAreRefusedAtOnceReadsGoOnAndItHealsByItself(t *testing.T) {
	t.Parallel()
	const total = int64(1) << 30
	var free atomic.Int64
	free.Store(total / 2)
	b, err := bus.OpenOn(t.Context(), config(t), func() (int64, int64) { return total, free.Load() })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kv.Put(t.Context(), "pro-1.usr-1", []byte("kept")); err != nil {
		t.Fatal(err)
	}

	free.Store(1 << 20)
	eventually(t, "the disk is full", func() bool { return errors.Is(b.Writable(t.Context()), bus.ErrDiskFull) })
	// The server says so itself: nobody waits for an answer that does not come.
	for range 3 {
		_, err := b.JS.Publish(t.Context(), bus.EventsPrefix+".pro-1.usr-1.login-error", nil)
		var refused *jetstream.APIError
		if !errors.As(err, &refused) {
			t.Fatalf("an event was not refused: %v", err)
		}
	}
	if _, err := kv.Put(t.Context(), "pro-1.usr-1", []byte("new")); err == nil {
		t.Error("an account was written")
	}
	if entry, err := kv.Get(t.Context(), "pro-1.usr-1"); err != nil || string(entry.Value()) != "kept" {
		t.Errorf("reading: %v, %v", entry, err)
	}

	free.Store(total / 2)
	eventually(t, "writes are let through", func() bool { return b.Writable(t.Context()) == nil })
	if _, err := kv.Put(t.Context(), "pro-1.usr-1", []byte("new")); err != nil {
		t.Error(err)
	}
}

func TestWhatWaitingDoesNotHealIsToldAtOnceWithTheSettingsThatWouldHelp(t *testing.T) {
	t.Parallel()
	s, err := server.NewServer(&server.Options{
		Host:              "127.0.0.1",
		Port:              server.RANDOM_PORT,
		JetStream:         true,
		StoreDir:          t.TempDir(),
		JetStreamMaxStore: 1 << 30,
		NoSigs:            true,
		NoLog:             true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(time.Minute) {
		t.Fatal("the server did not start")
	}
	for name, c := range map[string]struct {
		change func(*bus.Config)
		want   []string
	}{
		"a server with too little room": {
			want: []string{"max_file", "decisions_max_bytes (4096 MiB)", "webhooks_deliveries_max_bytes (1024 MiB)"},
		},
		"more replicas than servers": {change: func(c *bus.Config) { c.Replicas = 3 }, want: []string{"nats_replicas is 3"}},
		"a port that somebody else has": {
			change: func(c *bus.Config) { c.URL, c.Addr = "", taken(t) },
			want:   []string{"nats_addr", "address already in use"},
		},
		"a directory that cannot be made": {
			change: func(c *bus.Config) { c.URL, c.DataDir = "", "/proc/keyward" },
			want:   []string{"data_dir", "/proc/keyward"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			cfg.URL, cfg.StartTimeout = s.ClientURL(), time.Hour
			if c.change != nil {
				c.change(&cfg)
			}
			_, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
			for _, want := range c.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("%v\ndoes not say %s", err, want)
				}
			}
		})
	}
}

func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l.Addr().String()
}

// eventually waits a minute for what must come true.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for !holds() {
		select {
		case <-limit:
			t.Fatalf("not within a minute: %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
