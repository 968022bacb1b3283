// Package stepup keeps the further proofs that answers wait for: what was challenged, by which methods its user can pass, how often that
// failed, and, sealed, what was withheld. Store touches the key-value bucket "stepups" and nothing else.
//
// It promises that a step-up is there until it has expired, failed as often as it may, or was redeemed, and that whoever asks for it under
// another project, or for another user, is told the same as of one that never was. All changes are made upon the revision that was judged,
// so that of any number of callers, on whichever instances, one redeems it and no failure is lost. Its ID comes of the ceremony's: a
// ceremony that is finished twice has one. What was withheld is sealed under a key of the project that nobody but the ceremony service has,
// and opens for this step-up of this user alone; nothing here opens it before the step-up is passed.
package stepup

import (
	"cmp"
	"slices"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// How long a step-up can be passed and redeemed, and how many failures end it, where the policy does not say.
const (
	lifetime     = 10 * time.Minute
	mostFailures = 5
)

// Why a step-up cannot be had, or not yet.
var (
	// ErrUnknown does not tell whether it is another's, has expired, failed too often, was redeemed, or never was.
	ErrUnknown  = fault.NotFound("there is no such step-up, or it is over").Named("step-up-unknown")
	ErrRequired = fault.Risk(fault.TypeStepUpRequired, "the further proof has not been given yet").Named("step-up-required")
)

// schema is the version of the form in which a step-up is stored.
const schema = 1

// StepUp is a further proof that an answer waits for. Times are Unix ms.
type StepUp struct {
	Schema    int                    `json:"schema"`
	Project   ident.ProjectID        `json:"project"`
	User      ident.UserID           `json:"user"`
	ID        ident.StepUpID         `json:"id"`
	Ceremony  ident.ChallengeID      `json:"ceremony"` // that was challenged; empty = an evaluation was
	Process   string                 `json:"process,omitempty"`
	Decision  ident.DecisionID       `json:"decision,omitempty"`
	Methods   []service.StepUpMethod `json:"methods"`           // that the user can do, the preferred one first
	Passkey   ident.CredentialID     `json:"passkey,omitempty"` // that was used, or created
	CreatedMs int64                  `json:"createdMs"`
	ExpiresMs int64                  `json:"expiresMs"`
	Failures  int                    `json:"failures,omitempty"`
	Allowed   int                    `json:"allowed,omitempty"` // failures, of which the last ends it; 0 = as the policy does not say
	Nobody    bool                   `json:"nobody,omitempty"`  // there is no such user, so that nobody is told
	Passed    *Proof                 `json:"passed,omitempty"`
	Offer     bool                   `json:"offer,omitempty"`   // of a creation waits for it
	Reasons   []string               `json:"reasons,omitempty"` // for which the proof is asked

	Sighted *event.Sighted `json:"sighted,omitempty"` // what a failure is counted for

	KeyVersion int    `json:"keyVersion"` // of the key that Withheld is sealed with
	Withheld   []byte `json:"withheld"`
}

// Proof is how a step-up was passed, or tried.
type Proof struct {
	By     service.StepUpMethod `json:"by"`
	Method string               `json:"method"` // as events say it: By, or what the caller calls its own
	AtMs   int64                `json:"atMs"`
}

// ProofBy is a proof by one of Keyward's own methods.
func ProofBy(m service.StepUpMethod) Proof { return Proof{By: m, Method: string(m)} }

// Last sets for what reasons the proof is asked, and when the step-up ends: a while after its beginning, and with how many failures, as the
// policy has it that asks for it.
func (s *StepUp) Last(now time.Time, asked *service.Risk) {
	valid := time.Duration(asked.StepUpSeconds) * time.Second
	s.CreatedMs, s.ExpiresMs = now.UnixMilli(), now.Add(cmp.Or(valid, lifetime)).UnixMilli()
	s.Allowed = asked.StepUpFailures
	for _, reason := range asked.Reasons {
		s.Reasons = append(s.Reasons, reason.Code)
	}
}

// Left returns how many failures the step-up may still have.
func (s *StepUp) Left() int { return max(cmp.Or(s.Allowed, mostFailures)-s.Failures, 0) }

// ID returns the ID of the step-up of a ceremony.
func ID(ceremony ident.ChallengeID) ident.StepUpID { return ident.Seed(ceremony).StepUpID() }

// over reports whether nobody can have the step-up any more.
func (s *StepUp) over(now time.Time) bool {
	return s.Schema != schema || s.Left() == 0 || now.UnixMilli() >= s.ExpiresMs
}

// Pass notes that the proof was given. One that was given before stays.
func (s *StepUp) Pass(p Proof, now time.Time) {
	if s.Passed == nil {
		p.AtMs = now.UnixMilli()
		s.Passed = &p
	}
}

// Fail counts a failure, unless the proof was given already.
func (s *StepUp) Fail() {
	if s.Passed == nil {
		s.Failures++
	}
}

// Takes reports whether the step-up can be passed by a method.
func (s *StepUp) Takes(m service.StepUpMethod) bool { return slices.Contains(s.Methods, m) }

// Told is the step-up as others know it.
func (s *StepUp) Told() service.StepUp {
	return service.StepUp{ID: s.ID, Methods: slices.Clone(s.Methods), Expires: time.UnixMilli(s.ExpiresMs).UTC()}
}

// Event is an event that tells of the step-up. Each type is told once.
func (s *StepUp) Event(t event.Type, id ident.EventID, now time.Time) event.Event {
	return event.Event{
		ID: id, Project: s.Project, User: s.User, Type: t, CreatedMs: now.UnixMilli(), Process: s.Process, Ceremony: s.Ceremony,
		Decision: s.Decision, StepUp: s.ID,
	}
}

// ByPasskey reports whether a login with a passkey may pass the step-up.
func (s *StepUp) ByPasskey() bool {
	return slices.ContainsFunc(s.Methods, func(m service.StepUpMethod) bool {
		return m == service.StepUpPasskeyUV || m == service.StepUpOtherPasskey || m == service.StepUpSecurityKey
	})
}

// Trusted leaves of passkeys those that may pass the step-up, whatever its methods are: of which nothing is known that asks for a further
// proof by itself, or for which this one is asked.
func (s *StepUp) Trusted(passkeys []account.Credential, v service.Vouched) []account.Credential {
	return slices.DeleteFunc(slices.Clone(passkeys), func(c account.Credential) bool {
		return slices.ContainsFunc(v.Against, func(a service.Against) bool {
			return a.Passkey == c.ID && slices.ContainsFunc(a.Reasons, func(r service.RiskReason) bool {
				return r.Doubts() || slices.Contains(s.Reasons, r.Code)
			})
		})
	})
}

// Possible leaves of the methods those that a user can do, who has certain passkeys for it. The passkey of the step-up is the one that was
// used, or has just been created: it is no other one.
func (s *StepUp) Possible(a *account.Account, rpID string, passkeys []account.Credential) []service.StepUpMethod {
	return slices.DeleteFunc(slices.Clone(s.Methods), func(m service.StepUpMethod) bool {
		switch m {
		case service.StepUpCaller:
			return false
		case service.StepUpEmailCode:
			return !hasVerified(a, account.IdentifierTypeEmail)
		case service.StepUpSMSCode:
			return !hasVerified(a, account.IdentifierTypePhone)
		default:
			return !slices.ContainsFunc(passkeys, func(c account.Credential) bool { return c.RPID == rpID && Serves(m, &c, s.Passkey) })
		}
	})
}

func hasVerified(a *account.Account, t account.IdentifierType) bool {
	return slices.ContainsFunc(a.Identifiers, func(i account.Identifier) bool {
		return i.Type == t && i.Status != account.IdentifierStatusPending
	})
}

// Serves reports whether a login with a passkey that verifies its user is a proof by a method.
func Serves(m service.StepUpMethod, c *account.Credential, used ident.CredentialID) bool {
	switch m {
	case service.StepUpPasskeyUV:
		return true
	case service.StepUpOtherPasskey:
		return c.ID != used
	case service.StepUpSecurityKey:
		return c.Roaming() && !c.BackupEligible
	default:
		return false
	}
}

// By returns the first of the methods that a passkey serves; empty if it serves none.
func (s *StepUp) By(c *account.Credential) service.StepUpMethod {
	for _, m := range s.Methods {
		if Serves(m, c, s.Passkey) {
			return m
		}
	}
	return ""
}
