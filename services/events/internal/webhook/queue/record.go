package queue

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/events/internal/webhook"
)

// Outcome is what became of an attempt, in the wire's words.
type Outcome string

// The outcomes.
const (
	Delivered Outcome = "delivered"
	Retry     Outcome = "retry"
	Dead      Outcome = "dead"
)

// Record is one line of the delivery log.
type Record struct {
	EventID    ident.EventID `json:"eventID"`
	EventType  string        `json:"eventType"` // as sent
	User       ident.UserID  `json:"user"`
	Attempt    int           `json:"attempt"`
	Outcome    Outcome       `json:"outcome"`
	Status     int           `json:"status,omitempty"`
	Problem    string        `json:"problem,omitempty"`
	CreatedMs  int64         `json:"createdMs"` // Unix ms
	DurationMs int64         `json:"durationMs"`
}

const (
	recordsInFlight = 1024
	recordWait      = 5 * time.Second
)

// Recorder writes the delivery log in the background. A delivery never waits for its record: what cannot be written is lost and counted.
type Recorder struct {
	js   jetstream.JetStream
	lost func()
	sent chan jetstream.PubAckFuture
}

func NewRecorder(js jetstream.JetStream, lost func()) *Recorder {
	return &Recorder{js: js, lost: lost, sent: make(chan jetstream.PubAckFuture, recordsInFlight)}
}

func (r *Recorder) Add(e *webhook.Endpoint, record Record) {
	raw, err := json.Marshal(record)
	if err != nil {
		r.lost()
		return
	}
	subject := e.Subject(bus.WebhookDeliveriesPrefix) + "." + string(record.User) + "." + string(record.Outcome)
	future, err := r.js.PublishMsgAsync(&nats.Msg{Subject: subject, Data: raw})
	if err != nil {
		r.lost()
		return
	}
	select {
	case r.sent <- future:
	default:
		r.lost() // nobody learns what becomes of it
	}
}

// Run waits for acknowledgements until ctx ends.
func (r *Recorder) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case future := <-r.sent:
			r.settle(ctx, future)
		}
	}
}

func (r *Recorder) settle(ctx context.Context, future jetstream.PubAckFuture) {
	timer := time.NewTimer(recordWait)
	defer timer.Stop()
	select {
	case <-future.Ok():
	case err := <-future.Err():
		if err != nil {
			r.lost()
		}
	case <-timer.C:
		r.lost()
	case <-ctx.Done():
	}
}
