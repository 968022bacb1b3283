// Package ledger is the part of a log in memory that ends logins on a condition. Only package ceremonytest imports it. It is not safe for
// concurrent use.
package ledger

import (
	"context"
	"slices"
	"sync"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// Ledger is what a log has, with sequences. The zero one is empty.
type Ledger struct {
	Last     uint64 // sequence of the newest event
	found    []eventlog.Found
	attempts map[ident.EventID]string // of all events there ever were; those that no attempt has stored have none
}

// Has reports whether there ever was an event of the ID: as the log does for two minutes, it takes an ID once.
func (l *Ledger) Has(id ident.EventID) bool {
	_, ok := l.attempts[id]
	return ok
}

// Put appends an event.
func (l *Ledger) Put(e event.Event, attempt string) {
	if l.attempts == nil {
		l.attempts = make(map[ident.EventID]string)
	}
	l.attempts[e.ID] = attempt
	l.Last++
	l.found = append(l.found, eventlog.Found{Event: e, Sequence: l.Last})
}

// Conclude appends an event if its condition holds.
func (l *Ledger) Conclude(c service.Conclusion) service.Concluded {
	switch {
	case l.Has(c.Event.ID):
		return service.Concluded{Sequence: l.Last, Ended: l.attempts[c.Event.ID] != c.Attempt}
	case l.Recent(c.Event.Project, c.Event.User, c.Event.Type).Last != c.After:
		return service.Concluded{Moved: true}
	}
	l.Put(c.Event, c.Attempt)
	return service.Concluded{Sequence: l.Last}
}

// Recent returns the user's events of some types, however long ago they were.
func (l *Ledger) Recent(project ident.ProjectID, user ident.UserID, types ...event.Type) (r eventlog.Recent) {
	for _, e := range l.found {
		if e.Project == project && e.User == user && slices.Contains(types, e.Type) {
			r.Last, r.Events = e.Sequence, append(r.Events, e)
		}
	}
	return r
}

// Logins returns the user's completed logins after a sequence.
func (l *Ledger) Logins(project ident.ProjectID, user ident.UserID, known uint64) []event.Found {
	logins := l.Recent(project, user, event.LoginCompleted)
	if known > logins.Last {
		known = 0
	}
	return slices.DeleteFunc(logins.Events, func(e event.Found) bool { return e.Sequence <= known })
}

// Everyone returns the completed logins of all users after a sequence.
func (l *Ledger) Everyone(after uint64) []event.Found {
	return slices.DeleteFunc(slices.Clone(l.found), func(e event.Found) bool { return e.Sequence <= after || e.Type != event.LoginCompleted })
}

// Erase removes the user's events.
func (l *Ledger) Erase(project ident.ProjectID, user ident.UserID) {
	l.found = slices.DeleteFunc(l.found, func(e eventlog.Found) bool { return e.Project == project && e.User == user })
}

// Shared is a ledger that several read at once.
type Shared struct {
	Mu *sync.Mutex
	Of *Ledger
}

// Logins implements account.Logins.
func (s Shared) Logins(_ context.Context, project ident.ProjectID, user ident.UserID, known uint64) ([]event.Found, error) {
	s.Mu.Lock()
	defer s.Mu.Unlock()
	return s.Of.Logins(project, user, known), nil
}
