package course_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/canary"
	"github.com/keyward/keyward/services/decision/internal/course"
	"github.com/keyward/keyward/services/decision/internal/release"
)

// everybody is a canary of revision 2 that a change began.
func everybody(change int) *release.Canary {
	return &release.Canary{
		Tried: release.Tried{Revision: 2, Change: change}, Division: canary.Division{Salt: "s", Share: canary.Whole},
		Bounds: canary.DefaultBounds(),
	}
}

func ada() *service.Question {
	return &service.Question{Project: "pro-1", Account: &account.Account{ID: "usr-1"}}
}

func TestAnEndIsJudgedByWhatJudgedItsStart(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	c := course.New(func() time.Time { return now })
	live, tried, next := &course.Policy{Number: 1}, &course.Policy{Number: 2}, &course.Policy{Number: 3}
	if j := c.Judge(live, ada()); j.Policy != live || j.Arm != nil || j.Tried() {
		t.Fatalf("without a canary: %+v", j)
	}
	c.Set(everybody(7), live, tried)
	started := c.Judge(live, ada())
	if started.Policy != tried || *started.Arm != (event.Arm{Side: event.Canary, Change: 7}) || !started.Tried() {
		t.Fatalf("%+v", started)
	}
	nobody := &service.Question{Project: "pro-1"}
	byBase := c.Judge(live, nobody)
	if byBase.Policy != live || byBase.Arm.Side != event.Base {
		t.Fatalf("who is not told apart: %+v", byBase)
	}
	if instead := started.Instead(); instead.Policy != live || instead.Arm.Side != event.Base || instead.Tried() {
		t.Errorf("instead: %+v", instead)
	}
	c.Set(nil, nil, nil)
	c.Set(everybody(9), next, tried) // another canary, since another revision is live
	for name, end := range map[string]struct {
		arm  *event.Arm
		want *course.Policy
	}{
		"of the canary that is over":      {started.Arm, tried},
		"of what was live beside it":      {byBase.Arm, live},
		"of a start before there was any": {nil, next},
		"of a canary that nobody knows":   {&event.Arm{Side: event.Canary, Change: 3}, next},
		"of the canary that is under way": {&event.Arm{Side: event.Canary, Change: 9}, tried},
		"of the other side of that":       {&event.Arm{Side: event.Base, Change: 9}, next},
	} {
		if j := c.JudgeEnd(next, end.arm); j.Policy != end.want {
			t.Errorf("%s: revision %d", name, j.Number)
		}
	}
	now = now.Add(time.Hour)
	c.Set(everybody(9), next, nil)
	if j := c.JudgeEnd(next, started.Arm); j.Policy != next {
		t.Errorf("what is over for an hour judges still: revision %d", j.Number)
	}
}

// told keeps what instances tell, and ends the canary once.
type told struct {
	all      release.Told
	returned chan string
}

func (s *told) Tell(_ context.Context, _ int, _ string, of release.Told) error {
	s.all = of
	return nil
}

func (s *told) Told(context.Context, int) (release.Told, error) { return s.all, nil }

func (s *told) Return(_ context.Context, change int, reason string, _ int64) (release.Change, bool, error) {
	s.returned <- reason
	return release.Change{Number: change + 1}, true, nil
}

func TestAnInstanceThatHasEndedACanaryJudgesByItNoMore(t *testing.T) {
	t.Parallel()
	c := course.New(time.Now)
	live := &course.Policy{Number: 1}
	c.Set(everybody(7), live, &course.Policy{Number: 2})
	ctx, stop := context.WithCancel(t.Context())
	store, ended := &told{returned: make(chan string, 1)}, make(chan release.Change, 1)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		c.Watch(ctx, course.Watching{Store: store, Instance: "a", Log: slog.New(slog.DiscardHandler), Returned: func(
			_ context.Context, _ *course.Policy, made release.Change,
		) {
			ended <- made
		}})
	}()
	c.Failed(c.Judge(live, ada()))
	if reason := <-store.returned; reason != "policy errors: 1, more than 0" {
		t.Error(reason)
	}
	if made := <-ended; made.Number != 8 {
		t.Errorf("%+v", made)
	}
	if j := c.Judge(live, ada()); j.Policy != live {
		t.Errorf("revision %d judges still", j.Number)
	}
	stop()
	<-watched
}
