// Package inquiry is what operators ask the decision service beside what the contract has a body for, and what they are told as it comes.
// It is values alone.
package inquiry

import (
	"encoding/json"
	"time"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/ident"
)

// DecisionsAfter asks for the decisions after a position.
type DecisionsAfter struct {
	Filter []string `json:"filter,omitempty"` // as of lists
	After  *uint64  `json:"after,omitempty"`  // nil = now: none are returned, but where that is
}

// DecisionCounts asks how many decisions have each value of a field.
type DecisionCounts struct {
	By     string   `json:"by"`
	Unit   string   `json:"unit,omitempty"` // hour or day; empty = the whole time
	Filter []string `json:"filter,omitempty"`
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

// Judge asks why a recorded decision came out as it did, or what it would have been.
type Judge struct {
	Decision ident.DecisionID `json:"decision"`
	Revision int              `json:"revision,omitempty"` // the number of the one that judges; 0 = the one that decided
	Facts    map[string]any   `json:"facts,omitempty"`    // that are to be others, by path; nil takes one away
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

// ListChange is a change of the list of a name.
type ListChange struct {
	Name   string                         `json:"name"`
	Change operator.OperatorListChangeReq `json:"change"`
}

// SwitchTurn is what becomes of the switch of a name.
type SwitchTurn struct {
	Name string             `json:"name"`
	Turn operator.SwitchReq `json:"turn"`
}

// WebhookPause says whether deliveries to an endpoint are to wait.
type WebhookPause struct {
	Paused bool
	Reason string
}
