package bundlefile_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/keyward/keyward/core/plainfile"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// TestWhatIsNoFileIsNeitherWaitedForNorLeftOut puts what holds no content in the place of a bundle's files: opened, a pipe would stop every
// reload and the end of the process, and a bundle without the file would be another.
func TestWhatIsNoFileIsNeitherWaitedForNorLeftOut(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"data.json", "rule.rego", "schemas/login.jsonschema"} {
		for what, put := range map[string]func(path string) error{
			"a pipe": func(path string) error { return syscall.Mkfifo(path, 0o600) },
			"a link to it": func(path string) error {
				return errors.Join(syscall.Mkfifo(path+".fifo", 0o600), os.Symlink(path+".fifo", path))
			},
			"a device": func(path string) error { return os.Symlink("/dev/zero", path) },
		} {
			dir := t.TempDir()
			at := filepath.Join(dir, filepath.FromSlash(name))
			if err := errors.Join(
				os.WriteFile(filepath.Join(dir, "other.rego"), []byte("package other"), 0o600), os.MkdirAll(filepath.Dir(at), 0o700), put(at),
			); err != nil {
				t.Fatal(err)
			}
			read := make(chan error, 1)
			go func() {
				_, err := bundlefile.Read(plainfile.Dir(dir))
				read <- err
			}()
			select {
			case err := <-read:
				var refused *bundlefile.Error
				if !errors.As(err, &refused) || refused.File != name || !strings.Contains(err.Error(), "regular file") {
					t.Errorf("%s for %s: %v", what, name, err)
				}
			case <-time.After(5 * time.Second):
				t.Fatalf("%s for %s: still waiting", what, name)
			}
		}
	}
}
