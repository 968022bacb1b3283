package event_test

import (
	"testing"

	"github.com/keyward/keyward/core/event"
)

func TestAnEventThatNamesAChallengeHappenedWhereItWasGiven(t *testing.T) {
	t.Parallel()
	known := []event.Event{
		{ID: "evt-1", Type: event.LoginOffered, Challenge: "bG9naW4", Process: "p", Environment: "E1"},
		{ID: "evt-2", Type: event.AppendOffered, Challenge: "YXBwZW5k", Process: "p", Environment: "E2"},
	}
	for name, c := range map[string]struct {
		said event.Event
		want string
	}{
		"a login's":             {event.Event{Type: event.LoginError, Challenge: "bG9naW4"}, "E1"},
		"a creation's":          {event.Event{Type: event.AppendError, Challenge: "YXBwZW5k"}, "E2"},
		"padded":                {event.Event{Type: event.LoginError, Challenge: "bG9naW4="}, "E1"},
		"what it says stays":    {event.Event{Type: event.LoginError, Challenge: "bG9naW4", Environment: "E9"}, "E9"},
		"a process is no place": {event.Event{Type: event.LoginError, Process: "p"}, ""},
		"an unknown challenge":  {event.Event{Type: event.LoginError, Challenge: "eA", Process: "p"}, ""},
	} {
		if got := event.Join(c.said, known).Environment; string(got) != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
