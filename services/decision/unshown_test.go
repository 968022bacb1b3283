package decision_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

// An instance that hangs may have made the offer of a call that another one is asked again. Nobody has been shown it.
func TestAnAppendThatIsAskedAgainIsNotJudgedByItsOwnFirstAttempt(t *testing.T) {
	t.Parallel()
	user := factstest.BusyUser(noon)
	history := factstest.BusyHistory(noon, 20)
	first := event.Event{
		ID: "pke-first", Project: user.Project, User: user.Account.ID, Type: event.AppendOffered, Kind: event.KindConditionalCreate,
		CreatedMs: noon.Add(-time.Second).UnixMilli(), Process: user.Process, Ceremony: "was-first",
	}
	judge := func(events []event.Event, unshown ident.EventID) service.AppendVerdict {
		svc := newService(t, serviceOptions{now: noon, events: fakeEvents{events: events}})
		v, err := svc.Append(t.Context(), service.AppendQuestion{Question: user.Question, Unshown: unshown})
		if err != nil {
			t.Fatal(err)
		}
		v.Decision = ""
		return v
	}
	before := judge(history, "")
	if diff := cmp.Diff(before, judge(append(history, first), first.ID)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(before, judge(append(history, first), "")) {
		t.Error("an offer that was made makes no difference, so that this shows nothing")
	}
}
