package events

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/events/internal/webhook/queue"
)

// DefaultSweepAfter is longer than any call takes that began before its user was deleted, with the record of its decision.
const DefaultSweepAfter = time.Minute

// Erase implements service.Events. What calls that are under way leave afterwards is removed once they have ended; see sweep.
func (s *Service) Erase(ctx context.Context, req service.ForUser[service.Empty]) (service.Empty, error) {
	if err := s.deps.Store.Erase(ctx, req.Project, req.User); err != nil {
		return service.Empty{}, err
	}
	// After the events: what is not in the log is not delivered anew.
	if err := queue.PurgeUser(ctx, s.deps.JetStream, req.Project, req.User); err != nil {
		return service.Empty{}, fault.Unavailable(time.Second, "the webhook deliveries could not be erased").Because(err)
	}
	return service.Empty{}, nil
}

// sweep erases once more, a while after each deletion of a user, until ctx ends. A call that looked at the account just before it was
// deleted may append an event, publish an offer or deliver to a webhook after all has been erased, and its decision is recorded in the
// background. The log itself says which users are to be swept, so that no crash lets one be forgotten.
func (s *Service) sweep(ctx context.Context) {
	for {
		if err := s.sweepOnce(ctx); err != nil && ctx.Err() == nil {
			s.deps.Log.Warn("what deleted users' last calls left could not be erased yet", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// sweepOnce works until something fails.
func (s *Service) sweepOnce(ctx context.Context) error {
	consumer, err := s.deps.JetStream.Consumer(ctx, bus.EventsStream, bus.ErasureConsumer)
	if err != nil {
		return fmt.Errorf("open the consumer of deletions: %w", err)
	}
	messages, err := consumer.Messages(jetstream.PullMaxMessages(1))
	if err != nil {
		return fmt.Errorf("read deletions: %w", err)
	}
	stop := context.AfterFunc(ctx, messages.Stop)
	defer stop()
	defer messages.Stop()
	for {
		msg, err := messages.Next()
		if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read deletions: %w", err)
		}
		if err := s.sweepUser(ctx, msg); err != nil {
			return err
		}
	}
}

// sweepUser puts a deletion off when it hears of it first.
func (s *Service) sweepUser(ctx context.Context, msg jetstream.Msg) error {
	meta, err := msg.Metadata()
	if err != nil {
		return fmt.Errorf("read a deletion: %w", err)
	}
	if meta.NumDelivered == 1 {
		if err := msg.NakWithDelay(s.deps.SweepAfter); err != nil {
			return fmt.Errorf("put a deletion off: %w", err)
		}
		return nil
	}
	project, user, found := owner(msg.Subject())
	if !found {
		return msg.Term()
	}
	if err := s.deps.Store.EraseLate(ctx, project, user); err != nil {
		return err
	}
	if err := s.sweepWebhooks(ctx, project, user, msg.Headers().Get(jetstream.MsgIDHeader)); err != nil {
		return err
	}
	if err := msg.DoubleAck(ctx); err != nil {
		return fmt.Errorf("note a deletion as done: %w", err)
	}
	return nil
}

// owner reads the subject of an event.
func owner(subject string) (ident.ProjectID, ident.UserID, bool) {
	rest, isEvent := strings.CutPrefix(subject, bus.EventsPrefix+".")
	project, rest, hasUser := strings.Cut(rest, ".")
	user, _, hasType := strings.Cut(rest, ".")
	return ident.ProjectID(project), ident.UserID(user), isEvent && hasUser && hasType
}

// sweepWebhooks removes what is kept for webhook endpoints of the user, but for the deletion itself, which may not have been delivered yet.
func (s *Service) sweepWebhooks(ctx context.Context, project ident.ProjectID, user ident.UserID, deletion string) error {
	middle := "." + string(project) + ".*." + string(user) + ".*"
	for name, subject := range map[string]string{
		bus.WebhookRetriesStream: bus.WebhookRetriesPrefix + middle, bus.WebhookDeadStream: bus.WebhookDeadPrefix + middle,
		bus.WebhookDeliveriesStream: bus.WebhookDeliveriesPrefix + middle,
	} {
		stream, err := s.deps.JetStream.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("open stream %s: %w", name, err)
		}
		info, err := stream.Info(ctx, jetstream.WithSubjectFilter(subject))
		if err != nil {
			return fmt.Errorf("read what %s has of %s: %w", name, user, err)
		}
		for found := range info.State.Subjects {
			if strings.HasSuffix(found, "."+deletion) {
				continue
			}
			if err := stream.Purge(ctx, jetstream.WithPurgeSubject(found)); err != nil {
				return fmt.Errorf("erase %s: %w", found, err)
			}
		}
	}
	return nil
}
