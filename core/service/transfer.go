package service

import (
	"context"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/transfer"
)

// What came of one imported record.
const (
	ImportCreated   = "created"
	ImportUnchanged = "unchanged" // it is there already
	ImportRefused   = "refused"
)

// UserImport is some users to import. A dry run stores nothing and answers as if it did.
type UserImport struct {
	Users  []transfer.User `json:"users"`
	DryRun bool            `json:"dryRun,omitempty"`
}

// EventImport is some passkey events to import; their users must exist, but not in a dry run.
type EventImport struct {
	Events []event.Event `json:"events"`
	DryRun bool          `json:"dryRun,omitempty"`
}

// Imported says what came of one record.
type Imported struct {
	Outcome string             `json:"outcome"`
	Faults  []fault.FieldError `json:"faults,omitempty"` // of a refused record
}

// UserImporter is the part of the ceremony service that takes users in bulk. The answer has an entry for each record, in their order. A
// record that is imported twice is there once, so a call that failed is simply made again.
//
//keyward:service ceremony
type UserImporter interface {
	// ImportUsers imports users with their identifiers and passkeys. No event tells of them. That a user is refused is an answer.
	ImportUsers(context.Context, ForProject[UserImport]) ([]Imported, error)
}

// EventImporter is the same for passkey events, in the events service.
//
//keyward:service events
type EventImporter interface {
	// ImportEvents imports events, those of one user in the order given. Subscribers receive them like any others. That an event is
	// refused is an answer.
	ImportEvents(context.Context, ForProject[EventImport]) ([]Imported, error)
}
