// Package subscribe lets a service receive passkey events from NATS JetStream, and security events: typed, durably, at least once. It
// touches the streams PASSKEY_EVENTS and PASSKEY_AUDIT, reading only, and the durable consumers that its callers name. It brings no NATS
// server with it.
//
//	events, err := subscribe.Open(ctx, js, subscribe.Config{
//		Name:  "passkey-mailer",
//		Types: []event.Type{event.AppendCompleted, event.UserDeleted},
//		Order: subscribe.PerUser,
//	})
//	// ...
//	err = events.Run(ctx, func(ctx context.Context, e subscribe.Event) error {
//		return mail(ctx, e.Key(), e.User, e.Type) // e.Key() is the same if the event comes again
//	})
//
// # Promise
//
// Every event that the filters let through, and that was appended after the consumer was made or since the time it was told to begin
// with, reaches the handler, until the handler has returned nil for it once or it is given up as poison. It may reach the handler
// again, after a crash for example: Event.Key is the same then, and what the handler does must be safe to do twice. An acknowledgement
// is sent after the handler has returned nil, never before. Events of a user who is deleted are erased; those that were not handled by
// then do not come any more, and the event user-deleted does.
//
// With PerUser the handler gets the events of each user one after the other, in the order they were appended: the next one once it has
// returned nil for the one before, or that one was given up. Users do not wait for each other. Of the processes that run the same
// consumer one gets events, and another takes its place when it is gone. It is still at least once, so after a crash events that were
// handled come again, in order. A process that is cut off from NATS for longer than a take-over takes, and goes on working on what it
// has, may do so while another does the same.
package subscribe

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"regexp"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/sdk/event"
)

// Stream is the JetStream stream of events. Keyward makes it.
const Stream = "PASSKEY_EVENTS"

const prefix = "passkey.events" // of the stream's subjects

// Event is a passkey event as it was delivered.
type Event struct {
	event.Event
	Sequence uint64 // position in the stream
	Attempt  int    // 1 the first time that a handler gets it, as far as is known
	Raw      []byte // the body; all there is if it could not be read
}

// Key identifies what happened: it is the same whenever and however often the event comes.
func (e Event) Key() string { return string(e.ID) }

// Handler does what is to be done about an event. Its context ends only when a stop has waited for long enough. A panic counts as an error.
type Handler func(ctx context.Context, e Event) error

// Order says which events wait for which.
type Order int

// The orders.
const (
	Any     Order = iota // none waits for another
	PerUser              // those of one user follow each other
)

// Config says what to receive and how. Only Name is needed.
type Config struct {
	// Name is that of the durable consumer. Processes with the same name share the events; with different names each gets all.
	Name    string
	Project event.ProjectID // empty: of all projects
	User    event.UserID    // empty: of all users
	Types   []event.Type    // empty: of all types
	// Since is where a consumer begins that does not exist yet: zero is now, and Beginning the oldest event that is kept. One that exists goes
	// on where it was.
	Since    time.Time
	Order    Order
	Parallel int // handlers at once; default 16
	// AckWait is after how long NATS takes a process that is silent for dead and delivers its events again; default 30 s. A handler may
	// take longer.
	AckWait time.Duration
	// Attempts is how often an event is tried before it is given up: it goes to OnPoison and does not come again. 0 = for ever.
	Attempts int
	OnPoison func(ctx context.Context, e Event, cause error)
	// After a failure an event is tried again after about MinBackoff, then twice as long and so on, up to MaxBackoff. Defaults 100 ms and 1
	// min.
	MinBackoff, MaxBackoff time.Duration
	Grace                  time.Duration // how long a stop waits for handlers; default 30 s
	// Takeover is how long the process that gets events in order may be silent before another gets them; default 10 s.
	Takeover time.Duration
	Log      *slog.Logger // nil: nothing is logged

	security bool // it is about the stream of security events
}

// Beginning is the oldest event that is kept, for Config.Since.
var Beginning = time.Unix(1, 0)

const apiWait = 5 * time.Second // for an answer of NATS

const pending = 1024 // events that a process may have taken and not acknowledged

