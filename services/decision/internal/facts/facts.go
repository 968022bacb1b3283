// Package facts holds what a policy is asked about, and its forms: the input of an evaluation, the JSON of records, and the bytes by
// which answers are found again. All of them are made from one table of the members, without reflection. It is pure; facts are values,
// found elsewhere.
package facts

import (
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
)

// Status is the status of an account as facts name it: the wire's, or unknown for a user that does not exist.
type Status string

// StatusUnknown is the status of a user that does not exist.
const StatusUnknown Status = "unknown"

// SourceUnknown is the source of a login start whose caller does not say how it came about.
const SourceUnknown event.Source = "unknown"

// Facts are what a policy is asked about. Value and the JSON form are the same document, described by the bundle's schemas. Nothing in it
// is a date, an identifier or free text of a user, so equal situations have equal facts.
type Facts struct {
	Complete      bool         `json:"complete"`
	Account       Status       `json:"account,omitempty"` // empty only of mediation and rollout
	Strategy      string       `json:"strategy,omitempty"`
	Source        event.Source `json:"source,omitempty"` // of login only
	Client        Client       `json:"client"`
	Support       Support      `json:"support"`
	Environment   Environment  `json:"environment"`
	*AccountFacts              // nil only of mediation and rollout
	Flags         *Flags       `json:"flags,omitempty"` // this and what follows down to Nudges: of append only
	Situation     *string      `json:"situation,omitempty"`
	Process       *Process     `json:"process,omitempty"`
	Nudges        *Nudges      `json:"nudges,omitempty"`

	Rollout *Rollout `json:"rollout,omitempty"` // of rollout only

	*RiskFacts // nil of rollout, and of what was recorded before there were any
}

// AccountFacts are what is known of the account and its history.
type AccountFacts struct {
	Credentials     Counts      `json:"credentials"`
	CDA             CDA         `json:"cda"`
	SecurityKeyOnly bool        `json:"securityKeyOnly"`
	Pair            Pair        `json:"pair"`
	Blacklist       Blacklist   `json:"blacklist"`
	Doubts          Doubts      `json:"doubts"`
	Experiments     Assignments `json:"experiments"` // none of a user that does not exist
}

// Client are what the client is.
type Client struct {
	OS          string `json:"os"`
	OSVersion   int    `json:"osVersion"`
	Browser     string `json:"browser"`
	Native      bool   `json:"native"`
	Mobile      bool   `json:"mobile"`
	Desktop     bool   `json:"desktop"`
	PrivateMode bool   `json:"privateMode"`
	Webdriver   bool   `json:"webdriver"`
	Device      Device `json:"device"`
	Embedded    bool   `json:"embedded"`
	InApp       string `json:"inApp"`
}

// Support is what the client can do.
type Support struct {
	WebAuthn          bool   `json:"webauthn"`
	UVPA              bool   `json:"uvpa"`
	BLE               string `json:"ble"`
	ConditionalGet    bool   `json:"conditionalGet"`
	ConditionalCreate bool   `json:"conditionalCreate"`
	Hybrid            string `json:"hybrid"`
	ImmediateGet      bool   `json:"immediateGet"`
}

// Environment is the browser profile or app installation.
type Environment struct {
	Known    bool    `json:"known"`
	Rejected bool    `json:"rejected"`
	Listed   Listing `json:"listed"`
	// Hours since the account was first used in it; nil = nobody is known, or it was recorded before
	AgeHours *int `json:"ageHours,omitempty"`
	Users    *int `json:"users,omitempty"` // accounts that have succeeded in it; nil = no rule reads it, or it was recorded before
}

// Counts are the account's passkeys by availability. What counts in no column but Total cannot be reached.
type Counts struct {
	Total       int `json:"total"`
	Likely      int `json:"likely"`
	Uncertain   int `json:"uncertain"`
	Remote      int `json:"remote"`
	SecurityKey int `json:"securityKey"`

	Items Passkeys `json:"items,omitempty"` // of risk; records of before have none
}

