package then_test

import (
	"strings"
	"testing"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
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
		"the user logged in by other means": {[]event.Event{offered, told(event.AuthLogin, func(e *event.Event) {
			e.Auth = &event.Auth{Method: "password", Status: event.AuthSuccess}
		})}, then.FellBack},
		"it was refused":                    {[]event.Event{told(event.LoginRefused, nil)}, then.Failed},
		"it was completed, and was a fraud": {[]event.Event{told(event.LoginCompleted, nil), fraud}, then.Fraud},
	} {
		if got := then.Of("dec-1", c.events); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := (then.Outcomes{then.Completed: 3, then.Failed: 5, then.NotTold: 1}).String(); got != "failed 5, completed 3, not-told 1" {
		t.Error(got)
	}
}

func TestSegmentsCountWhatHappenedByWhatDecisionsHaveInCommon(t *testing.T) {
	t.Parallel()
	var s then.Segments
	iphone := []byte(`{"client":{"os":"ios","browser":"safari","device":"phone"}}`)
	for _, one := range []struct {
		project ident.ProjectID
		facts   []byte
		then    then.Then
	}{
		{"pro-1", iphone, then.Completed}, {"pro-1", iphone, then.FellBack},
		{"pro-2", []byte(`{"client":{"os":"windows"}}`), then.Completed},
		{"pro-2", []byte(`{}`), then.NotTold}, {"pro-2", nil, then.NotTold},
	} {
		s.Add(one.project, one.facts, one.then)
	}
	var got strings.Builder
	if err := then.Write(&got, s.All()); err != nil {
		t.Fatal(err)
	}
	const want = `
DECISIONS  BY       OF       THEN
3          project  pro-2    not-told 2, completed 1
2          project  pro-1    completed 1, fell-back 1
2          os       ios      completed 1, fell-back 1
2          os       unknown  
1          os       windows  completed 1
3          browser  unknown  not-told 2, completed 1
2          browser  safari   completed 1, fell-back 1
3          device   unknown  not-told 2, completed 1
2          device   phone    completed 1, fell-back 1
`
	if got.String() != want {
		t.Errorf("got%s", got.String())
	}
	got.Reset()
	var silent then.Segments
	silent.Add("pro-1", iphone, then.NotTold)
	if err := then.Write(&got, silent.All()); err != nil || got.String() != "" {
		t.Errorf("of what nobody has told of: %q, %v", got.String(), err)
	}
}
