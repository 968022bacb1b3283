package events_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
)

// A version before kept how far an endpoint had got in a durable consumer, and the consumer stays when that version has gone.
func TestAnEndpointGoesOnWhereAVersionThatHadAConsumerForItLeftIt(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	d := h.start("")
	d.stop()
	r := receive(t, nil)
	made := d.create(r.URL)
	done, open := h.publish("usr-1", event.LoginError), h.publish("usr-1", event.LoginError)
	consumer, err := h.bus.JS.CreateConsumer(t.Context(), bus.EventsStream, jetstream.ConsumerConfig{
		Durable: "webhook-" + made.ID, FilterSubject: bus.EventsPrefix + "." + string(project) + ".>", AckPolicy: jetstream.AckExplicitPolicy,
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second is in hand when that version ends
		msg, err := consumer.Next()
		if err != nil {
			t.Fatal(err)
		}
		if meta, _ := msg.Metadata(); meta.Sequence.Consumer == 1 {
			if err := msg.DoubleAck(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	h.start("")
	later := h.publish("usr-1", event.LoginError)
	r.atLeast(2)
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, want := range []event.Event{open, later} {
		if got := r.got[i].Data.EventID; got != want.ID {
			t.Errorf("%d. is %s, want %s; %s was done with", i, got, want.ID, done.ID)
		}
	}
}

// What an earlier session has done does not come again, and nothing that it has not done is left out.
func TestASessionThatEndsInOrderLeavesItsPositionToTheNext(t *testing.T) {
	t.Parallel()
	h := newHooks(t, quickHooks())
	var calls atomic.Int64
	r := receive(t, func(http.ResponseWriter, *http.Request, delivery) bool {
		calls.Add(1)
		return true
	})
	d := h.start("")
	made := d.create(r.URL)
	want := h.fill(50, 2)
	r.complete(want)
	retries, err := h.bus.Stream(t.Context(), bus.WebhookRetriesStream)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "all is known to be delivered", func() bool {
		position, err := retries.GetLastMsgForSubject(t.Context(), bus.WebhookPositionsPrefix+"."+string(project)+"."+made.ID)
		return err == nil && string(position.Data) == `{"sequence":100}`
	})
	d.stop()
	d = h.start("")
	want = merge(want, h.fill(1, 1))
	r.complete(want)
	d.stop()
	if n := calls.Load(); n != 101 {
		t.Errorf("%d events were delivered %d times", 101, n)
	}
}
