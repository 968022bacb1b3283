package replay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/draft"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/bundle"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/experiment"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/rollout"
	"github.com/keyward/keyward/services/decision/scenario"
)

// Why a decision cannot be written down as a scenario, beside what Facts says. Errors of Draft wrap one of these.
var (
	ErrPolicyFailed = errors.New("the policy gave no answer and the safe default was answered, so there is no row to expect")
	ErrSwitchedOff  = errors.New("a switch was on, so that the rules were not asked, and there is no row to expect")
	ErrNotStated    = errors.New("it rests on something that a scenario cannot say")
	ErrJudgedAtEnd  = errors.New("it was judged at the end of a ceremony, of which a scenario cannot say when the passkey was last used")
)

// Drafts writes recorded decisions down. It is safe for concurrent use.
type Drafts struct{ *detector }

// NewDrafts returns who writes decisions down.
func NewDrafts(records *Records) *Drafts { return &Drafts{newDetector(records)} }

// Write writes a recorded decision down as a scenario file: what was known and had happened, relative to its moment, and what was decided.
// Nobody is named in it. The revision that decided gives the same answer to it, or the error wraps ErrNotStated and says what came instead.
func (d *Drafts) Write(ctx context.Context, record *Record) ([]byte, error) {
	text, err := d.write(ctx, record)
	if err != nil {
		return text, fmt.Errorf("decision %s: %w", record.ID, err)
	}
	return text, nil
}

func (d *Drafts) write(ctx context.Context, record *Record) ([]byte, error) {
	switch {
	case record.Switch() != "":
		return nil, ErrSwitchedOff
	case record.PolicyFailed():
		return nil, ErrPolicyFailed
	case record.Action == engine.ActionRisk:
		return nil, ErrJudgedAtEnd
	case record.Schema < kept.Schema || record.Question == nil:
		return nil, ErrRecordedBefore // before the archive is asked, which may not have the revision
	}
	policy, err := d.policy(ctx, record.PolicyHash)
	switch {
	case err != nil:
		return nil, err
	case policy == nil:
		return nil, ErrNotArchived
	}
	found, err := d.recorded(ctx, record)
	if err != nil {
		return nil, err
	}
	told, err := tell(record, policy.Engine(), found)
	if err != nil {
		return nil, err
	}
	told.Expect = append(told.Expect, ends(ctx, record, policy.Engine(), found)...)
	text, err := draft.Text(comment(record), told.Anonymous())
	if err != nil {
		return nil, err
	}
	return text, proven(ctx, policy, text)
}

func comment(record *Record) string {
	return fmt.Sprintf(
		"A decision about %s that revision %s made on %s.\nTimes are distances from it; whoever it was about is not named.",
		record.Action, record.PolicyRevision, record.Time.UTC().Format(time.DateOnly),
	)
}

// proven runs what was written.
func proven(ctx context.Context, policy *explain.Policy, text []byte) error {
	suite, err := scenario.Parse("draft", text)
	if err != nil {
		return fmt.Errorf("%w:\n%w", ErrNotStated, err)
	}
	report, err := scenario.By(policy.Engine()).Run(ctx, suite)
	if err != nil {
		return fmt.Errorf("%w:\n%w", ErrNotStated, err)
	}
	if report.Failed == 0 {
		return nil
	}
	var said strings.Builder
	if err := report.WriteText(&said, false); err != nil {
		return err
	}
	return fmt.Errorf("%w:\n%s", ErrNotStated, said.String())
}

