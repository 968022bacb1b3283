// Package timeline tells operators what happened to a user: the events that decisions read, those that tell of the account, and offers, the
// newest first. What is out of the ordinary is an alert. It reads the log and accounts, and changes nothing.
package timeline

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/service"
)

// Accounts tells whether a user exists. account.Store does.
type Accounts interface {
	Present(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, error)
}

// Log is where events are that decisions read. eventlog.Store is one.
type Log interface {
	Events(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error)
	AllOffers(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error)
}

// Service implements service.Timelines. It is safe for concurrent use.
type Service struct {
	accounts Accounts
	log      Log
	stream   *direct.Stream
}

// Open returns the service of the log that js keeps.
func Open(ctx context.Context, js jetstream.JetStream, accounts Accounts, log Log) (*Service, error) {
	stream, err := direct.Open(ctx, js, bus.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("open timelines: %w", err)
	}
	return &Service{accounts: accounts, log: log, stream: stream}, nil
}

// ListUserEvents implements service.Timelines.
func (s *Service) ListUserEvents(ctx context.Context, req service.ForUser[inquiry.Before]) ([]operator.TimelineEntry, error) {
	if _, err := s.accounts.Present(ctx, req.Project, req.User); err != nil {
		return nil, err
	}
	events, err := s.log.Events(ctx, req.Project, req.User)
	if err != nil {
		return nil, err
	}
	offers, err := s.log.AllOffers(ctx, req.Project, req.User)
	if err != nil {
		return nil, err
	}
	told, err := s.ofAccount(ctx, req.Project, req.User)
	if err != nil {
		return nil, fault.Unavailable(time.Second, "events could not be read").Because(err)
	}
	return page(event.NewSet(slices.Concat(events, offers)).Live(), told, req.Body), nil
}

// ofAccount reads the events that tell of the account: a type at a time, since a server knows where those of one subject are.
func (s *Service) ofAccount(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	var all []event.Event
	for _, t := range event.Types() {
		if !t.OfAccount() {
			continue
		}
		subject := strings.Join([]string{bus.EventsPrefix, string(project), string(user), string(t)}, ".")
		err := s.stream.Each(ctx, subject, direct.After(0), func(m direct.Message) (bool, error) {
			var e event.Event
			if err := json.Unmarshal(m.Data, &e); err != nil {
				return false, fmt.Errorf("message %d: %w", m.Sequence, err)
			}
			all = append(all, e)
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// page returns the newest of two kinds of events before a place. Both are read without being changed.
func page(events, told []event.Event, asked inquiry.Before) []operator.TimelineEntry {
	before := func(e *event.Event) bool {
		return asked.AtMs == 0 || e.CreatedMs < asked.AtMs || e.CreatedMs == asked.AtMs && string(e.ID) < asked.ID
	}
	var found []*event.Event
	for _, list := range [][]event.Event{events, told} {
		for i := range list {
			e := &list[i]
			kind := string(kindOf(e))
			if before(e) && (len(asked.Kinds) == 0 || slices.Contains(asked.Kinds, kind)) {
				found = append(found, e)
			}
		}
	}
	slices.SortFunc(found, func(a, b *event.Event) int {
		return cmp.Or(cmp.Compare(b.CreatedMs, a.CreatedMs), cmp.Compare(b.ID, a.ID))
	})
	entries := []operator.TimelineEntry{}
	for _, e := range found[:min(len(found), asked.Limit)] {
		entries = append(entries, entry(e))
	}
	return entries
}

// kindOf says whether an event is out of the ordinary: what a security team looks at first.
func kindOf(e *event.Event) operator.TimelineEntryKind {
	switch e.Type {
	case event.PasskeyCounterRegressed, event.PasskeyBackupChanged, event.AuthenticatorStatusChanged, event.NewEnvironment,
		event.NewCountry, event.AppendRefused, event.LoginRefused, event.LoginEventsLimited, event.LoginCodeFailed, event.StepUpFailed:
		return operator.TimelineEntryKindAlert
	case event.RiskDecided:
		if e.Risk != nil && e.Risk.Action != string(service.RiskAllow) {
			return operator.TimelineEntryKindAlert
		}
	case event.RiskFeedback:
		if e.Feedback != nil && (e.Feedback.Outcome == event.FraudConfirmed || e.Feedback.Outcome == event.FraudSuspected) {
			return operator.TimelineEntryKindAlert
		}
	}
	return operator.TimelineEntryKindEvent
}
