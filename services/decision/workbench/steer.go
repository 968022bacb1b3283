package workbench

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/canary"
	"github.com/keyward/keyward/services/decision/internal/release"
)

// step is what an operator asks for of what is tried.
type step struct {
	by       service.Operator
	expected *int32
	reason   *string
	// next is the change that follows the latest one
	next func(latest release.Change) (release.Change, error)
}

// take makes the change that a step asks for.
func (w *Workbench) take(ctx context.Context, s step) (release.Change, error) {
	latest, err := w.latest(ctx)
	if err != nil {
		return latest, err
	}
	if s.expected != nil && int(*s.expected) != latest.Number {
		return latest, outrun(latest)
	}
	next, err := s.next(latest)
	if err != nil {
		return latest, misstep(err)
	}
	next.By, next.AtMs = actor(s.by), w.deps.Now().UnixMilli()
	if s.reason != nil {
		next.Reason = *s.reason
	}
	made, err := w.store.Make(ctx, next, latest)
	if errors.Is(err, release.ErrConflict) {
		now, err := w.latest(ctx)
		if err != nil {
			return now, err
		}
		return now, outrun(now)
	}
	if err != nil {
		return latest, unavailable("stored", err)
	}
	return made, nil
}

// misstep says why a step does not follow the latest change.
func misstep(err error) error {
	field := "step"
	if known := (*fault.Fault)(nil); errors.As(err, &known) {
		return err
	}
	switch {
	case errors.Is(err, release.ErrNoneLive):
		return fault.Conflict(field, "no revision was made live yet that it could be held against").Because(err)
	case errors.Is(err, release.ErrShrinks):
		return fault.Field("share", "must not be smaller than it is: who is judged by what a canary tries stays so; end it instead").Because(err)
	case errors.Is(err, release.ErrHeld):
		return fault.Conflict(field, "the canary is held; raise it first, be it to the share that it has").Because(err)
	default:
		return fault.Conflict(field, "%s", err.Error()).Because(err)
	}
}

// SteerCanary implements service.Policies.
func (w *Workbench) SteerCanary(ctx context.Context, q service.ForOperator[operator.PolicyCanaryReq]) (operator.PolicyChange, error) {
	asked := step{by: q.Operator, expected: q.Body.Expected, reason: q.Body.Reason}
	if err := misplaced(q.Body); err != nil {
		return operator.PolicyChange{}, err
	}
	switch q.Body.Step {
	case operator.PolicyCanaryReqStepBegin:
		return w.beginCanary(ctx, q, asked)
	case operator.PolicyCanaryReqStepRaise:
		if q.Body.Share == nil {
			return operator.PolicyChange{}, fault.Field("share", "must be given to raise a canary to")
		}
		asked.next = func(c release.Change) (release.Change, error) {
			if err := w.permitTried(ctx, q.Operator, c); err != nil {
				return c, err
			}
			return c.RaiseCanary(wholes(*q.Body.Share))
		}
	case operator.PolicyCanaryReqStepHold:
		asked.next = release.Change.HoldCanary
	case operator.PolicyCanaryReqStepPromote:
		asked.next = func(c release.Change) (release.Change, error) {
			if err := w.permitTried(ctx, q.Operator, c); err != nil {
				return c, err
			}
			return c.Promote()
		}
	default:
		asked.next = func(c release.Change) (release.Change, error) { return c.EndCanary(release.CanaryEnded) }
	}
	made, err := w.take(ctx, asked)
	if err != nil {
		return operator.PolicyChange{}, err
	}
	w.tellStep(ctx, q.Operator, made)
	return change(made), nil
}

// misplaced refuses what only the beginning of a canary says, and shares where there is none.
func misplaced(q operator.PolicyCanaryReq) error {
	if q.Step == operator.PolicyCanaryReqStepBegin {
		return nil
	}
	for field, given := range map[string]bool{
		"revision": q.Revision != nil, "projects": q.Projects != nil, "users": q.Users != nil, "bounds": q.Bounds != nil,
		"share": q.Share != nil && q.Step != operator.PolicyCanaryReqStepRaise,
	} {
		if given {
			return fault.Field(field, "must not be given to %s a canary", q.Step)
		}
	}
	return nil
}

