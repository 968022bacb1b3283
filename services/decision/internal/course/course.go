// Package course says which revision of the policy judges whom: what is live, or, while a canary is under way, the revision that is tried.
// It counts what becomes of both and ends a canary that passes one of its bounds.
//
// It promises that the end of a ceremony is judged by what judged its start, for as long as a challenge is good, also once the canary is
// over; and that nobody is worse off for a revision that fails: what is live answers in its place. It touches the store of revisions, where
// instances tell each other what they have counted.
package course

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/canary"
	"github.com/keyward/keyward/services/decision/internal/engine"
	"github.com/keyward/keyward/services/decision/internal/release"
)

// Policy is one loaded revision. It is immutable but for what it has failed at.
type Policy struct {
	*engine.Engine
	Loaded time.Time
	Number int     // of the revision in the store; 0 = it is from elsewhere
	Lapsed *Policy // what takes its place once it is not to answer any more; nil of that itself

	failed atomic.Pointer[error]
}

// NewPolicy returns what was loaded at a moment.
func NewPolicy(e *engine.Engine, number int, loaded time.Time) *Policy {
	return &Policy{Engine: e, Loaded: loaded, Number: number, Lapsed: &Policy{Engine: e.Lapsed(), Number: number, Loaded: loaded}}
}

// Fail notes that an answer was of no use.
func (p *Policy) Fail(err error) { p.failed.Store(&err) }

// Failed returns why the last answer was of no use that was; nil if none was.
func (p *Policy) Failed() error {
	if err := p.failed.Load(); err != nil {
		return *err
	}
	return nil
}

// Course is safe for concurrent use. The zero value has no canary; see New.
type Course struct {
	now     func() time.Time
	passed  chan struct{} // a bound may have been
	current atomic.Pointer[state]
}

// New returns a course without a canary.
func New(now func() time.Time) *Course { return &Course{now: now, passed: make(chan struct{}, 1)} }

// state is never changed.
type state struct {
	canary *trial
	past   []*trial // that are over, and of which ceremonies may still end
}

// trial is a canary.
type trial struct {
	release.Canary
	base, tried *Policy
	arms        [2]event.Arm // shared by what is said of decisions
	tallies     [2]*canary.Tally
	over        time.Time // zero = it is not
}

const (
	base = iota
	tried
)

// lingers is how long what a canary tried stays after it, so that ceremonies end as they began: longer than any challenge is good.
const lingers = 20 * time.Minute

// Takes reports whether a canary is one of this course, so that its revision need not be loaded again.
func (c *Course) Takes(of *release.Canary) bool {
	now := c.current.Load()
	return now != nil && now.canary != nil && of != nil && now.canary.Change == of.Change
}

// Set takes up what is tried beside what is live; of is nil if nothing is. A canary that goes on, perhaps with another share, keeps what
// was counted, and then candidate may be nil.
func (c *Course) Set(of *release.Canary, live, candidate *Policy) {
	was := c.current.Load()
	if was == nil {
		was = &state{}
	}
	next := &state{past: was.recent(c.now())}
	switch {
	case of == nil:
		next.past = append(next.past, was.ended(c.now())...)
	case c.Takes(of):
		same := *was.canary
		same.Canary = *of
		next.canary = &same
	default:
		next.past = append(next.past, was.ended(c.now())...)
		next.canary = newTrial(of, live, candidate)
	}
	c.current.Store(next)
}

// forget drops what has been over for so long that no ceremony of it can end any more.
func (c *Course) forget() {
	was := c.current.Load()
	if was == nil || was.canary != nil || len(was.past) == len(was.recent(c.now())) {
		return
	}
	c.current.CompareAndSwap(was, &state{past: was.recent(c.now())})
}

func newTrial(of *release.Canary, live, candidate *Policy) *trial {
	t := &trial{Canary: *of, base: live, tried: candidate}
	for i, side := range []event.Side{event.Base, event.Canary} {
		t.arms[i] = event.Arm{Side: side, Change: of.Change}
		t.tallies[i] = canary.NewTally(of.Bounds.Settle())
	}
	return t
}

func (s *state) recent(now time.Time) []*trial {
	var kept []*trial
	for _, t := range s.past {
		if now.Sub(t.over) < lingers {
			kept = append(kept, t)
		}
	}
	return kept
}

