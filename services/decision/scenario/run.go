package scenario

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/tablerow"
	"github.com/keyward/keyward/services/decision/scenario/internal/around"
	"github.com/keyward/keyward/services/decision/scenario/internal/written"
)

// Bundle is a policy that was found good: it compiles, fits its schemas, has every entrypoint and passes its own tests. It is immutable.
type Bundle struct {
	engine *engine.Engine
	rows   map[string][]string // of the decision tables, by action
}

// Open loads a policy bundle as the running engine would. Errors say with file and line why it would be refused.
func Open(ctx context.Context, source fs.FS) (*Bundle, error) {
	loaded, err := engine.Load(ctx, source, engine.Options{})
	if err != nil {
		return nil, err
	}
	return Of(loaded, source)
}

// Of returns the bundle that an engine was loaded from.
func Of(loaded *engine.Engine, source fs.FS) (*Bundle, error) {
	rows, err := tablerow.List(source)
	if err != nil {
		return nil, fmt.Errorf("list the rows of the decision tables: %w", err)
	}
	return &Bundle{engine: loaded, rows: rows}, nil
}

// By returns the bundle of an engine, of which no more is asked than how it answers: its reports name no rows that were not reached.
func By(loaded *engine.Engine) *Bundle { return &Bundle{engine: loaded} }

// Revision names the policy as decisions do.
func (b *Bundle) Revision() string { return b.engine.Revision() }

// Run tries every scenario of the suite against the bundle. The error is Problems if a scenario overrides a parameter that the bundle
// does not have or that does not fit, or names a provider that it does not know; then nothing was tried.
func (b *Bundle) Run(ctx context.Context, suite Suite) (*Report, error) {
	suite, err := b.known(suite)
	if err != nil {
		return nil, err
	}
	engines, err := b.engines(suite)
	if err != nil {
		return nil, err
	}
	report := &Report{Revision: b.Revision(), Total: suite.Len(), Scenarios: make([]Result, 0, suite.Len())}
	reached := map[string]bool{}
	for i := range suite.scenarios {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		result := run(ctx, &suite.scenarios[i], engines[i])
		reached[result.Action+" "+result.Rule] = true
		if result.Passed {
			report.Passed++
		} else {
			report.Failed++
		}
		report.Scenarios = append(report.Scenarios, result)
	}
	report.NotReached = b.unreached(reached)
	return report, nil
}

// unreached returns the rows that did not answer, by action; actions of which every row did are left out.
func (b *Bundle) unreached(reached map[string]bool) map[string][]string {
	missing := map[string][]string{}
	for _, action := range written.Actions() {
		for _, row := range b.rows[action] {
			if !reached[action+" "+row] {
				missing[action] = append(missing[action], row)
			}
		}
	}
	return missing
}

