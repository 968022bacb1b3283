package engine

import (
	"fmt"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/kept"
)

// Recorded is a decision of which the question was kept.
type Recorded struct {
	Action   string
	Project  ident.ProjectID
	User     ident.UserID
	Process  string
	Made     time.Time
	Question *kept.Question
	Facts    *facts.Facts      // that were found then
	Events   []event.Event     // that had been read
	Own      *detect.Knowledge // of the revision that decided; nil if it is not known any more
}

// Detect finds the facts of a recorded decision anew, with this engine's parameters: the user's events are folded again as of the moment of
// the decision, and the client is looked at again. The error is or wraps recognition.ErrAddressNotKept or rollout.ErrNotKept if the record
// lacks what the parameters make matter.
func (e *Engine) Detect(r Recorded) (*facts.Facts, error) {
	v := e.view(r.Project)
	if err := v.knowledge.Clients.TellsNetwork(r.Question.Network()); err != nil {
		return nil, err
	}
	q := r.Question.Restore(r.Project, r.User, r.Process)
	ev := Evidence{Events: event.NewSet(r.Events), Complete: r.Facts.Complete, Now: r.Made}
	if r.Question.Read != nil {
		ev.Offers = r.Question.Read.Restored(r.Process)
	}
	var d detect.Detection
	switch r.Action {
	case ActionLogin:
		d = v.login(service.LoginQuestion{Question: q, Strategy: r.Question.Strategy, Source: r.Question.Source}, ev)
	case ActionAppend:
		asked := service.AppendQuestion{Question: q, Situation: r.Question.Situation}
		if r.Question.Flags != nil {
			asked.Flags = *r.Question.Flags
		}
		d = v.append(asked, ev)
	case ActionMediation:
		d = v.knowledge.Mediation(q)
	case ActionRollout:
		again, err := v.knowledge.RolloutAgain(service.RolloutQuestion{Question: q}, r.Facts.Rollout, r.Own)
		if err != nil {
			return nil, err
		}
		d = again
	default:
		return nil, fmt.Errorf("unknown action %q", r.Action)
	}
	return &d.Facts, nil
}
