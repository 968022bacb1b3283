// Package journal reads a stream of a running server, that of events or that of decisions, for a person at a terminal: what is kept, or
// what comes. It touches that stream, reading only.
package journal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
)

// Journal is a stream that can be read.
type Journal struct{ stream, prefix, what string }

// Events is the stream of passkey events; the kinds of its entries are their types.
func Events() Journal { return Journal{bus.EventsStream, bus.EventsPrefix, "events"} }

// Decisions is the stream of recorded decisions; the kinds of its entries are their actions.
func Decisions() Journal { return Journal{bus.DecisionsStream, bus.DecisionsPrefix, "decisions"} }

// Query says which entries to read.
type Query struct {
	Of      Journal
	Project ident.ProjectID // empty: of all projects
	User    ident.UserID    // empty: of all users
	Kinds   []string        // empty: of all kinds
	Since   time.Time       // zero: of all times, or from now on
}

func (q Query) subjects() []string {
	project, user := string(q.Project), string(q.User)
	if project == "" {
		project = "*"
	}
	if user == "" {
		user = "*"
	}
	start := q.Of.prefix + "." + project + "." + user + "."
	if len(q.Kinds) == 0 {
		return []string{start + "*"}
	}
	var all []string
	for _, kind := range q.Kinds {
		if !slices.Contains(all, start+kind) {
			all = append(all, start+kind)
		}
	}
	return all
}

// Entry is one event or decision.
type Entry struct {
	Sequence uint64 // position in the stream
	Data     []byte // JSON
	Last     bool   // nothing follows at the moment
}

// Reader reads entries. Take is called for each, in the order of the stream; its error ends the reading and is returned.
type Reader struct {
	Connect func() (*nats.Conn, error) // to the server as it can be found now
	Query   Query
	Take    func(Entry) error
	Away    func(error) // told once when a server that was there cannot be reached; Tail tries again
}

const (
	apiWait   = 5 * time.Second
	heartbeat = 2 * time.Second // two without one, and the server is taken to be away
	retry     = 500 * time.Millisecond
)

// taken marks an error of Take, which no other attempt mends.
type taken struct{ error }

func (t taken) Unwrap() error { return t.error }

// Replay reads what is kept and returns when it has read all that was there when it began.
func (r *Reader) Replay(ctx context.Context) error {
	conn, err := r.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	js, end, err := r.Query.Of.open(ctx, conn)
	if err != nil {
		return err
	}
	if end == 0 {
		return nil // nothing was ever appended
	}
	err = r.read(ctx, js, &position{since: r.Query.Since, end: end})
	var own taken
	if errors.As(err, &own) {
		return own.error
	}
	return err
}

// Tail reads what comes from now on, or since the query's time, until ctx ends, which is no error. A server that goes away is waited for,
// and nothing is missed; one that is not there at first is an error.
func (r *Reader) Tail(ctx context.Context) error {
	at := &position{since: r.Query.Since}
	told := uint64(0)
	for first := true; ; first = false {
		err := r.tail(ctx, at, first)
		var own taken
		switch {
		case errors.As(err, &own):
			return own.error
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the caller has had enough
		case at.opened == 0:
			return err
		}
		if at.opened > told {
			r.Away(err)
			told = at.opened
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retry):
		}
	}
}

// position is how far the reading has come.
type position struct {
	after uint64
	since time.Time // until the first event was read
	end   uint64    // where to stop; 0 = never

	opened uint64 // how often a server was reached
}

func (r *Reader) tail(ctx context.Context, at *position, first bool) error {
	conn, err := r.Connect()
	if err != nil {
		return err
	}
	defer conn.Close()
	js, end, err := r.Query.Of.open(ctx, conn)
	if err != nil {
		return err
	}
	if first && at.since.IsZero() || end < at.after { // which is another stream
		at.after = end
	}
	at.opened++
	return r.read(ctx, js, at)
}

// open returns the position of the last entry, too.
func (j Journal) open(ctx context.Context, conn *nats.Conn) (jetstream.JetStream, uint64, error) {
	js, err := jetstream.New(conn)
	if err != nil {
		return nil, 0, fmt.Errorf("open jetstream: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	stream, err := js.Stream(ctx, j.stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, 0, fmt.Errorf("that NATS holds no %s yet; start keyward serve with it first", j.what)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("open stream %s: %w", j.stream, err)
	}
	return js, stream.CachedInfo().State.LastSeq, nil
}

// read reads on from a position, with a consumer that nobody acknowledges to and that the server forgets.
func (r *Reader) read(ctx context.Context, js jetstream.JetStream, at *position) error {
	const forgotten = 30 * time.Second
	config := jetstream.ConsumerConfig{
		Description: "keyward " + r.Query.Of.what, DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: at.after + 1,
		AckPolicy: jetstream.AckNonePolicy, FilterSubjects: r.Query.subjects(), MemoryStorage: true, Replicas: 1, InactiveThreshold: forgotten,
	}
	if since := at.since; !since.IsZero() {
		config.DeliverPolicy, config.OptStartSeq, config.OptStartTime = jetstream.DeliverByStartTimePolicy, 0, &since
	}
	create, cancel := context.WithTimeout(ctx, apiWait)
	defer cancel()
	consumer, err := js.CreateConsumer(create, r.Query.Of.stream, config)
	if err != nil {
		return fmt.Errorf("create a consumer: %w", err)
	}
	if at.end > 0 && consumer.CachedInfo().NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages(
		jetstream.PullExpiry(forgotten), jetstream.PullHeartbeat(heartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true),
	)
	if err != nil {
		return fmt.Errorf("consume: %w", err)
	}
	defer messages.Stop()
	for delivered := uint64(1); ; delivered++ {
		msg, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return fmt.Errorf("next of the %s: %w", r.Query.Of.what, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return fmt.Errorf("read where it is in the stream: %w", err)
		}
		if meta.Sequence.Consumer != delivered {
			return fmt.Errorf("message %d came where %d was due", meta.Sequence.Consumer, delivered)
		}
		if at.end > 0 && meta.Sequence.Stream > at.end {
			return nil
		}
		if err := r.Take(Entry{Sequence: meta.Sequence.Stream, Data: msg.Data(), Last: meta.NumPending == 0}); err != nil {
			return taken{err}
		}
		at.after, at.since = meta.Sequence.Stream, time.Time{}
		if at.end > 0 && (meta.NumPending == 0 || meta.Sequence.Stream == at.end) {
			return nil
		}
	}
}
