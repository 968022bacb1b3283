package decision

import (
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/services/decision/internal/release"
)

// following is the policy as a follower of the store sees it.
type following struct{ *Service }

// Revision implements release.Policy.
func (f following) Revision() int {
	if p := f.active.Load(); p != nil {
		return p.number
	}
	return 0
}

// Take implements release.Policy.
func (f following) Take(ctx context.Context, r release.Revision, packed []byte) error {
	if f.Revision() == r.Number {
		f.refused.Store(nil) // it was of another one, which has been taken back
		return nil
	}
	f.loading.Lock()
	defer f.loading.Unlock()
	f.seen = r.Content
	loaded, err := f.load(ctx, packed, release.Time(r.CreatedMs), r.CheckedBy == f.cfg.Version)
	if err != nil {
		return err
	}
	loaded.number = r.Number
	f.activate(ctx, loaded)
	return nil
}

// Refuse implements release.Policy.
func (f following) Refuse(ctx context.Context, err error) {
	f.loading.Lock()
	defer f.loading.Unlock()
	f.refuse(ctx, err)
}

// Unfinished implements release.Policy.
func (f following) Unfinished() bool { return f.unfinished() }

// Answering implements release.Policy.
func (f following) Answering() release.Instance {
	status := f.Status()
	told := release.Instance{
		Version: f.cfg.Version, Source: release.FromStore, Revision: f.Revision(), Content: status.Content, Name: status.Revision,
		SinceMs: status.LoadedAt.UnixMilli(),
	}
	if f.cfg.PoliciesDir != "" {
		told.Source = release.FromDirectory
	}
	if status.Refused != nil {
		told.Refused = status.Refused.Error()
	}
	return told
}

// followed is the follower of the store, if what answers is what is live there.
func (s *Service) followed() *release.Follower {
	if s.cfg.PoliciesDir != "" {
		return nil
	}
	return s.follower
}

// current is what answers now: once that has been behind what is live for too long, the safe defaults.
func (s *Service) current(now time.Time) *policy {
	p := s.active.Load()
	if f := s.followed(); f != nil && f.Lapsed(now) {
		return p.lapsed
	}
	return p
}

// beginWithStore has what is live answer, and if nothing is, the bundle of the binary.
func (s *Service) beginWithStore(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, archiveTimeout+s.cfg.CheckTimeout)
	defer cancel()
	err := s.follower.Begin(limited)
	if errors.Is(err, release.ErrNoneLive) {
		return s.beginWithFiles(ctx)
	}
	if !errors.Is(err, release.ErrNotLive) {
		return err
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	return s.goOn(ctx, err)
}
