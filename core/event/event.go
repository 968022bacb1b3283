// Package event defines the passkey event, the one record that history is made of, and joins events to the ceremonies they
// belong to. It is pure: values in, values out.
//
// A user's events are a set keyed by ID. Order of arrival and repetition mean nothing; a deletion is an event too, and wins.
package event

import (
	"encoding/json"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/place"
)

// Type says what happened. The types are those of api/events/types.yaml.
type Type string

// Route is how a login was to be done, or was done.
type Route string

// The routes; the wire calls them ceremony types.
const (
	Local       Route = "local"
	CDA         Route = "cda"
	SecurityKey Route = "security-key"
)

// Source is how a login start came about, as its caller says; empty = not said.
type Source string

// The sources.
const (
	OneTap      Source = "one-tap"      // the user pressed the account that the client remembers
	TextField   Source = "text-field"   // the user had typed a name, and the client asked for a passkey unasked
	ErrorSoft   Source = "error-soft"   // the user tried again after a first failure
	ErrorHard   Source = "error-hard"   // the user tried again after further failures
	Button      Source = "button"       // the user pressed a button that says passkey
	OtherDevice Source = "other-device" // the user asked for a passkey of another device
)

// Sources returns all of them.
func Sources() []Source {
	return []Source{OneTap, TextField, ErrorSoft, ErrorHard, Button, OtherDevice}
}

// Kind is the kind of an append offer.
type Kind string

// The kinds.
const (
	KindDefault           Kind = "default"
	KindAfterError        Kind = "after-error"
	KindAfterHybrid       Kind = "after-hybrid"
	KindAuto              Kind = "auto"
	KindConditionalCreate Kind = "conditional-create"
)

// Event is one entry of a user's history. Only ID, Project, User, Type and CreatedMs are always set.
type Event struct {
	ID        ident.EventID   `json:"id"`
	Project   ident.ProjectID `json:"project"`
	User      ident.UserID    `json:"user"`
	Type      Type            `json:"type"`
	CreatedMs int64           `json:"createdMs"`         // Unix ms, the server's clock
	Expires   int64           `json:"expires,omitempty"` // as the caller sent it: Unix seconds, or ms above 1e11; 0 = never
	// False: see Unproven; nil: the word of Keyward or of a backend, or of a proven client
	Proven      *bool               `json:"proven,omitempty"`
	Process     string              `json:"process,omitempty"`     // processID of the journey
	Environment ident.EnvironmentID `json:"environment,omitempty"` // may hold any string that a caller sent as clientEnvID
	Credential  string              `json:"credential,omitempty"`  // row ID, or as the caller sent it
	Challenge   string              `json:"challenge,omitempty"`   // WebAuthn challenge, base64url without padding

	// What the ceremony's own offer said, filled in when the event is appended (see Join), so that history never needs the offer.
	Ceremony ident.ChallengeID `json:"ceremony,omitempty"` // challenge ID of the ceremony
	// Of login events: the route that was offered; of completed ones, creations too: the one taken
	Route Route `json:"route,omitempty"`
	Kind  Kind  `json:"kind,omitempty"` // of append events
	// Of login offers and what answers them: how the start came about; empty = not said
	Source Source `json:"source,omitempty"`

	Decision ident.DecisionID `json:"decision,omitempty"` // of offers and denials; and of what answers an offer, since there are reports
	// Of what a start or the end of a ceremony tells while a canary of the policy is under way
	Arm     *Arm          `json:"arm,omitempty"`
	Deletes ident.EventID `json:"deletes,omitempty"` // of event-deleted
	Auth    *Auth         `json:"auth,omitempty"`    // of auth events
	Client  *Client       `json:"client,omitempty"`  // of completed ceremonies: who did it
	Origin  *Origin       `json:"origin,omitempty"`  // of completed ceremonies; events of earlier versions have none
	// Of completed ceremonies: the authenticator verified its user (W3C WebAuthn flag UV); events of earlier versions do not say
	UV *bool `json:"uv,omitempty"`

	Attachment string `json:"attachment,omitempty"` // of append-completed: platform or cross-platform, as the client said of the authenticator

	Use     *Use     `json:"use,omitempty"`     // of login-completed; events of earlier versions have none
	Counter *Counter `json:"counter,omitempty"` // of passkey-counter-regressed
	Backup  *Backup  `json:"backup,omitempty"`  // of passkey-backup-changed, and of backup-state-changed: whether it is
	Refused *Refused `json:"refused,omitempty"` // of append-refused and login-refused
	Codes   *Codes   `json:"codes,omitempty"`   // of login-code-failed; events of the version before have none
	Labels  *Labels  `json:"labels,omitempty"`  // of user-labelled
	// Of authenticator-status-changed
	Authenticator *Authenticator `json:"authenticator,omitempty"`
	Sighted       *Sighted       `json:"sighted,omitempty"` // of what is counted; events of earlier versions have none

	Risk     *Risk          `json:"risk,omitempty"`     // of risk-decided
	StepUp   ident.StepUpID `json:"stepUp,omitempty"`   // of step-up-started, -passed and -failed
	Feedback *Feedback      `json:"feedback,omitempty"` // of risk-feedback
	Method   string         `json:"method,omitempty"`   // of step-up-passed and -failed: one of the step-up's, or what the caller called it
}

