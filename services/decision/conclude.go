package decision

import (
	"context"
	"errors"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/span"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/canary"
	"github.com/keyward/keyward/services/decision/internal/control"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/outline"
	"github.com/keyward/keyward/services/decision/internal/record"
	"github.com/keyward/keyward/services/decision/internal/shadow"
)

// judge has a question judged, and, if what a canary tries fails at it, by what is live. The error is that of the latter: a question that
// does not fit either is no failure of what is tried.
func (s *Service) judge(ctx context.Context, by course.Judge, answer func(course.Judge) error) error {
	err := answer(by)
	if err == nil || !by.Tried() {
		return err
	}
	if instead := answer(by.Instead()); instead != nil {
		return instead
	}
	if errors.Is(err, bundle.ErrTimeout) { // a busy machine is no mistake in the policy: the bound of how long evaluations take is for that
		s.course.Count(by, s.deps.Now(), canary.Outcome{Took: s.cfg.EvalTimeout})
	} else {
		s.course.Failed(by)
	}
	s.deps.Log.WarnContext(ctx, "what the canary tries has failed, what is live answers", "revision", by.Number, "error", err)
	return nil
}

// judged is how a verdict came about.
type judged struct {
	start    time.Time
	asked    time.Time // when the policy was, after everything had been looked up
	action   string
	by       course.Judge
	question *service.Question
	basis    engine.Basis
	err      error // why the policy gave no usable answer
	kept     *kept.Question
	files    map[string]string // of the operator: their revisions, by name
	route    event.Route       // that was offered; this and kind: empty = none
	kind     event.Kind
	reason   string // why nothing was offered

	// For another revision that judges beside; nil if none does
	again    shadow.Asked
	evidence engine.Evidence
}

func (s *Service) judged(action string, by course.Judge, q *service.Question, start time.Time) judged {
	return judged{start: start, asked: s.deps.Now(), action: action, by: by, question: q}
}

// off is what an operator has stopped, so that the policy was not asked; nil if it was.
func (j *judged) off() *control.Off {
	off, _ := errors.AsType[*control.Off](j.err)
	return off
}

// failure is why a verdict, or how it was judged for risk, rests on no answer of the policy though it was asked.
func (j *judged) failure() error {
	if j.off() != nil {
		return course.Failure(nil, j.basis)
	}
	return course.Failure(j.err, j.basis)
}

// falls reports whether something else is to answer, since what a canary tries gave no usable answer.
func (j *judged) falls() bool { return j.by.Tried() && j.failure() != nil }

// finish names the decision, counts it and hands it to the recorder.
func (s *Service) finish(ctx context.Context, j *judged, v *service.Verdict) {
	v.Decision, v.PolicyNumber, v.Arm = ident.NewDecisionID(j.start), j.by.Number, j.by.Arm
	if off := j.off(); off != nil {
		v.Rule, v.Tag, v.Incomplete = off.Rule(), rest.DecisionTagSwitchedOff, false
	} else if j.err != nil {
		s.failed(ctx, j.action, j.by.Policy, j.err)
	}
	if risk := j.basis.Risk; risk != nil {
		s.metrics.Judged(risk, j.action != engine.ActionRisk)
		if risk.Err != nil {
			s.failed(ctx, engine.ActionRisk, j.by.Policy, risk.Err)
		}
	}
	j.kept.Worth(j.by.Plan(), s.deps.Addresses)
	now := s.deps.Now()
	took := now.Sub(j.start)
	s.metrics.Decided(j.action, v.Rule, j.basis.Memoised, took)
	if v.Arm != nil {
		s.metrics.DecidedBy(v.Arm.Side, v.Allow, j.failure() != nil)
	}
	s.course.Count(j.by, j.start, outcome(j, v, now.Sub(j.asked)))
	s.record(newRecord(ctx, j, v, took), j, v)
}

