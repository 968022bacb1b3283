package events_test

import (
	"fmt"
	"hash/fnv"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

// flaky refuses some attempts, the same ones in each run, and none for ever.
func flaky() func(http.ResponseWriter, *http.Request, delivery) bool {
	var mu sync.Mutex
	attempts := make(map[ident.EventID]int)
	return func(w http.ResponseWriter, _ *http.Request, d delivery) bool {
		mu.Lock()
		defer mu.Unlock()
		attempts[d.Data.EventID]++
		sum := fnv.New32a()
		_, _ = fmt.Fprint(sum, d.Data.EventID)
		if n := int(sum.Sum32() % 10); n < 4 && attempts[d.Data.EventID] <= n {
			w.WriteHeader(http.StatusInternalServerError)
			return false
		}
		return true
	}
}

func TestEachUsersEventsComeInOrderThoughManyFail(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("one")
	r := receive(t, flaky())
	d.create(r.URL)
	r.complete(h.fill(20, 20))
}

func TestAUserWhoseEventsFailHoldsBackNobodyElse(t *testing.T) {
	t.Parallel()
	config := quickHooks()
	config.MaxAttempts, config.RetryMax = 1000, 10*time.Second
	config.RetryMin = 5 * time.Second
	h := newHooks(t, config)
	d := h.start("one")
	var open atomic.Bool
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, got delivery) bool {
		if got.Data.UserID == "usr-9" && !open.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			return false
		}
		return true
	})
	made := d.create(r.URL)
	bad := map[ident.UserID][]ident.EventID{}
	for range 600 { // more than are held in memory
		e := h.publish("usr-9", event.LoginError)
		bad[e.User] = append(bad[e.User], e.ID)
	}
	good := h.fill(3, 3)
	r.complete(good)
	open.Store(true)
	r.complete(merge(good, bad))
	list, err := d.ListWebhookDeliveries(
		t.Context(),
		service.ForWebhook[service.List]{
			Project: project, Webhook: ident.WebhookID(made.ID),
			Body: service.List{Filter: []string{"outcome:eq:retry", "userID:eq:usr-9"}},
		},
	)
	if err != nil || list.Paging.TotalItems < 1 || list.Deliveries[0].Error == nil || *list.Deliveries[0].StatusCode != 500 {
		t.Errorf("the failure is not in the log: %+v, %v", list, err)
	}
}

func TestAStalledEndpointDoesNotDelayAnother(t *testing.T) {
	t.Parallel()
	config := quickHooks()
	config.Timeout = 10 * time.Minute // what waits for the stalled one does not end in time
	h := newHooks(t, config)
	d := h.start("one")
	stalled := receive(t, func(_ http.ResponseWriter, r *http.Request, _ delivery) bool {
		<-r.Context().Done()
		return false
	})
	quick := receive(t, nil)
	d.create(stalled.URL)
	d.create(quick.URL)
	quick.complete(h.fill(400, 2))
	d.stop() // before the receiver, which waits for who still hangs
}

func TestARestartLosesNothing(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	r := receive(t, flaky())
	d := h.start("embedded")
	d.create(r.URL)
	want := map[ident.UserID][]ident.EventID{}
	for k := range 8 {
		want = merge(want, h.fill(10, 5))
		r.atLeast(20 * (k + 1))
		d.stop()
		if k == 4 {
			h.reopen()
		}
		want = merge(want, h.fill(10, 2)) // nobody runs
		d = h.start("embedded")
	}
	r.complete(want)
}

func TestTwoDispatchersKeepTheOrderOfEachUser(t *testing.T) {
	t.Parallel()
	config := quickHooks()
	config.Lease = time.Minute // they leave properly; on a busy machine who is late by a second would be taken for gone
	h := newHooks(t, config)
	first, second := h.start(""), h.start("")
	var receivers []*receiver
	for range 4 {
		r := receive(t, flaky())
		receivers = append(receivers, r)
		first.create(r.URL)
	}
	want := h.fill(10, 10)
	third := h.start("")
	want = merge(want, h.fill(10, 10))
	first.stop()
	want = merge(want, h.fill(10, 10))
	second.stop()
	want = merge(want, h.fill(10, 10))
	for _, r := range receivers {
		r.complete(want)
	}
	third.stop()
}

func TestDeadLettersAreListedAndReplayedInOrder(t *testing.T) {
	t.Parallel()
	config := quickHooks()
	config.MaxAttempts = 3
	h := newHooks(t, config)
	d := h.start("one")
	var open atomic.Bool
	r := receive(t, func(w http.ResponseWriter, _ *http.Request, got delivery) bool {
		if got.Type == string(event.LoginError) && !open.Load() {
			w.WriteHeader(http.StatusTeapot)
			return false
		}
		return true
	})
	made := d.create(r.URL)
	id := ident.WebhookID(made.ID)
	dead := h.fill(2, 3)
	after := h.publish("usr-1", event.UserUpdated)
	got := r.atLeast(1)
	if got[0].Data.EventID != after.ID {
		t.Errorf("the event after the dead ones did not come: %s", got[0].body)
	}
	letters := func(filters ...string) rest.WebhookDeadLetterList {
		list, err := d.ListWebhookDeadLetters(
			t.Context(),
			service.ForWebhook[service.List]{Project: project, Webhook: id, Body: service.List{Filter: filters, PageSize: 100}},
		)
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	eventually(t, "six dead letters", func() bool { return letters().Paging.TotalItems == 6 })
	l := letters("userID:eq:usr-2").DeadLetters
	if len(l) != 3 || l[0].Attempts != 3 || *l[0].StatusCode != http.StatusTeapot || l[0].EventID != string(dead["usr-2"][0]) {
		t.Errorf("dead letters of one user: %+v", l)
	}
	// Replayed in vain they stay.
	queued, err := d.ReplayWebhookDeadLetters(
		t.Context(),
		service.ForWebhook[rest.WebhookReplayReq]{Project: project, Webhook: id, Body: rest.WebhookReplayReq{Ids: &[]string{l[0].ID}}},
	)
	if err != nil || queued.Queued != 1 {
		t.Fatalf("%+v, %v", queued, err)
	}
	deaths := func() int32 {
		list, err := d.ListWebhookDeliveries(
			t.Context(),
			service.ForWebhook[service.List]{
				Project: project, Webhook: id,
				Body: service.List{Filter: []string{"outcome:eq:dead", "eventID:eq:" + l[0].EventID}},
			},
		)
		if err != nil {
			t.Fatal(err)
		}
		return list.Paging.TotalItems
	}
	eventually(t, "the second death", func() bool { return deaths() == 2 })
	if n := letters().Paging.TotalItems; n != 6 {
		t.Errorf("%d dead letters after a replay in vain", n)
	}
	open.Store(true)
	if queued, err = d.ReplayWebhookDeadLetters(
		t.Context(), service.ForWebhook[rest.WebhookReplayReq]{Project: project, Webhook: id},
	); err != nil ||
		queued.Queued != 6 {
		t.Fatalf("%+v, %v", queued, err)
	}
	r.complete(map[ident.UserID][]ident.EventID{"usr-1": append([]ident.EventID{after.ID}, dead["usr-1"]...), "usr-2": dead["usr-2"]})
	eventually(t, "no dead letters", func() bool { return letters().Paging.TotalItems == 0 })
}
