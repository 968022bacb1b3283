package risk

import (
	"context"
	"strings"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
)

// Stage is which finish was judged, as facts name it.
type Stage string

// The stages.
const (
	LoginFinish  Stage = "login-finish" // of a mediation, too
	AppendFinish Stage = "append-finish"
)

// Tell tells how a finish was judged by an event, if that is more than that all is well.
func Tell(ctx context.Context, by func(context.Context, event.Event), e event.Event, stage Stage, said *service.Verdict) {
	r := said.Risk
	if r == nil || r.Action == service.RiskAllow && r.Level != service.RiskHigh {
		return
	}
	names := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		names[i] = reason.Code
	}
	e.Decision = said.Decision
	e.Risk = &event.Risk{
		Stage: string(stage), Action: string(r.Action), Level: string(r.Level), Reasons: strings.Join(names, " "), Enforced: r.Enforced,
	}
	by(ctx, e)
}
