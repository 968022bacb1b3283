package decision

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/download"
	"github.com/keyward/keyward/services/decision/internal/intake"
	"github.com/keyward/keyward/services/decision/internal/release"
)

// following is the policy as a follower of the store sees it.
type following struct{ *Service }

// Revision implements release.Policy.
func (f following) Revision() int {
	if p := f.active.Load(); p != nil {
		return p.Number
	}
	return 0
}

// Take implements release.Policy.
func (f following) Take(ctx context.Context, c release.Change, files release.Files) error {
	f.loading.Lock()
	defer f.loading.Unlock()
	if f.Revision() != c.Revision {
		live, err := f.takeUp(ctx, release.Tried{Revision: c.Revision, Digest: c.Digest}, files)
		if err != nil {
			return err
		}
		f.course.Set(nil, nil, nil) // a canary was held against what was live
		f.activate(ctx, live)
	}
	f.refused.Store(nil) // it may have been of another one, which has been taken back
	return f.try(ctx, c, files)
}

// takeUp loads a revision. One that is tried already is known.
func (f following) takeUp(ctx context.Context, r release.Tried, files release.Files) (*course.Policy, error) {
	for _, known := range []*course.Policy{f.course.Canary(), f.shadow.Policy()} {
		if known != nil && known.Number == r.Revision {
			return known, nil
		}
	}
	revision, packed, err := files(ctx, r.Revision, r.Digest)
	if err != nil {
		return nil, err
	}
	f.seen = revision.Content
	loaded, err := f.load(ctx, packed, release.Time(revision.CreatedMs), revision.CheckedBy == f.cfg.Version)
	if err != nil {
		return nil, fmt.Errorf("revision %d: %w", r.Revision, err)
	}
	return course.NewPolicy(loaded.Engine, revision.Number, loaded.Loaded), nil
}

// want has kept what any of the policies counts that judge.
func (s *Service) want(live *course.Policy) {
	if s.deps.Sightings == nil {
		return
	}
	kinds := live.Plan().Kinds()
	for _, beside := range []*course.Policy{s.course.Canary(), s.shadow.Policy()} {
		if beside != nil {
			kinds |= beside.Plan().Kinds()
		}
	}
	s.deps.Sightings.Want(kinds)
}

// try takes up what is tried beside what is live. What cannot be is not tried here.
func (f following) try(ctx context.Context, c release.Change, files release.Files) error {
	live := f.active.Load()
	defer func() {
		f.want(live)
		f.metrics.Tries(f.course.Share(), f.shadow.Share())
	}()
	var candidate *course.Policy
	var err error
	if c.Canary != nil && !f.course.Takes(c.Canary) {
		if candidate, err = f.takeUp(ctx, c.Canary.Tried, files); err != nil {
			f.course.Set(nil, nil, nil)
			return fmt.Errorf("the canary: %w", err)
		}
	}
	f.course.Set(c.Canary, live, candidate)
	if c.Shadow == nil {
		f.shadow.Set(nil, nil)
		return nil
	}
	beside, err := f.takeUp(ctx, c.Shadow.Tried, files)
	if err != nil {
		f.shadow.Set(nil, nil)
		return fmt.Errorf("the shadow: %w", err)
	}
	f.shadow.Set(c.Shadow, beside)
	return nil
}

// watchCanary ends a canary that passes one of its bounds, until ctx ends.
func (s *Service) watchCanary(ctx context.Context, store *release.Store, instance string) {
	returned := func(ctx context.Context, tried *course.Policy, c release.Change) {
		s.metrics.Returned.Inc()
		s.metrics.Tries(s.course.Share(), s.shadow.Share())
		s.tell(ctx, audit.Event{
			Type: audit.PolicyTried, Release: &audit.Release{Number: tried.Number, Policy: *audited(tried)}, Change: c.Number,
			Step: string(c.Kind), Reason: c.Reason,
		})
		s.follower.Report()
	}
	s.course.Watch(ctx, course.Watching{Store: store, Instance: instance, Log: s.deps.Log, Returned: returned})
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
		SinceMs: status.LoadedAt.UnixMilli(), Tried: f.course.Canary().Is(), Shadow: f.shadow.Policy().Is(),
	}
	switch {
	case f.cfg.PoliciesDir != "":
		told.Source = release.FromDirectory
	case f.cfg.Source.URL != "":
		told.Source, told.Lapsed = release.FromRemote, status.Lapsed
	}
	told.Set, told.Lists = f.board.Revision(), f.active.Load().Lists().Kinds()
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

// current is what answers now without a canary: once that has been behind what is live for too long, the safe defaults.
func (s *Service) current(now time.Time) *course.Policy {
	p := s.active.Load()
	if s.upstream != nil && s.upstream.Lapsed(now) {
		return p.Lapsed
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
	if s.active.Load() != nil { // it is what is tried that cannot be
		s.refuse(ctx, err)
		return nil
	}
	return s.goOn(ctx, err)
}
