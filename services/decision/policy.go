package decision

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// The documents that a bundle must define.
const (
	loginEntrypoint     = "data.keyward.login.decision"
	appendEntrypoint    = "data.keyward.append.decision"
	mediationEntrypoint = "data.keyward.mediation.decision"
)

// policy is one loaded revision. It is immutable.
type policy struct {
	*bundle.Bundle
	knowledge *detect.Knowledge
	loaded    time.Time
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
	status := PolicyStatus{Revision: active.Revision, LoadedAt: active.loaded}
	if refused := s.refused.Load(); refused != nil {
		status.Refused, status.RefusedAt = refused.err, refused.at
	}
	return status
}

// loadPolicy returns a policy only if it answers all three questions in the right form.
func loadPolicy(ctx context.Context, source fs.FS, timeout time.Duration, now time.Time) (*policy, error) {
	// The first evaluations are slow, and a busy machine must not have its policy refused.
	const patience = 20
	timeout *= patience
	loaded, err := bundle.Load(ctx, source, loginEntrypoint, appendEntrypoint, mediationEntrypoint)
	if err != nil {
		return nil, err
	}
	knowledge, err := detect.Learn(loaded.Data)
	var misfit *detect.MisfitError
	if errors.As(err, &misfit) {
		return nil, loaded.At(misfit.Keys, misfit.Message)
	}
	if err != nil {
		return nil, err
	}
	p := &policy{Bundle: loaded, knowledge: knowledge, loaded: now}
	return p, p.probe(ctx, timeout)
}

// probe asks each question once, so that an answer of the wrong form is found now and not by a user.
func (p *policy) probe(ctx context.Context, timeout time.Duration) error {
	question := service.Question{Account: &account.Account{Status: rest.UserStatusActive}}
	in := detect.Input{Question: question, Complete: true}
	login, created, mediation := p.knowledge.Login(in), p.knowledge.Append(in, rest.PasskeyIntelFlags{}, ""), p.knowledge.Mediation(question)
	_, loginErr := ask(ctx, p, timeout, loginEntrypoint, &login.Facts, readLogin)
	_, appendErr := ask(ctx, p, timeout, appendEntrypoint, &created.Facts, readAppend)
	_, mediationErr := ask(ctx, p, timeout, mediationEntrypoint, &mediation.Facts, readMediation)
	return errors.Join(loginErr, appendErr, mediationErr)
}

// ask evaluates one document and reads its answer.
func ask[T any](ctx context.Context, p *policy, timeout time.Duration, entrypoint string, facts *detect.Facts, read func(*answer) T) (T, error) {
	var none T
	object, err := p.Eval(ctx, timeout, entrypoint, facts.Value())
	if err != nil {
		return none, err
	}
	a := &answer{object: object}
	result := read(a)
	if a.err != nil {
		return none, fmt.Errorf("answer of %s: %w", entrypoint, a.err)
	}
	return result, nil
}

func (s *Service) activate(p *policy) {
	s.active.Store(p)
	s.refused.Store(nil)
	s.metrics.activated(p.Revision)
}

// reload loads the policy files again. A bundle that is refused is logged, counted and remembered; the one that answers stays.
func (s *Service) reload(ctx context.Context) {
	s.loading.Lock()
	defer s.loading.Unlock()
	if hash, err := bundle.Hash(s.source); err == nil && hash == s.active.Load().Hash {
		s.refused.Store(nil)
		return
	}
	start := time.Now()
	loaded, err := loadPolicy(ctx, s.source, s.cfg.EvalTimeout, s.deps.Now())
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.refuse(ctx, err)
		return
	}
	s.activate(loaded)
	s.deps.Log.InfoContext(ctx, "policy activated", "revision", loaded.Revision, "origin", s.origin(), "took", time.Since(start))
}

func (s *Service) refuse(ctx context.Context, err error) {
	s.refused.Store(&refusal{err: err, at: s.deps.Now()})
	s.metrics.reloadFailures.Inc()
	attributes := []any{"origin", s.origin(), "error", err, "active", s.active.Load().Revision}
	var place *bundle.Error
	if errors.As(err, &place) && place.File != "" {
		attributes = append(attributes, "file", place.File, "line", place.Line)
	}
	s.deps.Log.ErrorContext(ctx, "policy refused, the last good one stays", attributes...)
}
