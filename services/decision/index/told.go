package index

import (
	"encoding/json"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/services/decision/index/internal/rowfile"
	"github.com/keyward/keyward/services/decision/replay"
)

// created and decisionID are the fields that no dimension answers.
const (
	created    = "created"
	decisionID = "decisionID"
)

// dimensions are those that the other fields of a list name.
func dimensions() map[string]rowfile.Dimension {
	return map[string]rowfile.Dimension{
		"projectID": rowfile.Project, "userID": rowfile.User, "processID": rowfile.Process, "action": rowfile.Action, "allow": rowfile.Allow,
		"tag": rowfile.Tag, "rule": rowfile.Rule, "reason": rowfile.Reason, "verdict": rowfile.Verdict, "level": rowfile.Level,
		"device": rowfile.Device, "os": rowfile.OS, "browser": rowfile.Browser, "route": rowfile.Route, "revision": rowfile.Revision,
		"arm": rowfile.Arm,
	}
}

// fields are what a list may be sorted and filtered by.
func fields() map[string]listing.Use {
	uses := map[string]listing.Use{
		created: {Kind: listing.Moment}, decisionID: {Kind: listing.Text, NoSort: true},
	}
	for name := range dimensions() {
		uses[name] = listing.Use{Kind: listing.Text, NoSort: true}
	}
	uses["allow"] = listing.Use{Kind: listing.Truth, NoSort: true}
	return uses
}

// query is what filters ask the index.
func query(terms []listing.Term) (rowfile.Query, error) {
	q := rowfile.Any()
	known := dimensions()
	for _, term := range terms {
		if term.Field == created {
			lowest, highest := term.Bounds()
			q.From, q.Until = max(q.From, lowest), min(q.Until, highest)
			continue
		}
		if term.Op != listing.Equal {
			return q, fault.Field("filter[]", "%s must be compared with eq", term.Field)
		}
		if term.Field == decisionID {
			q.IDs = append(q.IDs, term.Text)
			continue
		}
		t := rowfile.Term{Of: known[term.Field], Word: term.Text}
		if t.Of == rowfile.Allow {
			t.Word = map[int64]string{0: "false", 1: "true"}[term.Number]
		}
		q.Terms = append(q.Terms, t)
	}
	// A user is one of a project: with the project named, no other is looked through.
	for i := range q.Terms {
		for _, other := range q.Terms {
			if other.Of == rowfile.Project {
				q.Terms[i].Project = other.Word
			}
		}
	}
	return q, nil
}

func text[T ~string](s string) *T {
	if s == "" {
		return nil
	}
	return new(T(s))
}

// summary is a decision as the Operator API has it.
func summary(r *rowfile.Row) operator.DecisionSummary {
	s := operator.DecisionSummary{
		DecisionID: r.ID, ProjectID: r.Project, Created: r.Time, UserID: text[string](r.User), ProcessID: text[string](r.Process),
		Action: operator.DecisionSummaryAction(r.Action), Allow: r.Allow, Rule: r.Rule, Tag: r.Tag,
		Verdict: text[operator.DecisionSummaryVerdict](r.Verdict), Level: text[operator.DecisionSummaryLevel](r.Level),
		Device: text[string](r.Device), OS: text[string](r.OS), Browser: text[string](r.Browser), Route: text[string](r.Route + r.Kind),
		PolicyRevision: r.Revision, Arm: text[operator.DecisionSummaryArm](r.Arm), DurationMicros: r.DurationMicros,
	}
	if len(r.Reasons) > 0 {
		s.Reasons = &r.Reasons
	}
	if r.Number > 0 {
		s.PolicyNumber = new(int32(r.Number))
	}
	if r.Memoised {
		s.Memoised = new(true)
	}
	return s
}

func coverage(c rowfile.Coverage) operator.DecisionCoverage {
	told := operator.DecisionCoverage{Indexed: c.Indexed, Omitted: c.Omitted, Unreadable: c.Unread, Behind: int64(c.Pending)}
	if c.Oldest != 0 {
		told.From = new(time.UnixMilli(c.Oldest).UTC())
	}
	return told
}

// decision is a record as the Operator API has it.
func decision(record *replay.Record, steps []replay.Step) (operator.Decision, error) {
	told := operator.Decision{Outcome: make([]operator.DecisionStep, len(steps))}
	raw, err := json.Marshal(record)
	if err != nil {
		return told, err
	}
	if err := json.Unmarshal(raw, &told.Record); err != nil {
		return told, err
	}
	for i, s := range steps {
		told.Outcome[i] = operator.DecisionStep{
			At: s.At, Type: string(s.Type), Event: string(s.Event), Process: text[string](s.Process),
			Environment: text[string](string(s.Environment)), Credential: text[string](s.Credential),
		}
	}
	return told, nil
}
