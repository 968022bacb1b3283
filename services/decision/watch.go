package decision

import (
	"context"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/fsnotify/fsnotify"
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
	retry := s.retries()
	defer retry.timer.Stop()
	retry.plan(s.unfinished())
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
				retry.waits.Reset()
				retry.plan(s.unfinished())
			}
		case <-retry.timer.C:
			s.again(ctx)
			retry.plan(s.unfinished())
		}
	}
}

// retries say when files are tried again that have not changed.
type retries struct {
	waits *backoff.ExponentialBackOff
	timer *time.Timer
}

func (s *Service) retries() retries {
	waits := backoff.NewExponentialBackOff()
	waits.InitialInterval, waits.MaxInterval, waits.Multiplier, waits.RandomizationFactor = s.cfg.Poll, s.cfg.RetryLongest, 2, 0
	timer := time.NewTimer(s.cfg.Poll)
	timer.Stop()
	return retries{waits: waits, timer: timer}
}

func (r retries) plan(wanted bool) {
	if !wanted {
		r.timer.Stop()
		return
	}
	r.timer.Reset(r.waits.NextBackOff())
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
