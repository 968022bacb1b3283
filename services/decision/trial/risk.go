package trial

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/replay"
)

// RecordedRisk implements service.Explanations.
func (e *Explanations) RecordedRisk(ctx context.Context, req service.ForProject[ident.DecisionID]) (service.RecordedRisk, error) {
	record, err := e.records.Find(ctx, req.Body)
	if err != nil {
		return service.RecordedRisk{}, unread(err)
	}
	if record.Project != req.Project { // as of explanations
		return service.RecordedRisk{}, unread(fmt.Errorf("of another project: %w", replay.ErrNotFound))
	}
	judged, err := judgedIn(&record)
	if err != nil {
		return service.RecordedRisk{}, fmt.Errorf("decision %s: %w", record.ID, err)
	}
	found := service.RecordedRisk{User: record.User, Time: record.Time, Process: record.Process, Judged: judged}
	if q := record.Question; q != nil {
		found.Environment, found.Sighted = q.Environment.ID, q.Sighted
	}
	return found, nil
}

// judgedIn returns what a record says of how it was judged. Where the rules failed, or there were none, it says what was asked alone.
func judgedIn(r *replay.Record) (event.Feedback, error) {
	var asked struct {
		Stage  string `json:"stage"`
		Action string `json:"action"`
	}
	if err := json.Unmarshal(r.Facts, &asked); err != nil {
		return event.Feedback{}, fmt.Errorf("read the facts: %w", err)
	}
	said := event.Feedback{Stage: asked.Stage, About: asked.Action, Policy: r.PolicyHash, Facts: r.Facts}
	document := r.Risk
	if r.Action == explain.Risk {
		document = r.Answer
	}
	if len(document) == 0 || string(document) == "null" {
		return said, nil
	}
	var answer struct {
		Action  string   `json:"action"`
		Level   string   `json:"level"`
		Reasons []string `json:"reasons"`
	}
	if err := json.Unmarshal(document, &answer); err != nil {
		return event.Feedback{}, fmt.Errorf("read the answer of the rules of risk: %w", err)
	}
	slices.Sort(answer.Reasons)
	said.Action, said.Level, said.Reasons = answer.Action, answer.Level, answer.Reasons
	return said, nil
}
