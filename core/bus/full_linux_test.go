package bus_test

import (
	"context"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/keyward/keyward/core/bus"
)

// A disk can run full faster than anybody looks. The server then takes nothing more for good; it has to be opened anew.
func TestAStoreThatAFullDiskHasBrokenIsOpenedAnewWhenThereIsSpace(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=64m"); err != nil {
		t.Skipf("a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	cfg := config(t)
	cfg.DataDir = dir
	b, err := bus.OpenOn(t.Context(), cfg, func() (int64, int64) { return 1 << 30, 1 << 29 }) // nobody sees that it is full
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.AccountsBucket)
	if err != nil {
		t.Fatal(err)
	}
	watched, err := kv.WatchAll(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = watched.Stop() })
	if _, err := kv.Put(t.Context(), "pro-1.usr-1", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 80<<20), 0o600); err == nil {
		t.Fatal("the disk is not full")
	}
	write := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := kv.Put(ctx, "pro-1.usr-2", make([]byte, 64<<10))
		return err
	}
	eventually(t, "writes fail", func() bool { return write() != nil })
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	eventually(t, "writes are stored again", func() bool { return write() == nil })
	if entry, err := kv.Get(t.Context(), "pro-1.usr-1"); err != nil || string(entry.Value()) != "kept" {
		t.Errorf("what was acknowledged before: %v, %v", entry, err)
	}
	limit := time.After(time.Minute)
	for {
		select {
		case entry := <-watched.Updates():
			if entry != nil && entry.Key() == "pro-1.usr-2" {
				return
			}
		case <-limit:
			t.Fatal("a watcher does not see what is written afterwards")
		}
	}
}
