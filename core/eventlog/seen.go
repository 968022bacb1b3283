package eventlog

import (
	"context"
	"time"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/batch"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/sighting"
)

// Seen implements historycache.Log.
func (l *Log) Seen(ctx context.Context, from time.Time, visit func(event.Event) error) (since, first int64, err error) {
	return batch.Seen(ctx, l.js, from, visit)
}

// ReadWith is Read, and reads sets of sightings in the same round trip; of no user, those alone.
func (s *Store) ReadWith(
	ctx context.Context, project ident.ProjectID, user ident.UserID, accountStamp string, sets []sighting.Key,
) (sighting.Reading, error) {
	read, err := s.cache.ReadWith(ctx, project, user, accountStamp, sets)
	if err != nil {
		err = unread(err)
	}
	return read, err
}

// SeeUnknown takes up that a login was asked for with a name that is no user's. It does not wait.
func (s *Store) SeeUnknown(e event.Event) { s.cache.SeeUnknown(e) }

// counted returns all events of a user that may be counted beside those of others.
func (s *Store) counted(ctx context.Context, project ident.ProjectID, user ident.UserID) ([]event.Event, error) {
	prefix, err := cloudevent.UserSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return nil, err
	}
	var events []event.Event
	_, err = s.log.readUser(ctx, bus.EventsStream, prefix, 1, func(event.Type) bool { return true }, into(&events))
	return events, err
}
