package decision

import (
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// watch loads the policy again whenever its files have changed and then been left alone for a moment. Editors replace files and ConfigMaps swap links, so
// directories are watched, and any change counts.
func (s *Service) watch(ctx context.Context) error {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		return fmt.Errorf("watch %s: %w", s.cfg.PoliciesDir, err)
	}
	defer func() { _ = watcher.Close() }()
	if err := watchTree(watcher, s.cfg.PoliciesDir); err != nil {
		return fmt.Errorf("watch %s: %w", s.cfg.PoliciesDir, err)
	}
	// What changed between New and now has sent no notice.
	s.reload(ctx)
	quiet := time.NewTimer(s.cfg.Debounce)
	quiet.Stop()
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case event, ok := <-watcher.Events:
			if !ok {
				return nil
			}
			if event.Op == fsnotify.Chmod {
				continue
			}
			quiet.Reset(s.cfg.Debounce)
		case err, ok := <-watcher.Errors:
			if !ok {
				return nil
			}
			// Notices may have been dropped, so what is there now counts.
			s.deps.Log.WarnContext(ctx, "watching policy files", "error", err)
			quiet.Reset(s.cfg.Debounce)
		case <-quiet.C:
			if err := watchTree(watcher, s.cfg.PoliciesDir); err != nil {
				s.deps.Log.WarnContext(ctx, "watching policy files", "error", err)
			}
			s.reload(ctx)
		}
	}
}

// watchTree watches root and every directory below it; those that are watched already stay so.
func watchTree(watcher *fsnotify.Watcher, root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return watcher.Add(path)
		}
		return nil
	})
}
