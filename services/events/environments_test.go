package events

import (
	"testing"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// A stranger has no handle of the user's environments, and so cannot spend what the user's own browser may tell.
func TestAnEnvironmentThatTheUserHasSignedInFromHasRoomOfItsOwn(t *testing.T) {
	t.Parallel()
	a := account.Account{Environments: []account.Environment{{ID: "env-home"}, {ID: "env-work"}}}
	room := budget(DefaultUnproven())
	proven := false
	told := func(environment ident.EnvironmentID) event.Event {
		return event.Event{Type: event.LoginError, Proven: &proven, CreatedMs: 1, Environment: environment}
	}
	for name, c := range map[string]struct {
		spent, by ident.EnvironmentID
		full      bool
	}{
		"the same stranger's":                     {"env-strange", "env-strange", true},
		"a stranger's in another environment":     {"env-strange", "env-other", true},
		"a stranger's in none":                    {"env-strange", "", true},
		"the user's after a stranger's":           {"env-strange", "env-home", false},
		"a stranger's after the user's":           {"env-home", "env-strange", false},
		"the user's own":                          {"env-home", "env-home", true},
		"the user's after those of another own":   {"env-work", "env-home", false},
		"the user's after what nobody's was told": {"", "env-home", false},
	} {
		var history []event.Event
		for range room.Requests {
			history = append(history, told(c.spent))
		}
		if wait := room.full(told(c.by), history, theirs(a)); (wait > 0) != c.full {
			t.Errorf("%s: to be waited for %v", name, wait)
		}
	}
	if (budget{}).full(told(""), []event.Event{told("")}, theirs(a)) != 0 {
		t.Error("no limit is one")
	}
}
