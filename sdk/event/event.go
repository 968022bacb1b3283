// Package event holds the passkey events that Keyward tells of: their types, and what each carries. It reads nothing and sends
// nothing; package subscribe receives events from NATS, and package webhook what is posted to an endpoint.
//
// What is here only grows. A Keyward that is newer than this package may send types and members that it does not know: a Type may
// hold a value that no constant has, and members without a field are left out when an event is decoded.
package event

import "encoding/json"

// Identifiers. Each has a type of its own, so that one cannot be passed for another.
type (
	// ProjectID is pro-<number>.
	ProjectID string
	// UserID is usr-<number>.
	UserID string
	// ID is that of an event, pke-<number>. The same ID is the same event, however often it comes.
	ID string
	// CeremonyID is was-<number>, or the ID of the offer that opened the ceremony, pke-<number>.
	CeremonyID string
	// DecisionID is dec-<number>. keyward policy explain tells why it was made.
	DecisionID string
)

// Type says what happened. The constants are the types that this package knows.
type Type string

// Route is how a login was offered, or done.
type Route string

// The routes.
const (
	Local       Route = "local"        // on this device
	CDA         Route = "cda"          // across devices
	SecurityKey Route = "security-key" // with a security key
)

// Source is how a login start came about, as its caller said.
type Source string

// The sources.
const (
	OneTap      Source = "one-tap"      // the user pressed the account that the client remembers
	TextField   Source = "text-field"   // after the user had typed a name
	ErrorSoft   Source = "error-soft"   // the user tried again after a first failure
	ErrorHard   Source = "error-hard"   // the user tried again after further failures
	Button      Source = "button"       // the user pressed a button that says passkey
	OtherDevice Source = "other-device" // the user asked for a passkey of another device
)

// Kind is the kind of an offer to create a passkey.
type Kind string

// The kinds.
const (
	KindDefault           Kind = "default"
	KindAfterError        Kind = "after-error"
	KindAfterHybrid       Kind = "after-hybrid"
	KindAuto              Kind = "auto"
	KindConditionalCreate Kind = "conditional-create"
)

// Event says what happened to one user. ID, Project, User, Type and CreatedMs are always set; which of the others a type can carry is
// in its JSON Schema, api/events/<type>.json.
type Event struct {
	ID        ID        `json:"id"`
	Project   ProjectID `json:"project"`
	User      UserID    `json:"user"`
	Type      Type      `json:"type"`
	CreatedMs int64     `json:"createdMs"`         // Unix ms, the server's clock
	Expires   int64     `json:"expires,omitempty"` // when it stops having an effect: Unix seconds, or ms above 1e11; 0 = never
	// False: the word of a client that had not proven to be the user's; nil: no such word
	Proven      *bool      `json:"proven,omitempty"`
	Process     string     `json:"process,omitempty"`     // processID of the journey
	Environment string     `json:"environment,omitempty"` // env-<number>; of events that callers sent, whatever they called it
	Credential  string     `json:"credential,omitempty"`  // cre-<number>; of events that callers sent, whatever they called it
	Challenge   string     `json:"challenge,omitempty"`   // WebAuthn challenge, base64url without padding
	Ceremony    CeremonyID `json:"ceremony,omitempty"`
	Route       Route      `json:"route,omitempty"`    // of login events: as offered; of completed ones: as done
	Kind        Kind       `json:"kind,omitempty"`     // of append events
	Source      Source     `json:"source,omitempty"`   // of login offers and what answers them
	Decision    DecisionID `json:"decision,omitempty"` // of offers and denials
	// Of what a start or the end of a ceremony tells while a canary of the policy is under way
	Arm *Arm `json:"arm,omitempty"`

	Deletes ID      `json:"deletes,omitempty"` // of event-deleted: the event to forget
	Auth    *Auth   `json:"auth,omitempty"`    // of auth events
	Client  *Client `json:"client,omitempty"`  // where it was done from, if that is known
	Origin  *Origin `json:"origin,omitempty"`  // of completed ceremonies; events of earlier versions have none
	// Of completed ceremonies: the authenticator verified its user; nil: events of earlier versions do not say
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

	Risk     *Risk     `json:"risk,omitempty"`     // of risk-decided
	StepUp   string    `json:"stepUp,omitempty"`   // of step-up-started, -passed and -failed
	Feedback *Feedback `json:"feedback,omitempty"` // of risk-feedback
	Method   string    `json:"method,omitempty"`   // of step-up-passed and -failed: one of the step-up's, or what the caller called it
}

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