func (w *Workbench) beginCanary(
	ctx context.Context, q service.ForOperator[operator.PolicyCanaryReq], asked step,
) (operator.PolicyChange, error) {
	if q.Body.Revision == nil {
		return operator.PolicyChange{}, fault.Field("revision", "must be given to begin a canary of")
	}
	among := canary.Division{Salt: ident.Alphanumeric(saltLength)}
	if q.Body.Share != nil {
		among.Share = wholes(*q.Body.Share)
	}
	for _, id := range listed(q.Body.Projects) {
		among.Projects = append(among.Projects, ident.ProjectID(id))
	}
	for _, id := range listed(q.Body.Users) {
		among.Users = append(among.Users, ident.UserID(id))
	}
	if among.Share == 0 && len(among.Users) == 0 {
		return operator.PolicyChange{}, fault.Field("share", "must be above 0, or users must be named: nobody would be judged by it")
	}
	revision, err := w.revision(ctx, int(*q.Body.Revision))
	if err != nil {
		return operator.PolicyChange{}, err
	}
	if err := w.permit(q.Operator, revision, release.CanaryBegun); err != nil {
		return operator.PolicyChange{}, err
	}
	asked.next = func(c release.Change) (release.Change, error) {
		return c.BeginCanary(revision, among, bounds(q.Body.Bounds), w.deps.Now().UnixMilli())
	}
	made, err := w.take(ctx, asked)
	if err != nil {
		return operator.PolicyChange{}, err
	}
	w.tellStep(ctx, q.Operator, made)
	return change(made), nil
}

// saltLength is enough for no two canaries to divide users alike.
const saltLength = 16

func listed(ids *[]string) []string {
	if ids == nil {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(*ids)))
}

// wholes is a share in ten-thousandths; what is above none is not rounded to none.
func wholes(share float64) int {
	if share <= 0 {
		return 0
	}
	return max(int(math.Round(share*canary.Whole)), 1)
}

func part(share int) float64 { return float64(share) / canary.Whole }

// permitTried is permit of what a canary tries: raising and promoting take as many eyes as beginning.
func (w *Workbench) permitTried(ctx context.Context, by service.Operator, c release.Change) error {
	if c.Canary == nil {
		return nil
	}
	revision, err := w.revision(ctx, c.Canary.Revision)
	if err != nil {
		return err
	}
	return w.permit(by, revision, release.Promotion)
}

// bounds are those that were given, and of the rest the defaults.
func bounds(given *operator.PolicyBounds) canary.Bounds {
	b := canary.DefaultBounds()
	if given == nil {
		return b
	}
	whole := func(to *int, from *int32) {
		if from != nil {
			*to = int(*from)
		}
	}
	number := func(to *float64, from *float64) {
		if from != nil {
			*to = *from
		}
	}
	whole(&b.Errors, given.Errors)
	number(&b.DefaultDeny, given.DefaultDeny)
	number(&b.Allow, given.Allow)
	number(&b.Completed, given.Completed)
	number(&b.P99Factor, given.P99Factor)
	number(&b.P99FloorMs, given.P99FloorMs)
	whole(&b.SettleSeconds, given.SettleSeconds)
	number(&b.Confidence, given.Confidence)
	whole(&b.LeastEvaluations, given.LeastEvaluations)
	return b
}

// tellStep tells what became of what is tried, or, once it is live, of what is live.
func (w *Workbench) tellStep(ctx context.Context, by service.Operator, c release.Change) {
	if c.Kind == release.Promotion {
		if r, err := w.store.Revision(ctx, c.Revision); err == nil {
			w.tellChange(ctx, by, c, r)
		}
		return
	}
	number, share := c.Revision, 0
	switch {
	case c.Canary != nil && c.Kind != release.ShadowBegun && c.Kind != release.ShadowEnded:
		number, share = c.Canary.Revision, c.Canary.Division.Share
	case c.Shadow != nil && c.Kind == release.ShadowBegun:
		number, share = c.Shadow.Revision, c.Shadow.Share
	case c.Tried != 0:
		number = c.Tried
	}
	r, err := w.store.Revision(ctx, number)
	if err != nil {
		return
	}
	w.tell(ctx, by, audit.Event{
		Type: audit.PolicyTried, Release: audited(r), Change: c.Number, Step: string(c.Kind), Share: share, Reason: c.Reason,
	})
}

