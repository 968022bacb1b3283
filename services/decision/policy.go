package decision

import (
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/engine"
)

// policy is one loaded revision. It is immutable.
type policy struct {
	*engine.Engine
	loaded time.Time
}

type refusal struct {
	err error
	at  time.Time
}

// PolicyStatus tells which policy answers, and whether a newer one was refused.
type PolicyStatus struct {
	Revision  string
	LoadedAt  time.Time
	Refused   error     // why the files as they are now were refused, with file and line; nil if they are what answers
	RefusedAt time.Time // zero if Refused is nil
}

// Status returns the state of the policy. A service that New returned always has one that answers.
func (s *Service) Status() PolicyStatus {
	active := s.active.Load()
	status := PolicyStatus{Revision: active.Revision(), LoadedAt: active.loaded}
	if refused := s.refused.Load(); refused != nil {
		status.Refused, status.RefusedAt = refused.err, refused.at
	}
	return status
}

func (s *Service) load(ctx context.Context) (*policy, error) {
	loaded, err := engine.Load(ctx, s.source, engine.Options{
		EvalTimeout: s.cfg.EvalTimeout, MemoEntries: s.cfg.MemoEntries, Evicted: s.metrics.memoEvictions.Inc,
	})
	if err != nil {
		return nil, err
	}
	return &policy{Engine: loaded, loaded: s.deps.Now()}, nil
}

func (s *Service) activate(p *policy) {
	s.active.Store(p)
	s.refused.Store(nil)
	s.metrics.activated(p.Revision(), p.MemoPaths())
	s.archive.Keep(p.Hash(), p.Revision(), p.Bundle("").Files())
}

// reload loads the policy files again. A bundle that is refused is logged, counted and remembered; the one that answers stays.
func (s *Service) reload(ctx context.Context) {
	s.loading.Lock()
	defer s.loading.Unlock()
	if hash, err := bundle.Hash(s.source); err == nil && hash == s.active.Load().Hash() {
		s.refused.Store(nil)
		return
	}
	start := time.Now()
	loaded, err := s.load(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.refuse(ctx, err)
		return
	}
	s.activate(loaded)
	s.deps.Log.InfoContext(ctx, "policy activated", "revision", loaded.Revision(), "origin", s.origin(), "took", time.Since(start))
}

func (s *Service) refuse(ctx context.Context, err error) {
	s.refused.Store(&refusal{err: err, at: s.deps.Now()})
	s.metrics.reloadFailures.Inc()
	attributes := []any{"origin", s.origin(), "error", err, "active", s.active.Load().Revision()}
	var place *bundle.Error
	if errors.As(err, &place) && place.File != "" {
		attributes = append(attributes, "file", place.File, "line", place.Line)
	}
	s.deps.Log.ErrorContext(ctx, "policy refused, the last good one stays", attributes...)
}
