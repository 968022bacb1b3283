// Package retold tells a recorded decision as a scenario: what was asked, known and had happened, and what was decided. It promises that
// what it cannot tell it leaves out, so that whoever runs the scenario finds it answered otherwise. It asks the policy and touches nothing.
package retold

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/record"
	"github.com/keyward/keyward/services/decision/scenario"
)

// Decision is what its record has.
type Decision struct {
	record.Judgement
	Question *kept.Question
	Answer   json.RawMessage
	Enforced bool
}

// Scenario tells a decision that a revision made from what it was made from.
func Scenario(ctx context.Context, d *Decision, by *engine.Engine, made *engine.Recorded) (draft.Scenario, error) {
	s, err := tell(d, by, made)
	if err != nil {
		return draft.Scenario{}, err
	}
	if d.Action == engine.ActionRisk {
		s.Expect, err = judged(d)
		return s, err
	}
	s.Expect = append(s.Expect, ends(ctx, d, by, made)...)
	return s, nil
}

// tell says what was asked, known and decided.
func tell(d *Decision, by *engine.Engine, made *engine.Recorded) (draft.Scenario, error) {
	found := made.Facts
	q := d.Question.Restore(d.Project, d.User, d.Process)
	q.LookupFailed = q.LookupFailed || !found.Complete
	if d.Question.Nameless {
		q.Client.RemoteAddress = draft.Address
	}
	if private := q.Client.PrivateMode; !q.Environment.Known && (private == nil || !*private) {
		q.Environment.ID = ""
	}
	s := draft.Scenario{
		Name: d.Action + " is answered by " + d.Rule, Action: d.Action, Now: d.Time.Truncate(time.Millisecond),
		Question: q, Strategy: d.Question.Strategy, Source: d.Question.Source, Situation: d.Question.Situation,
		Provider: providers(by.Knowledge("")),
	}
	if d.Question.Flags != nil {
		s.Flags = *d.Question.Flags
	}
	var offers []event.Event
	if d.Question.Read != nil {
		offers = d.Question.Read.Restored(d.Process)
	}
	s.Events = joined(event.NewSet(made.Events).Live(), offers)
	if d.Action == engine.ActionRisk {
		tellRisk(&s, d, by, made)
	}
	s.Deleted = deleted(&q, s.Events)
	var err error
	if s.Parameters, err = stated(d, by, found); err != nil {
		return draft.Scenario{}, err
	}
	if found.Rollout != nil {
		s.Rollout = asked(found.Rollout)
	}
	s.Expect, err = decided(d)
	return s, err
}

// providers returns the name that means an AAGUID to the bundle. Of several that one provider has the name means the first alone.
func providers(k *detect.Knowledge) func(string) string {
	return func(aaguid string) string {
		name := k.Authenticators[aaguid].Name
		if name == "" {
			return ""
		}
		if meant, _ := k.ProviderOf(name); meant != aaguid {
			return ""
		}
		return name
	}
}

// joined returns events and offers as a scenario says them: what belongs to a ceremony has the same challenge as its offer. An offer that
// is no longer known stands where its first answer does, with the route that the answer has from it.
func joined(events, offers []event.Event) []event.Event {
	all, known := make([]event.Event, 0, len(events)+len(offers)), map[string]int{}
	for _, o := range offers {
		if o.Challenge = string(o.Ceremony); o.Challenge == "" {
			o.Challenge = string(o.ID)
		}
		known[o.Challenge] = len(all)
		all = append(all, o)
	}
	for _, e := range events {
		if !scenario.Tells(e.Type) {
			continue
		}
		if e.Ceremony != "" {
			e.Challenge = string(e.Ceremony)
		}
		if e.Type.AnswersLogin() && e.Ceremony != "" {
			at, offered := known[e.Challenge]
			if !offered {
				at, known[e.Challenge] = len(all), len(all)
				all = append(all, event.Event{Type: event.LoginOffered, CreatedMs: e.CreatedMs, Challenge: e.Challenge})
			}
			all[at].Route = e.Route
		}
		all = append(all, e)
	}
	return all
}

