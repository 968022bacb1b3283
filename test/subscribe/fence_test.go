package subscribe_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/sdk/event"
	"github.com/keyward/keyward/sdk/subscribe"
)

// killed is JetStream as a server's death leaves it: the first acknowledgement of one event is lost with what was not written yet, and
// that of another is kept, but its answer is still on its way.
type killed struct {
	jetstream.JetStream
	lost, late uint64 // their sequences
	once       sync.Once
	kept       chan struct{} // closed when the late one is acknowledged
	answer     chan struct{} // closed when its answer may come
}

func (k *killed) CreateOrUpdateConsumer(ctx context.Context, stream string, cfg jetstream.ConsumerConfig) (jetstream.Consumer, error) {
	consumer, err := k.JetStream.CreateOrUpdateConsumer(ctx, stream, cfg)
	return killedConsumer{consumer, k}, err
}

type killedConsumer struct {
	jetstream.Consumer
	*killed
}

func (c killedConsumer) Messages(opts ...jetstream.PullMessagesOpt) (jetstream.MessagesContext, error) {
	messages, err := c.Consumer.Messages(opts...)
	return killedMessages{messages, c.killed}, err
}

type killedMessages struct {
	jetstream.MessagesContext
	*killed
}

func (m killedMessages) Next(opts ...jetstream.NextOpt) (jetstream.Msg, error) {
	msg, err := m.MessagesContext.Next(opts...)
	return killedMsg{msg, m.killed}, err
}

type killedMsg struct {
	jetstream.Msg
	*killed
}

func (m killedMsg) DoubleAck(ctx context.Context) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	forgotten := false
	if meta.Sequence.Stream == m.lost {
		m.once.Do(func() { forgotten = true })
	}
	if forgotten {
		return nil
	}
	err = m.Msg.DoubleAck(ctx)
	if meta.Sequence.Stream == m.late && (err == nil || errors.Is(err, jetstream.ErrMsgAlreadyAckd)) {
		close(m.kept)
		<-m.answer
	}
	return err
}

func TestAnEventWhoseAcknowledgementIsOnItsWayDoesNotStandForOneThatHasNotCome(t *testing.T) {
	t.Parallel()
	h := start(t)
	first, other := h.publish("pro-1", "usr-1", event.LoginError), h.publish("pro-1", "usr-2", event.LoginError)
	js := &killed{JetStream: h.bus.JS, lost: first, late: other, kept: make(chan struct{}), answer: make(chan struct{})}
	s, err := subscribe.Open(t.Context(), js, subscribe.Config{
		Name: "reader", Order: subscribe.PerUser, Since: subscribe.Beginning, AckWait: 2 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	var book notebook
	h.run(s, book.handle)
	t.Cleanup(func() { close(js.answer) })
	select {
	case <-js.kept:
	case <-time.After(patience):
		t.Fatal("the second event was not acknowledged")
	}
	h.eventually("the first event was not handled", func() bool { return len(book.all()) == 2 })

	// A server that starts again knows of no process that keeps the order. It waits for the first event, and for the next of the same user.
	stream, err := h.bus.JS.Stream(t.Context(), bus.EventsStream)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.UnpinConsumer(t.Context(), "reader", "keyward"); err != nil {
		t.Fatal(err)
	}
	next := h.publish("pro-1", "usr-1", event.LoginError)

	var got []uint64
	h.eventually("not everything came again", func() bool {
		got = nil
		for _, e := range book.all() {
			if e.User == "usr-1" {
				got = append(got, e.Sequence)
			}
		}
		return len(got) >= 3
	})
	if diff := cmp.Diff([]uint64{first, first, next}, got); diff != "" {
		t.Errorf("an event overtook one of the same user that had not come again: %s", diff)
	}
}
