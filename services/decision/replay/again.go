package replay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/causes"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/lists"
	"github.com/keyward/keyward/services/decision/internal/memo"
	"github.com/keyward/keyward/services/decision/internal/recognition"
	"github.com/keyward/keyward/services/decision/internal/rollout"
	"github.com/keyward/keyward/services/decision/internal/velocity"
	"github.com/keyward/keyward/services/decision/replay/internal/left"
	"github.com/keyward/keyward/services/decision/replay/internal/then"
)

// Why a decision cannot be judged with other parameters than those that it was made with. Errors of Facts wrap one of these.
var (
	ErrRecordedBefore = errors.New("it was recorded before records kept what other parameters need to find facts anew")
	ErrEventsGone     = errors.New("events that it was made from are no longer in the log, which drops them by age and with their user")
	ErrAddressNotKept = recognition.ErrAddressNotKept
	ErrRolloutNotKept = rollout.ErrNotKept
	ErrListNotKept    = lists.ErrAddressNotKept
	ErrCounterNotKept = velocity.ErrNotKept
)

// Reason is one of those errors in a word, as summaries count them.
type Reason string

// The reasons.
const (
	RecordedBefore Reason = "recorded-before"
	EventsGone     Reason = "events-gone"
	AddressNotKept Reason = "address-not-kept"
	RolloutNotKept Reason = "rollout-not-kept"
	ListNotKept    Reason = "list-not-kept"
	CounterNotKept Reason = "counter-not-kept"
)

// reasons are the errors by the word for them.
func reasons() map[Reason]error {
	return map[Reason]error{
		RecordedBefore: ErrRecordedBefore, EventsGone: ErrEventsGone, AddressNotKept: ErrAddressNotKept, RolloutNotKept: ErrRolloutNotKept,
		ListNotKept:    ErrListNotKept,
		CounterNotKept: ErrCounterNotKept,
	}
}

// String says the reason in words.
func (r Reason) String() string { return reasons()[r].Error() }

// ReasonOf returns the word for an error of Facts, or false if it is none of those.
func ReasonOf(err error) (Reason, bool) {
	for reason, known := range reasons() {
		if errors.Is(err, known) {
			return reason, true
		}
	}
	return "", false
}

// Bounds of what is held in memory.
const (
	maxPolicies = 16   // revisions loaded
	maxUsers    = 4096 // users whose events were read
)

// detector finds the facts of recorded decisions as other policies would. It is safe for concurrent use.
type detector struct {
	records *Records
	users   *memo.Memo // []event.Event by project and user, in the order of the log
	left    *left.Logins

	mu       sync.Mutex
	log      *eventlog.Log              // nil until it is needed
	policies map[string]*explain.Policy // by hash; nil = not archived
	order    []string                   // of policies
	same     map[samePolicy]bool
}

// samePolicy names what a project sees of a recorded revision, beside another.
type samePolicy struct {
	recorded string // hash
	other    *explain.Policy
	project  ident.ProjectID
}

func newDetector(records *Records) *detector {
	return &detector{
		records: records, users: memo.New(maxUsers, nil), left: left.New(records.js), policies: map[string]*explain.Policy{},
		same: map[samePolicy]bool{},
	}
}

// Facts returns the facts that a policy finds in the question of a recorded decision, as of its moment. Where the policy detects as the one
// that decided did, they are the recorded ones. Otherwise the user's events are folded and the client is looked at anew, or the error wraps
// one that says why that cannot be.
func (r *Records) Facts(ctx context.Context, record *Record, policy *explain.Policy) (json.RawMessage, error) {
	return newDetector(r).facts(ctx, record, policy)
}

func (d *detector) facts(ctx context.Context, record *Record, policy *explain.Policy) (json.RawMessage, error) {
	own, err := d.policy(ctx, record.PolicyHash)
	if err != nil {
		return nil, err
	}
	if d.detectAlike(record, own, policy) {
		return record.Facts, nil
	}
	found, err := d.recorded(ctx, record)
	if err != nil {
		return nil, err
	}
	if own != nil {
		found.Own, found.Counted = own.Engine().Knowledge(record.Project), own.Engine().Plan()
	}
	again, err := policy.Engine().Detect(found)
	if err != nil {
		return nil, err
	}
	return again.AppendJSON(nil), nil
}

// recorded returns a decision with everything that it was made from.
func (d *detector) recorded(ctx context.Context, record *Record) (*engine.Recorded, error) {
	if record.Schema < kept.Schema || record.Question == nil {
		return nil, ErrRecordedBefore
	}
	found := &engine.Recorded{
		Action: record.Action, Project: record.Project, User: record.User, Process: record.Process, Made: record.Time,
		Question: record.Question, Facts: &facts.Facts{},
	}
	if err := json.Unmarshal(record.Facts, found.Facts); err != nil {
		return nil, fmt.Errorf("decision %s: read the recorded facts: %w", record.ID, err)
	}
	var err error
	found.Events, err = d.read(ctx, record)
	return found, err
}