// CDA is what is known of cross-device authentication.
type CDA struct {
	Client     bool `json:"client"`
	RemoteHigh bool `json:"remoteHigh"`
	RemoteLow  bool `json:"remoteLow"`
	Route      bool `json:"route"`
}

// Pair is the history of the account in the environment.
type Pair struct {
	LocalStreak         int         `json:"localStreak"`
	CDAStreak           int         `json:"cdaStreak"`
	SecurityKeyStreak   int         `json:"securityKeyStreak"`
	NoCredentials       bool        `json:"noCredentials"`
	LastFailedRoute     event.Route `json:"lastFailedRoute"`
	Positive            bool        `json:"positive"`
	LastRoute           event.Route `json:"lastRoute"`
	PositiveSecurityKey bool        `json:"positiveSecurityKey"`
	ExistsHere          bool        `json:"existsHere"`
	CreatedHere         bool        `json:"createdHere"`
	Lost                bool        `json:"lost"`
	EvidenceHere        bool        `json:"evidenceHere"`
	FirstWin            event.Route `json:"firstWin"` // routes that worked here and lead somewhere still, newest first
	SecondWin           event.Route `json:"secondWin"`
	ThirdWin            event.Route `json:"thirdWin"`
}

// Blacklist is what is barred for the user.
type Blacklist struct {
	Login             bool `json:"login"`
	AppendAfterHybrid bool `json:"appendAfterHybrid"`
	AppendAfterError  bool `json:"appendAfterError"`
}

// Doubts are how often something spoke against whoever used the account being its user.
type Doubts struct {
	WrongCodes        int `json:"wrongCodes"`
	CountersRegressed int `json:"countersRegressed"`
	BackupsChanged    int `json:"backupsChanged"`
}

// Flags are what the caller of an append start asked for.
type Flags struct {
	Force             bool   `json:"force"`
	Auto              bool   `json:"auto"`
	ConditionalCreate bool   `json:"conditionalCreate"`
	InApp             string `json:"inApp"`
	ShownLately       bool   `json:"shownLately"`
	OptOutAfterHybrid bool   `json:"optOutAfterHybrid"`
	LoginMethod       string `json:"loginMethod"`
}

// Process is how the passkey login of the process went.
type Process struct {
	Outcome         history.Outcome `json:"outcome"`
	FailedLocal     int             `json:"failedLocal"`
	MissingEvidence bool            `json:"missingEvidence"`
	CredentialClass Class           `json:"credentialClass"`
}

// Nudge is how the account answered offers of one kind.
type Nudge struct {
	Declines int  `json:"declines"`
	Cooldown bool `json:"cooldown"`
}

// Nudges is how the account answered earlier offers.
type Nudges struct {
	Default           Nudge `json:"default"`
	AfterError        Nudge `json:"afterError"`
	AfterHybrid       Nudge `json:"afterHybrid"`
	Auto              Nudge `json:"auto"`
	ConditionalCreate struct {
		Cooldown bool `json:"cooldown"`
	} `json:"conditionalCreate"`
	Spaced bool `json:"spaced"`
	Spent  bool `json:"spent"`
}

// Rollout are what the client that asks for passkeys at all is told apart by. What it sent comes down to names and words of the bundle.
type Rollout struct {
	Action         string      `json:"action"`
	Identifier     Membership  `json:"identifier"`
	Invitation     string      `json:"invitation"` // name of the one whose token was sent; empty = none
	BrowserVersion int         `json:"browserVersion"`
	Samples        Assignments `json:"samples"` // of the rules that sample, by name
	Flags          Assignments `json:"flags"`   // that a rule asks for, by name; the value stands where experiments have the arm
}

// Membership says how an identifier stands to the list of those that are let in.
type Membership string

// The values of Membership.
const (
	NotNamed Membership = "none"
	Listed   Membership = "listed"
	Unlisted Membership = "unlisted"
)
