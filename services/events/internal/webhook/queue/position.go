package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/events/internal/webhook"
)

// Position is up to where an endpoint has got in the log: each event up to it was delivered, is kept by the queue, or concerns it not.
type Position struct {
	Sequence uint64 `json:"sequence"`

	at int64 // sequence in the stream of retries; 0 = it is not there
}

// Position returns where the endpoint is to go on. One that has none begins where it is told to, or where a version of Keyward has left it
// that kept the position in a consumer.
func (q *Queue) Position(ctx context.Context, e *webhook.Endpoint) (Position, error) {
	var p Position
	msg, err := q.retries.GetLastMsgForSubject(ctx, e.Subject(bus.WebhookPositionsPrefix))
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound):
		return q.before(ctx, e)
	case err != nil:
		return p, fmt.Errorf("read the position of a webhook endpoint: %w", err)
	}
	if err := json.Unmarshal(msg.Data, &p); err != nil {
		return p, fmt.Errorf("decode the position of a webhook endpoint: %w", err)
	}
	p.at = int64(msg.Sequence)
	return p, nil
}

func (q *Queue) before(ctx context.Context, e *webhook.Endpoint) (Position, error) {
	p := Position{Sequence: max(e.Start, 1) - 1}
	consumer, err := q.js.Consumer(ctx, bus.EventsStream, e.Consumer())
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("look for what an earlier version kept of a webhook endpoint: %w", err)
	}
	p.Sequence = max(p.Sequence, consumer.CachedInfo().AckFloor.Stream)
	return p, nil
}

// SetPosition stores that the endpoint has got to a position, from one that it had. It fails if somebody else has stored another one
// meanwhile.
func (q *Queue) SetPosition(ctx context.Context, e *webhook.Endpoint, had Position, sequence uint64) (Position, error) {
	p := Position{Sequence: sequence}
	at, err := q.put(ctx, e.Subject(bus.WebhookPositionsPrefix), p, had.at)
	p.at = int64(at)
	return p, err
}

func removePosition(ctx context.Context, js jetstream.JetStream, project ident.ProjectID, id ident.WebhookID) error {
	stream, err := js.Stream(ctx, bus.WebhookRetriesStream)
	if err != nil {
		return fmt.Errorf("open stream %s: %w", bus.WebhookRetriesStream, err)
	}
	subject := webhook.Subject(bus.WebhookPositionsPrefix, project, id)
	if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject)); err != nil {
		return fmt.Errorf("remove the position of a webhook endpoint: %w", err)
	}
	return nil
}
