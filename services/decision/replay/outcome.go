package replay

import (
	"context"
	"fmt"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/services/decision/replay/internal/then"
)

// Step is an event in what came of a decision.
type Step = then.Step

// Outcome returns what came of a decision to offer the creation of a passkey, oldest first: the offer, how it was answered, and the first
// login with the passkey that it made. It follows from the user's log alone; of other decisions, and of users who were erased, it is empty.
func (r *Records) Outcome(ctx context.Context, record *Record) ([]Step, error) {
	if record.User == "" {
		return nil, nil
	}
	log, err := eventlog.NewLog(ctx, r.js)
	if err != nil {
		return nil, err
	}
	events, _, err := log.Read(ctx, record.Project, record.User, 1)
	if err != nil {
		return nil, fmt.Errorf("decision %s: read the events of its user: %w", record.ID, err)
	}
	return then.Steps(record.ID, event.NewSet(events)), nil
}
