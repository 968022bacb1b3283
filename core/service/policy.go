package service

import (
	"context"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
)

// Operator is who runs Keyward or writes its policy, as the gateway knows them by the token of the call.
type Operator struct {
	ID   ident.OperatorID `json:"id"`
	Name string           `json:"name"`
}

// ForOperator is a call of an operator. What the operator may do has been judged.
type ForOperator[T any] struct {
	Operator Operator `json:"operator"`
	Body     T        `json:"body"`
}

// Policies is the part of the decision service that keeps the revisions of the policy, and says which of them is live.
//
//keyward:service policy
type Policies interface {
	// PushPolicy checks a bundle and keeps it. Files that are there are the revision that they were. 400 bundle, with file and line; parent.
	PushPolicy(context.Context, ForOperator[operator.PolicyPushReq]) (operator.PolicyRevision, error)
	// CheckPolicy checks a bundle as a push does, and keeps nothing. 400 parent; 503 while another one is being checked.
	CheckPolicy(context.Context, ForOperator[operator.PolicyCheckReq]) (operator.PolicyCheck, error)
	// ListPolicies returns every revision, the newest first.
	//
	//keyward:repeatable
	ListPolicies(context.Context, ForOperator[Empty]) (operator.PolicyRevisionList, error)
	// GetPolicy returns a revision. 404.
	//
	//keyward:repeatable
	GetPolicy(context.Context, ForOperator[int]) (operator.PolicyRevision, error)
	// GetPolicyBundle returns a revision with its files. 404.
	//
	//keyward:repeatable
	GetPolicyBundle(context.Context, ForOperator[int]) (operator.PolicyBundle, error)
	// GetShippedPolicy returns the files that come with the program.
	//
	//keyward:repeatable
	GetShippedPolicy(context.Context, ForOperator[Empty]) (operator.PolicyShipped, error)
	// GetLivePolicy returns what is live, with its files as OPA takes them. 404 if nothing is.
	//
	//keyward:repeatable
	GetLivePolicy(context.Context, ForOperator[Empty]) (operator.PolicyBundle, error)
	// ListPolicyChanges returns which revision was made live when, the newest first.
	//
	//keyward:repeatable
	ListPolicyChanges(context.Context, ForOperator[Empty]) (operator.PolicyChangeList, error)
	// ChangePolicy makes a revision live. 404 if there is none, or none to go back to; 409 as the contract says; 403 if it takes four eyes.
	ChangePolicy(context.Context, ForOperator[operator.PolicyChangeReq]) (operator.PolicyChange, error)
	// GetPolicyStatus returns by which revision every instance answers.
	//
	//keyward:repeatable
	GetPolicyStatus(context.Context, ForOperator[Empty]) (operator.PolicyStatus, error)
	// ListLists returns what operators have added to lists, without history.
	//
	//keyward:repeatable
	ListLists(context.Context, ForOperator[Empty]) (operator.OperatorListList, error)
	// GetList returns what operators have added to a list. 404.
	//
	//keyward:repeatable
	GetList(context.Context, ForOperator[string]) (operator.OperatorList, error)
	// ChangeList adds entries to a list, and removes such. 404 without a kind if there is none; 400 kind, add, remove.
	ChangeList(context.Context, ForOperator[inquiry.ListChange]) (operator.OperatorList, error)
	// ListSwitches returns all switches.
	//
	//keyward:repeatable
	ListSwitches(context.Context, ForOperator[Empty]) (operator.SwitchList, error)
	// TurnSwitch turns a switch on or off. 404 if one is to be turned off that there is not; 400 on.
	TurnSwitch(context.Context, ForOperator[inquiry.SwitchTurn]) (operator.Switch, error)
	// SteerCanary begins, raises, holds, promotes or ends a canary. 404 of the revision; 409; 403 if it takes four eyes; 400.
	SteerCanary(context.Context, ForOperator[operator.PolicyCanaryReq]) (operator.PolicyChange, error)
	// GetCanary returns it, with what has become of both sides. 404.
	//
	//keyward:repeatable
	GetCanary(context.Context, ForOperator[Empty]) (operator.PolicyCanary, error)
	// SteerShadow begins or ends a shadow. 404 of the revision; 409; 400.
	SteerShadow(context.Context, ForOperator[operator.PolicyShadowReq]) (operator.PolicyChange, error)
	// GetShadow returns what it has seen. 404.
	//
	//keyward:repeatable
	GetShadow(context.Context, ForOperator[Empty]) (operator.PolicyShadow, error)
}
