package invariant

import (
	"context"
	"maps"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// The questions, as scenarios call them.
const (
	login     = engine.ActionLogin
	creation  = engine.ActionAppend
	mediation = engine.ActionMediation
)

// existsAlready is the reason against a creation that there is one.
const existsAlready = string(rest.PasskeyAppendStartRspAppendNotAllowedReasonPasskeyAlreadyExists)

// strategies are those of a login, from the one that offers the least to the one that offers the most.
func strategies() []rest.CrossDeviceAuthenticationStrategy {
	return []rest.CrossDeviceAuthenticationStrategy{
		rest.CrossDeviceAuthenticationStrategyMinimize, rest.CrossDeviceAuthenticationStrategyStandard,
		rest.CrossDeviceAuthenticationStrategyMaximize,
	}
}

// trial puts questions about one situation and its like to an engine.
type trial struct {
	ctx    context.Context //nolint:containedctx // a trial lives as long as the call that made it
	engine *engine.Engine
	rows   map[string]map[string]bool // that the tables can answer with, by action
	s      *situation

	logins    map[rest.CrossDeviceAuthenticationStrategy]*loginVerdict // of s itself
	creations *creationVerdict
}

func (t *trial) of(s *situation) *trial {
	return &trial{ctx: t.ctx, engine: t.engine, rows: t.rows, s: s, logins: map[rest.CrossDeviceAuthenticationStrategy]*loginVerdict{}}
}

type loginVerdict struct {
	service.LoginVerdict
	basis     engine.Basis
	knowledge *detect.Knowledge
	err       error
}

// reaches tells where each passkey may be.
func (v *loginVerdict) reaches() []detect.Reach { return v.basis.Found.Reaches(v.knowledge) }

type creationVerdict struct {
	service.AppendVerdict
	basis engine.Basis
	err   error
}

type mediationVerdict struct {
	service.Verdict
	basis engine.Basis
	err   error
}

func (t *trial) login(s *situation, strategy rest.CrossDeviceAuthenticationStrategy) *loginVerdict {
	if known := t.logins[strategy]; s == t.s && known != nil {
		return known
	}
	var v loginVerdict
	q := service.LoginQuestion{Question: s.question(), Strategy: strategy, Source: s.source}
	v.LoginVerdict, v.basis, v.err = t.engine.Login(t.ctx, q, s.evidence())
	v.knowledge = t.engine.Knowledge(projectID)
	if s == t.s {
		t.logins[strategy] = &v
	}
	return &v
}

func (t *trial) creation(s *situation) *creationVerdict {
	if s == t.s && t.creations != nil {
		return t.creations
	}
	var v creationVerdict
	q := service.AppendQuestion{Question: s.question(), Flags: s.flags, Situation: s.entry}
	v.AppendVerdict, v.basis, v.err = t.engine.Append(t.ctx, q, s.evidence())
	if s == t.s {
		t.creations = &v
	}
	return &v
}

func (t *trial) mediation(s *situation) *mediationVerdict {
	var v mediationVerdict
	v.Verdict, v.basis, v.err = t.engine.Mediation(t.ctx, s.question())
	return &v
}

// barredHard reports whether the environment is barred, and not softly.
func (t *trial) barredHard(s *situation) bool {
	listed := t.mediation(s).basis.Facts.Environment.Listed
	return listed != facts.ListedNot && !slices.Contains(t.engine.Knowledge(projectID).Parameters.SoftBars, listed)
}

func (v *loginVerdict) names(r detect.Reach) bool {
	return slices.Contains(v.AllowCredentials, r.Credential)
}

// same expects what was answered.
func (v *loginVerdict) same() []draft.Expected {
	return []draft.Expected{{Key: "allow", Value: v.Allow}, {Key: "tag", Value: string(v.Tag)}}
}

// difference returns the facts of one that another has otherwise.
func difference(one, other *loginVerdict) map[string]any {
	facts, others := one.basis.Facts.Flat(), other.basis.Facts.Flat()
	maps.DeleteFunc(facts, func(path string, value any) bool { return others[path] == value })
	return facts
}

// ended reports whether time has run out.
func (t *trial) ended() bool {
	return t.ctx.Err() != nil
}
