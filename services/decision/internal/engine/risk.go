package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/contradiction"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/reading"
	"github.com/keyward/keyward/services/decision/internal/reasons"
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
	known, memoised, err := ask(ctx, e, v, risky, &d.Facts, v.readRisk)
	if err == nil {
		var verdict service.Risk
		if verdict, err = known.answer.of(d); err == nil {
			verdict.Enforced = v.knowledge.Parameters.Risk.Enforced()
			return &Risk{Verdict: verdict, Answer: known.document, Memoised: memoised}
		}
	}
	return &Risk{Verdict: v.unjudged(), Err: err}
}

// riskAnswer is an answer that equal facts share.
type riskAnswer struct {
	service.Risk
	exclude []int // indexes into the facts' credentials.items
}

// of returns the answer for the account of a detection.
func (a *riskAnswer) of(d *detect.Detection) (service.Risk, error) {
	r := a.Risk
	for _, at := range a.exclude {
		if at >= len(d.Items) {
			return r, fmt.Errorf("answer of %s: exclude has the index %d, and there are %d passkeys", entrypoints[risky], at, len(d.Items))
		}
		r.Exclude = append(r.Exclude, d.Items[at])
	}
	return r, nil
}

// findRisk adds the facts of risk to those that are detected.
func (v *view) findRisk(stage facts.Stage, q service.Question, ev Evidence, d *detect.Detection, end *riskfacts.Finish) {
	f := &d.Facts
	in := riskfacts.Input{
		Stage: stage, Project: q.Project, Account: q.Account, Address: q.Client.RemoteAddress, Client: &f.Client, Source: facts.FromBackend,
		Zone: v.knowledge.Zone, Labels: v.knowledge.Labels, Network: v.network, Now: ev.Now,
		Finish: end,
	}
	in.Place, in.Standing = ev.Around.Place, ev.Around.Standing
	in.Agent, in.Contradicts = contradiction.Find(&d.Client.Agent, &v.knowledge.Clients.Agents, &q.Client)
	in.Lists, _ = v.listed(&q.Client, ev.Around, q.Environment) // Detect has looked at the error
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
	}
	if r := ev.Around.then; r != nil && r.Facts.RiskFacts != nil {
		riskfacts.Recorded(f.RiskFacts, r.Facts.RiskFacts)
	}
	if f.Familiar != nil {
		f.Environment.AgeHours = new(riskfacts.FirstUsed(&in))
	}
	if stage != facts.MediationStart {
		v.plan.Add(f, &velocity.Input{Seen: ev.Seen, Events: in.Events, Passkey: end.Used(), Now: ev.Now})
	}
}

// readRisk reads an answer. Each reason has to be one that the bundle's data describes.
func (v *view) readRisk(a *reading.Answer) riskAnswer {
	r := service.Risk{Rule: a.Text("rule"), Action: service.RiskAction(a.Text("action")), Level: service.RiskLevel(a.Text("level"))}
	if r.Rule == "" || len(r.Rule) > maxRule {
		a.Wrong("rule", wantRule)
	}
	if !knownRisk(string(r.Action)) {
		a.Wrong("action", wantRisk)
	}
	if !knownLevel(string(r.Level)) {
		a.Wrong("level", wantLevel)
	}
	codes := a.Texts(reasons.Key)
	r.Reasons = make([]service.RiskReason, len(codes))
	for i, code := range codes {
		about, known := v.reasons[code]
		if !known {
			a.Wrong("reasons", "reasons of data.keyward.reasons")
		}
		r.Reasons[i] = about.Told(code)
	}
	slices.SortFunc(r.Reasons, func(a, b service.RiskReason) int { return cmp.Compare(a.Code, b.Code) })
	r.StepUp, r.RetrySeconds = readStepUp(a, r.Action), a.Whole("retrySeconds")
	a.Inner("obligations", func(o *reading.Answer) {
		if o.Given("notifyUser") {
			r.Obligations.NotifyUser = o.Boolean("notifyUser")
		}
		if r.Obligations.MaxSessionSeconds = o.Whole("maxSessionSeconds"); o.Given("userVerification") {
			r.Obligations.UserVerification = o.Text("userVerification")
		}
		if !knownObligation(r.Obligations.UserVerification) {
			o.Wrong("userVerification", wantObligation)
		}
	})
	return riskAnswer{Risk: r, exclude: a.Wholes("exclude")}
}

// readStepUp reads the methods of a challenge. Other answers have none.
func readStepUp(a *reading.Answer, action service.RiskAction) []service.StepUpMethod {
	if !a.Given("stepUp") {
		return nil
	}
	var methods []service.StepUpMethod
	for _, name := range a.Texts("stepUp") {
		if !knownMethod(name) {
			a.Wrong("stepUp", wantMethod)
		}
		if !slices.Contains(methods, service.StepUpMethod(name)) {
			methods = append(methods, service.StepUpMethod(name))
		}
	}
	if len(methods) > 0 && action != service.RiskChallenge {
		a.Wrong("stepUp", "empty but for a challenge")
	}
	return methods
}

func knownRisk(text string) bool { return service.RiskAction(text).Known() }

func knownMethod(text string) bool { return service.StepUpMethod(text).Known() }

func knownObligation(text string) bool { return text == "" || text == "required" }

func knownLevel(text string) bool { return service.RiskLevel(text).Known() }

// JudgesRisk reports whether the bundle has rules of risk.
func (e *Engine) JudgesRisk() bool { return e.base.Defines(entrypoints[risky]) }

// Finish judges how risky it is to take an answer that was verified, under the same terms as Login. The bundle must have rules of risk.
func (e *Engine) Finish(ctx context.Context, q service.FinishQuestion, ev Evidence) (service.Verdict, Basis) {
	v := e.view(q.Project)
	d := v.finish(q, ev)
	judged := e.judge(ctx, v, &d)
	said := v.verdict(verdict{rule: judged.Verdict.Rule, allow: true}, &d)
	said.Allow, said.Incomplete = !judged.asks(), !d.Facts.Complete || judged.Err != nil
	judged.bind(&said, false, ev.Now)
	said.NewCountry = d.Facts.Familiar.Country == facts.FamiliarNew
	return said, Basis{Facts: &d.Facts, Answer: judged.Answer, Memoised: judged.Memoised, Found: &d, Risk: judged}
}

// finish finds the facts of the end of a ceremony. What a start asks for has been answered by then.
func (v *view) finish(q service.FinishQuestion, ev Evidence) detect.Detection {
	d := v.knowledge.Login(v.input(q.Question, ev))
	d.Facts.Strategy, d.Facts.Source = "", ""
	stage := facts.AppendFinish
	if q.Login != nil {
		stage = facts.LoginFinish
	}
	v.findRisk(stage, q.Question, ev, &d, &riskfacts.Finish{FinishQuestion: &q, Class: v.knowledge.Classify(&q.Passkey)})
	return d
}

func (v *view) probedFinish(nobody service.Question, ev Evidence, login bool) *facts.Facts {
	q := service.FinishQuestion{Question: nobody}
	if login {
		q.Login = &service.FinishedLogin{Route: event.Local, Counter: service.CounterNone}
	}
	d := v.finish(q, ev)
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
