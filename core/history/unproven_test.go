package history_test

import (
	"testing"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
)

func TestWhatIsNotProvenCountsInItsEnvironmentAlone(t *testing.T) {
	t.Parallel()
	moment := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	no := false
	tell := func(kind event.Type, id ident.EventID, environment ident.EnvironmentID) event.Event {
		return event.Event{
			ID: id, Project: "pro-1", User: "usr-1", Type: kind, Environment: environment,
			CreatedMs: moment.Add(-time.Hour).UnixMilli(), Proven: &no,
		}
	}
	events := event.NewSet([]event.Event{
		tell(event.LoginError, "pke-1", "env-1"), tell(event.LoginError, "pke-2", "env-2"),
		tell(event.UserLoginBlacklisted, "pke-3", ""), tell(event.AppendBlacklistedAfterError, "pke-4", "env-1"),
		tell(event.AppendExplicitAbort, "pke-5", "env-1"),
	})
	got := history.Fold(history.Input{Now: moment, Environment: "env-1", Parameters: defaultParameters(), Events: events})
	if got.Pair.LocalStreak != 1 {
		t.Errorf("a streak of %d here", got.Pair.LocalStreak)
	}
	if got.Blacklist != (history.Blacklist{}) || got.Append != (history.Append{}) {
		t.Errorf("counts for the user as a whole: %+v, %+v", got.Blacklist, got.Append)
	}
}
