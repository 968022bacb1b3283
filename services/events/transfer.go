package events

import (
	"context"
	"errors"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/transfer"
)

var _ service.EventImporter = (*Service)(nil)

// importedAtOnce is how many users' events are appended at a time, so that appends share what it costs to store them.
const importedAtOnce = 64

// ImportEvents implements service.EventImporter. Events of one user are appended in the order given. Subscribers receive them like any
// others: createdMs tells their age.
func (s *Service) ImportEvents(ctx context.Context, req service.ForProject[transfer.EventImport]) ([]transfer.Imported, error) {
	results := make([]transfer.Imported, len(req.Body.Events))
	byUser := map[ident.UserID][]int{}
	latest := s.deps.Clock().Add(aheadAtMost)
	for i, e := range req.Body.Events {
		if faults := importFaults(e, latest); len(faults) > 0 {
			results[i] = transfer.Imported{Outcome: transfer.ImportRefused, Faults: faults}
			continue
		}
		byUser[e.User] = append(byUser[e.User], i)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(importedAtOnce)
	for user, indexes := range byUser {
		group.Go(func() error { return s.importOf(ctx, req, user, indexes, results) })
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return results, nil
}

// importOf appends what the log does not hold yet of one user's events.
func (s *Service) importOf(
	ctx context.Context, req service.ForProject[transfer.EventImport], user ident.UserID, indexes []int, results []transfer.Imported,
) error {
	known, refusal, err := s.known(ctx, req, user)
	if err != nil {
		return err
	}
	for _, i := range indexes {
		e := req.Body.Events[i]
		e.Project = req.Project
		switch {
		case refusal != nil:
			results[i] = transfer.Imported{Outcome: transfer.ImportRefused, Faults: refusal}
			continue
		case known[e.ID]:
			results[i] = transfer.Imported{Outcome: transfer.ImportUnchanged}
			continue
		}
		if !req.Body.DryRun {
			if _, err := s.deps.Store.Append(ctx, unrelated(e)); err != nil {
				return err
			}
		}
		known[e.ID] = true
		results[i] = transfer.Imported{Outcome: transfer.ImportCreated}
	}
	return nil
}

// known returns the IDs of the user's events, or why none can be imported.
func (s *Service) known(
	ctx context.Context, req service.ForProject[transfer.EventImport], user ident.UserID,
) (map[ident.EventID]bool, []fault.FieldError, error) {
	if _, err := s.deps.Accounts.Present(ctx, req.Project, user); err != nil {
		if !errors.Is(err, account.ErrUnknown) {
			return nil, nil, err
		}
		if req.Body.DryRun {
			return map[ident.EventID]bool{}, nil, nil
		}
		return nil, account.ErrUnknown.Validation, nil
	}
	known, err := s.deps.Store.Recorded(ctx, req.Project, user)
	return known, nil, err
}

// unrelated returns an event that says nothing of the account: that is imported as a whole, with what its logins have said of it, and
// without what was forgotten since.
func unrelated(e event.Event) event.Event {
	if e.Use != nil {
		e.Use = &event.Use{Counter: e.Use.Counter, BackedUp: e.Use.BackedUp}
	}
	return e
}

// aheadAtMost is by how much an event of an import may be ahead of the clock here: one that is to come would count until then, whatever
// happens.
const aheadAtMost = 5 * time.Minute

// importFaults says what is wrong with an event of an import that may be of latest at the latest.
func importFaults(e event.Event, latest time.Time) []fault.FieldError {
	var faults []fault.FieldError
	wrong := func(field, message string) { faults = append(faults, fault.FieldError{Field: field, Message: message}) }
	if _, err := ident.ParseEventID(string(e.ID)); err != nil {
		wrong("id", err.Error())
	}
	if _, err := ident.ParseUserID(string(e.User)); err != nil {
		wrong("user", err.Error())
	}
	if !importable(e.Type) {
		wrong("type", "is no type of event that the log keeps")
	}
	if _, err := ident.ParseEventID(string(e.Deletes)); e.Type == event.Deleted && err != nil {
		wrong("deletes", err.Error())
	}
	const earliest = 100_000_000_000 // Unix ms; smaller values are seconds given by mistake
	switch {
	case e.CreatedMs < earliest:
		wrong("createdMs", "must be a time in Unix milliseconds")
	case e.CreatedMs > latest.UnixMilli():
		wrong("createdMs", "is in the future: "+time.UnixMilli(e.CreatedMs).UTC().Format(time.RFC3339))
	}
	if member, known := e.Meaningless(); member != "" {
		wrong(member, "must be one of "+strings.Join(known, ", "))
	}
	return faults
}

func importable(t event.Type) bool { return t.Known() && !t.Observed() && t != event.UserDeleted }
