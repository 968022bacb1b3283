package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/binding"
	"github.com/keyward/keyward/services/decision/internal/contradiction"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/judgement"
	"github.com/keyward/keyward/services/decision/internal/reading"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
	"github.com/keyward/keyward/services/decision/internal/velocity"
)

// Risk is how a request was judged beside what it asked for.
type Risk struct {
	Verdict  service.Risk
	Answer   json.RawMessage // the policy's answer document; nil if the policy gave no usable answer
	Memoised bool            // the answer was known from equal facts before
	Err      error           // why the policy gave no usable answer; the verdict is then what the parameter risk.failure says
}

// told returns what callers get to know of it; nil if nothing was judged.
func (r *Risk) told() *service.Risk {
	if r == nil {
		return nil
	}
	return &r.Verdict
}

// asks reports whether anything but a login must not go on, also where a further proof would do.
func (r *Risk) asks() bool { return r.told().Bars() || r.told().Challenges() }

// unjudged is told where the rules gave no usable answer. The login has rules of its own, which fail closed; who has an authenticator that
// was verified has been proven to hold the passkey.
func (v *view) unjudged() service.Risk {
	r := service.Risk{Rule: safeDefault().rule, Action: service.RiskAllow, Level: service.RiskLow, Reasons: []service.RiskReason{}}
	if v.knowledge.Parameters.Risk.FailsClosed() {
		r.Action, r.Level = service.RiskDeny, service.RiskHigh
	}
	r.Enforced = v.knowledge.Parameters.Risk.Enforced()
	return r
}

// judge asks how much is wrong with what the facts tell; nil if the bundle has no rules for that.
func (e *Engine) judge(ctx context.Context, v *view, d *detect.Detection) *Risk {
	if e.opts.Unjudged || !v.Defines(entrypoints[risky]) {
		return nil
	}
	known, memoised, err := ask(ctx, e, v, risky, nil, &d.Facts, v.readRisk)
	if err == nil {
		var verdict service.Risk
		if verdict, err = of(&known.answer, d); err == nil {
			verdict.Enforced = v.knowledge.Parameters.Risk.Enforced()
			if verdict.Challenges() {
				bounds := &v.knowledge.Parameters.Risk
				verdict.StepUpSeconds, verdict.StepUpFailures = bounds.StepUpSeconds, bounds.StepUpFailures
			}
			return &Risk{Verdict: verdict, Answer: known.document, Memoised: memoised}
		}
	}
	return &Risk{Verdict: v.unjudged(), Err: err}
}

// of returns the answer for the account of a detection.
func of(a *judgement.Answer, d *detect.Detection) (service.Risk, error) {
	r := a.Risk
	for _, at := range a.Without {
		if at >= len(d.Items) {
			return r, fmt.Errorf("answer of %s: exclude has the index %d, and there are %d passkeys", entrypoints[risky], at, len(d.Items))
		}
		r.Exclude = append(r.Exclude, d.Items[at])
	}
	return r, nil
}

// findRisk adds the facts of risk to those that are detected.
func (v *view) findRisk(about riskfacts.Input, q service.Question, ev Evidence, d *detect.Detection) {
	f, end := &d.Facts, about.Finish
	in := riskfacts.Input{
		Stage: about.Stage, Asked: about.Asked, Project: q.Project, Account: q.Account, Address: q.Client.RemoteAddress, Client: &f.Client,
		Source: facts.FromBackend, Sighted: q.Sighted,
		Zone: v.knowledge.Zone, Labels: v.knowledge.Labels, Network: v.network, Now: ev.Now,
		Finish: end,
	}
	in.Place, in.Standing, in.Context = ev.Around.Place, ev.Around.Standing, v.added(q.Context)
	in.Agent, in.Contradicts = contradiction.Find(&d.Client.Agent, &v.knowledge.Clients.Agents, &q.Client)
	in.Lists, _ = v.listed(&q, ev.Around) // Detect has looked at the error
	if q.Frontend {
		in.Source = facts.FromFrontend
	}
	if f.Environment.Known {
		in.Environment = q.Environment.ID
	}
	if f.Complete {
		in.Events = ev.Events
	}
	f.RiskFacts = riskfacts.Find(&in)
	if f.AccountFacts != nil {
		passkeys := make([]riskfacts.Passkey, 0, f.Credentials.Total)
		d.Each(func(c *account.Credential, class facts.Class, a detect.Availability) {
			passkeys = append(passkeys, riskfacts.Passkey{Credential: c, Class: class, Availability: string(a)})
		})
		f.Credentials.Items, d.Items = riskfacts.Passkeys(&in, passkeys)
		riskfacts.Reached(f.Used, end, passkeys)
	}
	if r := ev.Around.then; r != nil && r.Facts.RiskFacts != nil {
		riskfacts.Recorded(f.RiskFacts, r.Facts.RiskFacts)
	}
	if f.Familiar != nil {
		f.Environment.AgeHours = new(riskfacts.FirstUsed(&in))
	}
	if about.Stage != facts.MediationStart {
		v.plan.Add(f, &velocity.Input{Seen: ev.Seen, Events: in.Events, Passkey: end.Used(), Now: ev.Now})
	}
}

