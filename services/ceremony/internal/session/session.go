// Package session keeps sessions of users in the bucket "sessions" and touches nothing else.
package session

import (
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
)

// Session is one login that lasts. Times are Unix ms.
type Session struct {
	Project         ident.ProjectID    `json:"project"`
	ID              ident.SessionID    `json:"id"`
	User            ident.UserID       `json:"user"`
	IdentifierValue string             `json:"identifierValue"`
	AppType         rest.AppType       `json:"appType"`
	Status          rest.SessionStatus `json:"status"` // as stored; an active one that is past ExpiresMs has expired
	CreatedMs       int64              `json:"createdMs"`
	UpdatedMs       int64              `json:"updatedMs"`
	LastActionMs    int64              `json:"lastActionMs"`
	ExpiresMs       int64              `json:"expiresMs"`
}
