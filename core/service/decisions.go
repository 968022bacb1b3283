package service

import (
	"context"
	"encoding/json"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/ident"
)

// Decisions is the part of the decision service in which operators look through what was decided.
//
//keyward:service policy
type Decisions interface {
	// ListDecisions returns decisions of the index. 400 as of lists; 503 if there is no index, or none yet.
	//
	//keyward:repeatable
	ListDecisions(context.Context, ForOperator[List]) (operator.DecisionList, error)
	// FollowDecisions returns the decisions that were indexed after a position, the oldest first. It waits for some if there are none, not
	// for long. 400 and 503 as above.
	//
	//keyward:repeatable
	FollowDecisions(context.Context, ForOperator[DecisionsAfter]) (NewDecisions, error)
	// GetDecision returns the record of a decision. 404.
	//
	//keyward:repeatable
	GetDecision(context.Context, ForOperator[ident.DecisionID]) (operator.Decision, error)
}

// DecisionsAfter asks for the decisions after a position.
type DecisionsAfter struct {
	Filter []string `json:"filter,omitempty"` // as of List
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
