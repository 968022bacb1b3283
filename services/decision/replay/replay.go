package replay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/replay/internal/then"
)

// Summary is what came of a replay.
type Summary struct {
	Candidate string         `json:"candidate,omitempty"` // revision that all were evaluated with; empty = each with its own
	Decisions int            `json:"decisions"`           // evaluated again
	Same      int            `json:"same"`
	Different int            `json:"different"`
	Skipped   int            `json:"skipped"`               // the policy had failed or was not asked, so there is no answer to compare with
	Missing   map[string]int `json:"notArchived,omitempty"` // decisions left out by policy revision, because the archive lacks it
	NotJudged map[Reason]int `json:"notJudged,omitempty"`   // decisions left out by why other parameters cannot find their facts anew
	Changes   []Change       `json:"changes"`               // the most frequent first
	Segments  []then.Segment `json:"segments"`              // decisions that would be another, by what they have in common
	Revisions map[string]int `json:"revisions,omitempty"`   // decisions by the revision that made them
	Risk      Risk           `json:"risk"`                  // how the same decisions are judged for risk beside what they are about
}

// Segment says of decisions that have something in common what happened after them, and Outcomes counts that.
type (
	Segment  = then.Segment
	Outcomes = then.Outcomes
)

// Risk is what came of judging again what recorded decisions were judged for risk. Those that were recorded without are left out.
type Risk struct {
	Same      int            `json:"same"`
	Different int            `json:"different"`
	Changes   []Change       `json:"changes"` // the most frequent first
	Segments  []then.Segment `json:"segments"`
}

// Change is a group of decisions that went from one row to another. From and To are equal if only other parts of the answer differ.
type Change struct {
	Action   string        `json:"action"`
	From     string        `json:"from"`
	To       string        `json:"to"` // "error" if the policy gives no answer
	Count    int           `json:"count"`
	Then     then.Outcomes `json:"then,omitempty"` // what happened after them
	Examples []Example     `json:"examples"`
}

// Example is a decision that would be another.
type Example struct {
	ID      ident.DecisionID `json:"id"`
	Time    time.Time        `json:"time"`
	Project ident.ProjectID  `json:"project"`
	User    ident.UserID     `json:"user,omitempty"`
	Was     map[string]any   `json:"was"`
	Is      map[string]any   `json:"is,omitempty"`
	Then    then.Then        `json:"then,omitempty"`
	Error   string           `json:"error,omitempty"`
}

// Before is the gist of what was answered.
func (e *Example) Before() string { return gist(e.Was) }

// After is the gist of what would be.
func (e *Example) After() string {
	if e.Error != "" {
		return e.Error
	}
	return gist(e.Is)
}

func gist(answer map[string]any) string {
	if action, judged := answer["action"]; judged { // of risk
		return fmt.Sprintf("%s %v", action, answer["reasons"])
	}
	verb := "deny"
	if allow, _ := answer["allow"].(bool); allow {
		verb = "allow"
	}
	return fmt.Sprintf("%s %v", verb, answer["tag"])
}

// WriteSegments writes a table of what happened after decisions that would be another, by what they have in common.
func (s *Summary) WriteSegments(to io.Writer) error { return then.Write(to, s.Segments) }

// Options say what to replay and with what. The zero value replays everything with its own revision.
type Options struct {
	Selection
	Limit     int                          // most decisions to evaluate; 0 = all
	Candidate *explain.Policy              // nil = each decision with the revision that made it
	Examples  int                          // most examples of a change; 0 = 3
	Progress  func(done int, total uint64) // called now and then from one goroutine, if not nil
}

// replayer is a replay under way.
type replayer struct {
	*detector
	opts Options

	tally   sync.Mutex // guards what follows
	summary Summary
	changes changed
	risks   changed
}

// changed are decisions that would be another.
type changed struct {
	by       map[changeKey]*Change
	segments then.Segments
}

type changeKey struct{ action, from, to string }

// Replay evaluates recorded decisions again and says which answers differ. Records are streamed and evaluated side by side.
func (r *Records) Replay(ctx context.Context, opts Options) (*Summary, error) {
	opts.Examples = cmp.Or(opts.Examples, 3)
	p := &replayer{detector: newDetector(r), opts: opts}
	p.changes.by, p.risks.by = map[changeKey]*Change{}, map[changeKey]*Change{}
	p.summary.Missing, p.summary.Revisions, p.summary.NotJudged = map[string]int{}, map[string]int{}, map[Reason]int{}
	if opts.Candidate != nil {
		p.summary.Candidate = opts.Candidate.Revision()
	}
	if err := p.run(ctx); err != nil {
		return nil, err
	}
	p.summary.Changes, p.summary.Risk.Changes = frequent(p.changes.by), frequent(p.risks.by)
	p.summary.Segments, p.summary.Risk.Segments = p.changes.segments.All(), p.risks.segments.All()
	return &p.summary, nil
}

// frequent returns the changes, the most frequent first.
func frequent(found map[changeKey]*Change) []Change {
	changes := make([]Change, 0, len(found))
	for _, change := range found {
		changes = append(changes, *change)
	}
	slices.SortFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Action, b.Action), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return changes
}

func (p *replayer) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := runtime.GOMAXPROCS(0)
	queue := make(chan Record, 16*workers)
	var owned sync.WaitGroup
	for range workers {
		owned.Go(func() {
			for record := range queue {
				if err := p.evaluate(ctx, &record); err != nil {
					cancel(err)
				}
			}
		})
	}
	taken := 0
	err := p.records.Each(ctx, p.opts.Selection, func(record Record, total uint64) (bool, error) {
		select {
		case queue <- record:
		case <-ctx.Done():
			return false, ctx.Err()
		}
		taken++
		if p.opts.Progress != nil {
			p.opts.Progress(taken, total)
		}
		return p.opts.Limit == 0 || taken < p.opts.Limit, nil
	})
	close(queue)
	owned.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// evaluate answers one recorded decision again. A policy that fails now is a difference, not an error.
