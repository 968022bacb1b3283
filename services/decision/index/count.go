package index

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/index/internal/rowfile"
)

// mostCounts bounds an answer: nobody reads more, and it is one message between services.
const mostCounts = 5000

// units are the parts that time is counted by.
func units() map[string]time.Duration {
	return map[string]time.Duration{"": 0, "hour": time.Hour, "day": 24 * time.Hour}
}

// CountDecisions implements service.Decisions.
func (i *Index) CountDecisions(ctx context.Context, req service.ForOperator[inquiry.DecisionCounts]) (operator.DecisionCounts, error) {
	asked, err := listing.Parse(service.List{Filter: req.Body.Filter}, fields(), "")
	if err != nil {
		return operator.DecisionCounts{}, err
	}
	q, err := query(asked.Terms)
	if err != nil {
		return operator.DecisionCounts{}, err
	}
	by, known := dimensions()[req.Body.By]
	span, timely := units()[req.Body.Unit]
	switch {
	case !known || by == rowfile.User || by == rowfile.Process:
		return operator.DecisionCounts{}, fault.Field("by", "%q is no field that is counted by", req.Body.By)
	case !timely:
		return operator.DecisionCounts{}, fault.Field("unit", "must be hour or day")
	case len(q.IDs) > 0:
		return operator.DecisionCounts{}, fault.Field("filter[]", "%s cannot be counted by", decisionID)
	case i.file == nil:
		return operator.DecisionCounts{}, i.unfound(ctx, errOff)
	}
	found, err := i.file.Count(ctx, q, by, span.Milliseconds())
	if err != nil {
		return operator.DecisionCounts{}, i.unfound(ctx, err)
	}
	if n := len(found.Cells); n > mostCounts {
		return operator.DecisionCounts{}, fault.Field(
			"unit", "there would be %d counts, and at most %d are told: ask for less time, or by day", n, mostCounts)
	}
	return counts(&found, span > 0), nil
}

func counts(found *rowfile.Counts, timed bool) operator.DecisionCounts {
	slices.SortFunc(found.Cells, func(a, b rowfile.Cell) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(b.Count, a.Count), cmp.Compare(a.Word, b.Word))
	})
	told := operator.DecisionCounts{
		Counts: make([]operator.DecisionCount, len(found.Cells)), Total: int64(found.Total), Coverage: coverage(found.Coverage),
	}
	for n, cell := range found.Cells {
		told.Counts[n] = operator.DecisionCount{Value: cell.Word, Count: int64(cell.Count)}
		if timed {
			told.Counts[n].Start = new(time.UnixMilli(cell.Start).UTC())
		}
	}
	return told
}

// unfound is the fault of an index that could not be asked.
func (i *Index) unfound(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, errOff):
		return fault.Unavailable(time.Minute, "there is no index of decisions: decision_index is off").Because(err)
	case errors.Is(err, rowfile.ErrBuilding):
		return fault.Unavailable(retryAfter, "the index of decisions is being opened").Because(err)
	case ctx.Err() == nil:
		// A file that is found damaged by a read is made anew by who keeps it, which sees the same at its next write at the latest.
		i.file.Suspect(err)
		return fault.Unavailable(retryAfter, "the index of decisions could not be read").Because(err)
	}
	return err
}
