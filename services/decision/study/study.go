// Package study tells operators why recorded decisions came out as they did, and what another revision of the policy, or other facts, would
// have come to.
//
// It promises that nothing which it is asked is recorded or answers anybody, and that it holds few revisions at once and replays one at a
// time. It reads records of decisions, the log of events and the store of revisions, and writes nothing.
package study

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/explain"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/intake"
	"github.com/keyward/keyward/services/decision/internal/release"
	"github.com/keyward/keyward/services/decision/internal/signature"
	"github.com/keyward/keyward/services/decision/replay"
)

// Study implements service.Studies. It is safe for concurrent use.
type Study struct {
	records   *replay.Records
	revisions *release.Store
	now       func() time.Time
	replaying chan struct{} // a replay takes all processors: one at a time

	mu     sync.Mutex        // guards what follows, and lets one revision be loaded at a time
	loaded []*explain.Policy // that were asked for last, the newest at the end
	hashes []string          // of loaded
}

var _ service.Studies = (*Study)(nil)

// maxLoaded is how many revisions are held: what decided, what is live, and what is thought about.
const maxLoaded = 3

// retryAfter is when to ask again if records or revisions could not be read.
const retryAfter = time.Second

// New returns what can be told of the decisions and revisions that js keeps.
func New(ctx context.Context, js jetstream.JetStream, now func() time.Time) (*Study, error) {
	revisions, err := release.Open(ctx, js)
	if err != nil {
		return nil, fmt.Errorf("study: %w", err)
	}
	return &Study{records: replay.NewRecords(js), revisions: revisions, now: now, replaying: make(chan struct{}, 1)}, nil
}

// Judge implements service.Studies.
func (s *Study) Judge(ctx context.Context, q service.ForOperator[inquiry.Judge]) (operator.DecisionExplanation, error) {
	record, err := s.records.Find(ctx, q.Body.Decision)
	if err != nil {
		return operator.DecisionExplanation{}, unread(err)
	}
	own, err := s.archived(ctx, record.PolicyHash)
	if err != nil && (q.Body.Revision == 0 || !errors.Is(err, replay.ErrNotArchived)) {
		return operator.DecisionExplanation{}, unread(err)
	}
	by := own
	if q.Body.Revision != 0 {
		if by, err = s.revision(ctx, q.Body.Revision); err != nil {
			return operator.DecisionExplanation{}, err
		}
	}
	found, note, err := s.found(ctx, &record, own, by)
	if err != nil {
		return operator.DecisionExplanation{}, err
	}
	if len(q.Body.Facts) > 0 {
		if found, err = changed(found, q.Body.Facts); err == nil {
			err = by.CheckFacts(record.Action, found)
		}
		if err != nil {
			return operator.DecisionExplanation{}, fault.Field("facts", "%s", err.Error())
		}
	}
	known := explain.Circumstances{}
	if by == own && len(q.Body.Facts) == 0 {
		if known, err = s.circumstances(ctx, &record, own); err != nil {
			return operator.DecisionExplanation{}, err
		}
	}
	told, err := s.explain(ctx, &record, by, found, known)
	if err != nil {
		return operator.DecisionExplanation{}, err
	}
	if note != "" {
		told.Note = &note
	}
	if by == own && len(q.Body.Facts) == 0 && record.Unanswered() {
		unanswered(&told, &record)
	}
	return told, nil
}

// found returns the facts as the policy finds them. Where that cannot be, they are the recorded ones, and the note says why.
func (s *Study) found(ctx context.Context, record *replay.Record, own, by *explain.Policy) (found json.RawMessage, note string, err error) {
	if own == by {
		return record.Facts, "", nil
	}
	found, err = s.records.Facts(ctx, record, by)
	if reason, lacking := replay.ReasonOf(err); lacking {
		return record.Facts, "The recorded facts were judged, since they cannot be found anew: " + reason.String(), nil
	}
	if err != nil {
		return nil, "", unread(err)
	}
	return found, "", nil
}

func (s *Study) circumstances(ctx context.Context, record *replay.Record, own *explain.Policy) (explain.Circumstances, error) {
	known := record.Circumstances(own)
	var err error
	known.Causes, err = s.records.Causes(ctx, record, own)
	if _, lacking := replay.ReasonOf(err); err != nil && !lacking {
		return known, unread(err)
	}
	return known, nil
}

