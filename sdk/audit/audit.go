// Package audit holds the security events that Keyward tells of: who did what to an installation. It reads nothing and sends nothing;
// package subscribe receives them from NATS.
//
// What is here only grows. A Keyward that is newer than this package may send types and members that it does not know: a Type may hold a
// value that no constant has, and members without a field are left out when an event is decoded.
package audit

import "github.com/keyward/keyward/sdk/event"

// ID is that of a security event, aud-<number>. The same ID is the same event, however often it comes.
type ID string

// Type says what was done. The constants are the types that this package knows.
type Type string

// Actor is who did it.
type Actor struct {
	Kind Kind   `json:"kind"`
	Name string `json:"name"`         // of the command, the service or the operator
	ID   string `json:"id,omitempty"` // of an operator
}

// Kind is the kind of an actor.
type Kind string

// The kinds of actors.
const (
	Command Kind = "command" // an operator at a terminal
	Service Kind = "service" // a service, for a caller or by itself
	// Operator is who has a token of the Operator API.
	Operator Kind = "operator"
)

// Key is an API key without its text.
type Key struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Permissions []string `json:"permissions"`
}

// Issuer is whose access tokens a project takes.
type Issuer struct {
	URL      string `json:"url"`
	Audience string `json:"audience"`
}

// Policy is a bundle that answers.
type Policy struct {
	Revision string `json:"revision"` // of its manifest, or the same as Content
	Content  string `json:"content"`  // hash of its files
}

// List is what operators have added to a list.
type List struct {
	Name    string `json:"name"`
	Kind    string `json:"kind"`
	Entries int    `json:"entries"` // how many there are
}

// Switch stops what it is about from being offered while it is on. Empty members are about all.
type Switch struct {
	Name    string `json:"name"`
	On      bool   `json:"on"`
	Project string `json:"project,omitempty"`
	Action  string `json:"action,omitempty"`
	OS      string `json:"os,omitempty"`
	Browser string `json:"browser,omitempty"`
	UntilMs int64  `json:"untilMs,omitempty"` // 0 = until it is turned off
}

// Release is a revision in the store.
type Release struct {
	Number int `json:"number"`
	Policy
}

// OperatorAccount is who may call the Operator API, without the token.
type OperatorAccount struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"` // empty = it could not be read
	Role string `json:"role,omitempty"`
	// The only projects that the operator sees; empty = all
	Projects []event.ProjectID `json:"projects,omitempty"`
}

// Event says what was done, once. ID, Type, CreatedMs, Actor and Instance are always set; which of the others a type carries is in its JSON
// Schema, api/events/audit-<type>.json.
type Event struct {
	Schema    int             `json:"schema"` // version of the body
	ID        ID              `json:"id"`
	Type      Type            `json:"type"`
	Project   event.ProjectID `json:"project,omitempty"` // empty = it concerns the installation
	CreatedMs int64           `json:"createdMs"`         // Unix ms
	Actor     Actor           `json:"actor"`
	Instance  string          `json:"instance"`            // host that it was done on
	RequestID string          `json:"requestID,omitempty"` // of the call by which it was done
	CallerKey string          `json:"callerKey,omitempty"` // ID of the API key that the call came with

	Changed    []string         `json:"changed,omitempty"` // names of what is different
	Key        *Key             `json:"key,omitempty"`
	Issuer     *Issuer          `json:"issuer,omitempty"`
	Version    int              `json:"version,omitempty"` // of the project's keys
	SigningKey string           `json:"signingKey,omitempty"`
	Webhook    string           `json:"webhook,omitempty"` // ID of the endpoint
	Operator   *OperatorAccount `json:"operator,omitempty"`
	Before     *Policy          `json:"before,omitempty"`
	Policy     *Policy          `json:"policy,omitempty"`
	// Of the store
	List          *List    `json:"list,omitempty"`
	ListBefore    *List    `json:"listBefore,omitempty"`
	Added         []string `json:"added,omitempty"` // to the list, or got another expiry
	Removed       []string `json:"removed,omitempty"`
	UntilMs       int64    `json:"untilMs,omitempty"` // when what was added expires; 0 = never
	Switch        *Switch  `json:"switch,omitempty"`
	SwitchBefore  *Switch  `json:"switchBefore,omitempty"`
	ReleaseBefore *Release `json:"releaseBefore,omitempty"`
	Release       *Release `json:"release,omitempty"`
	Change        int      `json:"change,omitempty"` // its number
	RolledBack    bool     `json:"rolledBack,omitempty"`
	Step          string   `json:"step,omitempty"`  // of a revision that is tried
	Share         int      `json:"share,omitempty"` // of users or decisions, of 10,000, by which it is

	// What an operator did to a user, or for the endpoint of a webhook
	User       event.UserID `json:"user,omitempty"`
	Act        string       `json:"act,omitempty"`
	Was        []string     `json:"was,omitempty"`        // what the act changes, before it
	Now        []string     `json:"now,omitempty"`        // the same after it
	Credential string       `json:"credential,omitempty"` // ID of a passkey
	EventID    string       `json:"eventID,omitempty"`    // of a bar

	Reason string `json:"reason,omitempty"`
	Limit  string `json:"limit,omitempty"` // the setting
	Count  int    `json:"count,omitempty"` // how often it happened
	FromMs int64  `json:"fromMs,omitempty"`
	ToMs   int64  `json:"toMs,omitempty"`
}
