package study

import (
	"slices"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/provenance"
)

// facts are those that were read, each with where it came from.
func facts(e *explain.Explanation) []operator.ExplainedValue {
	all := values(e, func(r *explain.Row) []explain.Reading { return r.Facts })
	for i := range all {
		all[i].Source = sourceOf(e, all[i].Path)
	}
	return all
}

// sourceOf says where a fact came from, with the events, passkeys and entries behind it as far as they are known.
func sourceOf(e *explain.Explanation, path string) *operator.ExplainedSource {
	from, known := provenance.Of(path)
	if !known {
		return nil
	}
	told := operator.ExplainedSource{Kind: operator.ExplainedSourceKind(from.Kind), Text: from.Text, Name: word(from.Name)}
	if from.Kind == provenance.Credentials {
		var ids []string
		for i := range e.Passkeys {
			ids = append(ids, string(e.Passkeys[i].Credential))
		}
		told.CredentialIDs = some(ids)
	}
	if path == "environment.listed" {
		var entries []string
		for _, match := range e.Lists {
			entries = append(entries, match.String())
		}
		told.Entries = some(entries)
	}
	told.Events = some(eventsOf(e, from))
	return &told
}

// eventsOf are the events that a fact was folded from.
func eventsOf(e *explain.Explanation, from provenance.Source) []operator.ExplainedEvent {
	if e.Causes == nil {
		return nil
	}
	var all []operator.ExplainedEvent
	add := func(one operator.ExplainedEvent) {
		if one.EventID != "" && !slices.ContainsFunc(all, func(known operator.ExplainedEvent) bool { return known.EventID == one.EventID }) {
			all = append(all, one)
		}
	}
	for i := range e.Causes.Counted {
		counted := &e.Causes.Counted[i]
		if !slices.Contains(from.Parts, counted.Of) {
			continue
		}
		for j := range counted.Events {
			add(told(&counted.Events[j]))
		}
	}
	for i := range e.Causes.Worked {
		if won := &e.Causes.Worked[i]; slices.Contains(from.Parts, won.How) {
			add(told(&causes.Event{ID: won.Event, At: won.At}))
		}
	}
	slices.SortStableFunc(all, func(a, b operator.ExplainedEvent) int { return b.Created.Compare(a.Created) })
	return all
}

func told(e *causes.Event) operator.ExplainedEvent {
	return operator.ExplainedEvent{EventID: string(e.ID), Type: word(string(e.Type)), Created: e.At.UTC()}
}
