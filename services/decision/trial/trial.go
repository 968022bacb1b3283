// Package trial says of a recorded decision what the page for trying things out shows: how it came out, by which row of the table, and what
// that row and those above it read. It explains with the revision of the policy that decided, so what is shown is what was, also after the
// rules have changed.
package trial

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/replay"
)

// Explanations tells why recorded decisions were made. It is safe for concurrent use.
type Explanations struct {
	records *replay.Records

	mu     sync.Mutex      // guards what follows, and lets one revision be loaded at a time
	hash   string          // of the revision that policy is
	policy *explain.Policy // the one that was asked for last; nil: none yet
}

var _ service.Explanations = (*Explanations)(nil)

// New returns the explanations of the decisions that js keeps.
func New(js jetstream.JetStream) *Explanations { return &Explanations{records: replay.NewRecords(js)} }

// retryAfter is when to ask again if the records could not be read.
const retryAfter = time.Second

// ExplainDecision implements service.Explanations.
func (e *Explanations) ExplainDecision(ctx context.Context, req service.ForProject[ident.DecisionID]) (frontend.TrialDecision, error) {
	record, err := e.records.Find(ctx, req.Body)
	if err != nil {
		return frontend.TrialDecision{}, unread(err)
	}
	// What another project decided is none of the caller's business, not even that it was decided.
	if record.Project != req.Project {
		return frontend.TrialDecision{}, unread(fmt.Errorf("of another project: %w", replay.ErrNotFound))
	}
	policy, err := e.revision(ctx, record.PolicyHash)
	if err != nil {
		return frontend.TrialDecision{}, unread(err)
	}
	known := record.Circumstances(policy)
	if known.Causes, err = e.records.Causes(ctx, &record, policy); err != nil {
		if _, lacking := replay.ReasonOf(err); !lacking {
			return frontend.TrialDecision{}, unread(err)
		}
	}
	explanation, err := policy.ExplainIn(ctx, record.Action, record.Project, record.Facts, known)
	if err != nil {
		return frontend.TrialDecision{}, fmt.Errorf("explain decision %s: %w", record.ID, err)
	}
	return told(&record, explanation)
}

// unread says of an error of the records whether there is nothing to be had or nothing could be looked up. Records and revisions are stored
// in the background, so what is not there may be there in a moment.
func unread(err error) error {
	for _, absent := range []error{replay.ErrNotFound, replay.ErrEvicted, replay.ErrUntimely, replay.ErrNotArchived} {
		if errors.Is(err, absent) {
			return fault.NotFound("no such decision is recorded (yet)").Because(err)
		}
	}
	return fault.Unavailable(retryAfter, "the decision could not be looked up").Because(err)
}

// revision returns the policy of that hash. Decisions that are looked at one after another are of the same revision but for the moment in
// which it changes, so one is kept.
func (e *Explanations) revision(ctx context.Context, hash string) (*explain.Policy, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.policy != nil && e.hash == hash {
		return e.policy, nil
	}
	policy, err := e.records.Policy(ctx, hash)
	if err != nil {
		return nil, err
	}
	e.hash, e.policy = hash, policy
	return policy, nil
}

// told puts record and explanation together. How the decision came out is what the record says; the explanation has the words.
func told(record *replay.Record, explanation *explain.Explanation) (frontend.TrialDecision, error) {
	history, err := historyData(record.Facts)
	if err != nil {
		return frontend.TrialDecision{}, fmt.Errorf("decision %s: %w", record.ID, err)
	}
	d := frontend.TrialDecision{
		DecisionID: string(record.ID), Action: frontend.TrialDecisionAction(record.Action), CreatedMs: record.Time.UnixMilli(),
		Allow: record.Allow, Tag: string(record.Tag), Row: record.Rule, PolicyRevision: record.PolicyRevision,
		Title: explanation.Row.Title, Reason: explanation.Row.Reason, Rows: rows(explanation), Facts: facts(explanation), HistoryData: history,
		Passkeys: passkeys(explanation), Story: some(explanation.Row.Story), Causes: causes(explanation),
	}
	d.Client, d.Lists = client(explanation)
	if record.Unanswered() {
		// The rules would answer now, but they did not answer then.
		d.Title, d.Reason = "The policy failed, and the safe default was answered", "the policy failed or ran out of time"
		if name := record.Switch(); name != "" {
			d.Title, d.Reason = "An operator has stopped it", "the switch "+name+" was on, and the rules were not asked"
		}
		d.Rows, d.Story, d.Causes = []frontend.TrialRow{}, nil, nil
	}
	return d, nil
}

