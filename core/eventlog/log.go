package eventlog

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/batch"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/flow"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/patience"
	"github.com/keyward/keyward/core/span"
)

const readLimit = 5 * time.Second // of one read, if the caller set none

// Log reads and appends events in JetStream. It is safe for concurrent use.
type Log struct {
	js         jetstream.JetStream
	commits    *commits
	replicated bool                  // a batch read may be answered by a follower that is behind
	offers     *flow.Flow[*observed] // nil: each is waited for
	refuses    atomic.Bool           // an offer was lost, and since then none is known to be stored: each is waited for
}

// NewLog returns a log on the streams of package bus, which must exist.
func NewLog(ctx context.Context, js jetstream.JetStream) (*Log, error) {
	stream, err := js.Stream(ctx, bus.EventsStream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", bus.EventsStream, err)
	}
	return &Log{js: js, commits: newCommits(js), replicated: stream.CachedInfo().Config.Replicas > 1}, nil
}

// Receipt says where an event is in the log.
type Receipt struct {
	Sequence  uint64 // in the stream of passkey events; of a duplicate: of the event that was there first
	Duplicate bool   // the log held an event with the same ID already, of which it knows for two minutes, and nothing was stored
	Unsure    bool   // the same, but what was there may be this event, from an attempt whose answer was lost
}

// Append stores e on disk. After an error e may be stored or not. Of two events of a user, one appended after Append of the other had
// returned comes later in the log.
func (l *Log) Append(ctx context.Context, e event.Event) (Receipt, error) {
	_, receipt, err := l.append(ctx, e)
	return receipt, err
}

// append is Append, and returns what was stored.
func (l *Log) append(ctx context.Context, e event.Event) (stored []byte, r Receipt, err error) {
	ctx, step := span.Stream(ctx, "append", bus.EventsStream)
	defer func() { step.End(err) }()
	msg, err := cloudevent.Message(ctx, bus.EventsPrefix, &event.Offer{Event: e})
	if err != nil {
		return nil, Receipt{}, err
	}
	r, err = l.commits.publish(ctx, msg, string(e.ID))
	return msg.Data, r, err
}

// Read returns the user's history from the sequence on, in the order it was appended: deletions included, events of the account left out.
// It returns too the sequence that follows the last. It holds everything acknowledged before the call. No events is no error.
func (l *Log) Read(ctx context.Context, project ident.ProjectID, user ident.UserID, from uint64) ([]event.Event, uint64, error) {
	prefix, err := cloudevent.UserSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return nil, 0, err
	}
	var events []event.Event
	next, err := l.readUser(ctx, bus.EventsStream, prefix, from, func(t event.Type) bool { return !t.OfAccount() }, into(&events))
	if err != nil {
		return nil, 0, err
	}
	return events, next, nil
}

// read hands every message of the subject from the sequence on to take, in the order of the stream. A follower that is behind is waited
// for.
func (l *Log) read(ctx context.Context, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg) error) error {
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	ctx, step := span.Stream(ctx, "read", stream)
	err := l.readLatest(ctx, stream, subject, from, take)
	step.End(err)
	return err
}

func (l *Log) readLatest(ctx context.Context, stream, subject string, from uint64, take func(*jetstream.RawStreamMsg) error) error {
	var last uint64
	var err error
	if l.replicated {
		if last, _, err = l.last(ctx, stream, subject); err != nil {
			return err
		}
	}
	return l.readThrough(ctx, stream, subject, from, last, take)
}

// into decodes messages and adds them to a list.
func into[T any](list *[]T) func(*jetstream.RawStreamMsg) error {
	return func(msg *jetstream.RawStreamMsg) error {
		var e T
		if err := jsonv2.Unmarshal(msg.Data, &e); err != nil {
			return fmt.Errorf("decode event: %w", err)
		}
		*list = append(*list, e)
		return nil
	}
}

// readThrough reads until what it read reaches the sequence last, which exists in the stream: a follower that is behind catches up in a
// moment.
func (l *Log) readThrough(
	ctx context.Context, stream, subject string, from, last uint64, take func(*jetstream.RawStreamMsg) error,
) error {
	const pause = 5 * time.Millisecond
	next := max(from, 1)
	for {
		following, err := batch.All(ctx, l.js, stream, subject, next, take)
		if err != nil {
			return err
		}
		next = following
		if next > last {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("read %s up to %d: %w", subject, last, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// Newest returns where the user's newest event is in the log, and when the log got it; of no event, zeros.
func (l *Log) Newest(ctx context.Context, project ident.ProjectID, user ident.UserID) (sequence uint64, at time.Time, err error) {
	prefix, err := cloudevent.UserSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return 0, time.Time{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	sequence, data, err := l.last(ctx, bus.EventsStream, prefix+">")
	if err != nil || sequence == 0 {
		return 0, time.Time{}, err
	}
	var newest event.Event
	if err := json.Unmarshal(data, &newest); err != nil {
		return 0, time.Time{}, fmt.Errorf("decode the newest of %s: %w", user, err)
	}
	return sequence, time.UnixMilli(newest.CreatedMs), nil
}

// last asks the leader of the stream where the newest message of the subject is, and what it says; of no message, zeros.
func (l *Log) last(ctx context.Context, stream, subject string) (sequence uint64, data []byte, err error) {
	request, err := json.Marshal(map[string]string{"last_by_subj": subject})
	if err != nil {
		return 0, nil, fmt.Errorf("encode request: %w", err)
	}
	asking := direct.API(l.js) + "STREAM.MSG.GET." + stream
	answer, err := patience.Ask(ctx, func(ctx context.Context) (batch.Newest, error) {
		return batch.OfLeader(ctx, l.js, asking, request)
	})
	if err != nil {
		return 0, nil, fmt.Errorf("ask for the newest of %s: %w", subject, err)
	}
	return answer.Sequence, answer.Data, nil
}