// explain judges the facts, and beside them the risk if that was judged when the decision was made.
func (s *Study) explain(
	ctx context.Context, record *replay.Record, by *explain.Policy, found json.RawMessage, known explain.Circumstances,
) (operator.DecisionExplanation, error) {
	explanation, err := by.ExplainIn(ctx, record.Action, record.Project, found, known)
	if err != nil {
		return operator.DecisionExplanation{}, fmt.Errorf("explain decision %s: %w", record.ID, err)
	}
	told := shown(record, explanation)
	if was, err := record.AnswerDocument(); err == nil && !record.Unanswered() {
		told.Same = new(reflect.DeepEqual(was, explanation.Answer))
	}
	if len(record.Risk) == 0 || record.Action == explain.Risk {
		return told, nil
	}
	beside, err := by.Explain(ctx, explain.Risk, record.Project, found)
	if err != nil {
		return told, nil //nolint:nilerr // rules of risk that fail leave what they stand beside as it is
	}
	risk := shown(record, beside)
	risk.Action = operator.DecisionExplanationActionRisk
	told.Risk = &risk
	return told, nil
}

// archived returns the policy of that hash, by which decisions were made.
func (s *Study) archived(ctx context.Context, hash string) (*explain.Policy, error) {
	return s.hold(hash, func() (*explain.Policy, error) { return s.records.Policy(ctx, hash) })
}

// revision returns the policy of a revision of the store.
func (s *Study) revision(ctx context.Context, number int) (*explain.Policy, error) {
	of, err := s.revisions.Revision(ctx, number)
	if errors.Is(err, release.ErrUnknown) {
		return nil, fault.NotFound("there is no revision of this number")
	}
	if err != nil {
		return nil, fault.Unavailable(retryAfter, "the revision could not be read").Because(err)
	}
	return s.hold(of.Content, func() (*explain.Policy, error) {
		_, packed, err := s.revisions.Files(ctx, of)
		if err != nil {
			return nil, fault.Unavailable(retryAfter, "the revision could not be read").Because(err)
		}
		return opened(ctx, packed)
	})
}

// opened loads what a store holds. Whoever put it there has verified it, and its tests were run then.
func opened(ctx context.Context, packed []byte) (*explain.Policy, error) {
	whole, err := intake.Open(packed, signature.Config{}, time.Time{})
	if err != nil {
		return nil, fault.Internal(err)
	}
	files, err := archive.Unpack(whole)
	if err != nil {
		return nil, fault.Internal(err)
	}
	return explain.Reload(ctx, files)
}

// hold returns the policy of a hash, and loads it if it is none of those that were asked for last.
func (s *Study) hold(hash string, load func() (*explain.Policy, error)) (*explain.Policy, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at := slices.Index(s.hashes, hash); at >= 0 {
		policy := s.loaded[at]
		s.hashes, s.loaded = append(slices.Delete(s.hashes, at, at+1), hash), append(slices.Delete(s.loaded, at, at+1), policy)
		return policy, nil
	}
	policy, err := load()
	if err != nil {
		return nil, err
	}
	s.hashes, s.loaded = append(s.hashes, hash), append(s.loaded, policy)
	if over := len(s.hashes) - maxLoaded; over > 0 {
		s.hashes, s.loaded = slices.Delete(s.hashes, 0, over), slices.Delete(s.loaded, 0, over)
	}
	return policy, nil
}

// changed returns facts with others in the place of some.
func changed(found json.RawMessage, to map[string]any) (json.RawMessage, error) {
	var whole map[string]any
	if err := json.Unmarshal(found, &whole); err != nil {
		return nil, fmt.Errorf("the recorded facts cannot be read: %w", err)
	}
	for path, value := range to {
		at, names := whole, strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			below, is := at[name].(map[string]any)
			if !is {
				return nil, fmt.Errorf("there is no fact %s", path)
			}
			at = below
		}
		last := names[len(names)-1]
		if value == nil {
			delete(at, last)
			continue
		}
		at[last] = value
	}
	return json.Marshal(whole)
}

// unread says of an error of the records whether there is nothing to be had or nothing could be looked up.
func unread(err error) error {
	for _, absent := range []error{replay.ErrNotFound, replay.ErrEvicted, replay.ErrUntimely, replay.ErrNotArchived} {
		if errors.Is(err, absent) {
			return fault.NotFound("no such decision is recorded (yet), or the revision that made it is not kept").Because(err)
		}
	}
	return fault.Unavailable(retryAfter, "the decision could not be looked up").Because(err)
}
