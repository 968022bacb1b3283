package service

import (
	"encoding/json"
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
)

// RiskAction is what a policy of risk would have done with a request.
type RiskAction string

// The actions.
const (
	RiskAllow     RiskAction = "allow"
	RiskReview    RiskAction = "review"    // go on, and tell somebody
	RiskChallenge RiskAction = "challenge" // go on after a further proof
	RiskDeny      RiskAction = "deny"
)

// Known reports whether a is one of the actions.
func (a RiskAction) Known() bool {
	return slices.Contains([]RiskAction{RiskAllow, RiskReview, RiskChallenge, RiskDeny}, a)
}

// RiskLevel is how much is wrong.
type RiskLevel string

// The levels.
const (
	RiskLow    RiskLevel = "low"
	RiskMedium RiskLevel = "medium"
	RiskHigh   RiskLevel = "high"
)

// Known reports whether l is one of the levels.
func (l RiskLevel) Known() bool {
	return slices.Contains([]RiskLevel{RiskLow, RiskMedium, RiskHigh}, l)
}

// Risk is how a request was judged beside what it asked for. It is told, and changes nothing of what is answered.
type Risk struct {
	Rule    string       `json:"rule"` // row of the policy, for example R4
	Action  RiskAction   `json:"action"`
	Level   RiskLevel    `json:"level"`
	Reasons []RiskReason `json:"reasons"` // sorted by code; shared, read only
}

// RiskReason is something that is wrong.
type RiskReason struct {
	Code     string `json:"code"`
	Severity int    `json:"severity"` // 1 = noted .. 4 = barred
	Title    string `json:"title"`
}

// Counter says what a signature counter tells of a passkey.
type Counter string

// The values of Counter.
const (
	CounterNone      Counter = "none" // it does not count
	CounterOK        Counter = "ok"
	CounterRegressed Counter = "regressed" // it did not go up
	CounterReset     Counter = "reset"     // it counted, and does no longer
)

// FinishQuestion asks how risky it is to take an answer of an authenticator that was verified. Nothing has been issued or recorded yet.
type FinishQuestion struct {
	Question
	Passkey account.Credential `json:"passkey"` // as the account has it; of a creation as it would have
	UV      bool               `json:"uv"`      // its user was verified
	Login   *FinishedLogin     `json:"login,omitempty"`
	// Of a creation: it was made without a prompt
	Conditional bool `json:"conditional,omitempty"`
}

// FinishedLogin is what an answer to a login says beside; nil of a creation.
type FinishedLogin struct {
	Route         event.Route `json:"route"`
	Counter       Counter     `json:"counter"`
	BackupChanged bool        `json:"backupChanged,omitempty"`
}

// Finished is the answer to a finish, and how it was judged if it was. On the bus the body is at the top, where versions from before
// finishes were judged have it, too.
type Finished[T any] struct{ Judged[T] }

// judgement is what a Finished has beside its body.
type judgement struct {
	Judged *Judged[Empty] `json:"judged,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (f Finished[T]) MarshalJSON() ([]byte, error) {
	body, err := json.Marshal(f.Body)
	if err != nil || f.Decision == "" {
		return body, err
	}
	beside, err := json.Marshal(judgement{&Judged[Empty]{
		Decision: f.Decision, PolicyRevision: f.PolicyRevision, Incomplete: f.Incomplete, Risk: f.Risk,
	}})
	if err != nil || len(body) < len(`{"a":0}`) {
		return body, err
	}
	return append(append(body[:len(body)-1], ','), beside[1:]...), nil
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Finished[T]) UnmarshalJSON(raw []byte) error {
	var beside judgement
	*f = Finished[T]{}
	if err := json.Unmarshal(raw, &f.Body); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, &beside); err != nil || beside.Judged == nil {
		return err
	}
	f.Decision, f.PolicyRevision = beside.Judged.Decision, beside.Judged.PolicyRevision
	f.Incomplete, f.Risk = beside.Judged.Incomplete, beside.Judged.Risk
	return nil
}