func (v *view) readRisk(a *reading.Answer) judgement.Answer { return judgement.Read(a, v.reasons) }

// JudgesRisk reports whether the bundle has rules of risk.
func (e *Engine) JudgesRisk() bool { return e.base.Defines(entrypoints[risky]) }

// Finish judges how risky it is to take an answer that was verified, under the same terms as Login. The bundle must have rules of risk.
func (e *Engine) Finish(ctx context.Context, q service.FinishQuestion, ev Evidence) (service.Verdict, Basis) {
	v := e.view(q.Project)
	d := ev.or(func() detect.Detection { return v.finish(q, ev) })
	judged := e.judge(ctx, v, &d)
	if q.Proof {
		judged.Verdict = judged.Verdict.OfProof()
	}
	said := v.verdict(verdict{rule: judged.Verdict.Rule, allow: true}, &d)
	said.Allow, said.Incomplete = !judged.asks(), !d.Facts.Complete || judged.Err != nil
	binding.Verdict(judged.told(), &said, false, ev.Now)
	said.NewCountry = d.Facts.Familiar.Country == facts.FamiliarNew
	return said, Basis{Facts: &d.Facts, Answer: judged.Answer, Memoised: judged.Memoised, Found: &d, Risk: judged}
}

// finish finds the facts of the end of a ceremony. What a start asks for has been answered by then.
func (v *view) finish(q service.FinishQuestion, ev Evidence) detect.Detection {
	d := v.knowledge.Login(v.input(q.Question, ev))
	d.Facts.Strategy, d.Facts.Source = "", ""
	end := &riskfacts.Finish{FinishQuestion: &q, Class: v.knowledge.Classify(&q.Passkey)}
	v.findRisk(riskfacts.Input{Stage: end.Stage(), Finish: end}, q.Question, ev, &d)
	return d
}

// Assess judges how risky it is to let somebody do what is no ceremony. Without rules of risk it is none. The error is a
// *given.MisfitError of an action that the bundle does not declare, or of a context that it does not allow.
func (e *Engine) Assess(ctx context.Context, q service.EvaluateQuestion, ev Evidence) (service.Verdict, Basis, error) {
	v := e.view(q.Project)
	if err := v.actions.Check(q.Action); err != nil {
		return service.Verdict{}, Basis{}, err
	}
	if q.Context != nil {
		if err := e.CheckContext(q.Project, q.Context); err != nil {
			return service.Verdict{}, Basis{}, err
		}
	}
	d := ev.or(func() detect.Detection { return v.assessed(q.Question, ev, riskfacts.Asked{Action: q.Action}) })
	judged := e.judge(ctx, v, &d)
	if judged == nil {
		judged = unruledRisk()
	}
	said := v.verdict(verdict{rule: judged.Verdict.Rule, allow: true}, &d)
	said.Allow, said.Incomplete = !judged.asks(), !d.Facts.Complete || judged.Err != nil
	binding.Verdict(judged.told(), &said, false, ev.Now)
	return said, Basis{Facts: &d.Facts, Answer: judged.Answer, Memoised: judged.Memoised, Found: &d, Risk: judged}, nil
}

// CheckContext reports whether what a caller adds to a question is what the bundle allows. The error is a *given.MisfitError.
func (e *Engine) CheckContext(project ident.ProjectID, raw []byte) error {
	_, err := e.view(project).context.Read(raw)
	return err
}

// added is what a caller added to a question. What does not fit is unknown: it did when it was checked, and another bundle answers since.
func (v *view) added(raw []byte) facts.Context {
	if raw == nil {
		return nil
	}
	read, err := v.context.Read(raw)
	if err != nil {
		return nil
	}
	return read
}

// assessed finds the facts of what is no ceremony.
func (v *view) assessed(q service.Question, ev Evidence, asked riskfacts.Asked) detect.Detection {
	d := v.knowledge.Login(v.input(q, ev))
	d.Facts.Strategy, d.Facts.Source = "", ""
	v.findRisk(riskfacts.Input{Stage: facts.Evaluate, Asked: &asked}, q, ev, &d)
	return d
}

func (v *view) probedFinish(nobody service.Question, ev Evidence, login bool) *facts.Facts {
	q := service.FinishQuestion{Question: nobody}
	if login {
		q.Login = &service.FinishedLogin{Route: event.Local, Counter: service.CounterNone}
	}
	d := ev.or(func() detect.Detection { return v.finish(q, ev) })
	return &d.Facts
}

func (v *view) probedAction(nobody service.Question, ev Evidence) *facts.Facts {
	d := v.assessed(nobody, ev, riskfacts.Asked{})
	return &d.Facts
}

func (v *view) probeRisk(ctx context.Context, timeout time.Duration, situations ...*facts.Facts) error {
	if !v.Defines(entrypoints[risky]) {
		return nil
	}
	for _, f := range situations {
		if _, err := direct(ctx, v, timeout, risky, f, v.readRisk); err != nil {
			return v.advise(risky, err)
		}
	}
	return nil
}
