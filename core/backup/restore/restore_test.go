package restore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/backup"
	"github.com/keyward/keyward/core/backup/kept"
	"github.com/keyward/keyward/core/backup/restore"
	"github.com/keyward/keyward/core/backup/take"
	"github.com/keyward/keyward/core/bus"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func config(t *testing.T) bus.Config {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.DataDir = t.TempDir()
	cfg.SyncInterval = time.Minute
	return cfg
}

func open(t *testing.T, cfg bus.Config, how func(context.Context, bus.Config, *slog.Logger) (*bus.Bus, error)) *bus.Bus {
	t.Helper()
	b, err := how(t.Context(), cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func scan(t *testing.T, raw []byte, at time.Time) restore.Source {
	t.Helper()
	index, err := backup.Scan(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	cut, err := restore.Pick(index, at)
	if err != nil {
		t.Fatal(err)
	}
	return restore.Source{Index: index, Bytes: bytes.NewReader(raw), Cut: cut}
}

func into(t *testing.T, cfg bus.Config, from restore.Source) {
	t.Helper()
	b := open(t, cfg, bus.OpenToRestore)
	layout, err := b.Layout(cfg, quiet())
	if err == nil {
		err = restore.Begin(t.Context(), b.JS, cfg.Replicas)
	}
	if err == nil {
		err = restore.Streams(t.Context(), b.Conn, layout, from, func(string, uint64) {})
	}
	if err == nil {
		err = restore.End(t.Context(), b.JS, layout, func(context.Context) error { return nil })
	}
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
}

// held returns what each stream of a backup holds.
func held(t *testing.T, b *bus.Bus) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for _, name := range kept.Streams() {
		stream, err := b.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		state := stream.CachedInfo().State
		all[name] = []string{fmt.Sprint("last ", state.LastSeq)}
		for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
			m, err := stream.GetMsg(t.Context(), seq)
			if err != nil {
				continue
			}
			all[name] = append(all[name], fmt.Sprint(m.Sequence, m.Time.UnixNano(), m.Subject, m.Header, string(m.Data)))
		}
	}
	return all
}

func TestWhatIsRestoredIsWhatWasThere(t *testing.T) {
	t.Parallel()
	from := config(t)
	b := open(t, from, bus.Open)
	for i := range 200 {
		if _, err := b.JS.Publish(t.Context(), fmt.Sprintf("%s.pro-1.usr-%d.login-error", bus.EventsPrefix, i), []byte("told"),
			jetstream.WithMsgID(fmt.Sprint("id-", i))); err != nil {
			t.Fatal(err)
		}
		accounts, err := b.Bucket(t.Context(), bus.AccountsBucket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := accounts.Put(t.Context(), fmt.Sprintf("pro-1.usr-%d", i%7), fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
		if i == 150 {
			if err := accounts.Purge(t.Context(), "pro-1.usr-0"); err != nil {
				t.Fatal(err)
			}
		}
	}
	events, err := b.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	for _, seq := range []uint64{1, 77, 200} {
		if err := events.SecureDeleteMsg(t.Context(), seq); err != nil {
			t.Fatal(err)
		}
	}
	var raw bytes.Buffer
	done, err := take.Take(t.Context(), b.JS, &raw, take.Options{Keyward: "test", Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v, %d bytes", done, raw.Len())
	want := held(t, b)
	to := config(t)
	into(t, to, scan(t, raw.Bytes(), time.Time{}))
	got := held(t, open(t, to, bus.Open))
	for name, messages := range want {
		if fmt.Sprint(messages) != fmt.Sprint(got[name]) {
			t.Errorf("%s:\n%v\nwas\n%v", name, got[name], messages)
		}
	}
}
