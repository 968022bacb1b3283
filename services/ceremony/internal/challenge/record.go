// Package challenge keeps the WebAuthn challenges that ceremonies under way were given. Store touches the key-value buckets "challenges"
// and "challenge-marks", and through Offers the stream of login offers.
//
// A challenge never changes once it is stored. What becomes of it is a mark of its own, which is on disk when it has been made: a challenge
// without one is pending. A challenge is finished at most once, by whoever makes its mark; the bucket decides, so any number of instances
// may try at the same moment. A challenge is known only under the project and the user it was given to.
package challenge

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

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

	Environment ident.EnvironmentID `json:"environment,omitempty"` // empty in private mode: nothing is to be remembered there
	Route       event.Route         `json:"route,omitempty"`       // of logins: as offered
	Kind        event.Kind          `json:"kind,omitempty"`        // of appends
	// Of logins: a passkey replaces the second factor, so that its user has to be verified
	SecondFactor bool   `json:"secondFactor,omitempty"`
	Username     string `json:"username,omitempty"` // of appends: the name for the authenticator
	// Of appends that were started by RegisterPasskey: the ID that the passkey will have
	Passkey        ident.CredentialID `json:"passkey,omitempty"`
	AllowedAAGUIDs []string           `json:"allowedAAGUIDs,omitempty"` // of appends: the only authenticators that are taken; empty = any
	OS             string             `json:"os,omitempty"`             // as detected at start
	OSVersion      string             `json:"osVersion,omitempty"`
	Browser        string             `json:"browser,omitempty"`
	BrowserVersion string             `json:"browserVersion,omitempty"`
}

// Session is the WebAuthn library's own state of a ceremony, kept whole: a field that a later version of the library adds is kept as well.
type Session struct {
	Format string          `json:"format"` // which library, in which form
	Data   json.RawMessage `json:"data"`
}

// carried is the part of a login's record that its offer does not say already. A login start writes it and nothing else, hence the encoder
// of its own.
type carried struct {
	RPID           string   `json:"rpID"`
	Origins        []string `json:"origins"`
	Expires        int64    `json:"expires"`
	Session        Session  `json:"session"`
	OS             string   `json:"os,omitempty"`
	OSVersion      string   `json:"osVersion,omitempty"`
	Browser        string   `json:"browser,omitempty"`
	BrowserVersion string   `json:"browserVersion,omitempty"`
	SecondFactor   bool     `json:"secondFactor,omitempty"`
}

// offer returns the login offer e, carrying r.
func (r *Record) offer(e event.Event) event.Offer {
	e.Ceremony, e.Challenge, e.Route, e.CreatedMs = r.ID, r.Value, r.Route, r.Created
	const usual = 320 // bytes besides the session
	b := make([]byte, 0, usual+len(r.Session.Data))
	b = appendText(b, `{"rpID":`, r.RPID)
	b = append(b, `,"origins":[`...)
	for i, origin := range r.Origins {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, "", origin)
	}
	b = strconv.AppendInt(append(b, `],"expires":`...), r.Expires, 10)
	b = appendText(b, `,"session":{"format":`, r.Session.Format)
	b = append(append(append(b, `,"data":`...), r.Session.Data...), '}')
	b = appendText(b, `,"os":`, r.OS)
	b = appendText(b, `,"osVersion":`, r.OSVersion)
	b = appendText(b, `,"browser":`, r.Browser)
	b = appendText(b, `,"browserVersion":`, r.BrowserVersion)
	if r.SecondFactor {
		b = append(b, `,"secondFactor":true`...)
	}
	return event.Offer{Event: e, Pending: append(b, '}')}
}

// appendText appends a name and a JSON string. What is not UTF-8 in it is replaced.
func appendText(b []byte, name, value string) []byte {
	b = append(b, name...)
	b, _ = jsontext.AppendQuote(b, value)
	return b
}

// fromOffer returns the record that a login offer carries.
func fromOffer(o event.Offer) (Record, error) {
	var c carried
	if err := json.Unmarshal(o.Pending, &c); err != nil {
		return Record{}, fmt.Errorf("decode challenge of offer %s: %w", o.ID, err)
	}
	return Record{
		ID:             o.Ceremony,
		Value:          o.Challenge,
		Type:           rest.PasskeyChallengeTypeAuthenticate,
		Status:         rest.PasskeyChallengeStatusPending,
		Project:        o.Project,
		User:           o.User,
		Process:        o.Process,
		RPID:           c.RPID,
		Origins:        c.Origins,
		Created:        o.CreatedMs,
		Expires:        c.Expires,
		Session:        c.Session,
		Decision:       o.Decision,
		Environment:    o.Environment,
		Route:          o.Route,
		OS:             c.OS,
		OSVersion:      c.OSVersion,
		Browser:        c.Browser,
		BrowserVersion: c.BrowserVersion,
		SecondFactor:   c.SecondFactor,
	}, nil
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
