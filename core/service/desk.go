package service

import (
	"context"

	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/inquiry"
)

// Desk is the part of the ceremony service in which operators look at users, and act on them. Each act is told as a security event.
//
//keyward:service ceremony
type Desk interface {
	// ListUsersFound returns a page of users, found by what is known of them. 400 and 503 as ListUsers.
	//
	//keyward:repeatable
	ListUsersFound(context.Context, ForProject[inquiry.Users]) (operator.OperatorUserList, error)
	// GetUserProfile returns what there is of a user. 400 userID.
	//
	//keyward:repeatable
	GetUserProfile(context.Context, ForUser[Empty]) (operator.UserProfile, error)
	// ActOnUser does one thing. 400 of what there is not: userID, eventID, credentialID, sessionID; labels.
	ActOnUser(context.Context, ForUser[inquiry.UserAct]) (operator.UserActed, error)
	// ListProjectKeys returns the API keys of a project, the oldest first, without their texts.
	//
	//keyward:repeatable
	ListProjectKeys(context.Context, ForProject[Empty]) (operator.ProjectKeyList, error)
	// CreateProjectKey gives a project an API key. 400 name, permissions, keys.
	CreateProjectKey(context.Context, ForProject[operator.ProjectKeyCreateReq]) (operator.ProjectKeyCreated, error)
	// RevokeProjectKey takes it away. 400 keyID.
	RevokeProjectKey(context.Context, ForProject[string]) (Empty, error)
}

// Standings is the part of the decision service that says what a user's history comes to just now. Nothing is recorded of it.
//
//keyward:service decision
type Standings interface {
	// GetStanding asks as decisions are asked, with the account.
	//
	//keyward:repeatable
	GetStanding(context.Context, Question) (inquiry.Standing, error)
}

// Timelines is the part of the events service that tells operators what happened to a user.
//
//keyward:service events
type Timelines interface {
	// ListUserEvents returns events before a moment, the newest first. 400 userID.
	//
	//keyward:repeatable
	ListUserEvents(context.Context, ForUser[inquiry.Before]) ([]operator.TimelineEntry, error)
}
