// Package written reads scenarios as they stand in a file, with everything resolved: names, offsets and what the log means to the events
// service. It promises that a file which holds anything the format does not know is refused, each fault with its line, and knows how what
// was expected compares with what came. It is pure.
package written

import (
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/scenario/internal/around"
	"github.com/keyward/keyward/services/decision/scenario/internal/counted"
)

// The actions that a scenario may ask about.
const (
	Login     = "login"
	Append    = "append"
	Mediation = "mediation"
	Rollout   = "rollout"
	Risk      = "risk" // how a start is judged beside what it asks for
)

// Actions returns the names of all actions.
func Actions() []string { return []string{Login, Append, Mediation, Rollout, Risk} }

// Scenario is one decision with everything resolved: names, offsets and what the log means to the events service.
type Scenario struct {
	File   string
	Line   int
	Name   string
	Action string

	Now          time.Time
	Question     service.Question
	Strategy     rest.CrossDeviceAuthenticationStrategy
	Source       event.Source
	Flags        rest.PasskeyIntelFlags
	Situation    string
	Rollout      service.RolloutQuestion  // of a rollout, but for the question that all have
	Stage        facts.Stage              // of risk
	Finish       service.FinishQuestion   // of a stage that ends a ceremony, but for the question that all have
	Asked        service.EvaluateQuestion // of the stage evaluate, but for the question that all have
	Parameters   []Parameter
	Lists        *around.Lists // of the file; nil = it has none
	Networks     around.Networks
	Models       around.Authenticators
	Events       []event.Event
	Offers       []event.Event
	counted.Log  // what is counted
	passkeys     []passkey
	Expectations []Expectation
}

// Parameter is an override of one of the bundle's parameters.
type Parameter struct {
	Name  string
	Value any
	Line  int
}

// passkey is a credential of the account under the name that the file calls it by.
type passkey struct {
	name       string
	credential account.Credential
	provider   Provider // by which the bundle knows the AAGUID
	deletedMs  int64    // Unix ms; 0 = never
}

// Expectation is one key of expect. The value is a bool, an int, a string, a []string or, of history, a map[string]any.
type Expectation struct {
	Key  string
	Line int
	Want any
}

// NameOf returns what the file calls a credential of the account.
func (s *Scenario) NameOf(id ident.CredentialID) string {
	for i := range s.passkeys {
		if s.passkeys[i].credential.ID == id {
			return s.passkeys[i].name
		}
	}
	return string(id)
}
