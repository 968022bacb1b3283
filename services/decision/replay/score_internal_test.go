package replay

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/event"
)

func word(outcome event.Outcome, action string, reasons ...string) event.Event {
	return event.Event{Feedback: &event.Feedback{Outcome: outcome, Action: action, Reasons: reasons}}
}

func TestOutcomesSayHowWellReasonsTellFraudsFromTheRest(t *testing.T) {
	t.Parallel()
	got, err := score(t.Context(), []event.Event{
		word(event.FraudConfirmed, "challenge", "address-spray"),
		word(event.FraudConfirmed, "challenge", "address-spray", "bot"),
		word(event.FraudConfirmed, "allow", "new-network"),
		word(event.Legitimate, "review", "bot"),
		word(event.FraudSuspected, "deny", "address-spray"), // which is not known
		word(event.Legitimate, ""),                          // which was not recorded any more
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &Score{
		Told: 6, Is: Confusion{}, Was: Confusion{
			"challenge": {event.FraudConfirmed: 2}, "allow": {event.FraudConfirmed: 1}, "review": {event.Legitimate: 1},
			"deny": {event.FraudSuspected: 1}, "": {event.Legitimate: 1},
		},
		Reasons: []ReasonScore{
			{Reason: "address-spray", Frauds: 2, OnlyIt: 1}, {Reason: "bot", Frauds: 1, Legitimate: 1}, {Reason: "new-network", Frauds: 1},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if share, known := got.Reasons[1].Precision(); share != 0.5 || !known {
		t.Errorf("precision %v %t", share, known)
	}
	if _, known := (ReasonScore{}).Precision(); known {
		t.Error("of nothing a precision is known")
	}
}

func TestACounterThatNobodyCountedIsNotZero(t *testing.T) {
	t.Parallel()
	facts := json.RawMessage(`{"velocity":{"complete":true,"userFailures":3}}`)
	for path, want := range map[string]bool{
		"velocity.userFailures": true, "velocity.complete": true, "velocity.addressUsers": false, "request.country": true,
	} {
		if got := has(facts, []string{path}); got != want {
			t.Errorf("%s: %t", path, got)
		}
	}
}
