package plainfile_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/keyward/keyward/core/plainfile"
)

// within fails if do has not returned in time: what waits for a writer never does.
func within(t *testing.T, what string, do func() error) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(5 * time.Second):
		t.Fatalf("%s: still waiting", what)
		return nil
	}
}

func TestOnlyWhatHasContentOfItsOwnIsRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(
		os.WriteFile(at("file"), []byte("content"), 0o600), os.Symlink(at("file"), at("link")), os.Mkdir(at("dir"), 0o700),
		syscall.Mkfifo(at("pipe"), 0o600), os.Symlink(at("pipe"), at("link-to-pipe")), os.Symlink("/dev/zero", at("device")),
		os.Symlink(os.DevNull, at("null")),
	); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct{ read, once error }{
		"file": {}, "link": {}, "dir": {plainfile.ErrNotAFile, plainfile.ErrNotAFile}, "null": {plainfile.ErrNotAFile, nil},
		"device": {plainfile.ErrNotAFile, plainfile.ErrTooLarge},
		"pipe":   {plainfile.ErrNotAFile, plainfile.ErrNothing}, "link-to-pipe": {plainfile.ErrNotAFile, plainfile.ErrNothing},
		"nothing": {fs.ErrNotExist, fs.ErrNotExist},
	} {
		err := within(t, name, func() error { _, err := plainfile.Read(at(name), 7); return err })
		if !errors.Is(err, want.read) {
			t.Errorf("%s is read with %v, want %v", name, err, want.read)
		}
		err = within(t, name, func() error { _, err := plainfile.ReadOnce(at(name), 7); return err })
		if !errors.Is(err, want.once) {
			t.Errorf("%s is read once with %v, want %v", name, err, want.once)
		}
	}
	if _, err := plainfile.Read(at("file"), 6); !errors.Is(err, plainfile.ErrTooLarge) {
		t.Errorf("more than was asked for: %v", err)
	}
}

// As of <(command) in a shell.
func TestWhatIsReadOnceMayComeOutOfAPipe(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		<-time.After(20 * time.Millisecond)
		_, _ = writer.WriteString("secret")
		_ = writer.Close()
	}()
	var content []byte
	if err := within(t, "a pipe", func() (err error) { content, err = plainfile.ReadOnce(path, 100); return err }); err != nil ||
		string(content) != "secret" {
		t.Errorf("read %q, %v", content, err)
	}
}

func TestADirectoryIsReadAsAnyAndPipesInItAreNot(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(
		os.Mkdir(filepath.Join(dir, "below"), 0o700), os.WriteFile(filepath.Join(dir, "below", "rule.rego"), []byte("package p"), 0o600),
	); err != nil {
		t.Fatal(err)
	}
	if err := fstest.TestFS(plainfile.Dir(dir), "below/rule.rego"); err != nil {
		t.Error(err)
	}
	if err := syscall.Mkfifo(filepath.Join(dir, "data.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	err := within(t, "a pipe", func() error { _, err := fs.ReadFile(plainfile.Dir(dir), "data.json"); return err })
	if !errors.Is(err, plainfile.ErrNotAFile) {
		t.Errorf("a pipe is read with %v", err)
	}
}
