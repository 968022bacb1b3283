// Package session keeps sessions of users. Store touches the buckets "sessions" and "session-index" and nothing else.
//
// A session is a record that says until when it lasts; how it stands is computed from the record and the clock, so that nothing has to run
// for a session to end. What has ended stays ended.
package session

import (
	"errors"
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
	Methods         []string           `json:"amr,omitempty"` // by which the user was authenticated (RFC 8176); none = not said
	Status          rest.SessionStatus `json:"status"`        // as stored; see At
	CreatedMs       int64              `json:"createdMs"`
	UpdatedMs       int64              `json:"updatedMs"`
	LastActionMs    int64              `json:"lastActionMs"`
	ExpiresMs       int64              `json:"expiresMs"`            // it ends then whatever happens
	IdleMs          int64              `json:"idleMs"`               // it ends then unless it is used before
	Generation      int                `json:"generation,omitempty"` // of the refresh token that has not been spent
	RotatedMs       int64              `json:"rotatedMs,omitempty"`  // when the one before was spent
	// When those before that were, newest first, as long as they may come again
	EarlierMs []int64 `json:"earlierMs,omitempty"`
}

// At returns how the session stands at a moment: as stored if somebody ended it, otherwise active, inactivity_reached or expired, whichever
// came first.
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

// The reasons why a refresh token is not good for a session.
var (
	ErrOver   = errors.New("the session has ended")
	ErrReused = errors.New("the refresh token has been used before, so that the session has been ended")
)

// refreshLeeway is how long a refresh token that was just spent may come again without harm: two tabs, or a browser that repeats a call
// whose answer was lost.
const refreshLeeway = 10 * time.Second

// Current reports whether a refresh token of a generation proves the session without being spent.
func (s Session) Current(generation int, now time.Time) bool {
	return generation == s.Generation || s.justSpent(generation, now)
}

// maxEarlier is how many rotations within the leeway are remembered: more than tabs refresh in ten seconds, and few enough to keep the
// record small.
const maxEarlier = 32

func (s Session) justSpent(generation int, now time.Time) bool {
	back := s.Generation - 1 - generation
	switch {
	case back == 0:
		return within(s.RotatedMs, now)
	case back > 0 && back <= len(s.EarlierMs):
		return within(s.EarlierMs[back-1], now)
	default:
		return false
	}
}

func within(spentMs int64, now time.Time) bool {
	return now.UnixMilli() < spentMs+refreshLeeway.Milliseconds()
}

// rotate makes the next refresh token the session's.
func (s *Session) rotate(now time.Time) {
	var earlier []int64
	for _, ms := range append([]int64{s.RotatedMs}, s.EarlierMs...) {
		if !within(ms, now) || len(earlier) == maxEarlier {
			break
		}
		earlier = append(earlier, ms)
	}
	s.Generation++
	s.RotatedMs, s.EarlierMs = now.UnixMilli(), earlier
}

// Spend uses up a refresh token of a generation and makes the next one the session's; one that comes again within the leeway gets what the
// first time got. With fixed the token stays as it is. A token that was spent before revokes the session, which is ErrReused: somebody else
// has it too.
func (s *Session) Spend(generation int, fixed bool, now time.Time, inactivity time.Duration) error {
	switch {
	case s.At(now) != rest.SessionStatusActive:
		return ErrOver
	case generation == s.Generation:
		if !fixed {
			s.rotate(now)
		}
		s.Use(now, inactivity)
		return nil
	case s.justSpent(generation, now):
		return nil
	default:
		s.Status, s.UpdatedMs = rest.SessionStatusRevoked, now.UnixMilli()
		return ErrReused
	}
}
