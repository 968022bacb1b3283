package engine

import (
	"fmt"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/kept"
	"github.com/keyward/keyward/services/decision/internal/riskfacts"
	"github.com/keyward/keyward/services/decision/internal/velocity"
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
	Counted  *velocity.Plan    // by that revision; nil if it is not known any more
}

// Detect finds the facts of a recorded decision anew, with this engine's parameters, as of its moment. The error is or wraps ErrNotKept of
// what the parameters make matter and the record lacks.
func (e *Engine) Detect(r *Recorded) (*facts.Facts, error) {
	v := e.view(r.Project)
	if err := v.knowledge.Clients.TellsNetwork(r.Question.Network(), r.Question.Nameless); err != nil {
		return nil, err
	}
	q := r.asked()
	if _, err := v.listed(&q, r.Evidence().Around); err != nil {
		return nil, err
	}
	var d detect.Detection
	switch r.Action {
	case ActionLogin:
		d = v.login(r.Login(), r.Evidence())
	case ActionAppend:
		d = v.append(r.Append(), r.Evidence())
	case ActionMediation:
		d = v.mediation(q, r.Evidence())
	case ActionRisk:
		d = r.risk(v)
	case ActionRollout:
		again, err := v.knowledge.RolloutAgain(service.RolloutQuestion{Question: q}, r.Facts.Rollout, r.Own)
		if err != nil {
			return nil, err
		}
		d = again
	default:
		return nil, fmt.Errorf("unknown action %q", r.Action)
	}
	return &d.Facts, v.plan.Again(r.Counted, r.Facts, &d.Facts)
}

// risk finds the facts of a finish, or of what is no ceremony.
func (r *Recorded) risk(v *view) detect.Detection {
	if r.Question.Asked == nil {
		return v.finish(r.Finish(), r.Evidence())
	}
	return v.assessed(r.asked(), r.Evidence(), riskfacts.Asked{Action: r.Question.Asked.Action})
}

func (r *Recorded) asked() service.Question { return r.Question.Restore(r.Project, r.User, r.Process) }

// Login returns what was asked, if it was a login.
func (r *Recorded) Login() service.LoginQuestion {
	return service.LoginQuestion{Question: r.asked(), Strategy: r.Question.Strategy, Source: r.Question.Source}
}

// Append returns what was asked, if it was an append.
func (r *Recorded) Append() service.AppendQuestion {
	asked := service.AppendQuestion{Question: r.asked(), Situation: r.Question.Situation}
	if r.Question.Flags != nil {
		asked.Flags = *r.Question.Flags
	}
	return asked
}

// Finish returns what was asked, if it was the end of a ceremony.
func (r *Recorded) Finish() service.FinishQuestion {
	asked := service.FinishQuestion{Question: r.asked()}
	if r.Question.Finish != nil {
		r.Question.Finish.Restore(&asked)
	}
	return asked
}

// Evidence returns what had been looked up.
func (r *Recorded) Evidence() Evidence {
	around := Around{then: r, Standing: r.Question.Standing}
	ev := Evidence{Events: event.NewSet(r.Events), Complete: r.Facts.Complete, Now: r.Made, Around: around}
	if r.Question.Read != nil {
		ev.Offers = r.Question.Read.Restored(r.Process)
	}
	return ev
}

// Tell returns what the history of a recorded decision was made of, as of a moment from its own on.
func (e *Engine) Tell(r *Recorded, at time.Time) []history.Counted {
	q := r.asked()
	if q.Account == nil || !r.Facts.Complete {
		return nil
	}
	_, told := history.Tell(e.view(r.Project).evidence(q, r.Evidence().At(at)))
	return told
}
