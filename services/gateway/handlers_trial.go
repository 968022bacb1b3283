package gateway

import (
	"context"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway/internal/frontroute"
)

// trialEvents is how many events the page for trying things out shows.
const trialEvents = 50

// TrialDecision is GET /v2/trial/decisions/{decisionID}.
func (h frontHandlers) TrialDecision(ctx context.Context, r frontroute.TrialDecisionRequestObject) (frontroute.TrialDecisionResponseObject, error) {
	decision, err := h.explains.ExplainDecision(ctx, service.ForProject[ident.DecisionID]{Project: exchangeOf(ctx).project, Body: ident.DecisionID(r.DecisionID)})
	if err != nil {
		return nil, err
	}
	return frontroute.TrialDecision200JSONResponse(decision), nil
}

// TrialEvents is GET /v2/trial/events.
func (h frontHandlers) TrialEvents(ctx context.Context, _ frontroute.TrialEventsRequestObject) (frontroute.TrialEventsResponseObject, error) {
	user, err := h.ceremony.CurrentUser(ctx, forVisit(ctx, service.Empty{}))
	if err != nil {
		return nil, err
	}
	list, err := h.events.List(ctx, service.ForUser[service.EventList]{Project: exchangeOf(ctx).project, User: user, Body: service.EventList{
		List: service.List{Sort: "created:desc", Page: 1, PageSize: trialEvents}, IncludeEngine: true,
	}})
	if err != nil {
		return nil, err
	}
	events := make([]frontend.TrialEvent, 0, len(list.PasskeyEvents))
	for _, e := range list.PasskeyEvents {
		events = append(events, frontend.TrialEvent{
			PasskeyEventID: e.PasskeyEventID, EventType: e.EventType, CreatedMs: e.CreatedMs,
			ProcessID: e.ProcessID, CredentialID: e.CredentialID, ClientEnvID: e.ClientEnvID,
		})
	}
	return frontroute.TrialEvents200JSONResponse{Events: events}, nil
}
