package workbench

import (
	"context"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/admit"
	"github.com/keyward/keyward/services/decision/internal/canary"
	"github.com/keyward/keyward/services/decision/internal/release"
)

func actor(o service.Operator) release.Actor { return release.Actor{ID: o.ID, Name: o.Name} }

func actorShown(a release.Actor) operator.PolicyActor {
	return operator.PolicyActor{OperatorID: string(a.ID), Name: a.Name}
}

// optional is a number that is absent if it is 0.
func optional(n int) *int32 {
	if n == 0 {
		return nil
	}
	return new(int32(n))
}

func text(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// shown is a revision as the Operator API has it.
func shown(r release.Revision) operator.PolicyRevision {
	told := operator.PolicyRevision{
		Number: int32(r.Number), Name: r.Name, Content: r.Content, Digest: r.Digest, Size: int32(r.Size),
		Parent: optional(r.Parent), Author: actorShown(r.Author), Message: r.Message, Created: release.Time(r.CreatedMs),
		Tests: int32(r.Tests),
	}
	if ran := r.Scenarios; ran != nil {
		told.Scenarios = &operator.PolicyScenarios{Passed: int32(ran.Passed), Failed: int32(ran.Failed)}
	}
	if len(r.Advice) > 0 {
		told.Advice = &r.Advice
	}
	if len(r.Signatures) > 0 {
		told.Signatures = &r.Signatures
	}
	return told
}

func change(c release.Change) operator.PolicyChange {
	return operator.PolicyChange{
		Number: int32(c.Number), Revision: int32(c.Revision), Before: optional(c.Before),
		Kind: operator.PolicyChangeKind(c.Kind), By: actorShown(c.By), Reason: text(c.Reason), At: release.Time(c.AtMs),
		Canary: division(c.Canary), Shadow: shareShown(c.Shadow),
	}
}

// instance is by what an instance answers, where the latest change is the one that is given.
func instance(i release.Instance, latest release.Change) operator.PolicyInstance {
	told := operator.PolicyInstance{
		Instance: i.ID, Host: i.Host, Version: text(i.Version), Source: operator.PolicyInstanceSource(i.Source), Change: optional(i.Change),
		Revision: optional(i.Revision), Canary: optional(i.Tried), Shadow: optional(i.Shadow),
		Content: i.Content, Name: i.Name, Since: release.Time(i.SinceMs),
		Behind:  latest.Number > 0 && i.Revision != latest.Revision,
		Refused: text(i.Refused), Heard: release.Time(i.HeardMs),
	}
	if i.Lapsed {
		told.Lapsed = &i.Lapsed
	}
	return told
}

func audited(r release.Revision) *audit.Release {
	return &audit.Release{Number: r.Number, Policy: audit.Policy{Revision: r.Name, Content: r.Content}}
}

func (w *Workbench) tell(ctx context.Context, by service.Operator, e audit.Event) {
	w.deps.Tell(ctx, audit.Actor{Kind: audit.Operator, Name: by.Name, ID: by.ID}, e)
}

// tellChange tells what was made live, and what was before.
func (w *Workbench) tellChange(ctx context.Context, by service.Operator, c release.Change, r release.Revision) {
	e := audit.Event{
		Type: audit.PolicyChanged, Release: audited(r), Change: c.Number, RolledBack: c.Kind == release.Rollback, Reason: c.Reason,
	}
	if c.Before != 0 {
		if before, err := w.store.Revision(ctx, c.Before); err == nil {
			e.ReleaseBefore = audited(before)
		}
	}
	w.tell(ctx, by, e)
}

// division is who is judged by what a canary tries; nil if there is none.
func division(c *release.Canary) *operator.PolicyDivision {
	if c == nil {
		return nil
	}
	told := &operator.PolicyDivision{
		Revision: int32(c.Revision), Change: int32(c.Change), Share: part(c.Division.Share), Held: c.Held,
	}
	if len(c.Division.Projects) > 0 {
		told.Projects = texts(c.Division.Projects)
	}
	if len(c.Division.Users) > 0 {
		told.Users = texts(c.Division.Users)
	}
	return told
}

func texts[T ~string](all []T) *[]string {
	told := make([]string, len(all))
	for i, one := range all {
		told[i] = string(one)
	}
	return &told
}

func shareShown(s *release.Shadow) *operator.PolicyShare {
	if s == nil {
		return nil
	}
	return &operator.PolicyShare{Revision: int32(s.Revision), Change: int32(s.Change), Share: part(s.Share)}
}

func boundsShown(b canary.Bounds) operator.PolicyBounds {
	return operator.PolicyBounds{
		Errors: new(int32(b.Errors)), DefaultDeny: &b.DefaultDeny, Allow: &b.Allow, Completed: &b.Completed, P99Factor: &b.P99Factor,
		P99FloorMs: &b.P99FloorMs, SettleSeconds: new(int32(b.SettleSeconds)), Confidence: &b.Confidence,
		LeastEvaluations: new(int32(b.LeastEvaluations)),
	}
}

func difference(d release.Difference) operator.PolicyDifference {
	told := operator.PolicyDifference{Action: d.Action, Live: answer(d.Live), Shadow: answer(d.Shadow), Count: int32(d.Count)}
	told.Examples = *texts(d.Examples)
	return told
}

func answer(a release.Answer) operator.PolicyAnswer {
	told := operator.PolicyAnswer{Row: a.Rule, Tag: text(a.Tag), Allow: a.Allow, Risk: text(a.Risk), RiskRow: text(a.RiskRule)}
	if len(a.Reasons) > 0 {
		told.Reasons = &a.Reasons
	}
	return told
}

// checked is what came of a check.
func checked(report admit.Report) operator.PolicyCheck {
	told := operator.PolicyCheck{
		Refused: []operator.PolicyRefusal{}, Advice: append([]string{}, report.Advice...),
		Tests: int32(report.Tests),
	}
	if report.Tried != nil {
		told.Scenarios = new(tried(report.Tried))
	}
	for _, r := range report.Refused {
		one := operator.PolicyRefusal{Message: r.Message}
		if r.File != "" {
			one.File = &r.File
		}
		if r.Line > 0 {
			one.Line = new(int32(r.Line))
		}
		if r.Advice != "" {
			one.Advice = &r.Advice
		}
		told.Refused = append(told.Refused, one)
	}
	return told
}

func tried(t *admit.Tried) operator.PolicyScenarioResults {
	told := operator.PolicyScenarioResults{
		Total: int32(t.Total), Passed: int32(t.Passed),
		Results: make([]operator.PolicyScenarioResult, len(t.Ran)), Problems: []operator.PolicyRefusal{},
	}
	for i := range t.Ran {
		ran := &t.Ran[i]
		told.Results[i] = operator.PolicyScenarioResult{
			File: ran.File, Line: int32(ran.Line), Name: ran.Name, Row: ran.Row, Passed: ran.Difference == "",
		}
		if ran.Difference != "" {
			told.Results[i].Difference = &ran.Difference
		}
	}
	for _, problem := range t.Wrong {
		one := operator.PolicyRefusal{File: &problem.File, Line: new(int32(problem.Line)), Message: problem.Message}
		told.Problems = append(told.Problems, one)
	}
	return told
}
