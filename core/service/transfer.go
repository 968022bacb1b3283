package service

import (
	"context"

	"github.com/keyward/keyward/core/transfer"
)

// UserImporter is the part of the ceremony service that takes users in bulk. The answer has an entry for each record, in their order. A
// record that is imported twice is there once, so a call that failed is simply made again.
//
//keyward:service ceremony
type UserImporter interface {
	// ImportUsers imports users with their identifiers and passkeys. No event tells of them. That a user is refused is an answer.
	ImportUsers(context.Context, ForProject[transfer.UserImport]) ([]transfer.Imported, error)
}

// EventImporter is the same for passkey events, in the events service.
//
//keyward:service events
type EventImporter interface {
	// ImportEvents imports events, those of one user in the order given. Subscribers receive them like any others. That an event is
	// refused is an answer.
	ImportEvents(context.Context, ForProject[transfer.EventImport]) ([]transfer.Imported, error)
}