func (c Config) withDefaults() Config {
	c.Parallel = cmp.Or(c.Parallel, 16)
	c.AckWait = cmp.Or(c.AckWait, 30*time.Second)
	c.MinBackoff = cmp.Or(c.MinBackoff, 100*time.Millisecond)
	c.MaxBackoff = max(cmp.Or(c.MaxBackoff, time.Minute), c.MinBackoff)
	c.Grace = cmp.Or(c.Grace, 30*time.Second)
	c.Takeover = cmp.Or(c.Takeover, takeover)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

var (
	consumerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	typeName     = regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`) // also one that this package does not know yet
	projectID    = regexp.MustCompile(`^pro-[0-9]{1,19}$`)
	userID       = regexp.MustCompile(`^usr-[0-9]{1,19}$`)
)

// Validate reports every setting that cannot work, joined (errors.Join), or nil. Open calls it.
func (c Config) Validate() error {
	var errs []error
	if !consumerName.MatchString(c.Name) {
		errs = append(errs, fmt.Errorf("name: must be 1 to 64 letters, digits, - and _, not %q", c.Name))
	}
	if c.Project != "" && !projectID.MatchString(string(c.Project)) {
		errs = append(errs, errors.New("project: must be of the form pro-<number>"))
	}
	if c.User != "" && !userID.MatchString(string(c.User)) {
		errs = append(errs, errors.New("user: must be of the form usr-<number>"))
	}
	for _, kind := range c.Types {
		if !typeName.MatchString(string(kind)) || kind.Observed() {
			errs = append(errs, fmt.Errorf("types: %q is no type of event on this stream", kind))
		}
	}
	if c.Order != Any && c.Order != PerUser {
		errs = append(errs, errors.New("order: must be Any or PerUser"))
	}
	if c.Parallel < 0 || c.Parallel > pending || c.Attempts < 0 ||
		min(c.AckWait, c.MinBackoff, c.MaxBackoff, c.Grace, c.Takeover) < 0 {
		errs = append(errs, fmt.Errorf("parallel must be at most %d, and nothing may be negative", pending))
	}
	return errors.Join(errs...)
}

// stream returns where the events come from.
func (c Config) stream() string {
	if c.security {
		return AuditStream
	}
	return Stream
}

// subjects returns what the consumer filters by.
func (c Config) subjects() []string {
	start := prefix + "." + cmp.Or(string(c.Project), "*") + "." + cmp.Or(string(c.User), "*") + "."
	if c.security {
		start = auditPrefix + "." + cmp.Or(string(c.Project), "*") + "."
	}
	if len(c.Types) == 0 {
		return []string{start + "*"}
	}
	var all []string
	seen := map[event.Type]bool{}
	for _, kind := range c.Types {
		if !seen[kind] {
			seen[kind], all = true, append(all, start+string(kind))
		}
	}
	return all
}

// backoff is how long to wait after that many failures, with a fifth of chance so that those who failed together do not come back together.
func (c Config) backoff(failures int) time.Duration {
	wait := c.MinBackoff
	for range failures - 1 {
		if wait *= 2; wait >= c.MaxBackoff {
			wait = c.MaxBackoff
			break
		}
	}
	return wait - time.Duration(rand.Int64N(int64(wait)/5+1)) //nolint:gosec // nobody gains by guessing it
}

// Subscriber receives events. Make it with Open.
type Subscriber struct {
	cfg      Config
	conn     *nats.Conn
	consumer jetstream.Consumer
}

// Open makes the durable consumer, or changes the one of that name to what the configuration says; where it began stays. It receives
// nothing before Run. It returns what Validate does, or what NATS says when it is asked for the consumer: among others
// jetstream.ErrStreamNotFound if Keyward has not made the stream yet.
func Open(ctx context.Context, js jetstream.JetStream, cfg Config) (*Subscriber, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("subscriber: %w", err)
	}
	cfg = cfg.withDefaults()
	want := cfg.consumer()
	known, err := js.Consumer(ctx, cfg.stream(), cfg.Name)
	switch {
	case err == nil:
		// Where a consumer began cannot be changed.
		had := known.CachedInfo().Config
		want.DeliverPolicy, want.OptStartSeq, want.OptStartTime = had.DeliverPolicy, had.OptStartSeq, had.OptStartTime
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, fmt.Errorf("look for consumer %s: %w", cfg.Name, err)
	}
	consumer, err := js.CreateOrUpdateConsumer(ctx, cfg.stream(), want)
	if err != nil {
		return nil, fmt.Errorf("make consumer %s: %w", cfg.Name, err)
	}
	return &Subscriber{cfg: cfg, conn: js.Conn(), consumer: consumer}, nil
}

const (
	takeover = 10 * time.Second
	group    = "keyward" // of the processes of which one gets events
)

func (c Config) consumer() jetstream.ConsumerConfig {
	made := jetstream.ConsumerConfig{
		Durable: c.Name, Description: "keyward subscriber", AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.AckWait,
		MaxAckPending: pending, DeliverPolicy: jetstream.DeliverNewPolicy,
	}
	if subjects := c.subjects(); len(subjects) == 1 {
		made.FilterSubject = subjects[0]
	} else {
		made.FilterSubjects = subjects
	}
	if !c.Since.IsZero() {
		since := c.Since
		made.DeliverPolicy, made.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	if c.Order == PerUser {
		made.PriorityPolicy, made.PriorityGroups, made.PinnedTTL = jetstream.PriorityPolicyPinned, []string{group}, c.Takeover
	}
	return made
}

// decode reads a delivery.
func decode(msg jetstream.Msg) (Event, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return Event{Raw: msg.Data()}, fmt.Errorf("read where an event is in the stream: %w", err)
	}
	e := Event{Sequence: meta.Sequence.Stream, Attempt: int(meta.NumDelivered), Raw: msg.Data()}
	if meta.Stream == AuditStream {
		e.Event, err = named(msg.Data())
	} else {
		err = json.Unmarshal(msg.Data(), &e.Event)
	}
	if err != nil {
		return e, fmt.Errorf("decode event %d: %w", e.Sequence, err)
	}
	return e, nil
}
