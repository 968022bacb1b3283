// Package canary divides users between what is live and a revision that is tried, counts what becomes of both, and says when the one that
// is tried does worse than its bounds allow.
//
// It promises that a user stays on a side while the share grows, that another canary divides users anew, and that chance alone passes a
// bound as seldom as the bounds say, however often it is looked. It is pure, but for Tally, which is told of moments and holds a lock.
package canary

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Whole is all users; shares are counted in it.
const Whole = 10_000

// Division says who is judged by the revision that is tried.
type Division struct {
	Salt     string            `json:"salt"`               // another one shuffles users
	Share    int               `json:"share"`              // users, of 10,000
	Projects []ident.ProjectID `json:"projects,omitempty"` // the only ones that are divided; none = all
	Users    []ident.UserID    `json:"users,omitempty"`    // who are judged by it whatever the share
}

// Side is on which side a question is judged. subject is what tells who asks from others: empty = nothing does, and what is live judges.
func (d *Division) Side(project ident.ProjectID, user ident.UserID, subject string) event.Side {
	if user != "" && slices.Contains(d.Users, user) {
		return event.Canary
	}
	if len(d.Projects) > 0 && !slices.Contains(d.Projects, project) || subject == "" || d.bucket(project, subject) >= d.Share {
		return event.Base
	}
	return event.Canary
}

// bucket is where a subject stands, from 0 up to Whole: the first 52 bits of HMAC-SHA256(salt, project ":" subject) modulo Whole.
func (d *Division) bucket(project ident.ProjectID, subject string) int {
	const unused = 64 - 52
	mac := hmac.New(sha256.New, []byte(d.Salt))
	mac.Write([]byte(string(project) + ":" + subject))
	return int(binary.BigEndian.Uint64(mac.Sum(nil)) >> unused % Whole)
}