func newRecord(ctx context.Context, j *judged, v *service.Verdict, took time.Duration) *record.Record {
	r := &record.Record{Question: j.kept, Facts: j.basis.Facts, Answer: j.basis.Answer, Trace: span.Parent(ctx), Judgement: record.Judgement{
		Schema: kept.Schema, ID: v.Decision, Time: j.start.UTC(), Project: j.question.Project, RequestID: j.question.RequestID,
		Process: j.question.Process, Action: j.action,
		PolicyRevision: v.PolicyRevision, PolicyHash: j.by.Hash(), PolicyNumber: v.PolicyNumber, Arm: v.Arm,
		Rule: v.Rule, Tag: v.Tag, Allow: v.Allow,
		DurationMicros: took.Microseconds(), Memoised: j.basis.Memoised, Files: j.files,
	}}
	if j.basis.Risk != nil && j.action != engine.ActionRisk {
		r.Risk = j.basis.Risk.Answer
	}
	r.Enforced = v.Risk != nil && v.Risk.Enforced
	r.Outline = newOutline(j, v)
	if j.question.Account != nil {
		r.User = j.question.Account.ID
	}
	return r
}

func newOutline(j *judged, v *service.Verdict) *outline.Said {
	o := &outline.Said{Route: string(j.route), Kind: string(j.kind)}
	if f := j.basis.Facts; f != nil {
		o.OS, o.Browser, o.Device = f.Client.OS, f.Client.Browser, string(f.Client.Device)
	}
	if j.reason != "" {
		o.Reasons = append(o.Reasons, j.reason)
	}
	if v.Risk != nil {
		o.Verdict, o.Level = string(v.Risk.Action), string(v.Risk.Level)
		for _, reason := range v.Risk.Reasons {
			o.Reasons = append(o.Reasons, reason.Code)
		}
	}
	return o
}

// Judgement is the part of a record that who reads it elsewhere reads, too.
type Judgement = record.Judgement

// outcome is how a decision came out, as sides of a canary are compared.
func outcome(j *judged, v *service.Verdict, took time.Duration) canary.Outcome {
	offers := j.action == engine.ActionLogin || j.action == engine.ActionAppend
	return canary.Outcome{
		Asked: offers, Login: j.action == engine.ActionLogin, Allowed: v.Allow, Failed: j.failure() != nil,
		Denied: v.Tag == rest.DecisionTagDefaultDeny, Took: took,
	}
}

// record hands a record to the recorder, once another revision has judged beside, if one is to.
func (s *Service) record(r *record.Record, j *judged, v *service.Verdict) {
	if j.again == nil || j.off() != nil || !s.shadow.Wants(v.Decision) {
		s.records.Add(r)
		return
	}
	if !s.shadow.Take(s.beside(r, j, v)) {
		s.metrics.Shadowed(nil)
		s.records.Add(r)
	}
}

func (s *Service) beside(r *record.Record, j *judged, v *service.Verdict) shadow.Question {
	return shadow.Question{
		Decision: v.Decision, Action: j.action, Project: j.question.Project, Answered: shadow.Of(v), By: j.by.Policy,
		Asked: j.again, Evidence: j.evidence, Found: j.basis.Found,
		Done: func(other *shadow.Answer) {
			r.Shadow = other
			s.metrics.Shadowed(other)
			s.records.Add(r)
		},
	}
}

// failed reports that the policy gave no usable answer. What is too slow may be so for a moment; what errs, errs again for the next one
// like it.
func (s *Service) failed(ctx context.Context, action string, by *course.Policy, err error) {
	cause := "error"
	if errors.Is(err, engine.ErrLapsed) {
		s.metrics.PolicyErrors.WithLabelValues(action, "lapsed").Inc() // readiness and the log have said so
		return
	}
	if errors.Is(err, bundle.ErrTimeout) {
		cause = "timeout"
	} else {
		by.Fail(err)
	}
	s.metrics.PolicyErrors.WithLabelValues(action, cause).Inc()
	s.deps.Log.ErrorContext(ctx, "policy failed, answering with the safe default", "action", action, "cause", cause, "error", err)
}
