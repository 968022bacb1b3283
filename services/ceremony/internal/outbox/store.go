// Package outbox changes accounts and tells of it through the event log. The event is stored with the change, so that no crash separates
// the two; a change that has returned without error is in the log. That it is there, the account learns later: with its next change, or
// from Run. Who does not know it, as another instance or the process after a crash, appends the event once more: that makes it late or
// double, under one ID, and never lost, since an event leaves the account only if the log has acknowledged it. It touches the bucket of
// accounts and the log of passkey events, and calls no room.
package outbox

import (
	"context"
	"log/slog"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/internal/metrics"
)

// Log is the log of passkey events.
type Log interface {
	Append(context.Context, event.Event) (service.Appended, error)
	Conclude(context.Context, service.Conclusion) (service.Concluded, error)
}

// Deps is what a store works with. All fields are required.
type Deps struct {
	Accounts *account.Store
	Events   Log
	Now      func() time.Time
	Log      *slog.Logger
	Metrics  metrics.Outbox
}

// Store changes accounts and tells of it.
type Store struct {
	accounts *account.Store
	events   Log
	now      func() time.Time
	log      *slog.Logger
	metrics  metrics.Outbox
	settling settling
}

// New returns a store on what it works with.
func New(d Deps) *Store {
	return &Store{accounts: d.Accounts, events: d.Events, now: d.Now, log: d.Log, metrics: d.Metrics}
}
