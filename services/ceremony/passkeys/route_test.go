package passkeys

import (
	"testing"

	"github.com/keyward/keyward/core/event"
)

func TestAnEventIDIsThatOfItsFact(t *testing.T) {
	t.Parallel()
	a, b := EventIDOf("was-1", event.LoginCompleted), EventIDOf("was-1", event.LoginCompleted)
	if a != b || a == EventIDOf("was-2", event.LoginCompleted) || a == EventIDOf("was-1", event.AppendCompleted) {
		t.Error("event IDs do not follow the fact")
	}
}
