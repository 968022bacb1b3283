package challenge

import (
	"testing"

	"github.com/keyward/keyward/core/event"
)

func TestAnEventIDIsThatOfItsFact(t *testing.T) {
	t.Parallel()
	a, b := EventID("was-1", event.LoginCompleted), EventID("was-1", event.LoginCompleted)
	if a != b || a == EventID("was-2", event.LoginCompleted) || a == EventID("was-1", event.AppendCompleted) {
		t.Error("event IDs do not follow the fact")
	}
}
