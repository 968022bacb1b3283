package study

import (
	"encoding/json"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/replay"
)

// shown is an explanation of what was asked at a recorded decision, as the contract has it.
func shown(record *replay.Record, e *explain.Explanation) operator.DecisionExplanation {
	told := operator.DecisionExplanation{
		DecisionID: string(record.ID), ProjectID: string(record.Project), Created: record.Time.UTC(),
		Action: operator.DecisionExplanationAction(record.Action), PolicyRevision: e.Revision,
		Row: e.Row.Name, Title: e.Row.Title, Reason: e.Row.Reason, Story: some(e.Row.Story), Note: word(e.Note), Tag: word(e.Row.Tag),
		Rows: rows(e), Facts: facts(e),
		Parameters: values(e, func(r *explain.Row) []explain.Reading { return r.Parameters }),
		UserID:     word(string(record.User)),
	}
	told.Allow, _ = e.Answer["allow"].(bool)
	if verdict, judged := e.Answer["action"].(string); judged {
		told.Verdict = new(operator.DecisionExplanationVerdict(verdict))
		told.Allow = verdict != string(operator.DecisionExplanationVerdictDeny)
	}
	if e.Client != nil {
		told.Client = word(e.Client.System.String() + ", " + e.Client.Browser.String())
	}
	var lists []string
	for _, match := range e.Lists {
		lists = append(lists, match.String())
	}
	told.Lists, told.Passkeys, told.Causes, told.RiskReasons = some(lists), passkeys(e), causesOf(e), reasons(e)
	return told
}

// unanswered says of a decision that its policy did not make what came instead: the rules would answer now, but they did not answer then.
func unanswered(told *operator.DecisionExplanation, record *replay.Record) {
	told.Row, told.Allow, told.Tag, told.Same = record.Rule, record.Allow, word(string(record.Tag)), nil
	told.Title, told.Reason = "The policy failed, and the safe default was answered", "the policy failed or ran out of time"
	if name := record.Switch(); name != "" {
		told.Title, told.Reason = "An operator has stopped it", "the switch "+name+" was on, and the rules were not asked"
	}
	told.Rows, told.Story, told.Causes = []operator.ExplainedRow{}, nil, nil
}

func rows(e *explain.Explanation) []operator.ExplainedRow {
	all := make([]operator.ExplainedRow, 0, len(e.Above)+1)
	for i := range e.Above {
		all = append(all, row(&e.Above[i], false))
	}
	return append(all, row(&e.Row, true))
}

func row(r *explain.Row, answered bool) operator.ExplainedRow {
	told := operator.ExplainedRow{
		Row: r.Name, Tag: word(r.Tag), Title: r.Title, Reason: r.Reason, Story: some(r.Story), Answered: answered, File: word(r.File),
	}
	if r.Line > 0 {
		told.Line = new(int32(r.Line))
	}
	return told
}

// values returns what was read on the way to the answer, each once: first what the row that answers read, then what those above it did.
func values(e *explain.Explanation, of func(*explain.Row) []explain.Reading) []operator.ExplainedValue {
	all, seen := []operator.ExplainedValue{}, map[string]bool{}
	add := func(r *explain.Row) {
		for _, reading := range of(r) {
			if seen[reading.Name] || !reading.Given {
				continue
			}
			seen[reading.Name] = true
			value, err := json.Marshal(reading.Value)
			if err != nil {
				value = []byte("null") // what came from JSON goes back to it
			}
			all = append(all, operator.ExplainedValue{Path: reading.Name, Title: word(reading.Description), Value: string(value)})
		}
	}
	add(&e.Row)
	for i := range e.Above {
		add(&e.Above[i])
	}
	return all
}

func passkeys(e *explain.Explanation) *[]operator.ExplainedPasskey {
	all := make([]operator.ExplainedPasskey, 0, len(e.Passkeys))
	for i := range e.Passkeys {
		found := &e.Passkeys[i]
		p := explain.InWords(*found)
		all = append(all, operator.ExplainedPasskey{
			CredentialID: string(p.Credential), Kind: p.Kind, Where: p.Where, Why: p.Why, Provider: word(p.Provider), History: some(found.History),
		})
	}
	return some(all)
}

func causesOf(e *explain.Explanation) *[]operator.ExplainedCauses {
	var all []operator.ExplainedCauses
	for _, section := range e.Causes.Sections() {
		section = section.Plain()
		one := operator.ExplainedCauses{Heading: section.Heading, Items: []operator.ExplainedCause{}}
		for _, item := range section.Items {
			var of []operator.ExplainedEvent
			for i := range item.Of {
				of = append(of, told(&item.Of[i]))
			}
			one.Items = append(one.Items, operator.ExplainedCause{Text: item.Text, Events: append([]string{}, item.Events...), Sources: some(of)})
		}
		all = append(all, one)
	}
	return some(all)
}

func reasons(e *explain.Explanation) *[]operator.ExplainedReason {
	var all []operator.ExplainedReason
	for _, r := range e.Risk {
		all = append(all, operator.ExplainedReason{Name: r.Code, Message: word(r.Title)})
	}
	return some(all)
}

// some is a list that is left out if it is empty.
func some[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}

// word is a text that is left out if it is empty.
func word(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