// detectAlike reports whether the policy finds the facts that were found. A revision that is not in the archive cannot tell.
func (d *detector) detectAlike(record *Record, own, policy *explain.Policy) bool {
	if own == nil || own == policy {
		return own != nil
	}
	key := samePolicy{record.PolicyHash, policy, record.Project}
	d.mu.Lock()
	defer d.mu.Unlock()
	same, known := d.same[key]
	if !known {
		same = own.Engine().FindsAs(policy.Engine(), record.Project)
		d.same[key] = same
	}
	return same
}

// read returns the user's events that the decision was made from.
func (d *detector) read(ctx context.Context, record *Record) ([]event.Event, error) {
	if record.Question.Read == nil || record.Question.Read.Events == 0 {
		return nil, nil
	}
	all, known := d.users.Get(userKey(record)).([]event.Event)
	seen, whole := record.Question.Read.Within(all)
	if known && whole {
		return seen, nil
	}
	all, err := d.readUser(ctx, record)
	if err != nil {
		return nil, err
	}
	if seen, whole = record.Question.Read.Within(all); !whole {
		return nil, ErrEventsGone
	}
	return seen, nil
}

func userKey(record *Record) []byte {
	return []byte(string(record.Project) + "." + string(record.User))
}

// readUser reads all events of the user of a decision.
func (d *detector) readUser(ctx context.Context, record *Record) ([]event.Event, error) {
	log, err := d.open(ctx)
	if err != nil {
		return nil, err
	}
	all, _, err := log.Read(ctx, record.Project, record.User, 1)
	if err != nil {
		return nil, fmt.Errorf("decision %s: read the events of its user: %w", record.ID, err)
	}
	d.users.Put(userKey(record), all)
	return all, nil
}

// after returns what happened after a decision, as the log has it now.
func (d *detector) after(ctx context.Context, record *Record) (then.Then, error) {
	if record.User == "" {
		return then.NotTold, nil
	}
	all, known := d.users.Get(userKey(record)).([]event.Event)
	if !known {
		var err error
		if all, err = d.readUser(ctx, record); err != nil {
			return then.NotTold, err
		}
	}
	logins, err := d.left.Of(ctx, record.Project, record.User)
	return then.Of(record.ID, slices.Concat(all, logins)), err
}

func (d *detector) open(ctx context.Context) (*eventlog.Log, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.log != nil {
		return d.log, nil
	}
	log, err := eventlog.NewLog(ctx, d.records.js)
	if err != nil {
		return nil, err
	}
	d.log = log
	return log, nil
}

// policy returns a revision by the hash of its content; nil if it is not in the archive.
func (d *detector) policy(ctx context.Context, hash string) (*explain.Policy, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if policy, known := d.policies[hash]; known {
		return policy, nil
	}
	policy, err := d.records.Policy(ctx, hash)
	if err != nil && !errors.Is(err, ErrNotArchived) {
		return nil, err
	}
	if len(d.order) == maxPolicies {
		delete(d.policies, d.order[0])
		d.order = d.order[1:]
	}
	d.policies[hash], d.order = policy, append(d.order, hash)
	return policy, nil
}

// Causes returns what the policy's answer to a recorded question came from: the events that count, what worked, and what would change it.
// Without the user's events, or the question, there is nothing to be told, and the error wraps one that says why.
func (r *Records) Causes(ctx context.Context, record *Record, policy *explain.Policy) (*causes.Found, error) {
	found, err := newDetector(r).recorded(ctx, record)
	if err != nil {
		return nil, err
	}
	return causes.Find(ctx, policy.Engine(), found)
}

// Circumstances returns what the record tells beyond its facts, as the policy sees it; nothing of records of the version before.
func (r *Record) Circumstances(policy *explain.Policy) explain.Circumstances {
	var found struct {
		Environment struct{ Listed facts.Listing }
	}
	if r.Question == nil || json.Unmarshal(r.Facts, &found) != nil {
		return explain.Circumstances{}
	}
	k, q := policy.Engine().Knowledge(r.Project), r.Question.Restore(r.Project, r.User, r.Process)
	seen := k.Login(detect.Input{Question: q, Complete: true, Now: r.Time, Strategy: r.Question.Strategy, Source: r.Question.Source})
	identity := seen.Client.Identity()
	return explain.Circumstances{
		Passkeys: seen.Reaches(k), Client: &identity,
		Lists: k.Clients.Matches(found.Environment.Listed, q.Client, r.Question.Network(), q.Environment),
	}
}
