package study

import (
	"cmp"
	"context"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/replay"
)

const (
	usualSpan  = 24 * time.Hour // of which decisions are judged if nothing is said
	usualLimit = 20_000
	examples   = 5               // of each change
	busy       = 5 * time.Second // when to ask again while another replay is under way
)

// ReplayPolicy implements service.Studies.
func (s *Study) ReplayPolicy(ctx context.Context, q service.ForOperator[operator.PolicyReplayReq]) (operator.PolicyReplay, error) {
	asked := q.Body
	select {
	case s.replaying <- struct{}{}:
		defer func() { <-s.replaying }()
	default:
		return operator.PolicyReplay{}, fault.Unavailable(busy, "another replay is under way")
	}
	candidate, err := s.revision(ctx, int(asked.Revision))
	if err != nil {
		return operator.PolicyReplay{}, err
	}
	opts := replay.Options{Limit: usualLimit, Candidate: candidate, Examples: examples}
	opts.Since = s.now().Add(-usualSpan)
	if asked.Since != nil {
		opts.Since = *asked.Since
	}
	if asked.Action != nil {
		opts.Action = string(*asked.Action)
	}
	if asked.ProjectID != nil {
		opts.Project = ident.ProjectID(*asked.ProjectID)
	}
	if asked.Limit != nil {
		opts.Limit = cmp.Or(int(*asked.Limit), usualLimit)
	}
	summary, err := s.records.Replay(ctx, opts)
	if err != nil {
		return operator.PolicyReplay{}, fault.Unavailable(retryAfter, "the records could not be judged").Because(err)
	}
	return replayed(summary), nil
}

func replayed(s *replay.Summary) operator.PolicyReplay {
	told := operator.PolicyReplay{
		Decisions: count(s.Decisions), Same: count(s.Same), Different: count(s.Different), Skipped: count(s.Skipped),
		NotJudged: map[string]int32{}, Changes: changes(s.Changes), RiskChanges: changes(s.Risk.Changes),
		Segments: []operator.PolicyReplaySegment{}, RiskSegments: []operator.PolicyReplaySegment{},
	}
	for i := range s.Segments {
		told.Segments = append(told.Segments, segment(&s.Segments[i]))
	}
	for i := range s.Risk.Segments {
		told.RiskSegments = append(told.RiskSegments, segment(&s.Risk.Segments[i]))
	}
	for _, n := range s.Missing {
		told.Missing += count(n)
	}
	for reason, n := range s.NotJudged {
		told.NotJudged[reason.String()] = count(n)
	}
	return told
}

func changes(all []replay.Change) []operator.PolicyReplayChange {
	told := make([]operator.PolicyReplayChange, 0, len(all))
	for i := range all {
		c := &all[i]
		one := operator.PolicyReplayChange{
			Action: c.Action, From: c.From, To: c.To, Count: count(c.Count), Examples: []operator.PolicyReplayExample{},
		}
		if len(c.Then) > 0 {
			one.Then = new(outcomes(c.Then))
		}
		for j := range c.Examples {
			e := &c.Examples[j]
			one.Examples = append(one.Examples, operator.PolicyReplayExample{
				DecisionID: string(e.ID), ProjectID: string(e.Project), UserID: word(string(e.User)), Created: e.Time.UTC(),
				Was: e.Before(), Is: e.After(), Then: word(string(e.Then)),
			})
		}
		told = append(told, one)
	}
	return told
}

func segment(s *replay.Segment) operator.PolicyReplaySegment {
	return operator.PolicyReplaySegment{By: s.By, Of: s.Of, Count: count(s.Count), Then: outcomes(s.Then)}
}

func outcomes(of replay.Outcomes) map[string]int32 {
	told := make(map[string]int32, len(of))
	for what, n := range of {
		told[string(what)] = count(n)
	}
	return told
}

func count(n int) int32 { return int32(n) }
