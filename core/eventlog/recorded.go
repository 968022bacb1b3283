package eventlog

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Recorded returns the IDs of everything that the log holds of a user: deletions, what they delete, and events of the account too. It reads
// the log itself.
func (s *Store) Recorded(ctx context.Context, project ident.ProjectID, user ident.UserID) (map[ident.EventID]bool, error) {
	prefix, err := userSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return nil, unread(err)
	}
	recorded := map[ident.EventID]bool{}
	_, err = s.log.readUser(ctx, bus.EventsStream, prefix, 1, func(event.Type) bool { return true }, func(msg *jetstream.RawStreamMsg) error {
		recorded[ident.EventID(msg.Header.Get(headerID))] = true
		return nil
	})
	if err != nil {
		return nil, unread(err)
	}
	return recorded, nil
}