// Side is one of the two that a canary of the policy divides users into.
type Side string

// The sides.
const (
	Base   Side = "base"   // is judged by what is live
	Canary Side = "canary" // is judged by the revision that is tried
)

// Arm is by which side of which canary was decided.
type Arm struct {
	Side   Side `json:"side"`
	Change int  `json:"change"` // the number of the change of the policy that began the canary
}

// Sighted names what an event is counted for, by tokens that are made with a key of the project: they name nobody to who has no key.
// Empty = there is nothing to name.
type Sighted struct {
	User        string `json:"user,omitempty"` // or the name of one that there is not
	Environment string `json:"environment,omitempty"`
	Address     string `json:"address,omitempty"` // of IPv6 the first 64 bits
	Network     string `json:"network,omitempty"` // the first 24 bits of IPv4, 48 of IPv6

	// By which version of the key, and since when what is seen is named by that one alone, in Unix ms. Absent = by the first.
	KeyVersion int   `json:"keyVersion,omitempty"`
	KeySinceMs int64 `json:"keySinceMs,omitempty"`
}

// AuthMethod is how a user authenticated, in the caller's words.
type AuthMethod string

// AuthStatus is how an authentication ended, in the caller's words.
type AuthStatus string

// Labels are all that a user has, sorted. A list would make events that cannot be compared.
type Labels []string

// Authenticator is what has become of the model of a passkey's authenticator, as FIDO's metadata has it.
type Authenticator struct {
	AAGUID  string   `json:"aaguid"`
	Before  string   `json:"before"`            // what had become of it: unknown, ok, update, retired, compromised or revoked
	Status  string   `json:"status"`            // what has
	Level   int      `json:"level"`             // of certification now: 0 = none, 1 = L1, 2 = L1+, to 6 = L3+
	Reports []string `json:"reports,omitempty"` // what is said of it and in effect, sorted
	Number  int      `json:"mdsNo"`             // of the metadata that says so
}

// Use is what the authenticator said of the passkey that it signed a login with, and what an account makes of the login.
type Use struct {
	Counter  uint32 `json:"counter"` // the signature counter; 0 = it does not count
	BackedUp bool   `json:"backedUp"`
	// An account that knows the user's logins up to this sequence of the log can take up this one without those between; nil: it needs all
	After *uint64 `json:"after,omitempty"`
	Seen  *Seen   `json:"seen,omitempty"` // what the environment is remembered by, beside Client; nil: nothing is remembered of it
}

// Seen is what an environment is remembered by, but for its user agent and fingerprint, which no event holds.
type Seen struct {
	Same           bool   `json:"same,omitempty"` // as the account has it; the rest is left out
	OSVersion      string `json:"osVersion,omitempty"`
	BrowserVersion string `json:"browserVersion,omitempty"`
}

// Found is an event and where it is in the log.
type Found struct {
	Event
	Sequence uint64
}

// Counter is the signature counter of a passkey, as it was known and as it came.
type Counter struct {
	Stored   uint32 `json:"stored"`
	Received uint32 `json:"received"`
}

// Codes is how the one-time codes of a user stand.
type Codes struct {
	Wrong   int  `json:"wrong"`             // in a row, since the user proved to be who they are
	Stopped bool `json:"stopped,omitempty"` // none is taken any more
}

// Risk is how a ceremony that was finished was judged.
type Risk struct {
	Stage    string   `json:"stage"`             // login-start, append-start, login-finish, append-finish or evaluate
	Action   string   `json:"action"`            // allow, review, challenge or deny
	Level    string   `json:"level"`             // low, medium or high
	Reasons  []string `json:"reasons,omitempty"` // their names, sorted
	Enforced bool     `json:"enforced"`          // the policy binds
}

// Outcome is what became of what a decision was about, in the words of who knows.
type Outcome string

// The outcomes.
const (
	FraudConfirmed  Outcome = "fraud-confirmed"
	FraudSuspected  Outcome = "fraud-suspected"
	Legitimate      Outcome = "legitimate"
	StepUpAbandoned Outcome = "step-up-abandoned"
)

