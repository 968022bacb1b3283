package shadow

import (
	"context"
	"log/slog"
	"time"

	"github.com/keyward/keyward/services/decision/internal/release"
)

// Store is where instances tell what they have seen. release.Store is one.
type Store interface {
	See(ctx context.Context, change int, instance string, seen release.Seen) error
}

const (
	tellEvery = time.Second
	patience  = 5 * time.Second // that telling has
)

// Tell tells what was seen, as often as that changes, until ctx ends; then once more.
func (s *Shadow) Tell(ctx context.Context, to Store, instance string, log *slog.Logger) {
	tick := time.NewTicker(tellEvery)
	defer tick.Stop()
	told := 0
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		seen, change := s.Seen()
		if change == 0 || seen.Compared+seen.Skipped == told {
			continue
		}
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
		err := to.See(limited, change, instance, seen)
		cancel()
		if err != nil {
			log.DebugContext(ctx, "what a shadow has seen could not be told", "error", err)
			continue
		}
		told = seen.Compared + seen.Skipped
	}
}
