package outbox

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

func risky(of ident.UserID, n int) event.Event {
	return event.Event{ID: ident.EventID(fmt.Sprintf("pke-%d", n)), Project: project, User: of, Type: event.RiskDecided}
}

// running runs a store until the test calls what is returned, which waits for its end.
func running(t *testing.T, s *Store) (end func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var run sync.WaitGroup
	run.Go(func() { s.Run(ctx) })
	for !s.observed.running.Load() {
		<-time.After(time.Millisecond)
	}
	return func() {
		stop()
		run.Wait()
	}
}

func TestWhatNobodyWaitsForIsToldOfWhoIsThere(t *testing.T) {
	t.Parallel()
	i := open(t)
	s := i.instance(t, false)
	end := running(t, s)
	s.Observe(t.Context(), risky(user, 1), risky("usr-2", 2)) // the latter is nobody, or has been erased
	end()
	if len(i.log) != 1 || i.log[0] != "pke-1" {
		t.Errorf("told %v", i.log)
	}
	if lost := testutil.ToFloat64(s.metrics.Lost); lost != 0 {
		t.Errorf("%v are lost", lost)
	}
	s.Observe(t.Context(), risky(user, 3))
	if lost := testutil.ToFloat64(s.metrics.Lost); lost != 1 || len(i.log) != 1 {
		t.Errorf("after its end: %v are lost, told %v", lost, i.log)
	}
}

func TestOfOneUserSoMuchIsToldInAnHour(t *testing.T) {
	t.Parallel()
	i := open(t)
	s := i.instance(t, false)
	now := time.Unix(3600*1000, 0)
	s.now = func() time.Time { return now }
	end := running(t, s)
	for n := range 2 * observedOfUser {
		s.Observe(t.Context(), risky(user, n))
	}
	withheld := testutil.ToFloat64(s.metrics.Withheld)
	now = now.Add(time.Hour)
	s.Observe(t.Context(), risky(user, 2*observedOfUser))
	end()
	if len(i.log) != observedOfUser+1 || withheld != observedOfUser {
		t.Errorf("told %d, withheld %v", len(i.log), withheld)
	}
}

func TestWhatThereIsNoRoomForIsLostAndNobodyWaits(t *testing.T) {
	t.Parallel()
	s := open(t).instance(t, false)
	s.observed.running.Store(true) // and nobody takes from the queue
	for n := range maxObserved + 3 {
		s.Observe(t.Context(), risky(ident.UserID(fmt.Sprintf("usr-%d", n)), n))
	}
	if lost := testutil.ToFloat64(s.metrics.Lost); lost != 3 {
		t.Errorf("%v are lost", lost)
	}
}
