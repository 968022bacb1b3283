// Package then tells what happened after a decision, by the events of its user. It is pure.
package then

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Then is what happened after a decision.
type Then string

// What can have happened, the gravest first.
const (
	Fraud     Then = "fraud"     // was confirmed
	Completed Then = "completed" // the ceremony was
	FellBack  Then = "fell-back" // the user took another way
	Failed    Then = "failed"
	Aborted   Then = "aborted"
	NotTold   Then = "not-told" // nobody has told, or nothing was offered
)

// Outcomes counts what happened after decisions.
type Outcomes map[Then]int

// String names them, the most frequent first; empty if nothing is told of any.
func (o Outcomes) String() string {
	if len(o) == 0 || len(o) == 1 && o[NotTold] > 0 {
		return ""
	}
	names := slices.SortedFunc(maps.Keys(o), func(a, b Then) int { return cmp.Or(cmp.Compare(o[b], o[a]), cmp.Compare(a, b)) })
	words := make([]string, 0, len(names))
	for _, name := range names {
		words = append(words, fmt.Sprintf("%s %d", name, o[name]))
	}
	return strings.Join(words, ", ")
}

// Of returns what happened after a decision. Events that name no decision, as those of versions before, tell nothing.
func Of(decision ident.DecisionID, events []event.Event) Then {
	grave := []Then{Fraud, Completed, FellBack, Failed, Aborted, NotTold}
	found := len(grave) - 1
	for i := range events {
		e := &events[i]
		if e.Decision == decision {
			found = min(found, slices.Index(grave, happenedBy(e)))
		}
	}
	return grave[found]
}

// happenedBy is what an event says of the decision that it names.
func happenedBy(e *event.Event) Then {
	switch e.Type {
	case event.RiskFeedback:
		if e.Feedback != nil && e.Feedback.Outcome == event.FraudConfirmed {
			return Fraud
		}
		return NotTold
	case event.LoginCompleted, event.AppendCompleted:
		return Completed
	case event.LoginOneTapSwitch:
		return FellBack
	case event.AuthLogin:
		if e.OtherMeans() { // joined to the offer that was left for it
			return FellBack
		}
		return NotTold
	case event.LoginExplicitAbort, event.AppendExplicitAbort:
		return Aborted
	case event.LoginOffered, event.LoginDenied, event.AppendOffered:
		return NotTold
	default:
		if e.Type.AnswersLogin() || e.Type.AnswersAppend() || e.Type == event.LoginRefused || e.Type == event.AppendRefused {
			return Failed
		}
		return NotTold
	}
}