// rows returns the rows of the table down to the one that answered.
func rows(e *explain.Explanation) []frontend.TrialRow {
	all := make([]frontend.TrialRow, 0, len(e.Above)+1)
	for i := range e.Above {
		all = append(all, row(&e.Above[i], frontend.TrialRowOutcomePassed))
	}
	return append(all, row(&e.Row, frontend.TrialRowOutcomeAnswered))
}

func row(r *explain.Row, outcome frontend.TrialRowOutcome) frontend.TrialRow {
	return frontend.TrialRow{Row: r.Name, Tag: r.Tag, Title: r.Title, Why: r.Reason, Story: some(r.Story), Outcome: outcome}
}

// some is a list that is left out if it is empty.
func some[T any](list []T) *[]T {
	if len(list) == 0 {
		return nil
	}
	return &list
}

// facts returns what was read on the way to the answer, each fact once: first what the row that answered read, then what those above it
// read.
func facts(e *explain.Explanation) []frontend.TrialFact {
	all, seen := []frontend.TrialFact{}, map[string]bool{}
	add := func(readings []explain.Reading) {
		for _, r := range readings {
			if seen[r.Name] || !r.Given {
				continue
			}
			seen[r.Name] = true
			value, err := json.Marshal(r.Value)
			if err != nil {
				value = []byte("null") // what came from JSON goes back to it
			}
			all = append(all, frontend.TrialFact{Path: r.Name, Title: r.Description, Value: string(value)})
		}
	}
	add(e.Row.Facts)
	for i := range e.Above {
		add(e.Above[i].Facts)
	}
	return all
}

// client says what the client was taken for, and which entries of lists name it.
func client(e *explain.Explanation) (*frontend.TrialClient, *[]string) {
	if e.Client == nil {
		return nil, nil
	}
	var lists []string
	for _, match := range e.Lists {
		lists = append(lists, match.String())
	}
	return &frontend.TrialClient{System: e.Client.System.String(), Browser: e.Client.Browser.String()}, some(lists)
}

// passkeys says of each passkey of the account what holds it and whether it could be used; nothing of records that do not tell of them.
func passkeys(e *explain.Explanation) *[]frontend.TrialPasskey {
	all := make([]frontend.TrialPasskey, 0, len(e.Passkeys))
	for i := range e.Passkeys {
		found := &e.Passkeys[i]
		p := explain.InWords(*found)
		var shut []string
		for _, by := range found.Shut {
			shut = append(shut, string(by))
		}
		one := frontend.TrialPasskey{
			CredentialID: string(p.Credential), Kind: p.Kind, Where: p.Where, Why: p.Why,
			LocalReason: &found.LocalReason, ByPhoneReason: &found.ByPhoneReason, Shut: some(shut),
			History: some(found.History),
		}
		if p.Provider != "" {
			one.Provider = &p.Provider
		}
		all = append(all, one)
	}
	return some(all)
}

// causes says what the answer came from beyond the facts; nothing of records that cannot tell.
func causes(e *explain.Explanation) *[]frontend.TrialCause {
	var all []frontend.TrialCause
	for _, section := range e.Causes.Sections() {
		section = section.Plain()
		one := frontend.TrialCause{Heading: section.Heading, Items: []frontend.TrialCauseItem{}}
		for _, item := range section.Items {
			one.Items = append(one.Items, frontend.TrialCauseItem{Text: item.Text, Events: append([]string{}, item.Events...)})
		}
		all = append(all, one)
	}
	if all == nil {
		return nil
	}
	return &all
}

// historyData returns the counts and cool-downs that an append decision knew, under the names that the Backend API has for them. Other
// decisions know none.
func historyData(facts []byte) (map[string]any, error) {
	type nudge struct {
		Declines int  `json:"declines"`
		Cooldown bool `json:"cooldown"`
	}
	var known struct {
		Nudges *struct {
			Default           nudge `json:"default"`
			AfterError        nudge `json:"afterError"`
			AfterHybrid       nudge `json:"afterHybrid"`
			Auto              nudge `json:"auto"`
			ConditionalCreate nudge `json:"conditionalCreate"`
		} `json:"nudges"`
	}
	if err := json.Unmarshal(facts, &known); err != nil {
		return nil, fmt.Errorf("read the facts: %w", err)
	}
	if known.Nudges == nil {
		return map[string]any{}, nil
	}
	n := known.Nudges
	return map[string]any{
		"defaultCount": n.Default.Declines, "defaultCooldown": n.Default.Cooldown,
		"afterErrorCount": n.AfterError.Declines, "afterErrorCooldown": n.AfterError.Cooldown,
		"afterHybridCount": n.AfterHybrid.Declines, "afterHybridCooldown": n.AfterHybrid.Cooldown,
		"autoCount": n.Auto.Declines, "autoCooldown": n.Auto.Cooldown,
		"conditionalCreateCooldown": n.ConditionalCreate.Cooldown,
	}, nil
}