func (p *replayer) evaluate(ctx context.Context, record *Record) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	policy := p.opts.Candidate
	if policy == nil {
		own, err := p.policy(ctx, record.PolicyHash)
		if err != nil {
			return err
		}
		policy = own
	}
	switch {
	case policy == nil:
		p.leaveOut(func(s *Summary) { s.Missing[record.PolicyHash]++ })
		return nil
	case record.Unanswered():
		p.leaveOut(func(s *Summary) { s.Skipped++ })
		return nil
	}
	found, err := p.facts(ctx, record, policy)
	if reason, known := ReasonOf(err); known {
		p.leaveOut(func(s *Summary) { s.NotJudged[reason]++ })
		return nil
	}
	if err != nil {
		return err
	}
	was, err := document(record.Answer)
	if err != nil {
		return fmt.Errorf("decision %s: %w", record.ID, err)
	}
	is, err := policy.Evaluate(ctx, record.Action, record.Project, found)
	if err := ctx.Err(); err != nil {
		return err
	}
	same := err == nil && reflect.DeepEqual(was, is)
	var next then.Then
	if !same {
		var lost error
		if next, lost = p.after(ctx, record); lost != nil {
			return lost
		}
	}
	p.count(record, again{was, is, err, next}, same)
	return p.judge(ctx, record, policy, found)
}

// judge answers again how risky a recorded decision was.
func (p *replayer) judge(ctx context.Context, record *Record, policy *explain.Policy, found json.RawMessage) error {
	if record.Risk == nil {
		return nil
	}
	was, err := document(record.Risk)
	if err != nil {
		return fmt.Errorf("decision %s: %w", record.ID, err)
	}
	is, err := policy.Evaluate(ctx, engine.ActionRisk, record.Project, found)
	if err := ctx.Err(); err != nil {
		return err
	}
	if err == nil && reflect.DeepEqual(whole(was), whole(is)) {
		p.leaveOut(func(s *Summary) { s.Risk.Same++ })
		return nil
	}
	next, lost := p.after(ctx, record)
	if lost != nil {
		return lost
	}
	p.tally.Lock()
	defer p.tally.Unlock()
	p.summary.Risk.Different++
	p.changed(&p.risks, engine.ActionRisk, record, again{was, is, err, next})
	return nil
}

// again is how a decision comes out now, beside how it did, and what happened after it.
type again struct {
	was, is map[string]any
	err     error
	then    then.Then
}

// whole returns an answer of rules of risk with the members that answers may lack, as those of earlier versions do.
func whole(answer map[string]any) map[string]any {
	made := map[string]any{
		"stepUp": []any{}, "exclude": []any{}, "retrySeconds": json.Number("0"),
		"obligations": map[string]any{"notifyUser": false, "maxSessionSeconds": json.Number("0"), "userVerification": ""},
	}
	maps.Copy(made, answer)
	return made
}

func (p *replayer) leaveOut(note func(*Summary)) {
	p.tally.Lock()
	defer p.tally.Unlock()
	note(&p.summary)
}

func (p *replayer) count(record *Record, a again, same bool) {
	p.tally.Lock()
	defer p.tally.Unlock()
	p.summary.Decisions++
	p.summary.Revisions[record.PolicyRevision]++
	if same {
		p.summary.Same++
		return
	}
	p.summary.Different++
	p.changed(&p.changes, record.Action, record, a)
}

// changed counts a decision that would be another among those that would be so, too.
func (p *replayer) changed(to *changed, action string, record *Record, a again) {
	key := changeKey{action, rowOf(a.was), rowOf(a.is)}
	example := Example{ID: record.ID, Time: record.Time, Project: record.Project, User: record.User, Was: a.was, Is: a.is, Then: a.then}
	if a.err != nil {
		key.to, example.Error = "error", a.err.Error()
	}
	change, ok := to.by[key]
	if !ok {
		change = &Change{Action: key.action, From: key.from, To: key.to, Then: then.Outcomes{}}
		to.by[key] = change
	}
	change.Count++
	change.Then[a.then]++
	to.segments.Add(record.Project, record.Facts, a.then)
	if len(change.Examples) < p.opts.Examples {
		change.Examples = append(change.Examples, example)
	}
}

func rowOf(answer map[string]any) string {
	row, _ := answer["rule"].(string)
	return row
}

// Policy loads a policy revision by the hash of its content. The error wraps ErrNotArchived if it cannot be had.
func (r *Records) Policy(ctx context.Context, hash string) (*explain.Policy, error) {
	files, err := r.Revision(ctx, hash)
	if err != nil {
		return nil, err
	}
	policy, err := explain.Reload(ctx, files)
	if err != nil {
		return nil, fmt.Errorf("load revision %s: %w", hash, err)
	}
	return policy, nil
}

// document reads an answer as evaluation returns it.
func document(raw json.RawMessage) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var answer map[string]any
	if err := decoder.Decode(&answer); err != nil {
		return nil, fmt.Errorf("decode the recorded answer: %w", err)
	}
	return answer, nil
}

// AnswerDocument returns the recorded answer; nil if the policy gave none.
func (r *Record) AnswerDocument() (map[string]any, error) {
	if r.Unanswered() {
		return nil, nil
	}
	return document(r.Answer)
}