// deleted returns the passkeys that the account had. Of when they were created no more is known than the first event that names them.
func deleted(q *service.Question, events []event.Event) []draft.Deleted {
	if q.Account == nil {
		return nil
	}
	var gone []draft.Deleted
	for _, d := range q.Account.Deleted {
		if d.GivenUp() {
			continue
		}
		created := d.DeletedMs
		for i := range events {
			if events[i].Credential == string(d.ID) {
				created = min(created, events[i].CreatedMs)
			}
		}
		gone = append(gone, draft.Deleted{
			Credential: account.Credential{ID: d.ID, CredentialID: d.CredentialID, CreatedMs: created}, At: time.UnixMilli(d.DeletedMs),
		})
	}
	return gone
}

// What stands for identifiers and tokens, which are not recorded.
const (
	listed     = "listed@example.com"
	unlisted   = "unlisted@example.invalid"
	invitation = "invitation"
)

// asked is the question of a rollout as its facts tell it.
func asked(found *facts.Rollout) *service.RolloutQuestion {
	q := &service.RolloutQuestion{Action: found.Action, Flags: map[string]string{}}
	switch found.Identifier {
	case facts.Listed:
		q.Identifier = listed
	case facts.Unlisted:
		q.Identifier = unlisted
	}
	if found.Invitation != "" {
		q.Invitation = invitation
	}
	for _, flag := range found.Flags {
		q.Flags[flag.Experiment] = string(flag.Arm)
	}
	return q
}

// ends is why a login was not offered, and until when nothing was. No record says so, but the question answers it again: where it is
// answered as it was.
func ends(ctx context.Context, d *Decision, by *engine.Engine, found *engine.Recorded) []draft.Expected {
	var again service.Verdict
	var want []draft.Expected
	switch d.Action {
	case scenario.Login:
		v, _, err := by.Login(ctx, found.Login(), found.Evidence())
		if err != nil {
			return nil
		}
		again, want = v.Verdict, []draft.Expected{{Key: "reason", Value: v.Reason}}
	case scenario.Append:
		v, _, err := by.Append(ctx, found.Append(), found.Evidence())
		if err != nil {
			return nil
		}
		again = v.Verdict
	default:
		return nil
	}
	if again.Rule != d.Rule || again.Allow != d.Allow {
		return nil
	}
	at := ""
	if !again.NextEligibleAt.IsZero() {
		at = again.NextEligibleAt.UTC().Format(time.RFC3339)
	}
	return append(want, draft.Expected{Key: "nextEligibleAt", Value: at})
}

// answer is what a recorded answer says that a scenario can expect.
type answer struct {
	CDA         bool     `json:"isCDACandidate"`
	Immediately bool     `json:"preferImmediatelyAvailable"`
	Hints       []string `json:"hints"`
	Kind        string   `json:"kind"`
	Manual      bool     `json:"manualAllowed"`
	Restricted  bool     `json:"isRestrictedBrowser"`
	Reason      string   `json:"reason"`
	Attachment  string   `json:"attachment"`
}

// decided is what was answered.
func decided(d *Decision) ([]draft.Expected, error) {
	var a answer
	if err := json.Unmarshal(d.Answer, &a); err != nil {
		return nil, fmt.Errorf("read the recorded answer: %w", err)
	}
	if !d.Allow || a.Hints == nil {
		a.Hints = []string{}
	}
	want := []draft.Expected{{Key: "allow", Value: d.Allow}, {Key: "tag", Value: string(d.Tag)}, {Key: "rule", Value: d.Rule}}
	switch d.Action {
	case scenario.Login:
		want = append(
			want, draft.Expected{Key: "isCDACandidate", Value: a.CDA},
			draft.Expected{Key: "preferImmediatelyAvailable", Value: a.Immediately}, draft.Expected{Key: "hints", Value: a.Hints},
		)
	case scenario.Append:
		if !rest.PasskeyAppendStartRspAppendNotAllowedReason(a.Reason).Valid() {
			a.Reason = ""
		}
		if !d.Allow {
			a.Attachment = ""
		}
		want = append(
			want, draft.Expected{Key: "kind", Value: a.Kind}, draft.Expected{Key: "manualAllowed", Value: a.Manual},
			draft.Expected{Key: "isRestrictedBrowser", Value: a.Restricted}, draft.Expected{Key: "reason", Value: a.Reason},
			draft.Expected{Key: "attachment", Value: a.Attachment}, draft.Expected{Key: "hints", Value: a.Hints},
		)
	case scenario.Rollout:
		want = append(want, draft.Expected{Key: "reason", Value: a.Reason})
	}
	return want, nil
}
