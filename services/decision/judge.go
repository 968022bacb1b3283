package decision

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/control"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/given"
	"github.com/keyward/keyward/services/decision/internal/kept"
)

// Login implements service.Decision. It never returns an error.
func (s *Service) Login(ctx context.Context, q service.LoginQuestion) (service.LoginVerdict, error) {
	start := s.deps.Now()
	p := s.current(start)
	found := s.lookUp(ctx, p, q.Question, start, false)
	if found.stale {
		return service.LoginVerdict{Verdict: found.unjudged()}, nil
	}
	s.seeUnknown(&q, start)
	v, basis, err := p.Login(ctx, q, found.Evidence)
	asked := found.keep(&q.Question)
	asked.Strategy, asked.Source = q.Strategy, q.Source
	v.AccountStamp = found.accountStamp
	s.finish(
		ctx, judged{
			start: start, action: engine.ActionLogin, policy: p, question: &q.Question, basis: basis, err: err, kept: asked,
			files: found.Around.Revisions, route: v.Route, reason: v.Reason,
		}, &v.Verdict,
	)
	return v, nil
}

// Append implements service.Decision. It never returns an error.
func (s *Service) Append(ctx context.Context, q service.AppendQuestion) (service.AppendVerdict, error) {
	start := s.deps.Now()
	p := s.current(start)
	found := s.lookUp(ctx, p, q.Question, start, true)
	if found.stale {
		return service.AppendVerdict{Verdict: found.unjudged()}, nil
	}
	found.Events = found.Events.Without(q.Unshown)
	v, basis, err := p.Append(ctx, q, found.Evidence)
	asked := found.keep(&q.Question)
	asked.Flags, asked.Situation = &q.Flags, q.Situation
	v.AccountStamp = found.accountStamp
	s.finish(
		ctx, judged{
			start: start, action: engine.ActionAppend, policy: p, question: &q.Question, basis: basis, err: err, kept: asked,
			files: found.Around.Revisions, kind: v.Kind, reason: v.Reason,
		}, &v.Verdict,
	)
	return v, nil
}

// Mediation implements service.Decision. It never returns an error. There is no user yet, so the account of the question does not matter.
func (s *Service) Mediation(ctx context.Context, q service.Question) (service.Verdict, error) {
	start := s.deps.Now()
	p := s.current(start)
	q.Account = nil
	around := s.around(q.Project, q.Client.RemoteAddress, start)
	v, basis, err := p.Mediation(ctx, q, engine.Evidence{Now: start, Around: around})
	s.finish(
		ctx, judged{
			start: start, action: engine.ActionMediation, policy: p, question: &q, basis: basis, err: err, kept: kept.Keep(&q, nil),
			files: around.Revisions,
		}, &v,
	)
	return v, nil
}

// Finish implements service.Decision. It never returns an error.
func (s *Service) Finish(ctx context.Context, q service.FinishQuestion) (service.Verdict, error) {
	start := s.deps.Now()
	p := s.current(start)
	if !p.JudgesRisk() {
		return service.Verdict{Place: s.around(q.Project, q.Client.RemoteAddress, start).Place}, nil
	}
	q.AccountStamp = "" // the account has just been read
	found := s.lookUp(ctx, p, q.Question, start, false)
	v, basis := p.Finish(ctx, q, found.Evidence)
	asked := found.keep(&q.Question)
	asked.Finish = kept.KeepFinish(&q, found.Around.Standing)
	v.Place = found.Around.Place
	s.finish(ctx, judged{
		start: start, action: engine.ActionRisk, policy: p, question: &q.Question, basis: basis, kept: asked,
		files: found.Around.Revisions,
	}, &v)
	return v, nil
}

// Vouch implements service.Decision. It never returns an error.
func (s *Service) Vouch(ctx context.Context, q service.Question) (vouched service.Vouched, err error) {
	now := s.deps.Now()
	p := s.current(now)
	if !p.JudgesRisk() || q.Account == nil {
		return vouched, nil
	}
	q.AccountStamp = "" // the account has just been read
	found := s.lookUp(ctx, p, q, now, false)
	for _, passkey := range q.Account.Credentials {
		v, _ := p.Finish(ctx, proofBy(q, passkey), found.Evidence)
		if reasons := v.Risk.Against(); len(reasons) > 0 {
			vouched.Against = append(vouched.Against, service.Against{Passkey: passkey.ID, Reasons: reasons})
		}
	}
	return vouched, nil
}

// proofBy asks about a login with a passkey that has yet to come. A counter that became 0 was let pass, and does not count any more; one
// that did not go up was not.
func proofBy(q service.Question, passkey account.Credential) service.FinishQuestion {
	counter := service.CounterOK
	switch {
	case passkey.SignCount == 0:
		counter = service.CounterNone
	case passkey.CloneWarning:
		counter = service.CounterRegressed
	}
	return service.FinishQuestion{
		Question: q, Passkey: passkey, UV: true, Proof: true, Login: &service.FinishedLogin{Route: event.Local, Counter: counter},
	}
}

