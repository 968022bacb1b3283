// Package session keeps sessions of users. Store touches the buckets "sessions" and "session-index" and nothing else.
//
// A session is a record that says until when it lasts; how it stands is computed from the record and the clock, so that nothing has to run for a session
// to end. What has ended stays ended.
package session

import (
	"time"

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
	Status          rest.SessionStatus `json:"status"` // as stored; see At
	CreatedMs       int64              `json:"createdMs"`
	UpdatedMs       int64              `json:"updatedMs"`
	LastActionMs    int64              `json:"lastActionMs"`
	ExpiresMs       int64              `json:"expiresMs"` // it ends then whatever happens
	IdleMs          int64              `json:"idleMs"`    // it ends then unless it is used before
}

// At returns how the session stands at a moment: as stored if somebody ended it, otherwise active, inactivity_reached or expired, whichever came first.
func (s Session) At(now time.Time) rest.SessionStatus {
	ms := now.UnixMilli()
	switch {
	case s.Status != rest.SessionStatusActive:
		return s.Status
	case ms >= s.IdleMs && s.IdleMs < s.ExpiresMs:
		return rest.SessionStatusInactivityReached
	case ms >= s.ExpiresMs:
		return rest.SessionStatusExpired
	default:
		return rest.SessionStatusActive
	}
}

// Use notes that the session was used, which puts off its end by inactivity.
func (s *Session) Use(now time.Time, inactivity time.Duration) {
	s.LastActionMs, s.UpdatedMs = now.UnixMilli(), now.UnixMilli()
	s.IdleMs = now.Add(inactivity).UnixMilli()
}
