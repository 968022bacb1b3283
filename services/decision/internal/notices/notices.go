// Package notices tells when something below a directory may have changed, by what the system tells of its files. Notices may be missed,
// and there may be none at all: whoever has to know looks for itself, too. It touches the file system, for reading.
package notices

import (
	"context"
	"io/fs"
	"log/slog"
	"path/filepath"

	"github.com/fsnotify/fsnotify"
)

// Notices are what the system tells of changes. Close them.
type Notices struct {
	Events <-chan fsnotify.Event // nil = there are none
	Errors <-chan error          // that something may have been missed

	dir     string
	log     *slog.Logger
	watcher *fsnotify.Watcher // nil = there are none
}

// Of watches the directory that a name leads to, and every one below it. Without notices it logs what that means.
func Of(ctx context.Context, dir string, log *slog.Logger, without string) *Notices {
	n := &Notices{dir: dir, log: log}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.WarnContext(ctx, without, "error", err)
		return n
	}
	n.watcher, n.Events, n.Errors = watcher, watcher.Events, watcher.Errors
	n.Follow(ctx)
	return n
}

// Close ends the notices.
func (n *Notices) Close() {
	if n.watcher != nil {
		_ = n.watcher.Close()
	}
}

// Follow watches the directory that the name leads to now, every one below it, and no other.
func (n *Notices) Follow(ctx context.Context) {
	if n.watcher == nil {
		return
	}
	wanted := map[string]bool{}
	root, err := filepath.EvalSymlinks(n.dir)
	if err == nil {
		err = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || !entry.IsDir() {
				return err
			}
			wanted[path] = true
			return n.watcher.Add(path)
		})
	}
	for _, path := range n.watcher.WatchList() {
		if !wanted[path] {
			_ = n.watcher.Remove(path)
		}
	}
	if err != nil {
		n.log.WarnContext(ctx, "watching policy files", "error", err)
	}
}