// Evaluate implements service.Decision. Its error is a 400 of the action, or of the context.
func (s *Service) Evaluate(ctx context.Context, q service.EvaluateQuestion) (service.Verdict, error) {
	start := s.deps.Now()
	p := s.current(start)
	q.AccountStamp = "" // the account has just been read
	found := s.lookUp(ctx, p, q.Question, start, false)
	v, basis, err := p.Assess(ctx, q, found.Evidence)
	if misfit := refused(err); misfit != nil {
		return v, misfit
	}
	asked := found.keep(&q.Question)
	asked.Asked = kept.KeepAsked(&q)
	s.finish(ctx, judged{
		start: start, action: engine.ActionRisk, policy: p, question: &q.Question, basis: basis, err: err, kept: asked,
		files: found.Around.Revisions,
	}, &v)
	return v, nil
}

// CheckContext implements service.Decision.
func (s *Service) CheckContext(_ context.Context, of service.ForProject[json.RawMessage]) (service.Empty, error) {
	return service.Empty{}, refused(s.active.Load().CheckContext(of.Project, of.Body))
}

// refused is the fault of a question that does not fit; nil if err is none of that kind.
func refused(err error) error {
	var misfit *given.MisfitError
	if errors.As(err, &misfit) {
		return fault.Field(misfit.Field, "%s", misfit.Message)
	}
	return nil
}

// Labels implements service.Decision. It never returns an error.
func (s *Service) Labels(_ context.Context, of service.ForProject[service.Empty]) ([]string, error) {
	return s.active.Load().Knowledge(of.Project).Labels, nil
}

// Rollout implements service.Decision. It never returns an error. Nobody is known yet, only named, so the account of the question does not
// matter.
func (s *Service) Rollout(ctx context.Context, q service.RolloutQuestion) (service.Verdict, error) {
	start := s.deps.Now()
	p := s.current(start)
	q.Account = nil
	v, basis, err := p.Rollout(ctx, q)
	s.finish(
		ctx, judged{
			start: start, action: engine.ActionRollout, policy: p, question: &q.Question, basis: basis, err: err, kept: kept.Keep(&q.Question, nil),
		},
		&v,
	)
	return v, nil
}

// judged is how a verdict came about.
type judged struct {
	start    time.Time
	action   string
	policy   *policy
	question *service.Question
	basis    engine.Basis
	err      error // why the policy gave no usable answer
	kept     *kept.Question
	files    map[string]string // of the operator: their revisions, by name
	route    event.Route       // that was offered; this and kind: empty = none
	kind     event.Kind
	reason   string // why nothing was offered
}

// finish names the decision, counts it and hands it to the recorder.
func (s *Service) finish(ctx context.Context, j judged, v *service.Verdict) {
	v.Decision, v.PolicyNumber = ident.NewDecisionID(j.start), j.policy.number
	var off *control.Off
	if errors.As(j.err, &off) {
		v.Rule, v.Tag, v.Incomplete = off.Rule(), rest.DecisionTagSwitchedOff, false
	} else if j.err != nil {
		s.failed(ctx, j.action, j.policy, j.err)
	}
	if risk := j.basis.Risk; risk != nil {
		s.metrics.Judged(risk, j.action != engine.ActionRisk)
		if risk.Err != nil {
			s.failed(ctx, engine.ActionRisk, j.policy, risk.Err)
		}
	}
	j.kept.Sighted = j.policy.Plan().Worth(j.kept.Sighted)
	took := s.deps.Now().Sub(j.start)
	s.metrics.Decided(j.action, v.Rule, j.basis.Memoised, took)
	s.records.add(newRecord(ctx, j, v, took))
}

// failed reports that the policy gave no usable answer. What is too slow may be so for a moment; what errs, errs again for the next one
// like it.
func (s *Service) failed(ctx context.Context, action string, by *policy, err error) {
	cause := "error"
	if errors.Is(err, engine.ErrLapsed) {
		s.metrics.PolicyErrors.WithLabelValues(action, "lapsed").Inc() // readiness and the log have said so
		return
	}
	if errors.Is(err, bundle.ErrTimeout) {
		cause = "timeout"
	} else {
		by.failed.Store(&refusal{err: err, at: s.deps.Now()})
	}
	s.metrics.PolicyErrors.WithLabelValues(action, cause).Inc()
	s.deps.Log.ErrorContext(ctx, "policy failed, answering with the safe default", "action", action, "cause", cause, "error", err)
}
