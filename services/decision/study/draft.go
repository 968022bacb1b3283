package study

import (
	"context"
	"errors"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/replay"
)

// DraftScenario implements service.Studies.
func (s *Study) DraftScenario(ctx context.Context, q service.ForOperator[ident.DecisionID]) (operator.ScenarioDraft, error) {
	record, err := s.records.Find(ctx, q.Body)
	if err != nil {
		return operator.ScenarioDraft{}, unread(err)
	}
	text, err := replay.NewDrafts(s.records).Write(ctx, &record)
	if err != nil {
		return operator.ScenarioDraft{}, undrafted(err)
	}
	return operator.ScenarioDraft{File: "scenarios/from-decisions/" + string(record.ID) + ".yaml", Text: string(text)}, nil
}

// undrafted says of an error of drafts whether no scenario can say the decision, or nothing could be looked up.
func undrafted(err error) error {
	_, lacking := replay.ReasonOf(err)
	for _, unsaid := range []error{
		replay.ErrPolicyFailed, replay.ErrSwitchedOff, replay.ErrNotStated, replay.ErrRecordedBefore, replay.ErrEventsGone,
	} {
		lacking = lacking || errors.Is(err, unsaid)
	}
	if lacking {
		return fault.Precondition("no scenario can be written of the decision: %s", err.Error()).Because(err)
	}
	return unread(err)
}
