package service

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
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

// Risk is how a request was judged beside what it asked for.
type Risk struct {
	Rule    string         `json:"rule"` // row of the policy, for example R4
	Action  RiskAction     `json:"action"`
	Level   RiskLevel      `json:"level"`
	Reasons []RiskReason   `json:"reasons"`          // sorted by code; this and StepUp: shared, read only
	StepUp  []StepUpMethod `json:"stepUp,omitempty"` // any of which answers a challenge, the preferred one first
	// How long a challenge that binds may be answered, and how often wrongly; 0 = the policy does not say
	StepUpSeconds  int                  `json:"stepUpSeconds,omitempty"`
	StepUpFailures int                  `json:"stepUpFailures,omitempty"`
	Exclude        []ident.CredentialID `json:"exclude,omitempty"`      // passkeys that a login start must not name
	RetrySeconds   int                  `json:"retrySeconds,omitempty"` // after which it is worth trying again; 0 = that is not known
	// NextEligibleAt is that as a moment, in whole seconds, or when an offer that is refused for the time being is not any more; zero = none
	NextEligibleAt time.Time   `json:"nextEligibleAt,omitzero"`
	Obligations    Obligations `json:"obligations,omitzero"`
	Enforced       bool        `json:"enforced,omitempty"` // the policy binds: what it says is done, and not only told
	Opened         *StepUp     `json:"opened,omitempty"`   // the step-up that a finish waits for; nil = none
}

// Binding returns what is to be done about the request: what the policy says if that binds, otherwise nothing. r may be nil.
func (r *Risk) Binding() RiskAction {
	if r == nil || !r.Enforced {
		return RiskAllow
	}
	return r.Action
}

// Bars reports whether a start must offer nothing, or a finish issue nothing. r may be nil.
func (r *Risk) Bars() bool { return r.Binding() == RiskDeny }

// Challenges reports whether a further proof has to be given before a finish issues anything. r may be nil.
func (r *Risk) Challenges() bool { return r.Binding() == RiskChallenge }

// VerifiesUser reports whether a login that is offered has to verify its user. r may be nil.
func (r *Risk) VerifiesUser() bool {
	return r.Challenges() || r.Bound().UserVerification != ""
}

// grave is the severity of what asks for a further proof.
const grave = 3

// Against returns the reasons that speak against the passkey that was judged. r may be nil; a policy that does not bind finds none.
func (r *Risk) Against() (all []RiskReason) {
	if r == nil || !r.Enforced {
		return nil
	}
	for _, reason := range r.Reasons {
		if reason.Passkey {
			all = append(all, reason)
		}
	}
	return all
}

// Doubts reports whether a reason against a passkey asks for a further proof by itself, so that a login with the passkey is none.
func (r RiskReason) Doubts() bool { return r.Passkey && r.Severity >= grave }

// OfProof is what a judgement comes to of a login that is a further proof itself. What is doubted in its passkey bars it; of the rest, bars
// alone do: what speaks against the request or the user is what the proof answers, and there is no endless chain.
func (r Risk) OfProof() Risk {
	switch {
	case slices.ContainsFunc(r.Against(), RiskReason.Doubts):
		r.Action, r.Level = RiskDeny, RiskHigh
	case r.Challenges():
		r.Action = RiskReview
	default:
		return r
	}
	r.StepUp = nil
	return r
}

// Bound returns what the policy obliges to if it binds, otherwise nothing. r may be nil.
func (r *Risk) Bound() Obligations {
	if r == nil || !r.Enforced {
		return Obligations{}
	}
	return r.Obligations
}

// Nameable returns those of the passkeys that a login start may name: all, but those that a policy excludes which binds. r may be nil.
func (r *Risk) Nameable(passkeys []*account.Credential) []*account.Credential {
	if r == nil || !r.Enforced || len(r.Exclude) == 0 {
		return passkeys
	}
	return slices.DeleteFunc(slices.Clone(passkeys), func(c *account.Credential) bool { return slices.Contains(r.Exclude, c.ID) })
}

// About is what a reason speaks against.
type About string

// What reasons speak against.
const (
	AboutRequest    About = "request"
	AboutUser       About = "user"
	AboutCredential About = "credential"
)

// Obligations are what goes with an answer. The zero value obliges to nothing.
type Obligations struct {
	NotifyUser        bool   `json:"notifyUser,omitempty"`        // the user should be told
	MaxSessionSeconds int    `json:"maxSessionSeconds,omitempty"` // most that a session may live that comes of it; 0 = there is no bound
	UserVerification  string `json:"userVerification,omitempty"`  // required, or empty
}

// StepUpMethod is a way to give a further proof.
type StepUpMethod string

// The methods.
const (
	StepUpSecurityKey  StepUpMethod = "security-key"  // a login with a roaming, device-bound passkey that verifies its user
	StepUpOtherPasskey StepUpMethod = "other-passkey" // a login with another passkey than the one used
	StepUpPasskeyUV    StepUpMethod = "passkey-uv"    // a login that verifies its user
	StepUpEmailCode    StepUpMethod = "email-code"
	StepUpSMSCode      StepUpMethod = "sms-code"
	StepUpCaller       StepUpMethod = "caller" // whatever the caller knows; it tells the outcome
)

// StepUpMethods returns all methods.
func StepUpMethods() []StepUpMethod {
	return []StepUpMethod{StepUpSecurityKey, StepUpOtherPasskey, StepUpPasskeyUV, StepUpEmailCode, StepUpSMSCode, StepUpCaller}
}

// Known reports whether m is one of the methods.
func (m StepUpMethod) Known() bool { return slices.Contains(StepUpMethods(), m) }

// NoStepUp is the reason of a verdict that denies, since the user has no way to give the further proof that it asked for.
const NoStepUp = "no-step-up"

