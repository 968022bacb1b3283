package decision

import (
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// The actions, as in subjects, records and metrics.
const (
	actionLogin     = "login"
	actionAppend    = "append"
	actionMediation = "mediation"
)

// Login implements service.Decision. It never returns an error.
func (s *Service) Login(ctx context.Context, q service.LoginQuestion) (service.LoginVerdict, error) {
	start, p := s.deps.Now(), s.active.Load()
	in := s.lookUp(ctx, p, q.Question, start, false)
	in.Strategy = q.Strategy
	d := p.knowledge.Login(in)
	a, err := ask(ctx, p, s.cfg.EvalTimeout, loginEntrypoint, &d.Facts, readLogin)
	if err != nil {
		s.failed(ctx, actionLogin, err)
		a = loginAnswer{verdict: safeDefault(), hints: []string{}}
	}
	v := service.LoginVerdict{
		Verdict: s.verdict(p, a.verdict, &d), Route: a.route, IsCDACandidate: a.cda, PreferImmediatelyAvailable: a.immediately,
		AllowCredentials: d.Select(a.credentials), Hints: a.hints,
	}
	s.finish(start, actionLogin, q.Question, &v.Verdict, &d.Facts, v)
	return v, nil
}

// Append implements service.Decision. It never returns an error.
func (s *Service) Append(ctx context.Context, q service.AppendQuestion) (service.AppendVerdict, error) {
	start, p := s.deps.Now(), s.active.Load()
	d := p.knowledge.Append(s.lookUp(ctx, p, q.Question, start, true), q.Flags, q.Situation)
	a, err := ask(ctx, p, s.cfg.EvalTimeout, appendEntrypoint, &d.Facts, readAppend)
	if err != nil {
		s.failed(ctx, actionAppend, err)
		a = appendAnswer{verdict: safeDefault(), variant: rest.AppendVariantDefault, hints: []string{}}
	}
	v := service.AppendVerdict{
		Verdict: s.verdict(p, a.verdict, &d), Kind: a.kind, Variant: a.variant, Auto: a.auto, Conditional: a.conditional, ManualAllowed: a.manualAllowed,
		IsRestrictedBrowser: a.restrictedBrowser, Reason: a.reason, ExcludeCredentials: d.All(), Attachment: a.attachment, Hints: a.hints,
		UserVerification: a.userVerification, AllowedAAGUIDs: p.knowledge.Parameters.AllowedAAGUIDs,
	}
	s.finish(start, actionAppend, q.Question, &v.Verdict, &d.Facts, v)
	return v, nil
}

// Mediation implements service.Decision. It never returns an error. There is no user yet, so the account of the question does not matter.
func (s *Service) Mediation(ctx context.Context, q service.Question) (service.Verdict, error) {
	start, p := s.deps.Now(), s.active.Load()
	q.Account = nil
	d := p.knowledge.Mediation(q)
	a, err := ask(ctx, p, s.cfg.EvalTimeout, mediationEntrypoint, &d.Facts, readMediation)
	if err != nil {
		s.failed(ctx, actionMediation, err)
		a = safeDefault()
	}
	v := s.verdict(p, a, &d)
	s.finish(start, actionMediation, q, &v, &d.Facts, v)
	return v, nil
}

// lookUp reads what the user's history means. A read that fails makes the facts incomplete; it is not an error of the decision.
func (s *Service) lookUp(ctx context.Context, p *policy, q service.Question, now time.Time, withOffers bool) detect.Input {
	in := detect.Input{Question: q, Complete: !q.LookupFailed, Now: now}
	if q.Account == nil || q.LookupFailed {
		return in
	}
	events, err := s.deps.Events.Events(ctx, q.Project, q.Account.ID)
	var offers []event.Event
	if err == nil && withOffers {
		offers, err = s.deps.Events.Offers(ctx, q.Project, q.Account.ID)
	}
	if err != nil {
		in.Complete = false
		s.metrics.lookupFailures.Inc()
		s.deps.Log.WarnContext(ctx, "history could not be read, facts are incomplete", "error", err)
		return in
	}
	pair := history.Input{
		Events: events, Offers: offers, Credentials: q.Account.Credentials, Deleted: q.Account.Deleted,
		Process: q.Process, Now: now, Parameters: p.knowledge.Parameters.Parameters,
	}
	private := q.Client.PrivateMode != nil && *q.Client.PrivateMode
	if q.Environment.Known && !private {
		pair.Environment = q.Environment.ID
	}
	in.History = history.Fold(pair)
	return in
}

func (s *Service) verdict(p *policy, v verdict, d *detect.Detection) service.Verdict {
	return service.Verdict{
		Decision: ident.NewDecisionID(), PolicyRevision: p.Revision, Rule: v.rule, Allow: v.allow, Tag: v.tag,
		Experiments: d.Experiments, Insights: d.Insights,
		OS: d.Client.OSName, OSVersion: d.Client.OSVersion, Browser: d.Client.BrowserName, BrowserVersion: d.Client.BrowserVersion,
	}
}

// failed reports that the policy gave no usable answer.
func (s *Service) failed(ctx context.Context, action string, err error) {
	cause := "error"
	if errors.Is(err, bundle.ErrTimeout) {
		cause = "timeout"
	}
	s.metrics.policyErrors.WithLabelValues(action, cause).Inc()
	s.deps.Log.ErrorContext(ctx, "policy failed, answering with the safe default", "action", action, "cause", cause, "error", err)
}

// finish counts the decision and hands it to the recorder.
func (s *Service) finish(start time.Time, action string, q service.Question, v *service.Verdict, facts *detect.Facts, result any) {
	took := s.deps.Now().Sub(start)
	s.metrics.decided(action, v.Rule, took)
	r := &Record{
		ID: v.Decision, Time: start.UTC(), Project: q.Project, RequestID: q.RequestID, Process: q.Process, Action: action,
		PolicyRevision: v.PolicyRevision, Rule: v.Rule, Tag: v.Tag, Allow: v.Allow, Result: result, Facts: facts, DurationMicros: took.Microseconds(),
	}
	if q.Account != nil {
		r.User = q.Account.ID
	}
	s.records.add(r)
}
