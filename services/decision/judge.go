package decision

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/given"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/shadow"
)

// Login implements service.Decision. It never returns an error.
func (s *Service) Login(ctx context.Context, q service.LoginQuestion) (v service.LoginVerdict, _ error) {
	start := s.deps.Now()
	err := s.judge(ctx, s.course.Judge(s.current(start), &q.Question), func(by course.Judge) error {
		found := s.lookUp(ctx, by.Policy, q.Question, start, false)
		if found.stale {
			v = service.LoginVerdict{Verdict: found.unjudged()}
			return nil
		}
		s.seeUnknown(&q, start)
		j := s.judged(engine.ActionLogin, by, &q.Question, start)
		v, j.basis, j.err = by.Login(ctx, q, found.Evidence)
		if j.falls() {
			return j.failure()
		}
		j.files = found.Around.Revisions
		j.kept = found.keep(&q.Question)
		j.kept.Strategy, j.kept.Source = q.Strategy, q.Source
		v.AccountStamp = found.accountStamp
		j.route, j.reason = v.Route, v.Reason
		if s.shadow.On() {
			j.again, j.evidence = shadow.Login(q), found.Evidence
		}
		s.finish(ctx, &j, &v.Verdict)
		return nil
	})
	return v, err
}

// Append implements service.Decision. It never returns an error.
func (s *Service) Append(ctx context.Context, q service.AppendQuestion) (v service.AppendVerdict, _ error) {
	start := s.deps.Now()
	err := s.judge(ctx, s.course.Judge(s.current(start), &q.Question), func(by course.Judge) error {
		found := s.lookUp(ctx, by.Policy, q.Question, start, true)
		if found.stale {
			v = service.AppendVerdict{Verdict: found.unjudged()}
			return nil
		}
		found.Events = found.Events.Without(q.Unshown)
		j := s.judged(engine.ActionAppend, by, &q.Question, start)
		v, j.basis, j.err = by.Append(ctx, q, found.Evidence)
		if j.falls() {
			return j.failure()
		}
		j.files = found.Around.Revisions
		j.kept = found.keep(&q.Question)
		j.kept.Flags, j.kept.Situation = &q.Flags, q.Situation
		v.AccountStamp = found.accountStamp
		j.kind, j.reason = v.Kind, v.Reason
		if s.shadow.On() {
			j.again, j.evidence = shadow.Append(q), found.Evidence
		}
		s.finish(ctx, &j, &v.Verdict)
		return nil
	})
	return v, err
}

// Mediation implements service.Decision. It never returns an error. There is no user yet, so the account of the question does not matter.
func (s *Service) Mediation(ctx context.Context, q service.Question) (v service.Verdict, _ error) {
	start := s.deps.Now()
	q.Account = nil
	found := looked{Evidence: engine.Evidence{Now: start, Around: s.around(q.Project, q.Client.RemoteAddress, start)}}
	err := s.judge(ctx, s.course.Judge(s.current(start), &q), func(by course.Judge) error {
		j := s.judged(engine.ActionMediation, by, &q, start)
		v, j.basis, j.err = by.Mediation(ctx, q, found.Evidence)
		if j.falls() {
			return j.failure()
		}
		j.files = found.Around.Revisions
		j.kept = kept.Keep(&q, nil)
		if s.shadow.On() {
			j.again, j.evidence = shadow.Mediation(q), found.Evidence
		}
		s.finish(ctx, &j, &v)
		return nil
	})
	return v, err
}

// Finish implements service.Decision. It never returns an error.
func (s *Service) Finish(ctx context.Context, q service.FinishQuestion) (v service.Verdict, _ error) {
	start := s.deps.Now()
	q.AccountStamp = "" // the account has just been read
	err := s.judge(ctx, s.course.JudgeEnd(s.current(start), q.Arm), func(by course.Judge) error {
		if q.Login != nil {
			s.course.Completed(by, time.UnixMilli(q.StartedMs))
		}
		if !by.JudgesRisk() {
			v = service.Verdict{Place: s.around(q.Project, q.Client.RemoteAddress, start).Place}
			return nil
		}
		found := s.lookUp(ctx, by.Policy, q.Question, start, false)
		j := s.judged(engine.ActionRisk, by, &q.Question, start)
		v, j.basis = by.Finish(ctx, q, found.Evidence)
		if j.falls() {
			return j.failure()
		}
		j.files = found.Around.Revisions
		j.kept = found.keep(&q.Question)
		j.kept.Finish = kept.KeepFinish(&q, found.Around.Standing)
		v.Place = found.Around.Place
		if s.shadow.On() {
			j.again, j.evidence = shadow.Finish(q), found.Evidence
		}
		s.finish(ctx, &j, &v)
		return nil
	})
	return v, err
}

// Vouch implements service.Decision. It never returns an error.
func (s *Service) Vouch(ctx context.Context, q service.Question) (vouched service.Vouched, err error) {
	now := s.deps.Now()
	p := s.course.Judge(s.current(now), &q).Policy
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
func (s *Service) Evaluate(ctx context.Context, q service.EvaluateQuestion) (v service.Verdict, _ error) {
	start := s.deps.Now()
	q.AccountStamp = "" // the account has just been read
	err := s.judge(ctx, s.course.Judge(s.current(start), &q.Question), func(by course.Judge) error {
		found := s.lookUp(ctx, by.Policy, q.Question, start, false)
		j := s.judged(engine.ActionRisk, by, &q.Question, start)
		v, j.basis, j.err = by.Assess(ctx, q, found.Evidence)
		if misfit := refused(j.err); misfit != nil {
			return misfit
		}
		if j.falls() {
			return j.failure()
		}
		j.files = found.Around.Revisions
		j.kept = found.keep(&q.Question)
		j.kept.Asked = kept.KeepAsked(&q)
		if s.shadow.On() {
			j.again, j.evidence = shadow.Evaluate(q), found.Evidence
		}
		s.finish(ctx, &j, &v)
		return nil
	})
	return v, err
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
func (s *Service) Rollout(ctx context.Context, q service.RolloutQuestion) (v service.Verdict, _ error) {
	start := s.deps.Now()
	q.Account = nil
	err := s.judge(ctx, s.course.Judge(s.current(start), &q.Question), func(by course.Judge) error {
		j := s.judged(engine.ActionRollout, by, &q.Question, start)
		v, j.basis, j.err = by.Rollout(ctx, q)
		if j.falls() {
			return j.failure()
		}
		j.kept = kept.Keep(&q.Question, nil)
		if s.shadow.On() {
			j.again, j.evidence = shadow.Rollout(q), engine.Evidence{}
		}
		s.finish(ctx, &j, &v)
		return nil
	})
	return v, err
}
