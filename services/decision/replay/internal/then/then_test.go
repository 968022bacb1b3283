package then_test

import (
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/services/decision/replay/internal/then"
)

func TestWhatHappenedAfterADecision(t *testing.T) {
	t.Parallel()
	told := func(kind event.Type, more func(*event.Event)) event.Event {
		e := event.Event{Type: kind, Decision: "dec-1", Process: "prc-1", CreatedMs: 2000}
		if more != nil {
			more(&e)
		}
		return e
	}
	offered := told(event.LoginOffered, nil)
	fraud := told(event.RiskFeedback, func(e *event.Event) { e.Feedback = &event.Feedback{Outcome: event.FraudConfirmed} })
	other := told(event.LoginCompleted, func(e *event.Event) { e.Decision = "dec-2" })
	for name, c := range map[string]struct {
		events []event.Event
		want   then.Then
	}{
		"nothing is told":                     {nil, then.NotTold},
		"it was offered, and nothing is told": {[]event.Event{offered}, then.NotTold},
		"another's end":                       {[]event.Event{offered, other}, then.NotTold},
		"the login was completed":             {[]event.Event{offered, told(event.LoginCompleted, nil)}, then.Completed},
		"a creation was":                      {[]event.Event{told(event.AppendOffered, nil), told(event.AppendCompleted, nil)}, then.Completed},
		"the user aborted":                    {[]event.Event{offered, told(event.LoginExplicitAbort, nil)}, then.Aborted},
		"it failed, after an abort":           {[]event.Event{told(event.LoginError, nil), told(event.LoginExplicitAbort, nil)}, then.Failed},
		"the user took another way":           {[]event.Event{offered, told(event.LoginOneTapSwitch, nil)}, then.FellBack},
		"it was refused":                      {[]event.Event{told(event.LoginRefused, nil)}, then.Failed},
		"it was completed, and was a fraud":   {[]event.Event{told(event.LoginCompleted, nil), fraud}, then.Fraud},
	} {
		if got := then.Of("dec-1", c.events); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := (then.Outcomes{then.Completed: 3, then.Failed: 5, then.NotTold: 1}).String(); got != "failed 5, completed 3, not-told 1" {
		t.Error(got)
	}
}
