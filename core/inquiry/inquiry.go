// Package inquiry is what operators ask the decision service about what was decided, and what they are told as it comes. It is values
// alone.
package inquiry

import (
	"encoding/json"
	"time"
)

// DecisionsAfter asks for the decisions after a position.
type DecisionsAfter struct {
	Filter []string `json:"filter,omitempty"` // as of lists
	After  *uint64  `json:"after,omitempty"`  // nil = now: none are returned, but where that is
}

// NewDecisions are decisions after a position, each a DecisionSummary with its own.
type NewDecisions struct {
	Decisions []NewDecision `json:"decisions"`
	Position  uint64        `json:"position"` // to go on after
}

// NewDecision is a decision that was indexed.
type NewDecision struct {
	Position uint64          `json:"position"`
	Summary  json.RawMessage `json:"summary"`
}

// Adoption asks for sums of what becomes of passkeys.
type Adoption struct {
	Since  time.Time `json:"since,omitzero"` // this and Until: zero = not said
	Until  time.Time `json:"until,omitzero"`
	Unit   string    `json:"unit"` // minute, hour or day
	By     []string  `json:"by,omitempty"`
	Series bool      `json:"series,omitempty"`
	At     time.Time `json:"at,omitzero"`      // between two cohorts; zero = there are none
	Filter []string  `json:"filter,omitempty"` // as of lists
}

// DecisionLogAsked asks for a page of the decision log.
type DecisionLogAsked struct {
	Since time.Time `json:"since,omitzero"` // by when they were recorded; zero = the oldest that is kept
	Until time.Time `json:"until,omitzero"` // before that; zero = up to now
	After uint64    `json:"after,omitempty"`
	Limit int       `json:"limit"`
}

// DecisionLog is a page of the decision log. One without any event is the end.
type DecisionLog struct {
	Events []json.RawMessage `json:"events"`
}
