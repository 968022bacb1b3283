package test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/backup/restore"
	"github.com/keyward/keyward/core/bus"
)

// ledger is what was acknowledged, and when.
type ledger struct {
	mu      sync.Mutex
	entries []ledgerEntry
}

type ledgerEntry struct {
	user, event string
	at          time.Time
}

// keepWriting has several write until stopped.
func keepWriting(server client, writers int) (l *ledger, stop func()) {
	l = &ledger{}
	ended := make(chan struct{})
	var writing sync.WaitGroup
	for range writers {
		writing.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				user, event, err := server.write()
				if err != nil {
					return
				}
				l.mu.Lock()
				l.entries = append(l.entries, ledgerEntry{user, event, time.Now()})
				l.mu.Unlock()
			}
		})
	}
	return l, func() { close(ended); writing.Wait() }
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries)
}

// taken is what keyward backup -o json says.
type taken struct {
	First, Last    time.Time
	Cuts, Messages int
}

func TestWhatWasAcknowledgedBeforeABackupIsRestoredElsewhereWithItsPasskeys(t *testing.T) {
	t.Parallel()
	m := startMover(t)
	dir := t.TempDir()
	key, file := filepath.Join(dir, "backup.key"), filepath.Join(dir, "keyward.backup")
	if _, complaints, code := keywardCommand(t, m.binary, "backup", "--make-key", key); code != 0 {
		t.Fatal(complaints)
	}
	ada := m.newPerson(t)
	ada.createPasskey(t)
	login(t, ada)
	written, stop := keepWriting(m.client, 4)
	eventually(t, "nothing is written", func() bool { return written.count() > 40 })
	out, complaints, code := keywardCommand(t, m.binary, "backup", "--data-dir", m.data, "--key-file", key, "-o", "json", file)
	stop()
	if code != 0 {
		t.Fatal(complaints)
	}
	var backup taken
	if err := json.Unmarshal([]byte(out), &backup); err != nil {
		t.Fatal(err)
	}
	login(t, ada) // after the backup: what is restored knows nothing of it
	m.kill()

	to := filepath.Join(dir, "restored")
	restoring := []string{"restore", "--key-file", key, "--data-dir", to, file}
	if out, complaints, code = keywardCommand(t, m.binary, restoring...); code != 0 {
		t.Fatal(complaints)
	}
	t.Log(out)
	server := run(t, m.binary, to, "KEYWARD_NATS_ADDR=127.0.0.1:0")
	before := 0
	for _, e := range written.entries {
		if !e.at.Before(backup.Last) {
			continue
		}
		before++
		page := as[rest.PasskeyEventList](t, server.call(t, "GET", "/v2/users/"+e.user+"/passkeyEvents?pageSize=1000", nil))
		found := false
		for _, have := range page.PasskeyEvents {
			found = found || have.PasskeyEventID == e.event
		}
		if !found {
			t.Errorf("event %s of %s was acknowledged at %s, before the cut at %s, and is not there", e.event, e.user, e.at, backup.Last)
		}
	}
	if before < 40 {
		t.Errorf("%d were acknowledged before the cut", before)
	}
	ada.client = server.client
	login(t, ada)
	if out, complaints, code := keywardCommand(t, m.binary, "check", "--data-dir", to); code != 0 {
		t.Errorf("check: %s%s", out, complaints)
	}
	if _, complaints, code = keywardCommand(t, m.binary, restoring...); code == 0 || !strings.Contains(complaints, "in use") {
		t.Errorf("a restore under a running server: %d, %s", code, complaints)
	}
	server.kill()
	if _, complaints, code = keywardCommand(t, m.binary, restoring...); code == 0 || !strings.Contains(complaints, "--replace") {
		t.Errorf("a restore onto data: %d, %s", code, complaints)
	}
	if out, complaints, code = keywardCommand(
		t, m.binary, append(restoring, "--replace")...,
	); code != 0 || !strings.Contains(out, "replaced-") {
		t.Errorf("a restore that replaces: %s%s", out, complaints)
	}
	for name, c := range map[string]struct {
		change func([]byte) []byte
		says   string
	}{
		"cut short": {func(raw []byte) []byte { return raw[:len(raw)-100] }, "its end is missing"},
		"changed": {func(raw []byte) []byte {
			raw = bytes.Clone(raw)
			raw[len(raw)/2] ^= 1
			return raw
		}, "damaged or changed"},
	} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		bad := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(bad, c.change(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		fresh := filepath.Join(dir, "fresh")
		if _, complaints, code = keywardCommand(t, m.binary, "restore", "--key-file", key, "--data-dir", fresh, bad); code != 1 ||
			!strings.Contains(complaints, c.says) {
			t.Errorf("a backup that was %s: %d, %s", name, code, complaints)
		}
		if _, err := os.Stat(fresh); err == nil {
			t.Errorf("a backup that was %s: something was made", name)
		}
	}
}

func TestARestoreThatWasStoppedIsRefusedAtTheStartAndBegunAgain(t *testing.T) {
	t.Parallel()
	binary, dir := build(t), t.TempDir()
	server := run(t, binary, filepath.Join(dir, "data"), "KEYWARD_NATS_ADDR=127.0.0.1:0")
	ada := server.newPerson(t)
	ada.createPasskey(t)
	server.kill()
	secret, file := filepath.Join(dir, "passphrase"), filepath.Join(dir, "keyward.backup")
	if err := os.WriteFile(secret, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// Of a server that is stopped.
	if _, complaints, code := keywardCommand(
		t, binary, "backup", "--data-dir", filepath.Join(dir, "data"), "--passphrase-file", secret, file,
	); code != 0 {
		t.Fatal(complaints)
	}
	to := filepath.Join(dir, "restored")
	cfg := bus.DefaultConfig()
	cfg.DataDir = to
	half, err := bus.OpenToRestore(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		err = restore.Begin(t.Context(), half.JS, 1)
	}
	if err != nil {
		t.Fatal(err)
	}
	half.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if b, err := bus.Open(ctx, cfg, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "keyward restore") {
		if err == nil {
			b.Close()
		}
		t.Errorf("a start with a part of a backup: %v", err)
	}
	if _, complaints, code := keywardCommand(t, binary, "restore", "--passphrase-file", secret, "--data-dir", to, file); code != 0 {
		t.Fatal(complaints)
	}
	ada.client = run(t, binary, to).client
	login(t, ada)
}

func TestARedisThatKnowsTheTimeAfterABackupIsNotBelieved(t *testing.T) {
	t.Parallel()
	binary, dir, redis := build(t), t.TempDir(), startRedis(t)
	data, secret, file := filepath.Join(dir, "data"), filepath.Join(dir, "passphrase"), filepath.Join(dir, "keyward.backup")
	if err := os.WriteFile(secret, []byte("correct horse battery staple\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	with := "KEYWARD_REDIS_URL=" + redis.url()
	server := run(t, binary, data, with)
	ada := server.newPerson(t)
	ada.createPasskey(t)
	server.kill()
	if _, complaints, code := keywardCommand(t, binary, "backup", "--data-dir", data, "--passphrase-file", secret, file); code != 0 {
		t.Fatal(complaints)
	}
	// Each start raises the epochs of the cache: the second after the restore would have that of the second here.
	server = run(t, binary, data, with)
	ada.client = server.client
	ada.postEvent(t, map[string]any{"eventType": "user-login-blacklisted"})
	if got := ada.loginStart(t, ada.nextProcess()); got.DecisionTag != rest.DecisionTagUserLoginBlacklisted {
		t.Fatalf("the event is not seen: %s", got.DecisionTag)
	}
	server.kill()
	to := filepath.Join(dir, "restored")
	if _, complaints, code := keywardCommand(t, binary, "restore", "--passphrase-file", secret, "--data-dir", to, file); code != 0 {
		t.Fatal(complaints)
	}
	run(t, binary, to, with).kill()
	ada.client = run(t, binary, to, with).client
	login(t, ada)
}