// StepUp is a further proof that is waited for.
type StepUp struct {
	ID      ident.StepUpID `json:"id"`
	Methods []StepUpMethod `json:"methods"` // that the user can do, the preferred one first
	Expires time.Time      `json:"expires"`
}

// RiskReason is something that is wrong.
type RiskReason struct {
	Code     string `json:"code"`
	Severity int    `json:"severity"` // 1 = noted .. 4 = barred
	Title    string `json:"title"`
	About    About  `json:"about,omitempty"` // empty: the bundle does not say
	// It speaks against the passkey that is used, whatever else it is about
	Passkey bool `json:"passkey,omitempty"`
}

// JudgedAs returns a fault that says how what it ends was judged.
func JudgedAs(f *fault.Fault, v *Verdict) *fault.Fault {
	raw, err := json.Marshal(Judged[Empty]{Decided: v.Decided, Incomplete: v.Incomplete, Risk: v.Risk})
	if err != nil {
		return f
	}
	return f.JudgedAs(raw)
}

// JudgementOf returns how what a fault ends was judged; nil if it does not say.
func JudgementOf(f *fault.Fault) *Judged[Empty] {
	judged := new(Judged[Empty])
	if len(f.Judged) == 0 || json.Unmarshal(f.Judged, judged) != nil || judged.Risk == nil {
		return nil
	}
	return judged
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
	// The login is the further proof that something else waits for: what other passkeys have done is not held against it
	Proof bool `json:"proof,omitempty"`
	// By which the start was judged, and when, in Unix ms; nil = there was no canary
	Arm       *event.Arm `json:"arm,omitempty"`
	StartedMs int64      `json:"startedMs,omitempty"`
}

// Vouched says what speaks against passkeys of an account, if anything does.
type Vouched struct {
	Against []Against `json:"against,omitempty"`
}

// Against is what speaks against a passkey.
type Against struct {
	Passkey ident.CredentialID `json:"passkey"`
	Reasons []RiskReason       `json:"reasons"`
}

// FinishedLogin is what an answer to a login says beside; nil of a creation.
type FinishedLogin struct {
	Route         event.Route `json:"route"`
	Counter       Counter     `json:"counter"`
	BackupChanged bool        `json:"backupChanged,omitempty"`
}

// RiskEvaluation asks how risky it is to let a user do something that is no ceremony.
type RiskEvaluation struct {
	User       ident.UserID           `json:"user,omitempty"` // this or the identifier
	Identifier string                 `json:"identifier,omitempty"`
	Action     string                 `json:"action"` // one that the policy declares
	Client     rest.ClientInformation `json:"client"`
	Context    json.RawMessage        `json:"context,omitempty"` // what the caller alone knows, as the policy describes it; nil = nothing
	Process    string                 `json:"process,omitempty"`
	Resource   *Resource              `json:"resource,omitempty"` // what it is done to, for the record
}

// Evaluations is the part of the ceremony service that asks how risky it is to let a user do what is no ceremony.
type Evaluations interface {
	// EvaluateRisk judges an action of a user. One who does not exist is judged as an account without a history. Where the policy binds
	// and asks for a further proof, its step-up is open when this has returned. 400 userID (also if not one of userID and identifier is
	// given), action, context, clientInformation.remoteAddress.
	EvaluateRisk(context.Context, ForProject[RiskEvaluation]) (Judged[Empty], error)
	// TellRiskOutcome notes what became of what a decision was about. The same word for the same decision is noted once, and a later word
	// outweighs it. 404 if the decision is not in the records (any more) and userID and at are not given; 400 outcome, userID (unknown, of
	// another than the decision was about, or not given of one that was about nobody), at.
	TellRiskOutcome(context.Context, ForProject[RiskFeedback]) (rest.RiskFeedbackRsp, error)
}

// RiskFeedback says what became of what a decision was about.
type RiskFeedback struct {
	Decision ident.DecisionID     `json:"decision"`
	Said     rest.RiskFeedbackReq `json:"said"`
}

// Explanations is the part of the decision service that tells why a decision was made.
//
//keyward:service decision
type Explanations interface {
	// ExplainDecision explains a decision of the project by its record. Records are written in the background: 404 if none is there
	// (yet), or it is of another project.
	//
	//keyward:repeatable
	ExplainDecision(context.Context, ForProject[ident.DecisionID]) (frontend.TrialDecision, error)
	// RecordedRisk tells how a decision of the project was judged for risk. 404 as above.
	//
	//keyward:repeatable
	RecordedRisk(context.Context, ForProject[ident.DecisionID]) (RecordedRisk, error)
}

// RecordedRisk is what the record of a decision tells of how it was judged for risk.
type RecordedRisk struct {
	User        ident.UserID        `json:"user,omitempty"` // empty: it was about nobody
	Time        time.Time           `json:"time"`
	Process     string              `json:"process,omitempty"`
	Environment ident.EnvironmentID `json:"environment,omitempty"`
	Sighted     *event.Sighted      `json:"sighted,omitempty"` // nil in records of before
	Judged      event.Feedback      `json:"judged"`            // without an outcome
}

// EvaluateQuestion asks how risky it is to let a user do something that is no ceremony.
type EvaluateQuestion struct {
	Question
	Action   string    `json:"action"`             // one that the policy declares
	Resource *Resource `json:"resource,omitempty"` // what it is done to, for the record; no fact
}

// Resource is what something is done to, in the caller's words.
type Resource struct {
	Type string `json:"type"`
	ID   string `json:"id"`
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
		Decided: f.Decided, Incomplete: f.Incomplete, Risk: f.Risk,
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
	f.Decided, f.Incomplete, f.Risk = beside.Judged.Decided, beside.Judged.Incomplete, beside.Judged.Risk
	return nil
}
