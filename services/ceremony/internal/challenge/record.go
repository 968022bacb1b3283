// Package challenge knows the WebAuthn challenges that ceremonies under way were given. Store touches the key-value buckets "challenges"
// and "challenge-marks", through Offers the stream of login offers, and through Log and Ends that of passkey events.
//
// The challenge of a login or of a mediation is its state, sealed (package seal): nothing is stored of it, any instance of the ceremony
// service opens it with the project's keys, and a finish reads nothing back, however many starts came before it. It binds the project, the
// user, the process, the RP ID, the origins and the passkeys that may answer, and it says when it expires. What is listed of logins is what
// their offers say. The challenge of a creation is random, and its state a record in the bucket: it holds what authenticators show, and is
// looked up by the ID that its passkey will have. Logins and mediations that an earlier version started have random challenges, too; their
// state is read from where that version put it.
//
// The start of a creation waits for two messages: the record, which is not flushed, and the event that a passkey was offered, which is. The
// record could tell of the offer until the event has followed in the background, but that is not enough for what is promised of events.
// Who finds the cache empty reads the log, on whichever instance, and would have to read the user's records before it, from the leader of
// the bucket. An erasure would have to wait for what other instances have under way, or be followed by it. What the user does next would
// stand in the log before the offer that it answers, and so reach subscribers. And it would be flushed all the same.
//
// A challenge is finished at most once. The challenge of a login is spent by the event that completes it, which names the ceremony: it is
// appended on the condition that the user has completed no other login since what was judged (End; core/eventlog has the argument), so any
// number of instances may try at the same moment, and a challenge is used by whoever's event is there. An end is looked for from as long
// before the challenge was made on as challenges are kept, by which the clocks of instances and of the log may differ. An answer that is
// refused spends the challenge by a mark, which each finish asks for: a right answer that is being judged at that very moment may be taken
// all the same, as if it had come first.
//
// The challenge of a creation is spent by the account: the passkey that comes of it has an ID that comes of the ceremony, and an account
// takes it in if it has none of that ID and had none (package enrolment). The account is one document that is written upon the revision
// that was judged, so of any number of answers, on whichever instances, one makes a passkey. Every version keeps the IDs of passkeys and of
// those that were deleted. An answer that is refused spends the challenge by a mark, as that of a login does.
//
// The challenge of a mediation is spent by a mark: nobody is named in it, so the events of two users could end it. So are those of
// creations and logins that an earlier version has made, and all where the log drops young events (Places.Forgetful). The mark is on disk
// when it has been made, whoever makes it finishes the challenge, and the bucket decides. The mark of a sealed challenge has the ID of its
// ceremony, which is in the seal: nobody can name another one, or none. Marks are kept for longer than any challenge is valid, so that one
// whose mark is gone has expired by its own word.
//
// A challenge is completed if the log has the event of that, or the account the passkey; what somebody sets the status to is a mark,
// which each finish asks for. One that is set while the challenge is being finished may come too late. Instances of an earlier version do
// not know what an event or an account has spent, but do not open such challenges either: those of creations are longer than what they
// take for random. They list them as pending. A challenge is good only under the project and the user it was given to.
package challenge

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/services/ceremony/internal/challenge/seal"
)

