package subscribe_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/sdk/event"
	"github.com/keyward/keyward/sdk/subscribe"
)

// It holds what PerUser promises against handlers that fail, processes that stop in the middle and NATS that delivers again.
func TestEventsOfOneUserFollowEachOtherAndUsersDoNotWait(t *testing.T) {
	t.Parallel()
	h := start(t)
	const users, each = 7, 40
	cfg := subscribe.Config{
		Name: "reader", Order: subscribe.PerUser, Since: subscribe.Beginning, Parallel: 5, AckWait: 400 * time.Millisecond,
		MinBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond, Grace: 10 * time.Millisecond,
		Takeover: 300 * time.Millisecond,
	}
	var mu sync.Mutex
	active, together := map[event.UserID]bool{}, 0
	done := map[event.UserID][]uint64{}
	handled := 0
	handle := func(ctx context.Context, e subscribe.Event) error {
		mu.Lock()
		if active[e.User] {
			t.Errorf("two events of %s at once", e.User)
		}
		active[e.User] = true
		together = max(together, len(active))
		mu.Unlock()
		defer func() {
			mu.Lock()
			defer mu.Unlock()
			delete(active, e.User)
		}()
		select {
		case <-time.After(time.Duration(rand.IntN(3)) * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		if rand.IntN(5) == 0 {
			return errors.New("not now")
		}
		mu.Lock()
		defer mu.Unlock()
		done[e.User] = append(done[e.User], e.Sequence)
		handled++
		return nil
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return handled
	}
	want := map[event.UserID][]uint64{}
	publish := func(n int) {
		for i := range n {
			user := fmt.Sprintf("usr-%d", 1+i%users)
			want[event.UserID(user)] = append(want[event.UserID(user)], h.publish("pro-1", user, event.LoginError))
		}
	}
	for range 4 {
		before := count()
		stop := h.run(h.open(cfg), handle)
		publish(users * each / 4)
		h.eventually("events do not come", func() bool { return count() >= before+users*each/8 })
		_ = stop() // it may say that handlers were still at work
	}
	h.run(h.open(cfg), handle)
	h.eventually("not every event came", func() bool {
		mu.Lock()
		defer mu.Unlock()
		for user := range want {
			if len(sorted(done[user])) < len(want[user]) {
				return false
			}
		}
		return true
	})
	mu.Lock()
	defer mu.Unlock()
	for user, got := range done {
		if diff := cmp.Diff(want[user], firsts(got)); diff != "" {
			t.Errorf("%s: %s", user, diff)
		}
	}
	if together < 2 {
		t.Error("users waited for each other")
	}
}

// firsts leaves out what came again.
func firsts(all []uint64) []uint64 {
	var kept []uint64
	for _, n := range all {
		if !slices.Contains(kept, n) {
			kept = append(kept, n)
		}
	}
	return kept
}

func TestOfTwoProcessesThatKeepOrderOneWorksAndTheOtherTakesItsPlace(t *testing.T) {
	t.Parallel()
	h := start(t)
	cfg := subscribe.Config{
		Name: "reader", Order: subscribe.PerUser, Since: subscribe.Beginning, AckWait: 300 * time.Millisecond, Takeover: 300 * time.Millisecond,
	}
	var books [2]notebook
	stops := make([]func() error, 2)
	for i := range books {
		stops[i] = h.run(h.open(cfg), books[i].handle)
	}
	var want []uint64
	for range 20 {
		want = append(want, h.publish("pro-1", "usr-1", event.LoginError))
	}
	both := func() []uint64 { return append(books[0].sequences(), books[1].sequences()...) }
	h.eventually("not everything came", func() bool { return len(both()) >= len(want) })
	first := 0
	if len(books[1].all()) > 0 {
		first = 1
	}
	if n := len(books[1-first].all()); n > 0 {
		t.Fatalf("the second process got %d events, too", n)
	}
	if err := stops[first](); err != nil {
		t.Error(err)
	}
	for range 5 {
		want = append(want, h.publish("pro-1", "usr-1", event.LoginError))
	}
	h.eventually("the second process did not take over", func() bool { return len(both()) >= len(want) })
	if diff := cmp.Diff(want[20:], books[1-first].sequences()); diff != "" {
		t.Error(diff)
	}
}

func TestAStopWaitsForHandlersAndNoLongerThanItsGrace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grace time.Duration
		fails bool
	}{"a handler that ends in time": {patience, false}, "a handler that ends only when told": {time.Millisecond, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := start(t)
			h.publish("pro-1", "usr-1", event.LoginError)
			began, release := make(chan struct{}), make(chan struct{})
			stop := h.run(
				h.open(subscribe.Config{Name: "reader", Since: subscribe.Beginning, Grace: c.grace, AckWait: time.Hour}),
				func(ctx context.Context, _ subscribe.Event) error {
					close(began)
					select {
					case <-release:
					case <-ctx.Done():
					}
					return nil
				},
			)
			<-began
			stopped := make(chan error, 1)
			go func() { stopped <- stop() }()
			if !c.fails {
				select {
				case err := <-stopped:
					t.Fatalf("the stop did not wait: %v", err)
				case <-time.After(50 * time.Millisecond):
				}
				close(release)
			}
			if err := <-stopped; (err != nil) != c.fails {
				t.Errorf("stop: %v", err)
			}
			// The acknowledgement was sent before the stop returned; the server may take it a moment later.
			h.eventually("what the handler did last was not acknowledged", func() bool {
				consumer, err := h.bus.JS.Consumer(t.Context(), bus.EventsStream, "reader")
				return err == nil && consumer.CachedInfo().NumAckPending == 0
			})
		})
	}
}

func TestALongHandlerKeepsItsEvent(t *testing.T) {
	t.Parallel()
	for _, order := range []subscribe.Order{subscribe.Any, subscribe.PerUser} {
		t.Run(fmt.Sprint(order), func(t *testing.T) {
			t.Parallel()
			h := start(t)
			for range 4 {
				h.publish("pro-1", "usr-1", event.LoginError)
			}
			var book notebook
			const wait = 100 * time.Millisecond
			h.run(
				h.open(subscribe.Config{Name: "reader", Since: subscribe.Beginning, AckWait: wait, Parallel: 1, Order: order}),
				func(_ context.Context, e subscribe.Event) error {
					book.note(e)
					<-time.After(3 * wait)
					return nil
				},
			)
			h.eventually("not everything was answered", func() bool {
				consumer, err := h.bus.JS.Consumer(t.Context(), bus.EventsStream, "reader")
				return err == nil && consumer.CachedInfo().AckFloor.Stream == 4
			})
			if diff := cmp.Diff([]uint64{1, 2, 3, 4}, book.sequences()); diff != "" {
				t.Errorf("an event came again while it was worked on: %s", diff)
			}
		})
	}
}
