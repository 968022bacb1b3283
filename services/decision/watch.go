package decision

import (
	"context"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/keyward/keyward/services/decision/internal/retry"
)

// watch loads the policy again whenever its files have changed and then been left alone for a moment. Editors replace files and ConfigMaps
// swap links, so directories are watched, and any change counts. Some changes send no notice: a link above the directory is swapped, a file
// behind a link is written, the directory is removed and made anew, a network's file system tells nothing. So the content is compared now
// and then, too.
//
// Files whose check did not get through are tried again after a wait, since what it lacked may be there then; the waits double from Poll to
// RetryLongest.
func (s *Service) watch(ctx context.Context) {
	n := s.notices(ctx)
	defer n.close()
	// What changed between New and now has sent no notice.
	s.reload(ctx)
	tries := retry.New(s.cfg.Poll, s.cfg.RetryLongest)
	defer tries.Stop()
	tries.Next(s.unfinished())
	poll := time.NewTicker(s.cfg.Poll)
	defer poll.Stop()
	quiet := time.NewTimer(s.cfg.Debounce)
	quiet.Stop()
	defer quiet.Stop()
	waiting := false
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-n.events:
			if event.Op != fsnotify.Chmod {
				quiet.Reset(s.cfg.Debounce)
				waiting = true
			}
		case err := <-n.errors:
			// Notices may have been dropped, so what is there now counts.
			s.deps.Log.WarnContext(ctx, "watching policy files", "error", err)
			quiet.Reset(s.cfg.Debounce)
			waiting = true
		case <-poll.C:
			if !waiting && s.changed() {
				quiet.Reset(s.cfg.Debounce)
				waiting = true
			}
		case <-quiet.C:
			waiting = false
			n.follow(ctx)
			if s.reload(ctx) {
				tries.Reset()
				tries.Next(s.unfinished())
			}
		case <-tries.C:
			s.again(ctx)
			tries.Next(s.unfinished())
		}
	}
}

// notices are what the system tells of changes. Without them the content alone is compared.
type notices struct {
	service *Service
	watcher *fsnotify.Watcher // nil = there are none
	events  <-chan fsnotify.Event
	errors  <-chan error
}

func (s *Service) notices(ctx context.Context) *notices {
	n := &notices{service: s}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		s.deps.Log.WarnContext(ctx, "changes of policy files send no notice; they are looked for every "+s.cfg.Poll.String(), "error", err)
		return n
	}
	n.watcher, n.events, n.errors = watcher, watcher.Events, watcher.Errors
	n.follow(ctx)
	return n
}

func (n *notices) close() {
	if n.watcher != nil {
		_ = n.watcher.Close()
	}
}

// follow watches the directory that the name leads to now, every one below it, and no other.
func (n *notices) follow(ctx context.Context) {
	if n.watcher == nil {
		return
	}
	wanted := map[string]bool{}
	root, err := filepath.EvalSymlinks(n.service.cfg.PoliciesDir)
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
		n.service.deps.Log.WarnContext(ctx, "watching policy files", "error", err)
	}
}
