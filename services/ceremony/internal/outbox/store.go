// Package outbox changes accounts and tells of it through the event log. The event is stored with the change, so that no crash separates
// the two. It touches the bucket of accounts and the log of passkey events, and calls no room.
//
// When a change has returned without error, its event is on disk, and one that decisions read is in the log. Of one that is for subscribers
// alone nobody waits for that, since it follows from the account: it is on its way, and in the log before what this store appends of the
// user next. So a change is one flushed write that is waited for. If the event does not get there, or the process dies, whoever finds it in
// the account appends it: the next change, on whichever instance, or directory.Run within seconds.
//
// That the log has it the account learns later still: with its next change, or from Run. Who does not know it, as another instance or the
// process after a crash, appends the event once more: that makes it late or double, under one ID, and never lost, since an event leaves the
// account only if the log has acknowledged it.
//
// Of a user who is being erased nothing is on its way from here once Caught has returned: whoever erases asks for it after the account says
// so, when no change begins any more. What another instance has on its way then ends long before the log is swept once more.
//
// What is observed of calls that wait for no write is told a moment later, or counted as lost.
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
	telling  telling
	observed observing
}

// New returns a store on what it works with.
func New(d Deps) *Store {
	return &Store{
		accounts: d.Accounts, events: d.Events, now: d.Now, log: d.Log, metrics: d.Metrics,
		observed: observing{queue: make(chan observed, maxObserved)},
	}
}
