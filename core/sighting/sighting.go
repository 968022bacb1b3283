// Package sighting is what counting how often something was seen rests on: a small fact about an event, kept in one bounded set for each
// subject that it concerns, and the fold that makes counts of such a set.
//
// It promises that a set says the same in whatever order and however often its members came, that what it counts is never more than what
// happened, and that it is exact to the millisecond up to Cap. Whom a member is about it tells by tokens, which name nobody to who has no
// key of the project. It is pure.
package sighting

import (
	"slices"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Cap is how many members of a set count, the newest: sets are kept no larger than they have to be for that, and thresholds are small.
const Cap = 64

// Type is what was seen.
type Type uint8

// The types. Their numbers are in what is stored, and never change.
const (
	LoginCompleted  Type = 1
	AppendCompleted Type = 2
	AuthSuccess     Type = 3 // a caller reported a login that Keyward did not make
	LoginRefused    Type = 17
	LoginUnknown    Type = 18 // a login was asked for with a name that is no user's
	AuthFailure     Type = 19 // a caller reported one that failed
	CodeWrong       Type = 20
	StepUpFailed    Type = 21
	FraudConfirmed  Type = 22
)

// types are all of them by the names that policies have for them.
var types = [...]struct {
	name string
	of   Type
}{
	{"login-completed", LoginCompleted},
	{"append-completed", AppendCompleted},
	{"auth-success", AuthSuccess},
	{"login-refused", LoginRefused},
	{"login-unknown", LoginUnknown},
	{"auth-failure", AuthFailure},
	{"code-wrong", CodeWrong},
	{"step-up-failed", StepUpFailed},
	{"fraud-confirmed", FraudConfirmed},
}

// String returns the name of a type; empty if it is none.
func (t Type) String() string {
	for _, each := range types {
		if each.of == t {
			return each.name
		}
	}
	return ""
}

// TypeNamed returns the type that has a name.
func TypeNamed(name string) (Type, bool) {
	for _, each := range types {
		if each.name == name {
			return each.of, true
		}
	}
	return 0, false
}

// TypeNames returns the names of all types.
func TypeNames() []string {
	names := make([]string, len(types))
	for i, each := range types {
		names[i] = each.name
	}
	return names
}

// Family is whether what was seen speaks for or against whoever did it. A set is of one family: so many successes of a busy office cannot
// push its failures out.
type Family uint8

// The families.
const (
	Good Family = iota
	Bad
)

// Families returns both.
func Families() []Family { return []Family{Good, Bad} }

// firstBad parts the numbers of the types into the families.
const firstBad = LoginRefused - 1

// Family returns the family of a type.
func (t Type) Family() Family {
	if t < firstBad {
		return Good
	}
	return Bad
}

// Sighting is what is known of one event. Tokens are 0 if there is nothing to name.
type Sighting struct {
	Ms          int64 // Unix ms
	Type        Type
	TakenBack   bool   // the event does not count any more, whatever else is said of it
	Event, User uint64 // 48 bits each
	Environment uint32
	Network     uint32
	Credential  uint32
	Key         uint8 // which version of the project's key made the tokens; 0 = the first
}

// EventTypes returns the types of events that are counted.
func EventTypes() []event.Type {
	return []event.Type{
		event.LoginCompleted, event.AppendCompleted, event.LoginRefused, event.LoginCodeFailed, event.AuthLogin, event.StepUpFailed,
		event.RiskFeedback,
	}
}

// Counts reports whether events of a type are counted.
func Counts(t event.Type) bool { return slices.Contains(EventTypes(), t) }

// typeOf returns what an event counts as; 0 = nothing.
func typeOf(e *event.Event) Type {
	switch e.Type {
	case event.LoginCompleted:
		return LoginCompleted
	case event.AppendCompleted:
		return AppendCompleted
	case event.LoginRefused:
		return LoginRefused
	case event.LoginCodeFailed:
		return CodeWrong
	case event.AuthLogin:
		if e.Auth == nil {
			return 0
		}
		if e.Auth.Status == event.AuthSuccess {
			return AuthSuccess
		}
		return AuthFailure
	case event.RiskFeedback:
		if e.Feedback == nil || e.Feedback.Outcome != event.FraudConfirmed && e.Feedback.Instead == "" {
			return 0
		}
		return FraudConfirmed
	case event.StepUpFailed:
		return StepUpFailed
	default:
		return 0
	}
}

// Of returns what is to be kept of an event, and false if nothing is: it counts as nothing, or was appended by an earlier version, which
// named no subjects.
func Of(e *event.Event) (Sighting, bool) {
	t := typeOf(e)
	if t == 0 || e.Sighted == nil {
		return Sighting{}, false
	}
	s := New(t, e)
	if t == FraudConfirmed && e.Feedback.Instead != "" { // the one before it, at whatever time that was
		s.TakenBack, s.Event = true, short(string(e.Feedback.Instead))
	}
	return s, true
}

// New returns what is kept of an event that counts as a type, and names what it is counted for.
func New(t Type, e *event.Event) Sighting {
	return Sighting{
		Ms: e.CreatedMs, Type: t, Event: short(string(e.ID)), User: wide(e.Sighted.User), Environment: narrow(e.Sighted.Environment),
		Network: narrow(e.Sighted.Network), Credential: Credential(e.Credential), Key: VersionOf(e.Sighted).mark(),
	}
}

// KeysOf returns the sets that an event's sighting belongs into.
func KeysOf(e *event.Event, of Family) []Key {
	if e.Sighted == nil {
		return nil
	}
	const subjects = 4
	keys := make([]Key, 0, subjects)
	if e.User != "" {
		keys = append(keys, OfUser(e.Project, e.User, of))
	}
	return append(keys, Keys(e.Project, e.Sighted, of)...)
}

// Keys returns the sets of what is named, but for the user.
func Keys(project ident.ProjectID, named *event.Sighted, of Family) []Key {
	var keys []Key
	for _, each := range [...]struct {
		subject Subject
		token   string
	}{{Address, named.Address}, {Network, named.Network}, {Environment, named.Environment}} {
		if each.token != "" {
			keys = append(keys, Key{Project: project, Subject: each.subject, Token: each.token, Family: of})
		}
	}
	return keys
}
