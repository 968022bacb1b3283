// Package decisions is a decision service for tests of ceremonies. It promises to answer as the test says, and touches nothing.
package decisions

import (
	"context"
	"encoding/json"
	"sync"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// Service allows everything, unless a test says otherwise, and remembers what it was asked.
type Service struct {
	Mu          sync.Mutex
	OnLogin     func(service.LoginQuestion, *service.LoginVerdict)
	OnAppend    func(service.AppendQuestion, *service.AppendVerdict)
	OnMediation func(service.Question, *service.Verdict)
	OnRollout   func(service.RolloutQuestion, *service.Verdict)
	OnFinish    func(service.FinishQuestion) (service.Verdict, error)
	OnVouch     func(service.Question) service.Vouched
	VouchErr    error // of Vouch
	OnEvaluate  func(service.EvaluateQuestion, *service.Verdict)
	OnRecorded  func(ident.DecisionID) (service.RecordedRisk, error)
	err         error
	Asked       []service.Question
	Ended       []service.FinishQuestion // of Finish
}

func verdict(rule string, tag rest.DecisionTag) service.Verdict {
	return service.Verdict{
		Decided: service.Decided{Decision: "dec-4693224802260150919", PolicyRevision: "rev-1"}, Rule: rule, Allow: true, Tag: tag,
		OS: "macOS", OSVersion: "15", Browser: "Safari", BrowserVersion: "18",
	}
}

// tell remembers what was asked, and has a test say otherwise.
func tell[Q, V any](d *Service, asked service.Question, otherwise func(Q, *V), q Q, v *V) {
	d.Mu.Lock()
	defer d.Mu.Unlock()
	d.Asked = append(d.Asked, asked)
	if otherwise != nil {
		otherwise(q, v)
	}
}

// Login implements service.Decision.
func (d *Service) Login(_ context.Context, q service.LoginQuestion) (service.LoginVerdict, error) {
	v := service.LoginVerdict{
		Verdict: verdict("L9", rest.DecisionTagUserPlatformPkHighConfidence), Route: event.Local, Hints: []string{"client-device"},
	}
	if q.Account != nil {
		for _, c := range q.Account.Credentials {
			v.AllowCredentials = append(v.AllowCredentials, c.ID)
		}
	}
	tell(d, q.Question, d.OnLogin, q, &v)
	return v, d.err
}

// Append implements service.Decision.
func (d *Service) Append(_ context.Context, q service.AppendQuestion) (service.AppendVerdict, error) {
	v := service.AppendVerdict{
		Verdict: verdict("A13", rest.DecisionTagProcessPkLoginNotOffered), Kind: event.KindDefault, Variant: rest.AppendVariantDefault,
		Attachment: "platform", Hints: []string{"client-device"}, UserVerification: "required",
	}
	if q.Account != nil {
		for _, c := range q.Account.Credentials {
			v.ExcludeCredentials = append(v.ExcludeCredentials, c.ID)
		}
	}
	tell(d, q.Question, d.OnAppend, q, &v)
	return v, d.err
}

// Mediation implements service.Decision.
func (d *Service) Mediation(_ context.Context, q service.Question) (service.Verdict, error) {
	v := verdict("M1", "")
	tell(d, q, d.OnMediation, q, &v)
	return v, d.err
}

// Finish implements service.Decision. Nobody has rules of risk unless a test says so.
func (d *Service) Finish(_ context.Context, q service.FinishQuestion) (service.Verdict, error) {
	d.Mu.Lock()
	defer d.Mu.Unlock()
	d.Ended = append(d.Ended, q)
	if d.OnFinish == nil {
		return service.Verdict{}, nil
	}
	return d.OnFinish(q)
}

// Vouch implements service.Decision. Nothing speaks against a passkey unless a test says so.
func (d *Service) Vouch(_ context.Context, q service.Question) (service.Vouched, error) {
	d.Mu.Lock()
	defer d.Mu.Unlock()
	if d.OnVouch == nil || d.VouchErr != nil {
		return service.Vouched{}, d.VouchErr
	}
	return d.OnVouch(q), nil
}

// Evaluate implements service.Decision.
func (d *Service) Evaluate(_ context.Context, q service.EvaluateQuestion) (service.Verdict, error) {
	v := verdict("R5", "")
	v.Risk = &service.Risk{Rule: v.Rule, Action: service.RiskAllow, Level: service.RiskLow, Reasons: []service.RiskReason{}}
	tell(d, q.Question, d.OnEvaluate, q, &v)
	return v, d.err
}

// RecordedRisk is what an explanation tells of a record. There is none unless a test says so.
func (d *Service) RecordedRisk(_ context.Context, of service.ForProject[ident.DecisionID]) (service.RecordedRisk, error) {
	d.Mu.Lock()
	defer d.Mu.Unlock()
	if d.OnRecorded == nil {
		return service.RecordedRisk{}, fault.NotFound("no such decision is recorded (yet)")
	}
	return d.OnRecorded(of.Body)
}

// CheckContext implements service.Decision. Everything is taken.
func (*Service) CheckContext(context.Context, service.ForProject[json.RawMessage]) (service.Empty, error) {
	return service.Empty{}, nil
}

// Labels implements service.Decision.
func (*Service) Labels(context.Context, service.ForProject[service.Empty]) ([]string, error) {
	return []string{"admin", "staff"}, nil
}

// Rollout implements service.Decision.
func (d *Service) Rollout(_ context.Context, q service.RolloutQuestion) (service.Verdict, error) {
	v := verdict("R5", service.TagRolloutAllowed)
	tell(d, q.Question, d.OnRollout, q, &v)
	return v, d.err
}

// Last returns what was asked last.
func (d *Service) Last() service.Question {
	d.Mu.Lock()
	defer d.Mu.Unlock()
	return d.Asked[len(d.Asked)-1]
}
