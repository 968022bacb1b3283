package invariant

import (
	"bytes"
	"context"
	"maps"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/invariant/internal/situation"
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
	s      *situation.Situation

	logins    map[rest.CrossDeviceAuthenticationStrategy]*loginVerdict // of s itself
	creations *creationVerdict
	mediated  *mediationVerdict

	last put // several questions in a row are about one situation
}

// put is a situation as questions are put about it. Whoever has asked about a situation leaves it as it is.
type put struct {
	s        *situation.Situation
	question service.Question
	evidence engine.Evidence
}

// about returns what questions about a situation have in common.
func (t *trial) about(s *situation.Situation) *put {
	if t.last.s != s {
		t.last = put{s, s.Question(), s.Evidence()}
	}
	return &t.last
}

func (t *trial) of(s *situation.Situation) *trial {
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

func (t *trial) login(s *situation.Situation, strategy rest.CrossDeviceAuthenticationStrategy) *loginVerdict {
	if known := t.logins[strategy]; s == t.s && known != nil {
		return known
	}
	var v loginVerdict
	known := t.about(s)
	q := service.LoginQuestion{Question: known.question, Strategy: strategy, Source: s.Source}
	v.LoginVerdict, v.basis, v.err = t.engine.Login(t.ctx, q, known.evidence)
	v.knowledge = t.engine.Knowledge(situation.Project)
	if s == t.s {
		t.logins[strategy] = &v
	}
	return &v
}

func (t *trial) creation(s *situation.Situation) *creationVerdict {
	if s == t.s && t.creations != nil {
		return t.creations
	}
	var v creationVerdict
	known := t.about(s)
	q := service.AppendQuestion{Question: known.question, Flags: s.Flags, Situation: s.Entry}
	v.AppendVerdict, v.basis, v.err = t.engine.Append(t.ctx, q, known.evidence)
	if s == t.s {
		t.creations = &v
	}
	return &v
}

func (t *trial) mediation(s *situation.Situation) *mediationVerdict {
	if s == t.s && t.mediated != nil {
		return t.mediated
	}
	var v mediationVerdict
	known := t.about(s)
	v.Verdict, v.basis, v.err = t.engine.Mediation(t.ctx, known.question, known.evidence)
	if s == t.s {
		t.mediated = &v
	}
	return &v
}

// barredHard reports whether the environment is barred, and not softly.
func (t *trial) barredHard(v *mediationVerdict) bool {
	listed := v.basis.Facts.Environment.Listed
	return listed != facts.ListedNot && !slices.Contains(t.engine.Knowledge(situation.Project).Parameters.SoftBars, listed)
}

// Where a bundle keeps its parameters.
const (
	spaceKey      = "keyward"
	parametersKey = "parameters"
)

// parameter is what the bundle says, as everybody here sees it.
func (t *trial) parameter(name string) any {
	space, _ := t.engine.Bundle(situation.Project).Data[spaceKey].(map[string]any)
	parameters, _ := space[parametersKey].(map[string]any)
	return parameters[name]
}

func (v *loginVerdict) names(r detect.Reach) bool {
	return slices.Contains(v.AllowCredentials, r.Credential)
}

// same expects what was answered.
func (v *loginVerdict) same() []draft.Expected {
	return []draft.Expected{{Key: "allow", Value: v.Allow}, {Key: "tag", Value: string(v.Tag)}}
}

// difference returns the facts of one that another has otherwise; nil if there are none.
func difference(one, other *facts.Facts) map[string]any {
	if bytes.Equal(one.AppendJSON(nil), other.AppendJSON(nil)) {
		return nil
	}
	found, others := one.Flat(), other.Flat()
	maps.DeleteFunc(found, func(path string, value any) bool { return others[path] == value })
	return found
}

// ended reports whether time has run out.
func (t *trial) ended() bool {
	return t.ctx.Err() != nil
}
