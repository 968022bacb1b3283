package replay

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/engine"
	described "github.com/keyward/keyward/services/decision/internal/reasons"
)

// Score is how well rules of risk tell frauds from what is legitimate, by what callers have told became of decisions.
type Score struct {
	Candidate string        `json:"candidate,omitempty"` // revision that was tried; empty = none
	Told      int           `json:"told"`                // decisions that somebody told the outcome of
	Unjudged  int           `json:"unjudged"`            // whose facts lack what the candidate reads, or are not kept
	Was       Confusion     `json:"was"`                 // as was decided
	Is        Confusion     `json:"is,omitempty"`        // as the candidate decides
	Reasons   []ReasonScore `json:"reasons"`             // of the candidate if there is one, by name
}

// Confusion is how many decisions ended how, by action and outcome. The action is empty of what was not judged.
type Confusion map[string]map[event.Outcome]int

// ReasonScore is how well one reason tells them apart.
type ReasonScore struct {
	Reason     string `json:"reason"`
	Frauds     int    `json:"frauds"` // confirmed
	Legitimate int    `json:"legitimate"`
	// Confirmed frauds that were met, and that it alone asked more than a note for
	OnlyIt int `json:"onlyIt"`
}

// Precision is the share of frauds in what is known of those that it was given for; false: nothing is.
func (r ReasonScore) Precision() (share float64, known bool) {
	all := r.Frauds + r.Legitimate
	return float64(r.Frauds) / float64(max(all, 1)), all > 0
}

// Score says how well rules did by all outcomes that callers have told, and with a candidate how well that would have done on the facts
// that are kept with them. What it declares of lists, labels and recognition is not looked at anew.
func (r *Records) Score(ctx context.Context, s Selection, candidate *explain.Policy) (*Score, error) {
	told, err := r.told(ctx, s)
	if err != nil {
		return nil, err
	}
	return score(ctx, told, candidate)
}

// told returns the newest word of each decision, in the order of the log.
func (r *Records) told(ctx context.Context, s Selection) ([]event.Event, error) {
	stream, err := direct.Open(ctx, r.js, bus.EventsStream)
	if err != nil {
		return nil, err
	}
	from := direct.Start{}
	if !s.Since.IsZero() {
		from = direct.Since(s.Since)
	}
	subject := strings.Join([]string{
		bus.EventsPrefix, cmp.Or(string(s.Project), "*"), cmp.Or(string(s.User), "*"), string(event.RiskFeedback),
	}, ".")
	type about struct {
		project  ident.ProjectID
		decision ident.DecisionID
	}
	var all []event.Event
	at := map[about]int{}
	err = stream.Each(ctx, subject, from, func(m direct.Message) (bool, error) {
		var e event.Event
		if err := json.Unmarshal(m.Data, &e); err != nil {
			return false, fmt.Errorf("decode an outcome: %w", err)
		}
		if e.Feedback == nil {
			return true, nil
		}
		key := about{e.Project, e.Decision}
		if i, before := at[key]; before {
			all[i] = e
			return true, nil
		}
		at[key], all = len(all), append(all, e)
		return true, nil
	})
	return all, err
}

// score judges what was told. A candidate that fails now judges nothing.
func score(ctx context.Context, told []event.Event, candidate *explain.Policy) (*Score, error) {
	s := &Score{Told: len(told), Was: Confusion{}, Is: Confusion{}}
	found := map[string]*ReasonScore{}
	for i := range told {
		e := &told[i]
		s.Was.add(e.Feedback.Action, e.Feedback.Outcome)
		if candidate == nil {
			count(found, e.Feedback.Outcome, e.Feedback.Action, e.Feedback.Reasons, e.Feedback.Reasons)
			continue
		}
		action, names, grave, judged := judgedBy(ctx, e, candidate)
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if !judged {
			s.Unjudged++
			continue
		}
		s.Is.add(action, e.Feedback.Outcome)
		count(found, e.Feedback.Outcome, action, names, grave)
	}
	if candidate != nil {
		s.Candidate = candidate.Revision()
	}
	for _, name := range slices.Sorted(maps.Keys(found)) {
		s.Reasons = append(s.Reasons, *found[name])
	}
	return s, nil
}

func (c Confusion) add(action string, outcome event.Outcome) {
	if c[action] == nil {
		c[action] = map[event.Outcome]int{}
	}
	c[action][outcome]++
}

// count counts the reasons of one judgement; grave are those that ask for more than a note.
func count(found map[string]*ReasonScore, outcome event.Outcome, action string, names, grave []string) {
	fraud := outcome == event.FraudConfirmed
	if !fraud && outcome != event.Legitimate {
		return
	}
	for _, name := range names {
		r := found[name]
		if r == nil {
			r = &ReasonScore{Reason: name}
			found[name] = r
		}
		if !fraud {
			r.Legitimate++
			continue
		}
		r.Frauds++
		if action != "allow" && len(grave) == 1 && grave[0] == name {
			r.OnlyIt++
		}
	}
}

// note is the severity of a reason that asks for nothing.
const note = 1

// judgedBy asks a policy about the facts of a decision; false if they lack what it reads, or it fails.
func judgedBy(ctx context.Context, e *event.Event, by *explain.Policy) (action string, names, grave []string, judged bool) {
	if len(e.Feedback.Facts) == 0 || !has(e.Feedback.Facts, by.Engine().MemoPaths()[engine.ActionRisk]) {
		return "", nil, nil, false
	}
	answer, err := by.Evaluate(ctx, engine.ActionRisk, e.Project, e.Feedback.Facts)
	if err != nil {
		return "", nil, nil, false
	}
	told, err := described.In(by.Engine().Bundle(e.Project).Data, answer)
	if err != nil {
		return "", nil, nil, false
	}
	for _, reason := range told {
		if names = append(names, reason.Code); reason.Severity > note {
			grave = append(grave, reason.Code)
		}
	}
	action, _ = answer["action"].(string)
	return action, names, grave, true
}

// has reports whether facts have every counter that is read: one that nobody counted is not zero.
func has(facts json.RawMessage, read []string) bool {
	var kept struct {
		Velocity map[string]json.RawMessage `json:"velocity"`
	}
	if json.Unmarshal(facts, &kept) != nil {
		return false
	}
	for _, path := range read {
		if name, counter := strings.CutPrefix(path, "velocity."); counter {
			if _, there := kept.Velocity[name]; !there {
				return false
			}
		}
	}
	return true
}