// Record is a challenge with everything that its ceremony is bound to. Times are Unix ms. One that was opened has no Origins; see Accepted.
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
	Arm      *event.Arm                  `json:"arm,omitempty"` // by which the start was judged; nil = there was no canary

	Environment ident.EnvironmentID `json:"environment,omitempty"` // empty in private mode: nothing is to be remembered there
	Route       event.Route         `json:"route,omitempty"`       // of logins: as offered
	Kind        event.Kind          `json:"kind,omitempty"`        // of appends
	// Of logins: a passkey replaces the second factor, so that its user has to be verified
	SecondFactor bool `json:"secondFactor,omitempty"`
	// Of logins: the step-up that it passes; empty = none
	StepUp   ident.StepUpID `json:"stepUp,omitempty"`
	Username string         `json:"username,omitempty"` // of appends: the name for the authenticator
	// Of appends: the user was waiting for an identifier to be verified, and has to be still
	Unverified bool `json:"unverified,omitempty"`
	// Of appends that were started by RegisterPasskey: the ID that the passkey will have; see PasskeyID
	Passkey        ident.CredentialID `json:"passkey,omitempty"`
	AllowedAAGUIDs []string           `json:"allowedAAGUIDs,omitempty"` // of appends: the only authenticators that are taken; empty = any
	OS             string             `json:"os,omitempty"`             // as detected at start
	OSVersion      string             `json:"osVersion,omitempty"`
	Browser        string             `json:"browser,omitempty"`
	BrowserVersion string             `json:"browserVersion,omitempty"`

	opened *seal.Opened // nil: it was stored
}

// Asked is what a sealed challenge says of the request that it was given out with, beside the record.
type Asked struct {
	UserVerification string   // W3C WebAuthn userVerification
	Allowed          [][]byte // the WebAuthn IDs of the passkeys that may answer; empty = any of the user's
}

// Seal returns r with a value that holds what an assertion is finished with.
func (r Record) Seal(keys *keyring.Ring, asked Asked) (Record, error) {
	value, err := seal.Seal(keys, seal.To{Project: r.Project, User: r.User}, seal.Ceremony{
		Known: seal.Known{
			ID: r.ID, Created: r.Created, Expires: r.Expires, Environment: r.Environment, Route: r.Route,
			UserVerification: asked.UserVerification, SecondFactor: r.SecondFactor, StepUp: r.StepUp, Arm: r.Arm, Decision: r.Decision,
			OS: r.OS, OSVersion: r.OSVersion, Browser: r.Browser, BrowserVersion: r.BrowserVersion,
		},
		Process: r.Process, RPID: r.RPID, Origins: r.Origins, Allowed: asked.Allowed,
	})
	if err != nil {
		return r, fault.Internal(err)
	}
	r.Value = value
	return r, nil
}

// open returns the record that a sealed challenge holds. Of what it carries hashes of, the record has what is claimed, if that is it.
func open(c Claim) (Record, error) {
	o, err := seal.Open(c.Keys, seal.To{Project: c.Project, User: c.User}, c.Value)
	if errors.Is(err, seal.ErrForged) {
		return Record{}, ErrUnknown
	}
	if err != nil {
		return Record{}, err
	}
	r := Record{
		ID: o.ID, Value: c.Value, Type: rest.PasskeyChallengeTypeAuthenticate, Status: rest.PasskeyChallengeStatusPending,
		Project: c.Project, User: c.User, Created: o.Created, Expires: o.Expires, Environment: o.Environment, Route: o.Route,
		SecondFactor: o.SecondFactor, StepUp: o.StepUp, Arm: o.Arm, Decision: o.Decision, OS: o.OS, OSVersion: o.OSVersion, Browser: o.Browser,
		BrowserVersion: o.BrowserVersion, opened: &o,
	}
	if o.InProcess(c.Process) {
		r.Process = c.Process
	}
	if o.For(c.RPID) {
		r.RPID = c.RPID
	}
	return r, nil
}

// Sealed returns what the challenge itself says of the request that it was given out with; nil: the record has a Session.
func (r Record) Sealed() *seal.Opened { return r.opened }

// PasskeyID is the ID of the passkey that a creation makes: what an account has under it, or had, shows that the creation has ended. Each
// ceremony has another one.
func (r Record) PasskeyID() ident.CredentialID {
	if r.Passkey != "" {
		return r.Passkey
	}
	return ident.Seed(r.ID).CredentialID()
}

