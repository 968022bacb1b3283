package then

import (
	"fmt"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Step is an event in what came of a decision.
type Step struct {
	At          time.Time           `json:"at"`
	Type        event.Type          `json:"type"`
	Event       ident.EventID       `json:"event"`
	Process     string              `json:"process,omitempty"`
	Environment ident.EnvironmentID `json:"environment,omitempty"`
	Credential  string              `json:"credential,omitempty"`
}

// Steps returns what came of a decision to offer the creation of a passkey, by the events of its user, oldest first: the offer, how it was
// answered, and the first login with the passkey that it made.
func Steps(decision ident.DecisionID, events event.Set) []Step {
	var steps []Step
	ceremony, made := "", ""
	for i := range events.All() {
		e := &events.All()[i]
		switch {
		case ceremony == "" && e.Type == event.AppendOffered && e.Decision == decision:
			ceremony = e.Prompt()
		case ceremony == "" || made == "" && e.Prompt() != ceremony:
			continue
		case e.Type == event.AppendCompleted && made == "":
			made = e.Credential
		case e.Type == event.LoginCompleted && made != "" && e.Credential == made:
			return append(steps, step(e))
		case made != "":
			continue
		}
		steps = append(steps, step(e))
	}
	return steps
}

// String names what happened, and the passkey that it was about.
func (s Step) String() string {
	if s.Credential == "" {
		return string(s.Type)
	}
	return fmt.Sprintf("%s with %q", s.Type, s.Credential)
}

func step(e *event.Event) Step {
	return Step{
		At: time.UnixMilli(e.CreatedMs).UTC(), Type: e.Type, Event: e.ID,
		Process: e.Process, Environment: e.Environment, Credential: e.Credential,
	}
}
