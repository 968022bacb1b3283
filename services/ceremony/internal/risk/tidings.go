package risk

import (
	"context"
	"slices"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
)

// Stage is which finish was judged, as facts name it.
type Stage string

// The stages.
const (
	LoginFinish  Stage = "login-finish" // of a mediation, too
	AppendFinish Stage = "append-finish"
)

// Finish is a finish that was judged.
type Finish struct {
	Stage   Stage
	Event   event.Event // that it was completed, had it passed
	Verdict service.Verdict
	Refused error // what it is answered; nil: it passed
}

// Tell tells by an event how a finish was judged, if that is more than that all is well. What the caller is told of it counts.
func Tell(ctx context.Context, by func(context.Context, event.Event), f Finish) {
	r := f.Verdict.Risk
	if f.Refused != nil {
		if told := service.JudgementOf(fault.As(f.Refused)); told != nil {
			r = told.Risk
		}
	}
	if r == nil || r.Action == service.RiskAllow && r.Level != service.RiskHigh {
		return
	}
	names := make([]string, len(r.Reasons))
	for i, reason := range r.Reasons {
		names[i] = reason.Code
	}
	slices.Sort(names) // what Go adds is behind the policy's
	by(ctx, event.Event{
		ID: challenge.EventID(f.Event.Ceremony, event.RiskDecided), Project: f.Event.Project, User: f.Event.User, Type: event.RiskDecided,
		CreatedMs: f.Event.CreatedMs, Process: f.Event.Process, Environment: f.Event.Environment, Credential: f.Event.Credential,
		Challenge: f.Event.Challenge, Ceremony: f.Event.Ceremony, Client: f.Event.Client, Decision: f.Verdict.Decision,
		Risk: &event.Risk{
			Stage: string(f.Stage), Action: string(r.Action), Level: string(r.Level), Reasons: names, Enforced: r.Enforced,
		},
	})
}