// GetCanary implements service.Policies.
func (w *Workbench) GetCanary(ctx context.Context, _ service.ForOperator[service.Empty]) (operator.PolicyCanary, error) {
	latest, err := w.latest(ctx)
	if err != nil {
		return operator.PolicyCanary{}, err
	}
	if latest.Canary == nil {
		return operator.PolicyCanary{}, fault.NotFound("there is no canary")
	}
	told, err := w.store.Told(ctx, latest.Canary.Change)
	if err != nil {
		return operator.PolicyCanary{}, unavailable("read", err)
	}
	within := latest.Canary.Bounds
	return operator.PolicyCanary{
		Division: *division(latest.Canary), Bounds: boundsShown(within), Begun: release.Time(latest.Canary.BegunMs),
		Base: side(told.Base), Canary: side(told.Canary), Passed: text(within.Passed(told.Base, told.Canary)),
	}, nil
}

// SteerShadow implements service.Policies.
func (w *Workbench) SteerShadow(ctx context.Context, q service.ForOperator[operator.PolicyShadowReq]) (operator.PolicyChange, error) {
	asked := step{by: q.Operator, expected: q.Body.Expected, reason: q.Body.Reason}
	if q.Body.Step == operator.PolicyShadowReqStepEnd {
		for field, given := range map[string]bool{"revision": q.Body.Revision != nil, "share": q.Body.Share != nil} {
			if given {
				return operator.PolicyChange{}, fault.Field(field, "must not be given to end a shadow")
			}
		}
		asked.next = release.Change.EndShadow
	} else {
		if q.Body.Revision == nil {
			return operator.PolicyChange{}, fault.Field("revision", "must be given to begin a shadow of")
		}
		revision, err := w.revision(ctx, int(*q.Body.Revision))
		if err != nil {
			return operator.PolicyChange{}, err
		}
		share := canary.Whole
		if q.Body.Share != nil {
			share = wholes(*q.Body.Share)
		}
		asked.next = func(c release.Change) (release.Change, error) {
			return c.BeginShadow(revision, share, w.deps.Now().UnixMilli())
		}
	}
	made, err := w.take(ctx, asked)
	if err != nil {
		return operator.PolicyChange{}, err
	}
	w.tellStep(ctx, q.Operator, made)
	return change(made), nil
}

// GetShadow implements service.Policies.
func (w *Workbench) GetShadow(ctx context.Context, _ service.ForOperator[service.Empty]) (operator.PolicyShadow, error) {
	latest, err := w.latest(ctx)
	if err != nil {
		return operator.PolicyShadow{}, err
	}
	if latest.Shadow == nil {
		return operator.PolicyShadow{}, fault.NotFound("there is no shadow")
	}
	seen, err := w.store.Seen(ctx, latest.Shadow.Change)
	if err != nil {
		return operator.PolicyShadow{}, unavailable("read", err)
	}
	different := seen.Others
	told := operator.PolicyShadow{
		Share: *shareShown(latest.Shadow), Begun: release.Time(latest.Shadow.BegunMs), Compared: int32(seen.Compared), Failed: int32(seen.Failed),
		Failure: text(seen.Failure), Skipped: int32(seen.Skipped), Differences: make([]operator.PolicyDifference, 0, len(seen.Differences)),
	}
	for _, d := range seen.Differences {
		different += d.Count
		told.Differences = append(told.Differences, difference(d))
	}
	told.Different, told.Same = int32(different), int32(seen.Compared-seen.Failed-different)
	return told, nil
}

const p99 = 0.99

func side(c canary.Counts) operator.PolicySide {
	return operator.PolicySide{
		Decisions: int32(c.Decisions), Asked: int32(c.Asked), Allowed: int32(c.Allowed), Errors: int32(c.Errors), Denied: int32(c.Denied),
		Offered: int32(c.Offered), Completed: int32(c.Completed), Evaluations: int32(c.Evaluations()),
		P99Ms: float64(c.Quantile(p99)) / float64(time.Millisecond),
	}
}
