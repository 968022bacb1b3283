package service

import (
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Decided names a decision, and the policy that made it.
type Decided struct {
	Decision       ident.DecisionID `json:"decision"`
	PolicyRevision string           `json:"policyRevision"`
	// The number of the revision in the store; 0 = it is none of the store
	PolicyNumber int        `json:"policyNumber,omitempty"`
	Arm          *event.Arm `json:"arm,omitempty"` // of the canary that was under way; nil = none was. It is shared and never changed
}

// Judged is an answer that came of a decision, which the gateway names in headers.
type Judged[T any] struct {
	Body T `json:"body"`
	Decided
	Incomplete bool  `json:"incomplete,omitempty"` // this and Risk: as of the Verdict
	Risk       *Risk `json:"risk,omitempty"`
}

// Inner returns where the body is.
func (j *Judged[T]) Inner() any { return &j.Body }

// Why names the decision that was made, and what made it.
func (j *Judged[T]) Why() Decided { return j.Decided }

// Judgement returns how the request was judged beside what it asked for; nil if it was not.
func (j *Judged[T]) Judgement() *Risk { return j.Risk }
