package release

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/keyward/keyward/services/decision/internal/canary"
)

// The kinds of changes by which a revision is tried beside what is live.
const (
	ShadowBegun    Kind = "shadow-begun"
	ShadowEnded    Kind = "shadow-ended"
	CanaryBegun    Kind = "canary-begun"
	CanaryRaised   Kind = "canary-raised"
	CanaryHeld     Kind = "canary-held"
	CanaryEnded    Kind = "canary-ended"
	CanaryReturned Kind = "canary-returned" // by itself, since it had passed a bound
	Promotion      Kind = "promotion"       // of what the canary tries, which is live then
)

// Tried is a revision that is tried.
type Tried struct {
	Revision int    `json:"revision"`
	Digest   string `json:"digest"` // of the revision
	Change   int    `json:"change"` // the number of the change that began it
	BegunMs  int64  `json:"begunMs"`
}

// Shadow is a revision that judges what is judged, beside what is live, and decides nothing.
type Shadow struct {
	Tried
	Share int `json:"share"` // of decisions, of 10,000
}

// Canary is a revision that judges some users.
type Canary struct {
	Tried
	Division canary.Division `json:"division"`
	Bounds   canary.Bounds   `json:"bounds"`
	Held     bool            `json:"held,omitempty"` // it is not to be raised or promoted
}

// What a step does not fit.
var (
	ErrNoCanary = errors.New("there is no canary")
	ErrCanary   = errors.New("a canary is under way")
	ErrHeld     = errors.New("the canary is held")
	ErrShrinks  = errors.New("the share of a canary does not become smaller")
	ErrNoShadow = errors.New("there is no shadow")
	ErrLive     = errors.New("it is live already")
)

// Step returns the change that follows c, of a kind, with what is tried. What is live stays, and so does what else is tried.
func (c Change) Step(kind Kind) Change {
	return Change{Revision: c.Revision, Digest: c.Digest, Kind: kind, Shadow: c.Shadow, Canary: c.Canary}
}

// BeginShadow has a revision judge a share of the decisions beside what is live, in the place of the one that did.
func (c Change) BeginShadow(r Revision, share int, nowMs int64) (Change, error) {
	if c.Number == 0 {
		return c, ErrNoneLive
	}
	if r.Number == c.Revision {
		return c, fmt.Errorf("revision %d: %w", r.Number, ErrLive)
	}
	next := c.Step(ShadowBegun)
	next.Shadow = &Shadow{Tried: Tried{Revision: r.Number, Digest: r.Digest, Change: c.Number + 1, BegunMs: nowMs}, Share: share}
	return next, nil
}

// EndShadow ends it. The error is ErrNoShadow.
func (c Change) EndShadow() (Change, error) {
	if c.Shadow == nil {
		return c, ErrNoShadow
	}
	next := c.Step(ShadowEnded)
	next.Shadow, next.Tried = nil, c.Shadow.Revision
	return next, nil
}

// BeginCanary has a revision judge some users. The error is ErrCanary if another does already.
func (c Change) BeginCanary(r Revision, among canary.Division, within canary.Bounds, nowMs int64) (Change, error) {
	switch {
	case c.Number == 0:
		return c, ErrNoneLive
	case c.Canary != nil:
		return c, fmt.Errorf("revision %d, since change %d: %w", c.Canary.Revision, c.Canary.Change, ErrCanary)
	case r.Number == c.Revision:
		return c, fmt.Errorf("revision %d: %w", r.Number, ErrLive)
	}
	next := c.Step(CanaryBegun)
	next.Canary = &Canary{
		Tried: Tried{Revision: r.Number, Digest: r.Digest, Change: c.Number + 1, BegunMs: nowMs}, Division: among, Bounds: within,
	}
	return next, nil
}

// RaiseCanary has it judge more users, and ends that it is held: who was judged by it is so still.
func (c Change) RaiseCanary(share int) (Change, error) {
	if c.Canary == nil {
		return c, ErrNoCanary
	}
	if share < c.Canary.Division.Share {
		return c, fmt.Errorf("%w: it is %d of %d", ErrShrinks, c.Canary.Division.Share, canary.Whole)
	}
	next, raised := c.Step(CanaryRaised), *c.Canary
	raised.Division.Share, raised.Held = share, false
	next.Canary = &raised
	return next, nil
}

// HoldCanary keeps it as it is: it is not promoted until it is raised, be it to the share that it has.
func (c Change) HoldCanary() (Change, error) {
	if c.Canary == nil {
		return c, ErrNoCanary
	}
	next, held := c.Step(CanaryHeld), *c.Canary
	held.Held = true
	next.Canary = &held
	return next, nil
}

// EndCanary has what is live judge everybody again, for a kind of reason.
func (c Change) EndCanary(kind Kind) (Change, error) {
	if c.Canary == nil {
		return c, ErrNoCanary
	}
	next := c.Step(kind)
	next.Canary, next.Tried = nil, c.Canary.Revision
	return next, nil
}

// Promote makes live what the canary tries.
func (c Change) Promote() (Change, error) {
	switch {
	case c.Canary == nil:
		return c, ErrNoCanary
	case c.Canary.Held:
		return c, ErrHeld
	}
	next := c.Step(Promotion)
	next.Revision, next.Digest, next.Canary = c.Canary.Revision, c.Canary.Digest, nil
	return next.live(), nil
}

// GoLive makes a revision live, for a kind of reason. A canary is over by that: it was held against what was live.
func (c Change) GoLive(r Revision, kind Kind) Change {
	next := c.Step(kind)
	next.Revision, next.Digest, next.Canary = r.Number, r.Digest, nil
	return next.live()
}

// live ends the shadow of what has become live.
func (c Change) live() Change {
	if c.Shadow != nil && c.Shadow.Revision == c.Revision {
		c.Shadow = nil
	}
	return c
}

// Told is what was counted of both sides of a canary.
type Told struct {
	Schema int           `json:"schema"`
	Base   canary.Counts `json:"base"`
	Canary canary.Counts `json:"canary"`
}

// keeper is who ends a canary that has passed a bound.
const keeper = "keyward"

// Tell says what an instance has counted of the canary that a change began.
func (s *Store) Tell(ctx context.Context, change int, instance string, told Told) error {
	told.Schema = schema
	return s.trials.Put(ctx, strconv.Itoa(change)+"."+instance, told)
}

// Told returns what all instances have counted.
func (s *Store) Told(ctx context.Context, change int) (sum Told, err error) {
	all, err := collect(s.trials.All(ctx, strconv.Itoa(change)+".*"))
	for _, told := range all {
		sum.Base.Add(told.Base)
		sum.Canary.Add(told.Canary)
	}
	return sum, err
}

// Return ends the canary that a change began, for a reason; false if it is over already.
func (s *Store) Return(ctx context.Context, change int, reason string, nowMs int64) (Change, bool, error) {
	for {
		latest, err := s.Latest(ctx, 0)
		if err != nil {
			return Change{}, false, err
		}
		if latest.Canary == nil || latest.Canary.Change != change {
			return latest, false, nil
		}
		next, err := latest.EndCanary(CanaryReturned)
		if err != nil {
			return Change{}, false, err
		}
		next.By, next.Reason, next.AtMs = Actor{Name: keeper}, reason, nowMs
		made, err := s.Make(ctx, next, latest)
		if !errors.Is(err, ErrConflict) {
			return made, err == nil, err
		}
	}
}
