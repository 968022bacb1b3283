package aaguid_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyward/keyward/services/ceremony/aaguid"
)

const phone = "fbfc3007-154e-4ecc-8c0b-6e020557d7bd"

func TestAAGUIDNamesComeFromTheBundle(t *testing.T) {
	t.Parallel()
	names, err := aaguid.LoadAAGUIDNames(os.DirFS("../../../policies"))
	if err != nil {
		t.Fatal(err)
	}
	if got := names.Name(phone); got != "Apple Passwords" {
		t.Errorf("got %q", got)
	}
	if got := names.Name("00000000-0000-0000-0000-000000000000"); got != "" {
		t.Errorf("got %q", got)
	}
	if none, err := aaguid.LoadAAGUIDNames(fstest.MapFS{}); err != nil || none.Name(phone) != "" {
		t.Errorf("a bundle without data.json: %v, %v", none, err)
	}
	if _, err := aaguid.LoadAAGUIDNames(fstest.MapFS{"data.json": {Data: []byte("{")}}); err == nil {
		t.Error("broken data: no error")
	}
}

func TestAChangedBundleShowsItsNamesWithoutARestart(t *testing.T) {
	t.Parallel()
	dir, now := t.TempDir(), time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	file := "data.json"
	write := func(content string) {
		t.Helper()
		now = now.Add(time.Second)
		path := filepath.Join(dir, file)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		// Some file systems keep times to the second.
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
	}
	named := func(name string) string {
		return fmt.Sprintf(`{"keyward":{"aaguids":{%q:{"name":%q}}}}`, strings.ToUpper(phone), name)
	}
	write(named("one"))
	var log strings.Builder
	names, err := aaguid.NewBundleNames(
		os.DirFS(dir), fstest.MapFS{}, func() time.Time { return now }, slog.New(slog.NewTextHandler(&log, nil)),
	)
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		if got := names.Name(phone); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	expect("one")
	write(named("two"))
	expect("one") // a second later nobody has looked
	now = now.Add(time.Second)
	expect("two")
	write(`{"keyward":`)
	now = now.Add(time.Minute)
	expect("two")
	if !strings.Contains(log.String(), "stay as they were") {
		t.Errorf("log: %s", log.String())
	}
	write(named("four"))
	now = now.Add(2 * time.Second)
	expect("four")
	if err := os.Remove(filepath.Join(dir, "data.json")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Second)
	expect("")

	write(named("five")) // a bundle from before, to which the file for it comes
	now = now.Add(2 * time.Second)
	expect("five")
	file = "aaguids.json"
	write(fmt.Sprintf(`{%q: {"name": "a published list that lies there"}}`, phone))
	now = now.Add(2 * time.Second)
	expect("five")
	write(named("six"))
	now = now.Add(2 * time.Second)
	expect("six")
	if err := os.Remove(filepath.Join(dir, file)); err != nil {
		t.Fatal(err)
	}
	file = "data.json"

	write(`[`)
	begin := func(otherwise string) (*aaguid.BundleNames, error) {
		other := fstest.MapFS{"data.json": {Data: []byte(otherwise)}}
		return aaguid.NewBundleNames(os.DirFS(dir), other, func() time.Time { return now }, slog.New(slog.DiscardHandler))
	}
	if _, err := begin("["); err == nil {
		t.Error("broken data at the start, and in what stands in: no error")
	}
	names, err = begin(named("kept"))
	if err != nil {
		t.Fatal(err)
	}
	expect("kept")
	write(named("five"))
	now = now.Add(2 * time.Second)
	expect("five")
}
