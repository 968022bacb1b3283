// Package history is the fold: what a user's set of events means at one moment. It is pure: no I/O, no clock, no hidden state. The same
// fold serves decisions, the API, replay and tests. Order and repetition of events change nothing.
package history

import (
	"slices"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Input is everything that the fold reads.
type Input struct {
	Events      event.Set            // the user's
	Offers      []event.Event        // recent login-offered and login-denied events, in any order; only this process's matter
	Credentials []account.Credential // the account's active credentials
	Deleted     []account.Tombstone  // the account's deleted ones: what failed with them no longer counts
	Environment ident.EnvironmentID  // the pair's environment; empty = unknown, so the pair has no history
	Process     string               // processID of the request; empty = none
	Now         time.Time
	Parameters  Parameters

	// Created returns the route on which a credential was created, for creations whose event does not say; nil = as the credential alone
	// tells. It reads how the credential was made, and nothing of how it was used or is named since.
	Created func(*account.Credential) event.Route

	// Owner is that of Parameters and Created: what is folded is remembered for others that have it; nil = it is not.
	Owner *Owner
}

// Parameters are the figures that a security team sets in the bundle's data.json under the same names. Durations are in seconds there, so
// that JSON stays plain.
type Parameters struct {
	Default                     Cooldown          `json:"default"`
	AfterError                  Cooldown          `json:"afterError"`
	AfterHybrid                 Cooldown          `json:"afterHybrid"`
	Auto                        Cooldown          `json:"auto"`
	ConditionalCreate           ConditionalCreate `json:"conditionalCreate"`
	CancelCooldownSeconds       int64             `json:"cancelCooldownSeconds"` // after append-error instead of a skip; 0 = the kind's own
	CountWindowSeconds          int64             `json:"countWindowSeconds"`    // how far back declines count
	StreakThreshold             int               `json:"streakThreshold"`       // failed ceremonies that end offers of a route
	StreakWindowSeconds         int64             `json:"streakWindowSeconds"`
	PositiveStreakWindowSeconds int64             `json:"positiveStreakWindowSeconds"` // instead of StreakWindowSeconds in a positive pair
	PositiveSeconds             int64             `json:"positiveSeconds"`             // how long a success keeps a pair positive
	ProcessSeconds              int64             `json:"processSeconds"`              // how long a login start speaks for its process
	ClockSkewSeconds            int64             `json:"clockSkewSeconds"`            // an event further in the future is marked
	// How long wrong codes and odd passkeys count. Bundles from before have none: 0
	DoubtSeconds int64 `json:"doubtSeconds,omitempty"`
	// Sources of login starts that the user asked for: that such a login failed counts nowhere. Bundles from before have none
	ExplicitSources []event.Source `json:"explicitSources,omitempty"`
	NudgeBudget     NudgeBudget    `json:"nudgeBudget,omitempty"` // bundles from before have none
}

// Cooldown is when offers of a kind pause: after Count declines, until CooldownSeconds after the last.
type Cooldown struct {
	Count           int   `json:"count"`
	CooldownSeconds int64 `json:"cooldownSeconds"`
}

// ConditionalCreate is how long conditional creation pauses after a request that yielded nothing; declines are not counted.
type ConditionalCreate struct {
	CooldownSeconds int64 `json:"cooldownSeconds"`
	// Only a request of the same process counts, so that each sign-in may make one; bundles from before have none
	PerProcess bool `json:"perProcess,omitempty"`
}

// NudgeBudget is how many offers, of any kind that the user sees, an account gets at most within a time; 0 = any number.
type NudgeBudget struct {
	Day   int `json:"day"`
	Month int `json:"month"` // 30 days
	Year  int `json:"year"`  // 365 days
}

// limit is how many offers there may be within a time.
type limit struct {
	most    int
	seconds int64
	part    Part
}

// limits are those that the budget sets.
func (b NudgeBudget) limits() []limit {
	const day = int64(24 * time.Hour / time.Second)
	all := []limit{{b.Day, day, ShownInDay}, {b.Month, 30 * day, ShownInMonth}, {b.Year, 365 * day, ShownInYear}}
	return slices.DeleteFunc(all, func(l limit) bool { return l.most <= 0 })
}

// History is what the events mean.
type History struct {
	Append    Append
	Pair      Pair
	Blacklist Blacklist
	Doubts    Doubts
	Process   Process
	ByPhone   []ident.CredentialID // finished a ceremony with the help of another device, anywhere; sorted
	ClockSkew bool                 // an event that counts lies further in the future than the clocks may differ
}

// Append is the account's nudge history (reference: historyData).
type Append struct {
	Default, AfterError, AfterHybrid, Auto Nudge
	ConditionalCreateCooldown              bool
	BudgetSpent                            bool      // by offers of all kinds together
	LastOffer                              time.Time // of any kind; zero = never
}

// Nudge is one kind's part of the nudge history.
type Nudge struct {
	Declines int
	Cooldown bool
}

// Pair is the history of this user in this environment. The zero value is a pair without history.
type Pair struct {
	LocalStreak, CDAStreak, SecurityKeyStreak int         // failed ceremonies of the route since its last success
	NoCredentials                             bool        // the client reported that it holds none, and nothing local spoke against that since
	LastFailedRoute                           event.Route // of the newest failure that counts; empty = none
	Positive                                  bool        // an active credential finished a ceremony here recently
	PositiveStale                             bool        // one did, but too long ago to count
	LastRoute                                 event.Route // of the newest success that counts; empty unless Positive
	PositiveSecurityKey                       bool        // positive through a security key
	CreatedHere                               bool        // an active credential was created in this pair, on this device
	// What should be here failed as often as the threshold, or the client reported that it holds none
	Lost bool
	// Unix ms; what happened here until then was forgotten and has no part in the above; 0 = never
	ForgottenMs int64

	Wins   []Win                // successes that make the pair positive, newest first, one for each route and credential
	Proven []ident.CredentialID // were created or used on this device recently; sorted
	Said   []ident.CredentialID // existed when the client said recently that it holds one of the account's; sorted
}

// Win is a ceremony that an active credential finished in the pair.
type Win struct {
	Route      event.Route
	Credential ident.CredentialID
	AtMs       int64 // Unix ms
}

// Blacklist is what is barred now, for the user as a whole or in this environment.
type Blacklist struct {
	Login, AppendAfterHybrid, AppendAfterError bool
}

// Doubts are how often something spoke against whoever used the account being its user, anywhere. What was deleted since speaks no more.
type Doubts struct {
	WrongCodes        int // one-time codes
	CountersRegressed int // logins whose passkey had counted back
	BackupsChanged    int // logins whose passkey said otherwise than before whether it may be synchronised
}

// Outcome is how the passkey login of the request's process went.
type Outcome string

// The outcomes.
const (
	OutcomeSecurityKey Outcome = "sk"
	OutcomeLocal       Outcome = "local"
	OutcomeCDA         Outcome = "cda"
	OutcomeIncomplete  Outcome = "incomplete"
	OutcomeNotOffered  Outcome = "not-offered"
)

// Process is what this process has seen.
type Process struct {
	Outcome         Outcome
	FailedLocal     int    // failed local ceremonies
	MissingEvidence bool   // the passkey that should be here seems not to be
	Credential      string // that finished the login; empty if none did
}
