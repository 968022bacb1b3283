package events

import (
	"context"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/listing"
	"github.com/keyward/keyward/core/service"
)

// List implements service.Events: newest first unless asked otherwise, and of the wire's types only unless asked for the engine's too.
func (s *Service) List(ctx context.Context, req service.ForUser[service.EventList]) (rest.PasskeyEventList, error) {
	if _, err := s.deps.Accounts.Present(ctx, req.Project, req.User); err != nil {
		return rest.PasskeyEventList{}, err
	}
	all, err := s.deps.Store.Events(ctx, req.Project, req.User)
	if err != nil {
		return rest.PasskeyEventList{}, err
	}
	if req.Body.IncludeEngine {
		offers, err := s.deps.Store.AllOffers(ctx, req.Project, req.User)
		if err != nil {
			return rest.PasskeyEventList{}, err
		}
		all = event.NewSet(append(slices.Clip(all), offers...)).Live()
	}
	// Pointers, since sorting moves what it sorts many times over.
	listed := make([]*event.Event, 0, len(all))
	for i := range all {
		if req.Body.IncludeEngine || all[i].Type.OnWire() {
			listed = append(listed, &all[i])
		}
	}
	page, paging, err := listing.Apply(listed, req.Body.List, map[string]listing.Field[*event.Event]{
		"created":   listing.Time(func(e *event.Event) int64 { return e.CreatedMs }).SortOnly(),
		"eventType": listing.String(func(e *event.Event) string { return string(e.Type) }),
	}, "created:desc")
	if err != nil {
		return rest.PasskeyEventList{}, err
	}
	answer := rest.PasskeyEventList{PasskeyEvents: make([]rest.PasskeyEvent, 0, len(page)), Paging: rest.Paging(paging)}
	for _, e := range page {
		answer.PasskeyEvents = append(answer.PasskeyEvents, onWire(*e))
	}
	return answer, nil
}

// onWire returns what callers see of an event: the challenge and the engine's own conclusions stay inside.
func onWire(e event.Event) rest.PasskeyEvent {
	environment := string(e.Environment)
	return rest.PasskeyEvent{
		PasskeyEventID: string(e.ID),
		UserID:         string(e.User),
		EventType:      string(e.Type),
		Created:        account.Timestamp(e.CreatedMs),
		CreatedMs:      e.CreatedMs,
		ClientEnvID:    present(environment),
		ProcessID:      present(e.Process),
		CredentialID:   present(e.Credential),
		Expires:        present(e.Expires),
		Proven:         e.Proven,
	}
}

func present[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