// tell says what was asked, known and decided.
func tell(record *Record, by *engine.Engine, made *engine.Recorded) (draft.Scenario, error) {
	found := made.Facts
	q := record.Question.Restore(record.Project, record.User, record.Process)
	q.LookupFailed = q.LookupFailed || !found.Complete
	if record.Question.Nameless {
		q.Client.RemoteAddress = draft.Address
	}
	if private := q.Client.PrivateMode; !q.Environment.Known && (private == nil || !*private) {
		q.Environment.ID = ""
	}
	s := draft.Scenario{
		Name: record.Action + " is answered by " + record.Rule, Action: record.Action, Now: record.Time.Truncate(time.Millisecond),
		Question: q, Strategy: record.Question.Strategy, Source: record.Question.Source, Situation: record.Question.Situation,
		Provider: providers(by.Knowledge("")),
	}
	if record.Question.Flags != nil {
		s.Flags = *record.Question.Flags
	}
	var offers []event.Event
	if record.Question.Read != nil {
		offers = record.Question.Read.Restored(record.Process)
	}
	s.Events = joined(event.NewSet(made.Events).Live(), offers)
	s.Deleted = deleted(&q, s.Events)
	var err error
	if s.Parameters, err = stated(record, by, found); err != nil {
		return draft.Scenario{}, err
	}
	if found.Rollout != nil {
		s.Rollout = asked(found.Rollout)
	}
	s.Expect, err = decided(record)
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

// stated returns the parameters that a scenario has to state: those of the project, and what puts those whom it does not name where they
// were, on which side of an experiment, in which sample, on which list.
func stated(record *Record, by *engine.Engine, found *facts.Facts) (map[string]any, error) {
	raw, err := json.Marshal(by.Bundle(record.Project).Parameters())
	if err != nil {
		return nil, fmt.Errorf("read the parameters: %w", err)
	}
	var known struct {
		experiment.Shares
		Rollout rollout.Parameters `json:"rollout"`
	}
	if err := json.Unmarshal(raw, &known); err != nil {
		return nil, fmt.Errorf("read the parameters: %w", err)
	}
	state := map[string]any{}
	switch found.Environment.Listed {
	case facts.ListedAddress:
		state["blockedAddresses"] = []any{draft.Address}
	case facts.ListedEnvironment:
		state["blockedEnvironments"] = []any{draft.Environment}
	}
	if found.AccountFacts != nil {
		sides(state, found.Experiments, &known.Shares)
	}
	if found.Rollout != nil {
		if let := letIn(found.Rollout, &known.Rollout); len(let) > 0 {
			state["rollout"] = let
		}
	}
	return bundle.Merge(by.Overrides(record.Project), state), nil
}

const everybody = 10_000

// share is the share of an arm that holds everybody, or nobody.
func share(arm facts.Arm) int {
	if arm == facts.Treatment {
		return everybody
	}
	return 0
}

func divides(share int) bool { return share > 0 && share < everybody }

func sides(state map[string]any, arms facts.Assignments, shares *experiment.Shares) {
	others := map[string]any{}
	for _, a := range arms {
		switch {
		case a.Experiment == facts.DeviceLocalPasskey && divides(shares.DeviceLocalTreatmentShare):
			state["deviceLocalTreatmentShare"] = share(a.Arm)
		case divides(shares.Experiments[a.Experiment]):
			others[a.Experiment] = share(a.Arm)
		}
	}
	if len(others) > 0 {
		state["experiments"] = others
	}
}

func letIn(found *facts.Rollout, parameters *rollout.Parameters) map[string]any {
	state, rules := map[string]any{}, map[string]any{}
	for _, sample := range found.Samples {
		if s := parameters.Rules[sample.Experiment].Share; s != nil && divides(*s) {
			rules[sample.Experiment] = map[string]any{"share": share(sample.Arm)}
		}
	}
	if len(rules) > 0 {
		state["rules"] = rules
	}
	if found.Identifier == facts.Listed {
		state["allowedIdentifiers"] = []any{listed}
	}
	if found.Invitation != "" {
		sum := sha256.Sum256([]byte(invitation))
		state["invitations"] = map[string]any{found.Invitation: hex.EncodeToString(sum[:])}
	}
	return state
}

// ends is why a login was not offered, and until when nothing was. No record says so, but the question answers it again: where it is
// answered as it was.
func ends(ctx context.Context, record *Record, by *engine.Engine, found *engine.Recorded) []draft.Expected {
	var again service.Verdict
	var want []draft.Expected
	switch record.Action {
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
	if again.Rule != record.Rule || again.Allow != record.Allow {
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
func decided(record *Record) ([]draft.Expected, error) {
	var a answer
	if err := json.Unmarshal(record.Answer, &a); err != nil {
		return nil, fmt.Errorf("read the recorded answer: %w", err)
	}
	if !record.Allow || a.Hints == nil {
		a.Hints = []string{}
	}
	want := []draft.Expected{{Key: "allow", Value: record.Allow}, {Key: "tag", Value: string(record.Tag)}, {Key: "rule", Value: record.Rule}}
	switch record.Action {
	case scenario.Login:
		want = append(
			want, draft.Expected{Key: "isCDACandidate", Value: a.CDA},
			draft.Expected{Key: "preferImmediatelyAvailable", Value: a.Immediately}, draft.Expected{Key: "hints", Value: a.Hints},
		)
	case scenario.Append:
		if !rest.PasskeyAppendStartRspAppendNotAllowedReason(a.Reason).Valid() {
			a.Reason = ""
		}
		if !record.Allow {
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
