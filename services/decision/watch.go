package decision

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/keyward/keyward/services/decision/internal/notices"
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
	n := notices.Of(
		ctx, s.cfg.PoliciesDir, s.deps.Log, "changes of policy files send no notice; they are looked for every "+s.cfg.Poll.String(),
	)
	defer n.Close()
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
		case event := <-n.Events:
			if event.Op != fsnotify.Chmod {
				quiet.Reset(s.cfg.Debounce)
				waiting = true
			}
		case err := <-n.Errors:
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
			n.Follow(ctx)
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
