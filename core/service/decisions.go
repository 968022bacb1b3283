package service

import (
	"context"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
)

// Decisions is the part of the decision service in which operators look through what was decided.
//
//keyward:service policy
type Decisions interface {
	// ListDecisions returns decisions of the index. 400 as of lists; 503 if there is no index, or none yet.
	//
	//keyward:repeatable
	ListDecisions(context.Context, ForOperator[List]) (operator.DecisionList, error)
	// CountDecisions counts decisions of the index by the values of a field. 400 as of lists, and by; 503 as above.
	CountDecisions(context.Context, ForOperator[inquiry.DecisionCounts]) (operator.DecisionCounts, error)
	// FollowDecisions returns the decisions after a position, the oldest first. It waits a little if there are none. 400 and 503 as above.
	//
	//keyward:repeatable
	FollowDecisions(context.Context, ForOperator[inquiry.DecisionsAfter]) (inquiry.NewDecisions, error)
	// GetDecision returns the record of a decision. 404.
	//
	//keyward:repeatable
	GetDecision(context.Context, ForOperator[ident.DecisionID]) (operator.Decision, error)
	// LogDecisions returns records in the form of OPA's decision log, in the order in which they were recorded. It needs no index. 400.
	//
	//keyward:repeatable
	LogDecisions(context.Context, ForOperator[inquiry.DecisionLogAsked]) (inquiry.DecisionLog, error)
}

// Adoption is the part of the decision service that counts what becomes of passkeys.
//
//keyward:service policy
type Adoption interface {
	// GetAdoption adds up what was counted. 400 by, filter[], since, until or at; 503 if nothing is counted here, or not yet.
	//
	//keyward:repeatable
	GetAdoption(context.Context, ForOperator[inquiry.Adoption]) (operator.AdoptionReport, error)
}

// Studies is the part of the decision service that says why decisions came out as they did, and what others would have come to.
//
//keyward:service policy
type Studies interface {
	// Judge explains a recorded decision, by the revision that made it or by another one, with its facts or with others. 404; 400 facts.
	//
	//keyward:repeatable
	Judge(context.Context, ForOperator[inquiry.Judge]) (operator.DecisionExplanation, error)
	// DraftScenario writes a recorded decision down as a scenario. 404; 412 if a scenario cannot say it.
	DraftScenario(context.Context, ForOperator[ident.DecisionID]) (operator.ScenarioDraft, error)
	// ReplayPolicy judges recorded decisions by a revision. 404; 503 while another replay is under way.
	ReplayPolicy(context.Context, ForOperator[operator.PolicyReplayReq]) (operator.PolicyReplay, error)
}
