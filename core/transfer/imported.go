package transfer

import (
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
)

// What came of one imported record.
const (
	ImportCreated   = "created"
	ImportUnchanged = "unchanged" // it is there already
	ImportRefused   = "refused"
)

// UserImport is some users to import. A dry run stores nothing and answers as if it did.
type UserImport struct {
	Users  []User `json:"users"`
	DryRun bool   `json:"dryRun,omitempty"`
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