// Use is what the authenticator said of the passkey that it signed a login with.
type Use struct {
	Counter  uint32 `json:"counter"` // the signature counter; 0 = it does not count
	BackedUp bool   `json:"backedUp"`
	// Logins of the user between this place in the stream and the event say nothing of the account that the event does not; nil: not said
	After *uint64 `json:"after,omitempty"`
	Seen  *Seen   `json:"seen,omitempty"` // what the environment is remembered by, beside Client; nil: nothing is remembered of it
}

// Seen is what an environment is remembered by, but for its user agent and fingerprint, which no event holds.
type Seen struct {
	Same           bool   `json:"same,omitempty"` // nothing has changed; the rest is left out
	OSVersion      string `json:"osVersion,omitempty"`
	BrowserVersion string `json:"browserVersion,omitempty"`
}

// Counter is the signature counter of a passkey, as it was known and as it came.
type Counter struct {
	Stored   uint32 `json:"stored"`
	Received uint32 `json:"received"`
}

// Arm is by which side of which canary of the policy was decided.
type Arm struct {
	Side   string `json:"side"`   // base, judged by what is live, or canary, by the revision that is tried
	Change int    `json:"change"` // the number of the change of the policy that began the canary
}

// Sighted names what an event is counted for, by tokens that are made with a key of the project: they name nobody to who has no key.
// Empty = there is nothing to name.
type Sighted struct {
	User        string `json:"user,omitempty"` // or the name of one that there is not
	Environment string `json:"environment,omitempty"`
	Address     string `json:"address,omitempty"` // of IPv6 the first 64 bits
	Network     string `json:"network,omitempty"` // the first 24 bits of IPv4, 48 of IPv6

	// By which version of the project's key, and since when what is seen is named by that one alone, in Unix ms. Absent = by the first.
	KeyVersion int   `json:"keyVersion,omitempty"`
	KeySinceMs int64 `json:"keySinceMs,omitempty"`
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
	Enforced bool     `json:"enforced"`
}

// Feedback is what became of what a decision was about, and how that had been judged; without a stage it was not in the records any more.
type Feedback struct {
	Outcome string          `json:"outcome"` // fraud-confirmed, fraud-suspected, legitimate or step-up-abandoned
	Stage   string          `json:"stage,omitempty"`
	About   string          `json:"about,omitempty"` // what was to be done, as the rules have it
	Action  string          `json:"action,omitempty"`
	Level   string          `json:"level,omitempty"`
	Reasons []string        `json:"reasons,omitempty"`
	Policy  string          `json:"policy,omitempty"`  // hash of the content of the bundle that judged
	Facts   json.RawMessage `json:"facts,omitempty"`   // what the policy was asked about
	AtMs    int64           `json:"atMs,omitempty"`    // when it was decided
	Instead ID              `json:"instead,omitempty"` // ID of the event of an earlier confirmation of fraud that this takes back
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
	Username string `json:"username"` // whom the user said to be
	Method   string `json:"method"`
	Status   string `json:"status"`
}

// Origin is where on the network a ceremony was made from.
type Origin struct {
	Address string `json:"address"` // as much as the operator has kept (setting address_storage)
	Network string `json:"network"` // that it is in, as a prefix: the first 24 bits of IPv4, 48 of IPv6
	// Where that is, as far as the operator's databases tell; latitude and longitude to half a degree
	Country  string   `json:"country,omitempty"` // ISO 3166-1
	ASN      int      `json:"asn,omitempty"`     // of the autonomous system
	Lat      *float64 `json:"lat,omitempty"`
	Lon      *float64 `json:"lon,omitempty"`
	RadiusKm int      `json:"radiusKm,omitempty"` // within which of that point it is
}

// Client is where a ceremony was made from, as the caller reported it.
type Client struct {
	Address string `json:"address,omitempty"` // as much as the operator has kept (setting address_storage)
	OS      string `json:"os,omitempty"`
	Browser string `json:"browser,omitempty"`
}
