package subscribe

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/sdk/audit"
	"github.com/keyward/keyward/sdk/event"
)

// AuditStream is the JetStream stream of security events. Keyward makes it.
const AuditStream = "PASSKEY_AUDIT"

const auditPrefix = "passkey.audit" // of the stream's subjects

// AuditEvent is a security event as it was delivered.
type AuditEvent struct {
	audit.Event
	Sequence uint64 // position in the stream
	Attempt  int    // 1 the first time that a handler gets it, as far as is known
	Raw      []byte // the body, as it is to be kept
}

// AuditHandler does what is to be done about a security event. Its context ends only when a stop has waited for long enough. A panic counts
// as an error.
type AuditHandler func(ctx context.Context, e AuditEvent) error

// AuditConfig says which security events to receive and how. Only Name is needed. What is not explained here is as in Config.
type AuditConfig struct {
	Name    string
	Project event.ProjectID // empty: of all projects, and those that concern the installation
	Types   []audit.Type    // empty: of all types
	Since   time.Time       // zero is now, and Beginning the oldest event that is kept
	AckWait time.Duration
	// After a failure an event is tried again after about MinBackoff, then twice as long and so on, up to MaxBackoff, for ever.
	MinBackoff, MaxBackoff time.Duration
	Grace                  time.Duration
	Log                    *slog.Logger
	// Made says that the consumer has been made by somebody else, and is used as it is: then no permission to make one is needed, with
	// which one could have messages delivered wherever one likes. Project, Types and Since count for nothing.
	Made bool
}

// AuditSubscriber receives security events. Make it with OpenAudit.
type AuditSubscriber struct{ events Subscriber }

// OpenAudit does for security events what Open does for those of users. With Made it returns jetstream.ErrConsumerNotFound if there is no
// consumer of that name.
func OpenAudit(ctx context.Context, js jetstream.JetStream, cfg AuditConfig) (*AuditSubscriber, error) {
	events := Config{
		Name: cfg.Name, Project: cfg.Project, Since: cfg.Since, Parallel: 1, AckWait: cfg.AckWait, MinBackoff: cfg.MinBackoff,
		MaxBackoff: cfg.MaxBackoff, Grace: cfg.Grace, Log: cfg.Log, security: true,
	}
	for _, kind := range cfg.Types {
		events.Types = append(events.Types, event.Type(kind))
	}
	if !cfg.Made {
		opened, err := Open(ctx, js, events)
		if err != nil {
			return nil, err
		}
		return &AuditSubscriber{*opened}, nil
	}
	if err := events.Validate(); err != nil {
		return nil, fmt.Errorf("subscriber: %w", err)
	}
	made, err := js.Consumer(ctx, AuditStream, cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("look for consumer %s: %w", cfg.Name, err)
	}
	return &AuditSubscriber{Subscriber{cfg: events.withDefaults(), conn: js.Conn(), consumer: made}}, nil
}

// Run hands security events to the handler, one after the other, until ctx ends, as Subscriber.Run does. One that failed comes again
// later, after others.
func (s *AuditSubscriber) Run(ctx context.Context, handle AuditHandler) error {
	return s.events.Run(ctx, func(ctx context.Context, e Event) error {
		told := AuditEvent{Sequence: e.Sequence, Attempt: e.Attempt, Raw: e.Raw}
		if err := json.Unmarshal(e.Raw, &told.Event); err != nil {
			return fmt.Errorf("decode security event %d: %w", e.Sequence, err)
		}
		return handle(ctx, told)
	})
}

// named returns what a security event has in common with others: what is logged of it.
func named(body []byte) (event.Event, error) {
	var common struct {
		ID        event.ID        `json:"id"`
		Project   event.ProjectID `json:"project"`
		Type      event.Type      `json:"type"`
		CreatedMs int64           `json:"createdMs"`
	}
	err := json.Unmarshal(body, &common)
	return event.Event{ID: common.ID, Project: common.Project, Type: common.Type, CreatedMs: common.CreatedMs}, err
}
