package inquiry

import (
	"github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/core/ident"
)

// Users asks for a page of users.
type Users struct {
	Query    string `json:"query,omitempty"` // empty = all
	Page     int    `json:"page"`            // from 1
	PageSize int    `json:"pageSize"`
}

// UserAct is what an operator does to a user.
type UserAct struct {
	Act        operator.UserActKind `json:"act"`
	Bar        operator.UserBarKind `json:"bar,omitempty"`
	Seconds    int                  `json:"seconds,omitempty"` // how long the bar is; 0 = until it is lifted
	Event      ident.EventID        `json:"event,omitempty"`   // of a bar that is lifted
	Status     string               `json:"status,omitempty"`
	Labels     []string             `json:"labels,omitempty"`
	Session    ident.SessionID      `json:"session,omitempty"` // the only one to revoke; empty = all
	Credential ident.CredentialID   `json:"credential,omitempty"`
	Reason     string               `json:"reason,omitempty"`
}

// Before asks for what happened to a user before a moment.
type Before struct {
	AtMs  int64    `json:"atMs"`            // Unix ms; what happened in it is before it, if its ID is less than ID; 0 = now
	ID    string   `json:"id,omitempty"`    // empty = nothing of that moment
	Kinds []string `json:"kinds,omitempty"` // event, alert; empty = both
	Limit int      `json:"limit"`
}

// Standing is what the history of a user comes to just now.
type Standing struct {
	Events       int                        `json:"events"` // that it is folded from
	Counts       []operator.UserCount       `json:"counts"` // for the user as a whole
	Bars         []operator.UserBar         `json:"bars"`
	Environments []operator.UserEnvironment `json:"environments"` // without what the account has of them
	Passkeys     []PasskeyStanding          `json:"passkeys"`
	Labels       []string                   `json:"labels"`          // that the policy declares
	Lacks        string                     `json:"lacks,omitempty"` // why it is not known; the rest is empty then
}

// PasskeyStanding is what is known of a passkey beyond its account.
type PasskeyStanding struct {
	Credential ident.CredentialID      `json:"credential"`
	Class      string                  `json:"class"`
	Held       string                  `json:"held"`
	Provider   string                  `json:"provider,omitempty"`
	Where      []operator.PasskeyReach `json:"where"`
}
