package eventlog

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/batch"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
)

// holdings are the streams that hold something of users here, and the starts of their subjects.
func holdings() map[string]string {
	return map[string]string{
		bus.EventsStream: bus.EventsPrefix, bus.OffersStream: bus.OffersPrefix, bus.DecisionsStream: bus.DecisionsPrefix,
	}
}

// Erase removes the user's events, offers and decisions.
func (l *Log) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := l.settled(ctx, project, user); err != nil {
		return err
	}
	return l.each(project, user, func(name, subject string) error { return batch.Purge(ctx, l.js, name, subject+">") })
}

// EraseLate removes the user's events, offers and decisions, but not the events that tell of the user's deletion.
func (l *Log) EraseLate(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	if err := l.settled(ctx, project, user); err != nil {
		return err
	}
	return l.each(project, user, func(name, subject string) error {
		return batch.PurgeBut(ctx, l.js, name, subject, string(event.UserDeleted))
	})
}

// each calls do for each stream that may hold something of the user, with the start of its subjects.
func (l *Log) each(project ident.ProjectID, user ident.UserID, do func(stream, subject string) error) error {
	for name, prefix := range holdings() {
		subject, err := cloudevent.UserSubject(prefix, project, user)
		if err != nil {
			return err
		}
		if err := do(name, subject); err != nil {
			return err
		}
	}
	return nil
}

// Erase removes all that the streams hold of a user, decisions too, and the cache entry. When it has returned, no read finds any of it.
// What a call that was under way appends afterwards is left for EraseLate.
func (s *Store) Erase(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	return s.erase(ctx, project, user, s.log.Erase)
}

// EraseLate does what Erase does, but leaves the events that tell of the user's deletion: it removes what was appended after Erase by calls
// that had begun before it.
func (s *Store) EraseLate(ctx context.Context, project ident.ProjectID, user ident.UserID) error {
	return s.erase(ctx, project, user, s.log.EraseLate)
}

func (s *Store) erase(
	ctx context.Context, project ident.ProjectID, user ident.UserID, from func(context.Context, ident.ProjectID, ident.UserID) error,
) error {
	events, err := s.counted(ctx, project, user) // while they say what there is
	if err != nil {
		return unread(err)
	}
	s.cache.Forget(ctx, project, user, events)
	if err := from(ctx, project, user); err != nil {
		return fault.Unavailable(retryAfter, "the events could not be erased").Because(err)
	}
	s.cache.Forget(ctx, project, user, events) // who makes sets whole may have read them meanwhile
	return s.AccountGone(ctx, project, user)
}

// Recorded returns the IDs of everything that the log holds of a user: deletions, what they delete, and events of the account too. It reads
// the log itself.
func (s *Store) Recorded(ctx context.Context, project ident.ProjectID, user ident.UserID) (map[ident.EventID]bool, error) {
	prefix, err := cloudevent.UserSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return nil, unread(err)
	}
	recorded := map[ident.EventID]bool{}
	_, err = s.log.readUser(ctx, bus.EventsStream, prefix, 1, func(event.Type) bool { return true }, func(msg *jetstream.RawStreamMsg) error {
		recorded[ident.EventID(msg.Header.Get(cloudevent.HeaderID))] = true
		return nil
	})
	if err != nil {
		return nil, unread(err)
	}
	return recorded, nil
}