// Feedback is what became of what a decision was about, with what is kept of the decision: nothing if it was not in the records any more.
type Feedback struct {
	Outcome Outcome         `json:"outcome"`
	Stage   string          `json:"stage,omitempty"` // of the decision, as the rules of risk have it; this and what follows
	About   string          `json:"about,omitempty"` // what was to be done, as the rules have it
	Action  string          `json:"action,omitempty"`
	Level   string          `json:"level,omitempty"`
	Reasons []string        `json:"reasons,omitempty"` // their names, sorted
	Policy  string          `json:"policy,omitempty"`  // hash of the content of the bundle that judged
	Facts   json.RawMessage `json:"facts,omitempty"`
	AtMs    int64           `json:"atMs,omitempty"`    // when it was decided
	Instead ident.EventID   `json:"instead,omitempty"` // the event of an earlier word of the same decision that does not count any more
}

// Refused is an authenticator's answer that Keyward did not take.
type Refused struct {
	Passkey string `json:"passkey,omitempty"` // WebAuthn credential ID, base64url without padding; empty: the answer has none
	AAGUID  string `json:"aaguid,omitempty"`  // of the authenticator that created it
	Reason  string `json:"reason"`            // in words
	Step    string `json:"step,omitempty"`    // of login-refused: signature, origin, rp, presence, uv, counter or backup; empty: not said
}

// Backup is whether a passkey may be synchronised, as it was known and as it came.
type Backup struct {
	Stored   bool `json:"stored"`
	Received bool `json:"received"`
}

// Auth is what a caller reported of an authentication that Keyward did not make itself.
type Auth struct {
	Username string     `json:"username"`
	Method   AuthMethod `json:"method"`
	Status   AuthStatus `json:"status"`
}

// Client is where a ceremony was made from.
type Client struct {
	Address string `json:"address,omitempty"` // remote address, as much as is kept; earlier versions: as the caller sent it
	OS      string `json:"os,omitempty"`
	Browser string `json:"browser,omitempty"`
}

// Origin is where on the network a ceremony was made from.
type Origin struct {
	Address string `json:"address"` // as much as is kept
	Network string `json:"network"` // that it is in: the first 24 bits of IPv4, 48 of IPv6
	// This and what follows: as far as the operator's databases tell. Latitude and longitude are multiples of half a degree
	Country  string   `json:"country,omitempty"` // ISO 3166-1
	ASN      int      `json:"asn,omitempty"`     // of the autonomous system
	Lat      *float64 `json:"lat,omitempty"`
	Lon      *float64 `json:"lon,omitempty"`
	RadiusKm int      `json:"radiusKm,omitempty"` // within which of that point it is
}

// NewOrigin returns the origin at a place.
func NewOrigin(address, network string, at place.Place) *Origin {
	o := &Origin{Address: address, Network: network, Country: at.Country, ASN: at.ASN, RadiusKm: at.RadiusKm}
	if at.Point != nil {
		o.Lat, o.Lon = new(at.Point.Lat), new(at.Point.Lon)
	}
	return o
}

// Place returns where it is; the zero place if there is no origin.
func (o *Origin) Place() place.Place {
	if o == nil {
		return place.Place{}
	}
	at := place.Place{Country: o.Country, ASN: o.ASN, RadiusKm: o.RadiusKm}
	if o.Lat != nil && o.Lon != nil {
		at.Point = place.NewPoint(*o.Lat, *o.Lon)
	}
	return at
}

// Offer is a login offer together with what the ceremony service says of its challenge: for its list, when it expires; of challenges that
// are not sealed, all that finishes the ceremony. Nobody else reads Pending: history, lists and joins see the event alone.
type Offer struct {
	Event
	Pending json.RawMessage `json:"pending,omitempty"`
}

// Unproven reports whether e is the word of a client that had not proven to be the user's. Whoever can name a user can give it, so it
// counts where it was given, in its environment and process, and never for the user as a whole.
func (e Event) Unproven() bool { return e.Proven != nil && !*e.Proven }

// The wire's words of a reported login that succeeded, and of one with a passkey.
const (
	AuthSuccess AuthStatus = "success"
	AuthPasskey AuthMethod = "passkey"
)

// OtherMeans reports whether a caller reports by e that the user logged in, and not with a passkey.
func (e Event) OtherMeans() bool {
	return e.Type == AuthLogin && e.Auth != nil && e.Auth.Status == AuthSuccess && e.Auth.Method != AuthPasskey
}

// ExpiresMs returns the moment the event stops having an effect in Unix ms, or 0 for never.
// The wire leaves the unit open: values above 1e11 are read as ms, others as seconds.
func (e Event) ExpiresMs() int64 {
	const msThreshold = 100_000_000_000
	if e.Expires > msThreshold {
		return e.Expires
	}
	return e.Expires * 1000
}