func (s *state) ended(now time.Time) []*trial {
	if s.canary == nil {
		return nil
	}
	over := *s.canary
	over.over = now
	return []*trial{&over}
}

// Judge is what judges a question.
type Judge struct {
	*Policy
	Arm *event.Arm // nil = there is no canary

	tally *canary.Tally // nil = nothing is counted
	base  *Policy       // of what a canary tries: what answers if that fails
	trial *trial
}

// Tried reports whether it is what a canary tries.
func (j Judge) Tried() bool { return j.base != nil }

// Judge returns what judges a question, where live is what does without a canary.
func (c *Course) Judge(live *Policy, q *service.Question) Judge {
	now := c.current.Load()
	if now == nil || now.canary == nil {
		return Judge{Policy: live}
	}
	user := ident.UserID("")
	if q.Account != nil {
		user = q.Account.ID
	}
	return now.canary.judge(now.canary.Division.Side(q.Project, user, subject(user, q)), live)
}

// subject is what tells whoever asks from others: the user, failing that the browser, failing that the journey.
func subject(user ident.UserID, q *service.Question) string {
	switch {
	case user != "":
		return string(user)
	case q.Environment.ID != "":
		return string(q.Environment.ID)
	default:
		return q.Process
	}
}

func (t *trial) judge(side event.Side, live *Policy) Judge {
	i := base
	j := Judge{Policy: live, trial: t}
	if side == event.Canary {
		i = tried
		j.Policy, j.base = t.tried, live
	}
	j.Arm, j.tally = &t.arms[i], t.tallies[i]
	return j
}

// JudgeEnd returns what judges the end of a ceremony: what judged its start, if that is still there.
func (c *Course) JudgeEnd(live *Policy, of *event.Arm) Judge {
	now := c.current.Load()
	if now == nil || of == nil {
		return Judge{Policy: live}
	}
	if t := now.canary; t != nil && t.Change == of.Change {
		return t.judge(of.Side, live)
	}
	for _, t := range now.past {
		if t.Change != of.Change {
			continue
		}
		j := t.judge(of.Side, t.base)
		j.tally, j.trial = nil, nil
		if j.base != nil {
			j.base = live
		}
		return j
	}
	return Judge{Policy: live}
}

// Instead returns what answers in the place of what a canary tries, and ends the ceremony, too.
func (j Judge) Instead() Judge {
	instead := Judge{Policy: j.base}
	if j.trial != nil {
		instead.Arm = &j.trial.arms[base]
	}
	return instead
}

// Failed counts that what a canary tries has failed at a question that what is live could answer.
func (c *Course) Failed(j Judge) {
	if j.tally == nil {
		return
	}
	now := c.now()
	j.tally.Decided(now, canary.Outcome{Failed: true})
	if j.tally.Counts(now).Errors > j.trial.Bounds.Errors {
		c.wake()
	}
}

// wake has it looked at once whether a bound was passed.
func (c *Course) wake() {
	select {
	case c.passed <- struct{}{}:
	default:
	}
}

// Count counts a decision.
func (c *Course) Count(j Judge, at time.Time, o canary.Outcome) {
	if j.tally != nil {
		j.tally.Decided(at, o)
	}
}

// Completed counts the end of a login whose start was judged at a moment.
func (c *Course) Completed(j Judge, started time.Time) {
	if j.tally != nil {
		j.tally.Completed(started, c.now())
	}
}

// Canary returns what is tried; nil if nothing is.
func (c *Course) Canary() *Policy {
	if now := c.current.Load(); now != nil && now.canary != nil {
		return now.canary.tried
	}
	return nil
}

// Share returns the share of users that what is tried judges; 0 if nothing is.
func (c *Course) Share() float64 {
	if now := c.current.Load(); now != nil && now.canary != nil {
		return float64(now.canary.Division.Share) / canary.Whole
	}
	return 0
}

// Is returns the number of the revision; 0 if it is none of the store, or there is no policy.
func (p *Policy) Is() int {
	if p == nil {
		return 0
	}
	return p.Number
}

// Failure is why a verdict, or how it was judged for risk, rests on no usable answer of the policy; nil if it does.
func Failure(err error, on engine.Basis) error {
	if on.Risk == nil {
		return err
	}
	return errors.Join(err, on.Risk.Err)
}
