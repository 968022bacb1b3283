package engine

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/contradiction"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
)

// Risk is how a request was judged beside what it asked for. For the time being it is told, and changes nothing.
type Risk struct {
	Verdict  service.Risk
	Answer   json.RawMessage // the policy's answer document; nil if the policy gave no usable answer
	Memoised bool            // the answer was known from equal facts before
	Err      error           // why the policy gave no usable answer; the verdict is then that nothing is wrong
}

// told returns what callers get to know of it; nil if nothing was judged.
func (r *Risk) told() *service.Risk {
	if r == nil {
		return nil
	}
	return &r.Verdict
}

// unjudged is told where the rules gave no usable answer. The login has rules of its own, which fail closed.
func unjudged() service.Risk {
	return service.Risk{Rule: safeDefault().rule, Action: service.RiskAllow, Level: service.RiskLow, Reasons: []service.RiskReason{}}
}

// judge asks how much is wrong with what the facts tell; nil if the bundle has no rules for that.
func (e *Engine) judge(ctx context.Context, v *view, f *facts.Facts) *Risk {
	if e.opts.Unjudged || !v.Defines(entrypoints[risky]) {
		return nil
	}
	known, memoised, err := ask(ctx, e, v, risky, f, v.readRisk)
	if err != nil {
		return &Risk{Verdict: unjudged(), Err: err}
	}
	return &Risk{Verdict: known.answer, Answer: known.document, Memoised: memoised}
}

// findRisk adds the facts of risk to those that are detected.
func (v *view) findRisk(stage facts.Stage, q service.Question, ev Evidence, d *detect.Detection, end *riskfacts.Finish) {
	f := &d.Facts
	in := riskfacts.Input{
		Stage: stage, Project: q.Project, Account: q.Account, Address: q.Client.RemoteAddress, Client: &f.Client, Source: facts.FromBackend,
		Zone: v.knowledge.Zone, Labels: v.knowledge.Labels, Network: v.network, Now: ev.Now,
		Finish: end,
	}
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
	if f.Familiar != nil {
		f.Environment.AgeHours = new(riskfacts.FirstUsed(&in))
	}
}

// readRisk reads an answer. Each reason has to be one that the bundle's data describes.
func (v *view) readRisk(a *answer) service.Risk {
	r := service.Risk{Rule: a.text("rule"), Action: service.RiskAction(a.text("action")), Level: service.RiskLevel(a.text("level"))}
	if r.Rule == "" || len(r.Rule) > maxRule {
		a.wrong("rule", wantRule)
	}
	if !knownRisk(string(r.Action)) {
		a.wrong("action", wantRisk)
	}
	if !knownLevel(string(r.Level)) {
		a.wrong("level", wantLevel)
	}
	reasons := a.texts("reasons")
	r.Reasons = make([]service.RiskReason, len(reasons))
	for i, code := range reasons {
		about, known := v.reasons[code]
		if !known {
			a.wrong("reasons", "reasons of data.keyward.reasons")
		}
		r.Reasons[i] = service.RiskReason{Code: code, Severity: about.Severity, Title: about.Title}
	}
	slices.SortFunc(r.Reasons, func(a, b service.RiskReason) int { return cmp.Compare(a.Code, b.Code) })
	return r
}

// learnReasons reads what the bundle's data says of reasons, with the severities that parameters give. A bundle without rules of risk need
// not say anything.
func learnReasons(data map[string]any) (map[string]reason, error) {
	space, _ := data["keyward"].(map[string]any)
	if _, given := space[reasonsKey]; !given {
		return nil, nil
	}
	var known map[string]reason
	if err := document.Decode(space, reasonsKey, &known); err != nil {
		return nil, err
	}
	var parameters struct {
		Risk struct {
			Severities map[string]int `json:"severities,omitempty"`
		} `json:"risk,omitempty"` // bundles from before have none
	}
	if err := document.Decode(space, "parameters", &parameters); err != nil {
		return nil, err
	}
	for code, severity := range parameters.Risk.Severities {
		described, there := known[code]
		if !there {
			at := []string{"keyward", "parameters", "risk", "severities", code}
			return nil, &document.MisfitError{Keys: at, Message: "there is no such reason"}
		}
		described.Severity = severity
		known[code] = described
	}
	return known, nil
}

// Reasons returns what the data of a bundle, with a project's parameters, says of the reasons in an answer document.
func Reasons(data, answer map[string]any) ([]service.RiskReason, error) {
	known, err := learnReasons(data)
	if err != nil {
		return nil, err
	}
	codes, _ := answer[reasonsKey].([]any)
	all := make([]service.RiskReason, 0, len(codes))
	for _, code := range codes {
		name, _ := code.(string)
		all = append(all, service.RiskReason{Code: name, Severity: known[name].Severity, Title: known[name].Title})
	}
	return all, nil
}

const reasonsKey = "reasons"

// reason is what a bundle's data says of one.
type reason struct {
	Severity int    `json:"severity"`
	Title    string `json:"title"`
}

func knownRisk(text string) bool { return service.RiskAction(text).Known() }

func knownLevel(text string) bool { return service.RiskLevel(text).Known() }

// JudgesRisk reports whether the bundle has rules of risk.
func (e *Engine) JudgesRisk() bool { return e.base.Defines(entrypoints[risky]) }

// Finish judges how risky it is to take an answer that was verified, under the same terms as Login. The bundle must have rules of risk.
func (e *Engine) Finish(ctx context.Context, q service.FinishQuestion, ev Evidence) (service.Verdict, Basis) {
	v := e.view(q.Project)
	d := v.finish(q, ev)
	judged := e.judge(ctx, v, &d.Facts)
	said := v.verdict(verdict{rule: judged.Verdict.Rule, allow: true}, &d)
	said.Risk, said.Incomplete = judged.told(), !d.Facts.Complete || judged.Err != nil
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