// engines returns the engine of each scenario: the bundle's, with what the scenario overrides.
func (b *Bundle) engines(suite Suite) ([]*engine.Engine, error) {
	engines := make([]*engine.Engine, suite.Len())
	listing := map[*around.Lists]*engine.Engine{nil: b.engine}
	var problems Problems
	for i := range suite.scenarios {
		s := &suite.scenarios[i]
		base, known := listing[s.Lists]
		if !known {
			var err error
			if base, err = b.engine.Listing(s.Lists.ByName); err != nil {
				problems = append(problems, Problem{File: s.File, Line: s.Lists.Line, Message: err.Error()})
			}
			listing[s.Lists] = base
		}
		if base == nil {
			continue
		}
		changed, found := overridden(base, s)
		engines[i], problems = changed, append(problems, found...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return engines, nil
}

// overridden returns the engine with the parameters that the scenario overrides.
func overridden(base *engine.Engine, s *written.Scenario) (*engine.Engine, Problems) {
	if len(s.Parameters) == 0 {
		return base, nil
	}
	var found Problems
	overrides := make(map[string]any, len(s.Parameters))
	for _, p := range s.Parameters {
		overrides[p.Name] = p.Value
		if _, err := base.With(map[string]any{p.Name: p.Value}); err != nil {
			found = append(found, Problem{File: s.File, Line: p.Line, Message: err.Error()})
		}
	}
	if len(found) > 0 {
		return nil, found
	}
	changed, err := base.With(overrides)
	if err != nil {
		return nil, Problems{{File: s.File, Line: s.Parameters[0].Line, Message: err.Error()}}
	}
	return changed, nil
}

// run asks the engine and compares.
func run(ctx context.Context, s *written.Scenario, e *engine.Engine) Result {
	r := Result{File: s.File, Line: s.Line, Name: s.Name, Action: s.Action}
	actual, basis, err := ask(ctx, s, e)
	r.Rule, _ = actual["rule"].(string)
	r.Tag, _ = actual["tag"].(string)
	if err != nil {
		r.Error = err.Error()
	}
	observe(s, actual, basis, e)
	r.Mismatches = s.Compare(actual)
	r.Passed = err == nil && len(r.Mismatches) == 0
	if !r.Passed && basis.Facts != nil {
		if facts, err := json.Marshal(basis.Facts); err == nil {
			r.Facts = facts
		}
	}
	return r
}

// ask returns what the engine answered, by the keys of expect.
func ask(ctx context.Context, s *written.Scenario, e *engine.Engine) (map[string]any, engine.Basis, error) {
	evidence := engine.Evidence{Events: event.NewSet(s.Events), Offers: s.Offers, Complete: !s.Question.LookupFailed, Now: s.Now}
	evidence.Around.Place, evidence.Around.Standing = s.Networks.Place(s.Question.Client.RemoteAddress), s.Models.Standing
	evidence.Seen = s.Evidence(e.Plan().Of(&s.Question))
	switch s.Action {
	case Login:
		v, basis, err := e.Login(ctx, service.LoginQuestion{Question: s.Question, Strategy: s.Strategy, Source: s.Source}, evidence)
		return loginAnswer(s, v), basis, err
	case Append:
		v, basis, err := e.Append(ctx, service.AppendQuestion{Question: s.Question, Flags: s.Flags, Situation: s.Situation}, evidence)
		return appendAnswer(s, v), basis, err
	case Risk:
		return judged(ctx, s, e, evidence)
	case Rollout:
		q := s.Rollout
		q.Question = s.Question
		v, basis, err := e.Rollout(ctx, q)
		return rolledOut(v, basis.Answer), basis, err
	default:
		v, basis, err := e.Mediation(ctx, s.Question, evidence)
		// Nobody is named yet, so there is nothing to prefer, hint at or list.
		return loginAnswer(s, service.LoginVerdict{Verdict: v}), basis, err
	}
}

// judged asks how the start is judged beside what it asks for, or the finish, whichever the stage of the scenario is.
func judged(ctx context.Context, s *written.Scenario, e *engine.Engine, evidence engine.Evidence) (map[string]any, engine.Basis, error) {
	v, basis, err := stage(ctx, s, e, evidence)
	switch {
	case err != nil:
		return map[string]any{}, basis, err
	case v.Risk == nil:
		return map[string]any{}, basis, errors.New("the bundle has no rules of risk")
	}
	names := make([]string, len(v.Risk.Reasons))
	for i, r := range v.Risk.Reasons {
		names[i] = r.Code
	}
	return map[string]any{
		"verdict": string(v.Risk.Action), "level": string(v.Risk.Level), "rule": v.Risk.Rule, written.KeyReasons: names,
		"enforced": v.Risk.Enforced, written.KeyStepUp: texts(v.Risk.StepUp), written.KeyNotNamed: namesOf(s, v.Risk.Exclude),
		written.KeyRetry: int64(v.Risk.RetrySeconds), written.KeyNotify: v.Risk.Obligations.NotifyUser, written.KeyWire: wire(s, &v),
		written.KeyEvents: eventsOf(s, &v),
	}, basis, basis.Risk.Err
}

func texts[T ~string](list []T) []string {
	all := make([]string, len(list))
	for i, one := range list {
		all[i] = string(one)
	}
	return all
}

// wire returns what the caller is answered: of a start what it offers, of a finish whether it passes.
func wire(s *written.Scenario, v *service.Verdict) map[string]any {
	const ok, forbidden = int64(200), int64(403) // of HTTP
	switch {
	case s.Stage == facts.AppendStart:
		return map[string]any{"status": ok, "appendAllow": v.Allow, "decisionTag": string(v.Tag)}
	case s.Stage == facts.Evaluate:
		return map[string]any{"status": ok}
	case s.Stage != facts.LoginFinish && s.Stage != facts.AppendFinish:
		return map[string]any{"status": ok, "loginAllow": v.Allow, "decisionTag": string(v.Tag)}
	case cloned(s, v):
		return map[string]any{"status": int64(400), "errorType": string(fault.TypeValidationError)} //nolint:mnd // of HTTP
	case v.Risk.Bars():
		return map[string]any{"status": forbidden, "errorType": string(fault.TypeRiskDenied)}
	case v.Risk.Challenges():
		return map[string]any{"status": forbidden, "errorType": string(fault.TypeStepUpRequired)}
	default:
		return map[string]any{"status": ok}
	}
}

func stage(ctx context.Context, s *written.Scenario, e *engine.Engine, evidence engine.Evidence) (service.Verdict, engine.Basis, error) {
	switch s.Stage {
	case facts.LoginFinish, facts.AppendFinish:
		if !e.JudgesRisk() {
			return service.Verdict{}, engine.Basis{}, nil
		}
		q := s.Finish
		q.Question = s.Question
		v, basis := e.Finish(ctx, q, evidence)
		return v, basis, nil
	case facts.Evaluate:
		q := s.Asked
		q.Question = s.Question
		return e.Assess(ctx, q, evidence)
	case facts.AppendStart:
		v, basis, err := e.Append(ctx, service.AppendQuestion{Question: s.Question}, evidence)
		return v.Verdict, basis, err
	case facts.MediationStart:
		return e.Mediation(ctx, s.Question, evidence)
	default:
		v, basis, err := e.Login(ctx, service.LoginQuestion{Question: s.Question}, evidence)
		return v.Verdict, basis, err
	}
}

// observe adds what detection found.
func observe(s *written.Scenario, actual map[string]any, basis engine.Basis, e *engine.Engine) {
	if basis.Facts != nil {
		actual[written.KeyFacts] = basis.Facts.Flat()
	}
	passkeys := map[string]any{}
	if basis.Found != nil {
		for _, reach := range basis.Found.Reaches(e.Knowledge(s.Question.Project)) {
			name := s.NameOf(reach.Credential)
			passkeys[name+".local"], passkeys[name+".byPhone"] = reach.Local, reach.ByPhone
		}
	}
	actual[written.KeyPasskeys] = passkeys
}

// rolledOut takes the reason from the policy's document, since a verdict has none.
func rolledOut(v service.Verdict, document json.RawMessage) map[string]any {
	actual := shared(v)
	actual["reason"] = ""
	var answer struct {
		Reason string `json:"reason"`
	}
	if json.Unmarshal(document, &answer) == nil {
		actual["reason"] = answer.Reason
	}
	return actual
}

func shared(v service.Verdict) map[string]any {
	tags := make([]string, 0, len(v.Insights.Tags))
	for _, tag := range v.Insights.Tags {
		tags = append(tags, string(tag.Category)+"/"+tag.Name)
	}
	return map[string]any{
		written.KeyNextEligible:  written.WireTime(v.NextEligibleAt),
		"allow":                  v.Allow,
		"tag":                    string(v.Tag),
		"rule":                   v.Rule,
		written.KeyHistory:       written.HistoryOf(v.Insights.HistoryData),
		written.KeyDetectionTags: tags,
	}
}

func loginAnswer(s *written.Scenario, v service.LoginVerdict) map[string]any {
	actual := shared(v.Verdict)
	actual["reason"] = v.Reason
	actual["isCDACandidate"], actual["preferImmediatelyAvailable"] = v.IsCDACandidate, v.PreferImmediatelyAvailable
	actual["hints"], actual["allowCredentials"] = offered(v.Allow, v.Hints), offered(v.Allow, namesOf(s, v.AllowCredentials))
	return actual
}

func appendAnswer(s *written.Scenario, v service.AppendVerdict) map[string]any {
	actual := shared(v.Verdict)
	actual["hints"], actual[written.KeyExclude] = offered(v.Allow, v.Hints), offered(v.Allow, namesOf(s, v.ExcludeCredentials))
	actual["attachment"] = ""
	if v.Allow {
		actual["attachment"] = v.Attachment
	}
	actual["kind"], actual["manualAllowed"], actual["isRestrictedBrowser"] = string(v.Kind), v.ManualAllowed, v.IsRestrictedBrowser
	actual["variant"] = string(v.Variant)
	// A reason that the wire has no word for does not show there.
	actual["reason"] = ""
	if rest.PasskeyAppendStartRspAppendNotAllowedReason(v.Reason).Valid() {
		actual["reason"] = v.Reason
	}
	return actual
}

// offered returns options as they are sent: there are none if nothing is offered.
func offered(allow bool, list []string) []string {
	if !allow || list == nil {
		return []string{}
	}
	return list
}

func namesOf(s *written.Scenario, ids []ident.CredentialID) []string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = s.NameOf(id)
	}
	return names
}
