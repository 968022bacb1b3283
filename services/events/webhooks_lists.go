package events

import (
	"context"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/events/internal/webhook"
	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

// ListWebhookDeliveries implements service.Webhooks: of the newest 1,000 attempts that the filters by userID and outcome leave.
func (w *Webhooks) ListWebhookDeliveries(ctx context.Context, req service.ForWebhook[service.List]) (rest.WebhookDeliveryList, error) {
	e, err := w.get(ctx, req.Project, req.Webhook)
	if err != nil {
		return rest.WebhookDeliveryList{}, err
	}
	records, err := w.lists.Records(ctx, e, narrow(req.Body.Filter))
	if err != nil {
		return rest.WebhookDeliveryList{}, unavailable(err)
	}
	page, paging, err := listing.Apply(records, req.Body, map[string]listing.Field[queue.Record]{
		"created":   listing.Time(func(r queue.Record) int64 { return r.CreatedMs }).SortOnly(),
		"outcome":   listing.String(func(r queue.Record) string { return string(r.Outcome) }).FilterOnly(),
		"eventType": listing.String(func(r queue.Record) string { return r.EventType }).FilterOnly(),
		"eventID":   listing.String(func(r queue.Record) string { return string(r.EventID) }).FilterOnly(),
		"userID":    listing.String(func(r queue.Record) string { return string(r.User) }).FilterOnly(),
	}, "created:desc")
	if err != nil {
		return rest.WebhookDeliveryList{}, err
	}
	answer := rest.WebhookDeliveryList{Deliveries: make([]rest.WebhookDelivery, 0, len(page)), Paging: rest.Paging(paging)}
	for _, r := range page {
		answer.Deliveries = append(answer.Deliveries, rest.WebhookDelivery{
			ID: webhook.MessageID(
				r.EventID, e.ID,
			),
			EventID:    string(r.EventID),
			EventType:  r.EventType,
			UserID:     string(r.User),
			Attempt:    int32(r.Attempt),
			Outcome:    rest.WebhookDeliveryOutcome(r.Outcome),
			StatusCode: present(int32(r.Status)),
			Error:      present(r.Problem),
			Created:    account.Timestamp(r.CreatedMs),
			CreatedMs:  r.CreatedMs,
			DurationMs: r.DurationMs,
		})
	}
	return answer, nil
}

// narrow returns what filters say of the user and the outcome, if it can be a part of a subject.
func narrow(filters []string) queue.Narrow {
	var n queue.Narrow
	for _, filter := range filters {
		if user, ok := strings.CutPrefix(filter, "userID:eq:"); ok {
			if id, err := ident.ParseUserID(user); err == nil {
				n.User = id
			}
		}
		if outcome, ok := strings.CutPrefix(filter, "outcome:eq:"); ok && rest.WebhookDeliveryOutcome(outcome).Valid() {
			n.Outcome = queue.Outcome(outcome)
		}
	}
	return n
}

// ListWebhookDeadLetters implements service.Webhooks: of the oldest 10,000 that a filter by userID leaves.
func (w *Webhooks) ListWebhookDeadLetters(ctx context.Context, req service.ForWebhook[service.List]) (rest.WebhookDeadLetterList, error) {
	e, err := w.get(ctx, req.Project, req.Webhook)
	if err != nil {
		return rest.WebhookDeadLetterList{}, err
	}
	letters, err := w.lists.Letters(ctx, e, narrow(req.Body.Filter))
	if err != nil {
		return rest.WebhookDeadLetterList{}, unavailable(err)
	}
	page, paging, err := listing.Apply(letters, req.Body, map[string]listing.Field[queue.Letter]{
		"created":   listing.Time(func(l queue.Letter) int64 { return l.DeadMs }).SortOnly(),
		"eventType": listing.String(func(l queue.Letter) string { return nameOf(e, l) }).FilterOnly(),
		"eventID":   listing.String(func(l queue.Letter) string { return string(l.Event.ID) }).FilterOnly(),
		"userID":    listing.String(func(l queue.Letter) string { return string(l.Event.User) }).FilterOnly(),
	}, "created:asc")
	if err != nil {
		return rest.WebhookDeadLetterList{}, err
	}
	answer := rest.WebhookDeadLetterList{DeadLetters: make([]rest.WebhookDeadLetter, 0, len(page)), Paging: rest.Paging(paging)}
	for _, l := range page {
		answer.DeadLetters = append(answer.DeadLetters, rest.WebhookDeadLetter{
			ID: webhook.MessageID(
				l.Event.ID, e.ID,
			),
			EventID:    string(l.Event.ID),
			EventType:  nameOf(e, l),
			UserID:     string(l.Event.User),
			Attempts:   int32(l.Attempts),
			StatusCode: present(int32(l.Status)),
			Error:      present(l.Problem),
			Created:    account.Timestamp(l.DeadMs),
			CreatedMs:  l.DeadMs,
		})
	}
	return answer, nil
}

// nameOf returns the type under which a dead letter would be sent now, or its type in the log if the endpoint has not
// subscribed to it any more.
func nameOf(e *webhook.Endpoint, l queue.Letter) string {
	if name, ok := e.Subscribed(l.Event.Type); ok {
		return name
	}
	return string(l.Event.Type)
}

// ReplayWebhookDeadLetters implements service.Webhooks. What is queued stays in the list until it has been delivered; if that
// fails as often as before, it stays for good. All are the oldest 10,000.
func (w *Webhooks) ReplayWebhookDeadLetters(
	ctx context.Context, req service.ForWebhook[rest.WebhookReplayReq],
) (rest.WebhookReplayRsp, error) {
	e, err := w.get(ctx, req.Project, req.Webhook)
	if err != nil {
		return rest.WebhookReplayRsp{}, err
	}
	letters, err := w.chosen(ctx, e, req.Body.Ids)
	if err != nil {
		return rest.WebhookReplayRsp{}, err
	}
	if len(letters) == 0 {
		return rest.WebhookReplayRsp{}, nil
	}
	if err := w.lists.Replay(ctx, e, letters); err != nil {
		return rest.WebhookReplayRsp{}, unavailable(err)
	}
	if _, byOperator := reqctx.OperatorOf(ctx); byOperator && w.deps.Audit != nil {
		e := audit.Event{Type: audit.OperatorActed, Project: req.Project, Webhook: req.Webhook, Act: "dead-letters-replayed", Count: len(letters)}
		w.deps.Audit.Add(ctx, e)
	}
	return rest.WebhookReplayRsp{Queued: int32(len(letters))}, nil
}

func (w *Webhooks) chosen(ctx context.Context, e *webhook.Endpoint, ids *[]string) ([]queue.Letter, error) {
	if ids == nil {
		letters, err := w.lists.Letters(ctx, e, queue.Narrow{})
		if err != nil {
			return nil, unavailable(err)
		}
		return letters, nil
	}
	var letters []queue.Letter
	seen := make(map[string]bool)
	for _, id := range *ids {
		if seen[id] {
			continue
		}
		seen[id] = true
		event, ok := webhook.EventOf(id, e.ID)
		if !ok {
			return nil, fault.Field("ids", "%q is no ID of a dead letter of this endpoint", id)
		}
		letter, found, err := w.lists.Find(ctx, e, event)
		if err != nil {
			return nil, unavailable(err)
		}
		if !found {
			return nil, fault.Field("ids", "%q does not exist", id)
		}
		letters = append(letters, letter)
	}
	return letters, nil
}

// PauseWebhook implements service.Webhooks. What is under way is broken off, and delivered when the endpoint is resumed.
func (w *Webhooks) PauseWebhook(ctx context.Context, req service.ForWebhook[inquiry.WebhookPause]) (service.Empty, error) {
	if err := check(req.Project, req.Webhook); err != nil {
		return service.Empty{}, err
	}
	act := ""
	_, err := w.endpoints.Change(ctx, webhook.Key(req.Project, req.Webhook), func(e *webhook.Endpoint) error {
		act = e.Pause(req.Body.Paused, w.deps.Clock())
		return nil
	})
	if err == nil && act != "" && w.deps.Audit != nil {
		w.deps.Audit.Add(ctx, audit.Event{
			Type: audit.OperatorActed, Project: req.Project, Webhook: req.Webhook, Act: act, Reason: req.Body.Reason,
		})
	}
	return service.Empty{}, err
}
