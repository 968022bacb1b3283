package decision

import (
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/services/decision/internal/download"
	"github.com/keyward/keyward/services/decision/internal/intake"
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
	switch {
	case f.cfg.PoliciesDir != "":
		told.Source = release.FromDirectory
	case f.cfg.Source.URL != "":
		told.Source, told.Lapsed = release.FromRemote, status.Lapsed
	}
	told.Set = f.board.Revision()
	if status.Refused != nil {
		told.Refused = status.Refused.Error()
	}
	return told
}

// upstream is what has the policy that answers: the store, or whoever serves it.
type upstream interface {
	// Begin has the policy take what is there.
	Begin(ctx context.Context) error
	// Run has it take what is there from then on.
	Run(ctx context.Context)
	// Lapsed reports whether what answers has been behind for too long.
	Lapsed(now time.Time) bool
	// Behind says in which way it is.
	Behind() error
}

// follow finds out what the policy is followed from.
func (s *Service) follow() error {
	switch {
	case s.cfg.Source.URL != "":
		limits := download.Limits{RetryLongest: s.cfg.RetryLongest, MaxAge: s.cfg.MaxAge, Now: s.deps.Now, Log: s.deps.Log}
		f, err := download.Follow(s.cfg.Source, limits, fetching{following{s}})
		if err != nil {
			return err
		}
		s.upstream = f
	case s.cfg.PoliciesDir == "" && s.follower != nil:
		s.upstream = s.follower
	}
	return nil
}

// fetching is the policy as a follower of who serves it sees it.
type fetching struct{ following }

// Take implements download.Policy.
func (f fetching) Take(ctx context.Context, raw []byte, at time.Time) error {
	f.loading.Lock()
	defer f.loading.Unlock()
	f.seen = ""
	packed, content, err := intake.Fetched(raw)
	if err != nil {
		return err
	}
	f.seen = content
	loaded, err := f.load(ctx, packed, at, false)
	if err != nil {
		return err
	}
	f.activate(ctx, loaded)
	return nil
}

// current is what answers now: once that has been behind what is live for too long, the safe defaults.
func (s *Service) current(now time.Time) *policy {
	p := s.active.Load()
	if s.upstream != nil && s.upstream.Lapsed(now) {
		return p.lapsed
	}
	return p
}

// beginUpstream has what is there answer. If nothing is live in the store it is the bundle of the binary.
func (s *Service) beginUpstream(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, archiveTimeout+s.cfg.CheckTimeout)
	defer cancel()
	err := s.upstream.Begin(limited)
	switch {
	case errors.Is(err, release.ErrNoneLive):
		return s.beginWithFiles(ctx)
	case err == nil, s.cfg.Source.URL == "" && !errors.Is(err, release.ErrNotLive):
		return err
	}
	s.loading.Lock()
	defer s.loading.Unlock()
	return s.goOn(ctx, err)
}
