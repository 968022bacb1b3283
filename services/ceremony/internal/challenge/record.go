// Package challenge keeps the WebAuthn challenges that ceremonies under way were given. Store touches the key-value bucket "challenges" and nothing else.
//
// A challenge is finished at most once, by whoever moves it away from pending first; the bucket's revisions decide, so any number of instances may
// try at the same moment. A challenge is known only under the project and the user it was given to.
package challenge

import (
	"encoding/json"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Record is a challenge with everything that its ceremony is bound to. Times are Unix ms.
type Record struct {
	ID       ident.ChallengeID           `json:"id"`
	Value    string                      `json:"value"` // the challenge itself, base64url without padding
	Type     rest.PasskeyChallengeType   `json:"type"`
	Status   rest.PasskeyChallengeStatus `json:"status"`
	Project  ident.ProjectID             `json:"project"`
	User     ident.UserID                `json:"user,omitempty"` // empty: mediation, nobody is named yet
	Process  string                      `json:"process,omitempty"`
	RPID     string                      `json:"rpID"`
	Origins  []string                    `json:"origins"`
	Created  int64                       `json:"created"`
	Expires  int64                       `json:"expires"`
	Session  Session                     `json:"session"`
	Decision ident.DecisionID            `json:"decision"`

	Environment    ident.EnvironmentID `json:"environment,omitempty"` // empty in private mode: nothing is to be remembered there
	Route          event.Route         `json:"route,omitempty"`       // of logins: as offered
	Kind           event.Kind          `json:"kind,omitempty"`        // of appends
	Username       string              `json:"username,omitempty"`    // of appends: the name for the authenticator
	OS             string              `json:"os,omitempty"`          // as detected at start
	OSVersion      string              `json:"osVersion,omitempty"`
	Browser        string              `json:"browser,omitempty"`
	BrowserVersion string              `json:"browserVersion,omitempty"`
}

// Session is the WebAuthn library's own state of a ceremony, kept whole: a field that a later version of the library adds is kept as well.
type Session struct {
	Format string          `json:"format"` // which library, in which form
	Data   json.RawMessage `json:"data"`
}

// rank orders the statuses: a challenge only moves up.
func rank(s rest.PasskeyChallengeStatus) int {
	switch s {
	case rest.PasskeyChallengeStatusPending:
		return 0
	case rest.PasskeyChallengeStatusCompleted:
		return 1
	default:
		return 2
	}
}
