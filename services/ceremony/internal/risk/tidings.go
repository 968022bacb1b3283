package risk

import (
	"cmp"
	"context"
	"slices"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/tidings"
)

// Stage is what was judged, as facts name it.
type Stage string

// The stages. A start of a mediation is nobody's, so that nothing is told of it.
const (
	LoginStart   Stage = "login-start"
	AppendStart  Stage = "append-start"
	LoginFinish  Stage = "login-finish" // of a mediation, too
	AppendFinish Stage = "append-finish"
	Evaluate     Stage = "evaluate"
)

// Judgement is what was judged, and how.
type Judgement struct {
	Stage   Stage
	Event   event.Event // of a finish, that it was completed, had it passed; else who asked, and when
	Verdict service.Verdict
	Refused error // what it is answered; nil: it passed
}

// Tidings is the event that tells how something was judged, if that is more than that all is well, else none. What the caller is told of it
// counts.
func Tidings(ctx context.Context, j Judgement) []event.Event {
	r := j.Verdict.Risk
	if j.Refused != nil {
		if told := service.JudgementOf(fault.As(j.Refused)); told != nil {
			r = told.Risk
		}
	}
	if r == nil || r.Action == service.RiskAllow && r.Level != service.RiskHigh {
		return nil
	}
	names := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		names[i] = reason.Code
	}
	slices.Sort(names) // what Go adds is behind the policy's
	e := tidings.Beside(j.Event, event.RiskDecided)
	if j.Event.Ceremony == "" { // which a finish alone has: a call that is repeated is one event
		call := cmp.Or(reqctx.Seed(ctx), ident.Seed(j.Verdict.Decision))
		e.ID = (call + " " + ident.Seed(j.Stage) + " " + ident.Seed(event.RiskDecided)).EventID()
	}
	e.Decision = j.Verdict.Decision
	e.Risk = &event.Risk{Stage: string(j.Stage), Action: string(r.Action), Level: string(r.Level), Reasons: names, Enforced: r.Enforced}
	return []event.Event{e}
}