// Outcome is what an account tells of a creation: it is completed if the account has the passkey, or had it, consumed if it was given up,
// and pending otherwise.
func (r Record) Outcome(a *account.Account) rest.PasskeyChallengeStatus {
	id := r.PasskeyID()
	if slices.ContainsFunc(a.Credentials, func(c account.Credential) bool { return c.ID == id }) {
		return rest.PasskeyChallengeStatusCompleted
	}
	switch i := slices.IndexFunc(a.Deleted, func(t account.Tombstone) bool { return t.ID == id }); {
	case i < 0:
		return rest.PasskeyChallengeStatusPending
	case a.Deleted[i].GivenUp():
		return rest.PasskeyChallengeStatusConsumed
	default:
		return rest.PasskeyChallengeStatusCompleted
	}
}

// EndsByAccount reports whether the account that has the passkey of a creation spends the challenge.
func (r Record) EndsByAccount() bool {
	return len(r.Value) == base64.RawURLEncoding.EncodedLen(drawnSize)
}

// EndsByEvent reports whether the event that ends the ceremony spends the challenge; otherwise a mark does.
func (r Record) EndsByEvent() bool { return r.opened != nil && r.opened.ByEvent }

// Accepted returns those of a project's origins that it had when the ceremony was started.
func (r Record) Accepted(origins []string) []string {
	had := func(origin string) bool { return slices.Contains(r.Origins, origin) }
	if r.opened != nil {
		had = r.opened.From
	}
	return slices.DeleteFunc(slices.Clone(origins), func(origin string) bool { return !had(origin) })
}

// inProcess reports whether the ceremony is that of a process.
func (r Record) inProcess(process string, any bool) bool {
	if r.opened != nil {
		return r.opened.InProcess(process) || any && !r.opened.HasProcess()
	}
	return r.Process == process || any && r.Process == ""
}

// mark names the mark of a challenge: by its ceremony, or by itself if it is one of those that every version spends by a mark.
func (r Record) mark() string {
	if isMarked(r.Value) {
		return r.Value
	}
	return string(r.ID)
}

// Session is the WebAuthn library's own state of a ceremony, kept whole: a field that a later version of the library adds is kept as well.
type Session struct {
	Format string          `json:"format"` // which library, in which form
	Data   json.RawMessage `json:"data"`
}

// carried is the part of a login's record that its offer says beside the event. Of a sealed challenge that is when it expires, for the
// list; the rest is what earlier versions wrote.
type carried struct {
	Expires        int64    `json:"expires"`
	RPID           string   `json:"rpID"`
	Origins        []string `json:"origins"`
	Session        Session  `json:"session"`
	OS             string   `json:"os"`
	OSVersion      string   `json:"osVersion"`
	Browser        string   `json:"browser"`
	BrowserVersion string   `json:"browserVersion"`
	SecondFactor   bool     `json:"secondFactor"`
}

// offer returns the login offer e, with the challenge of r.
func (r Record) offer(e event.Event) event.Offer {
	e.Ceremony, e.Challenge, e.Route, e.CreatedMs = r.ID, r.Value, r.Route, r.Created
	const usual = 32 // bytes
	pending := append(make([]byte, 0, usual), `{"expires":`...)
	return event.Offer{Event: e, Pending: append(strconv.AppendInt(pending, r.Expires, 10), '}')}
}

// fromOffer returns the record that a login offer carries; of a sealed challenge only what is listed.
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
		Arm:            o.Arm,
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

// Event is the event of a type that the ceremony of a challenge ends with.
func (r Record) Event(now time.Time, user ident.UserID, t event.Type, credential ident.CredentialID) event.Event {
	return event.Event{
		ID: EventID(r.ID, t), Project: r.Project, User: user, Type: t, CreatedMs: now.UnixMilli(), Process: r.Process,
		Environment: r.Environment, Credential: string(credential), Challenge: r.Value, Ceremony: r.ID, Arm: r.Arm,
		Decision: r.Decision,
	}
}

// EventID derives the ID of a ceremony's event from the ID of its challenge, so that the same fact is never two events.
func EventID(id ident.ChallengeID, t event.Type) ident.EventID {
	sum := sha256.Sum256([]byte(string(id) + "/" + string(t)))
	return ident.EventID("pke-" + strconv.FormatUint(binary.BigEndian.Uint64(sum[:8])>>1, 10))
}
