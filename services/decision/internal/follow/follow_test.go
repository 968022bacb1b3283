package follow_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/keyward/keyward/services/decision/internal/follow"
)

var errBad = errors.New("it is bad")

// read takes anything but what begins with "bad".
func read(content []byte) (string, error) {
	if len(content) >= 3 && string(content[:3]) == "bad" {
		return "", errBad
	}
	return string(content), nil
}

// followed is a file with its writer.
type followed struct {
	*follow.File[string]
	t *testing.T
}

func (f followed) write(content string, written time.Time) {
	f.t.Helper()
	if err := os.WriteFile(f.Path(), []byte(content), 0o600); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chtimes(f.Path(), written, written); err != nil {
		f.t.Fatal(err)
	}
}

func (f followed) looks(times int) {
	for range times {
		f.Look()
	}
}

func (f followed) holds(want string, wrong error) {
	f.t.Helper()
	got := ""
	if good := f.Good(); good != nil {
		got = good.Value
	}
	if got != want || !errors.Is(f.Err(), wrong) || (wrong == nil) != (f.Err() == nil) {
		f.t.Errorf("holds %q, %v; want %q, %v", got, f.Err(), want, wrong)
	}
}

func TestAFileIsFollowed(t *testing.T) {
	t.Parallel()
	then := time.Date(2026, 11, 25, 14, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		act   func(followed)
		want  string
		wrong error
	}{
		"the first look takes what is there": {func(f followed) {}, "one", nil},
		"a change is taken when it has been left alone": {func(f followed) {
			f.write("three", then.Add(time.Second))
			f.Look()
			f.holds("one", nil)
			f.Look()
		}, "three", nil},
		"while it is written it is not": {func(f followed) {
			for i := range 9 {
				f.write("three"[:1+i%5], then.Add(time.Duration(i+1)*time.Second))
				f.Look()
			}
		}, "one", nil},
		"what is bad is not taken, and told": {func(f followed) {
			f.write("bad", then.Add(time.Second))
			f.looks(2)
		}, "one", errBad},
		"what was bad and is good again is": {func(f followed) {
			f.write("bad", then.Add(time.Second))
			f.looks(2)
			f.write("one", then.Add(2*time.Second))
			f.looks(2)
		}, "one", nil},
		"a file that is gone leaves what was read": {func(f followed) {
			if err := os.Remove(f.Path()); err != nil {
				f.t.Fatal(err)
			}
			f.looks(3)
		}, "one", fs.ErrNotExist},
		"one that comes back is read": {func(f followed) {
			if err := os.Remove(f.Path()); err != nil {
				f.t.Fatal(err)
			}
			f.Look()
			f.write("one", then)
			f.looks(2)
		}, "one", nil},
		"a replaced file of the same size and time is read": {func(f followed) {
			next := followed{follow.New(f.Path()+".next", 8, read), f.t}
			next.write("two", then)
			if err := os.Rename(next.Path(), f.Path()); err != nil {
				f.t.Fatal(err)
			}
			f.looks(2)
		}, "two", nil},
		"one that is written in place within a minute": {func(f followed) {
			f.write("two", then)
			f.looks(31)
		}, "two", nil},
		"a file that is too large is not": {func(f followed) {
			f.write("far too large", then.Add(time.Second))
			f.looks(2)
		}, "one", follow.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := followed{follow.New(filepath.Join(t.TempDir(), "file"), 8, read), t}
			f.write("one", then)
			f.Look()
			tc.act(f)
			f.holds(tc.want, tc.wrong)
		})
	}
}

func TestAFileThatWasNeverThere(t *testing.T) {
	t.Parallel()
	f := followed{follow.New(filepath.Join(t.TempDir(), "file"), 8, read), t}
	f.Look()
	f.holds("", fs.ErrNotExist)
	if f.Good() != nil {
		t.Error("it was read")
	}
}

// TestWhatIsNoFileIsNotWaitedFor puts a pipe that nobody writes to in the place of a file: opened, it would stop every look at anything.
func TestWhatIsNoFileIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	for name, put := range map[string]func(path string) error{
		"a pipe":      func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"a link to it": func(path string) error {
			return errors.Join(syscall.Mkfifo(path+".fifo", 0o600), os.Symlink(path+".fifo", path))
		},
		"a device": func(path string) error { return os.Symlink(os.DevNull, path) },
	} {
		f := followed{follow.New(filepath.Join(t.TempDir(), "file"), 8, read), t}
		f.write("one", time.Now())
		f.Look()
		if err := errors.Join(os.Remove(f.Path()), put(f.Path())); err != nil {
			t.Fatal(err)
		}
		looked := make(chan struct{})
		go func() {
			defer close(looked)
			f.looks(3)
		}()
		select {
		case <-looked:
			f.holds("one", follow.ErrNotAFile)
		case <-time.After(10 * time.Second):
			t.Fatalf("%s: it waits for somebody to write", name)
		}
		if err := os.RemoveAll(f.Path()); err != nil {
			t.Fatal(err)
		}
		f.write("two", time.Now())
		f.looks(2)
		f.holds("two", nil)
	}
}

func TestTheRevisionNamesTheContent(t *testing.T) {
	t.Parallel()
	f := followed{follow.New(filepath.Join(t.TempDir(), "file"), 8, read), t}
	f.write("one", time.Now())
	f.Look()
	if got := f.Good().Revision; got != "7692c3ad3540" {
		t.Errorf("got %s", got)
	}
}
