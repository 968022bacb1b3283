// Package shadow has a revision judge what was judged, beside what is live, and says where it would have answered otherwise.
//
// It promises that no answer waits for it, and that what it could not take is counted: it judges in one goroutine, with a bounded number of
// questions that wait. It touches the store of revisions, where instances tell what they have seen.
package shadow

import (
	"context"
	"encoding/json"
	"hash/maphash"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/sighting"
	"github.com/keyward/keyward/services/decision/internal/canary"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/release"
)

// Question is what was judged.
type Question struct {
	Decision ident.DecisionID
	Action   string
	Project  ident.ProjectID
	Answered release.Answer
	By       *course.Policy // what answered
	Asked    Asked
	Evidence engine.Evidence
	Found    *detect.Detection // in it
	// Done is told what came of it, in a goroutine of this package; nil if it came to nothing.
	Done func(*Answer)
}

// Sets reads the sets of sightings that a revision counts, about whoever a question is about.
type Sets func(ctx context.Context, by *course.Policy, q *service.Question, at time.Time) sighting.Seen

// Answer is what the revision would have answered, as records of decisions have it.
type Answer struct {
	Change int    `json:"change"` // the number of the change that began the shadow
	Number int    `json:"number"` // of the revision
	Same   bool   `json:"same"`
	Failed string `json:"failed,omitempty"` // why it gave no usable answer
	// Nil if it is the same, or failed
	Other *release.Answer `json:"other,omitempty"`
}

// AppendJSON appends the answer as encoding/json would write it; of one that is the same, as most are, without reflection.
func (a *Answer) AppendJSON(to []byte) []byte {
	if !a.Same || a.Failed != "" || a.Other != nil {
		raw, _ := json.Marshal(a) // it holds nothing that cannot be written
		return append(to, raw...)
	}
	to = strconv.AppendInt(append(to, `{"change":`...), int64(a.Change), 10)
	to = strconv.AppendInt(append(to, `,"number":`...), int64(a.Number), 10)
	return append(to, `,"same":true}`...)
}

// Of is a verdict as answers are compared.
func Of(v *service.Verdict) release.Answer {
	a := release.Answer{Rule: v.Rule, Tag: string(v.Tag), Allow: v.Allow}
	if v.Risk != nil {
		a.Risk, a.RiskRule = string(v.Risk.Action), v.Risk.Rule
		for _, reason := range v.Risk.Reasons {
			a.Reasons = append(a.Reasons, reason.Code)
		}
	}
	return a
}

// Shadow is safe for concurrent use.
type Shadow struct {
	sets    Sets
	waiting chan Question
	state   atomic.Pointer[state]
	seed    maphash.Seed
}

// state is what there is while a revision judges beside what is live.
type state struct {
	release.Shadow
	policy *course.Policy

	mu   sync.Mutex
	seen release.Seen
	same map[sameKey]bool // whether it finds the same facts
}

type sameKey struct {
	live    *course.Policy
	project ident.ProjectID
}

// waits is how many questions may wait. They hold what was read of their users.
const waits = 1024

// New returns a shadow of nothing.
func New(sets Sets) *Shadow {
	return &Shadow{sets: sets, waiting: make(chan Question, waits), seed: maphash.MakeSeed()}
}

// Set has a revision judge from now on; nil = none. One that does already goes on.
func (s *Shadow) Set(of *release.Shadow, by *course.Policy) {
	now := s.state.Load()
	switch {
	case of == nil:
		s.state.Store(nil)
	case now != nil && now.Change == of.Change:
	default:
		s.state.Store(&state{Shadow: *of, policy: by, same: map[sameKey]bool{}})
	}
}

// Policy returns the revision that judges beside what is live; nil if there is none.
func (s *Shadow) Policy() *course.Policy {
	if now := s.state.Load(); now != nil {
		return now.policy
	}
	return nil
}

// On reports whether a revision judges beside what is live.
func (s *Shadow) On() bool { return s.state.Load() != nil }

// Share returns the share of decisions that are judged again; 0 if none is.
func (s *Shadow) Share() float64 {
	if now := s.state.Load(); now != nil {
		return float64(now.Share) / canary.Whole
	}
	return 0
}

// Wants reports whether a decision is one of those that are judged again.
func (s *Shadow) Wants(id ident.DecisionID) bool {
	now := s.state.Load()
	return now != nil && (now.Share >= canary.Whole || int(maphash.String(s.seed, string(id))%canary.Whole) < now.Share)
}

// Take takes a question, and reports whether it did: too many may wait already. Nobody waits for it.
func (s *Shadow) Take(q Question) bool {
	select {
	case s.waiting <- q:
		return true
	default:
		if now := s.state.Load(); now != nil {
			now.mu.Lock()
			now.seen.Skipped++
			now.mu.Unlock()
		}
		return false
	}
}

// Run judges until ctx ends, and then what is waiting still, without judging it.
func (s *Shadow) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			s.drain()
			return
		case q := <-s.waiting:
			q.Done(s.judge(ctx, q))
		}
	}
}

func (s *Shadow) drain() {
	for {
		select {
		case q := <-s.waiting:
			q.Done(nil)
		default:
			return
		}
	}
}

func (s *Shadow) judge(ctx context.Context, q Question) *Answer {
	now := s.state.Load()
	if now == nil || now.policy == q.By {
		return nil
	}
	said, err := q.Asked.judge(ctx, now.policy, s.evidence(ctx, now, &q))
	told := &Answer{Change: now.Change, Number: now.policy.Number}
	if err != nil {
		told.Failed = err.Error()
	} else if other := Of(&said); other.Equal(q.Answered) {
		told.Same = true
	} else {
		told.Other = &other
	}
	now.note(q, told)
	return told
}

// evidence is what the revision judges by.
func (s *Shadow) evidence(ctx context.Context, now *state, q *Question) engine.Evidence {
	ev := q.Evidence
	if now.findsSame(q.By, q.Project) {
		ev.Found = q.Found
		return ev
	}
	if ev.Complete && !now.policy.Plan().Reads(q.By.Plan()) {
		ev.Seen = s.sets(ctx, now.policy, q.Asked.question(), ev.Now) // it counts by others, which were not read
	}
	return ev
}

// findsSame reports whether the revision finds the same facts in questions of a project as another.
func (s *state) findsSame(live *course.Policy, project ident.ProjectID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	const most = 10_000 // projects
	key := sameKey{live, project}
	same, known := s.same[key]
	if !known {
		if len(s.same) >= most {
			clear(s.same)
		}
		same = s.policy.FindsAs(live.Engine, project)
		s.same[key] = same
	}
	return same
}

// note counts an answer.
func (s *state) note(q Question, told *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.Compared++
	switch {
	case told.Failed != "":
		s.seen.Failed++
		s.seen.Failure = told.Failed
	case !told.Same:
		s.seen.Note(release.Difference{Action: q.Action, Live: q.Answered, Shadow: *told.Other, Examples: []ident.DecisionID{q.Decision}})
	}
}

// Seen returns what was seen so far, and the change that began it; 0 = there is no shadow.
func (s *Shadow) Seen() (release.Seen, int) {
	now := s.state.Load()
	if now == nil {
		return release.Seen{}, 0
	}
	now.mu.Lock()
	defer now.mu.Unlock()
	seen := now.seen
	seen.Differences = slices.Clone(seen.Differences)
	return seen, now.Change
}
