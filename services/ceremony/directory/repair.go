package directory

import (
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/core/account"
)

// How often, how old and how many at a time are the unfinished changes that Run looks for.
const (
	repairEvery = 5 * time.Second
	repairAge   = 5 * time.Second
	repairBatch = 100
)

// Unfinished finds accounts with something that has still to be brought to its end (see account.Account.Unfinished) and that were last
// written before a time.
type Unfinished interface {
	Unfinished(ctx context.Context, olderThan time.Time, limit int) ([]account.Ref, error)
}

// Run brings to its end what calls have begun and could not finish: events that are in no log yet and deletions of users. It does so at
// once and then every few seconds, until ctx ends. The service works without it.
func (s *Service) Run(ctx context.Context) error {
	for {
		s.repair(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(repairEvery):
		}
	}
}

// repair works off what there is. A batch of which nothing could be done is tried again with the next round.
func (s *Service) repair(ctx context.Context) {
	for ctx.Err() == nil {
		refs, err := s.unfinished.Unfinished(ctx, s.now().Add(-repairAge), repairBatch)
		if err != nil {
			s.log.DebugContext(ctx, "unfinished changes cannot be looked for yet", "error", err)
			return
		}
		failed := 0
		for _, ref := range refs {
			if err := s.finish(ctx, ref); err != nil {
				failed++
				s.log.WarnContext(ctx, "a change could not be finished yet", "project", ref.Project, "user", ref.User, "error", err)
			}
		}
		if failed > 0 || len(refs) < repairBatch {
			return
		}
	}
}

// finish brings one account to its end. One that others have finished, or that is gone, is no error.
func (s *Service) finish(ctx context.Context, ref account.Ref) error {
	a, _, err := s.accounts.Inspect(ctx, ref.Project, ref.User)
	if errors.Is(err, account.ErrUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	if a.Erasing {
		s.repaired.WithLabelValues("deletion").Inc()
		err := s.Erase(ctx, ref.Project, ref.User)
		if errors.Is(err, account.ErrUnknown) {
			return nil
		}
		return err
	}
	if len(a.Unannounced) > 0 {
		s.repaired.WithLabelValues("announcement").Inc()
	}
	return s.outbox.Tell(ctx, a)
}
