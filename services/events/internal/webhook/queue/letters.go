package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/events/internal/webhook"
)

// What a list looks at. Beyond these bounds a list says nothing; filters by user and outcome narrow what is read, so that they reach
// further.
const (
	NewestRecords = 1000   // delivery log: the newest of the endpoint
	OldestLetters = 10_000 // dead letters: those that have been there for longest
	pageSize      = 1000
	firstSpan     = 4 * NewestRecords // sequences of the stream that are looked at first, from its end
	spanGrowth    = 8
)

// WakePrefix begins the keys of the bucket "webhook-work", followed by those of endpoints, that are written when something was parked for
// an endpoint by somebody who does not work for it.
const WakePrefix = "wake."

// Lists reads the delivery log and the dead letters, and replays. It is safe for concurrent use.
type Lists struct {
	js    jetstream.JetStream
	queue *Queue
	work  jetstream.KeyValue
}

// OpenLists opens streams that must exist.
func OpenLists(ctx context.Context, js jetstream.JetStream) (*Lists, error) {
	queue, err := Open(ctx, js)
	if err != nil {
		return nil, err
	}
	work, err := js.KeyValue(ctx, bus.WebhookWorkBucket)
	if err != nil {
		return nil, fmt.Errorf("open bucket %s: %w", bus.WebhookWorkBucket, err)
	}
	return &Lists{js: js, queue: queue, work: work}, nil
}

// Narrow limits a list to a user, an outcome, or both. Empty = any.
type Narrow struct {
	User    ident.UserID
	Outcome Outcome
}

func (n Narrow) tokens() (user, outcome string) {
	return cmp.Or(string(n.User), "*"), cmp.Or(string(n.Outcome), "*")
}

// Records returns the newest attempts to deliver to an endpoint, at most NewestRecords, newest first.
func (l *Lists) Records(ctx context.Context, e *webhook.Endpoint, n Narrow) ([]Record, error) {
	stream, err := l.js.Stream(ctx, bus.WebhookDeliveriesStream)
	if err != nil {
		return nil, fmt.Errorf("open stream %s: %w", bus.WebhookDeliveriesStream, err)
	}
	state := stream.CachedInfo().State
	user, outcome := n.tokens()
	subject := e.Subject(bus.WebhookDeliveriesPrefix) + "." + user + "." + outcome
	from, err := l.start(ctx, subject, max(state.FirstSeq, 1), state.LastSeq)
	if err != nil {
		return nil, err
	}
	records, err := l.tail(ctx, subject, from)
	if err != nil {
		return nil, err
	}
	records = records[max(len(records)-NewestRecords, 0):]
	slices.Reverse(records)
	return records, nil
}

// start returns a sequence from which on the subject has at least NewestRecords messages, or first if it has fewer in all, and seldom
// many more. Streams are read forwards only, so the place is found by going back from the end in growing steps, and by halving the last
// of them.
func (l *Lists) start(ctx context.Context, subject string, first, last uint64) (uint64, error) {
	const plenty = 4 * NewestRecords
	low, high := first, last+1 // from low on there are enough, or it is the first; from high on there are too few
	for span := uint64(firstSpan); last > span && last-span > first; span *= spanGrowth {
		n, err := l.count(ctx, subject, last-span)
		if err != nil {
			return 0, err
		}
		if n >= NewestRecords {
			low = last - span
			break
		}
		high = last - span
	}
	for high-low > firstSpan {
		middle := low + (high-low)/2
		n, err := l.count(ctx, subject, middle)
		if err != nil {
			return 0, err
		}
		if n < NewestRecords {
			high = middle
			continue
		}
		low = middle
		if n <= plenty {
			break
		}
	}
	return low, nil
}

// count returns how many messages the subject has from a sequence on.
func (l *Lists) count(ctx context.Context, subject string, from uint64) (uint64, error) {
	n := uint64(0)
	batch, err := jetstreamext.GetBatch(ctx, l.js, bus.WebhookDeliveriesStream, 1,
		jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(subject))
	if err != nil {
		return 0, fmt.Errorf("count deliveries: %w", err)
	}
	for msg, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return 0, nil
		}
		if err != nil {
			return 0, fmt.Errorf("count deliveries: %w", err)
		}
		if n, err = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64); err != nil {
			return 0, fmt.Errorf("count deliveries: %w", err)
		}
		n++
	}
	return n, nil
}

// tail returns the last records from a sequence on, a few more than needed at most.
func (l *Lists) tail(ctx context.Context, subject string, from uint64) ([]Record, error) {
	var records []Record
	err := readAll(ctx, l.js, bus.WebhookDeliveriesStream, subject, from, func(msg *jetstream.RawStreamMsg) (bool, error) {
		var r Record
		if err := json.Unmarshal(msg.Data, &r); err != nil {
			return false, fmt.Errorf("decode a delivery: %w", err)
		}
		if len(records) >= 2*NewestRecords {
			records = append(records[:0], records[NewestRecords:]...)
		}
		records = append(records, r)
		return true, nil
	})
	return records, err
}

// Letters returns the dead letters of an endpoint that have been there for longest, at most OldestLetters.
func (l *Lists) Letters(ctx context.Context, e *webhook.Endpoint, n Narrow) ([]Letter, error) {
	user, _ := n.tokens()
	var letters []Letter
	subject := e.Subject(bus.WebhookDeadPrefix) + "." + user + ".*"
	err := readAll(ctx, l.js, bus.WebhookDeadStream, subject, 1, func(msg *jetstream.RawStreamMsg) (bool, error) {
		letter, err := decodeLetter(msg.Data)
		letters = append(letters, letter)
		return len(letters) < OldestLetters, err
	})
	return letters, err
}

func decodeLetter(raw []byte) (Letter, error) {
	var letter Letter
	if err := json.Unmarshal(raw, &letter); err != nil {
		return Letter{}, fmt.Errorf("decode a dead letter: %w", err)
	}
	return letter, nil
}

// Find returns the dead letter of an event, or false.
func (l *Lists) Find(ctx context.Context, e *webhook.Endpoint, id ident.EventID) (Letter, bool, error) {
	msg, err := l.queue.dead.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(e.Subject(bus.WebhookDeadPrefix)+".*."+string(id)))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Letter{}, false, nil
	}
	if err != nil {
		return Letter{}, false, fmt.Errorf("read a dead letter: %w", err)
	}
	letter, err := decodeLetter(msg.Data)
	return letter, err == nil, err
}

// Replay queues dead letters behind what their users have parked, in the order of the log. When it has returned they are queued for good:
// each stays a dead letter until it has been delivered. Replaying what is queued already changes nothing. A call that fails may have
// queued some.
func (l *Lists) Replay(ctx context.Context, e *webhook.Endpoint, letters []Letter) error {
	letters = slices.Clone(letters)
	slices.SortFunc(letters, func(a, b Letter) int { return cmp.Compare(a.Sequence, b.Sequence) })
	users := make(map[ident.UserID]bool)
	var order []ident.UserID
	for _, letter := range letters {
		if err := l.queue.Park(ctx, e, Parked{Event: letter.Event, Sequence: letter.Sequence, Replay: true}); err != nil {
			return err
		}
		if user := letter.Event.User; !users[user] {
			users[user] = true
			order = append(order, user)
		}
	}
	for _, user := range order {
		if err := l.queue.needHead(ctx, e, user); err != nil {
			return err
		}
	}
	if _, err := l.work.Put(ctx, WakePrefix+e.Key(), nil); err != nil {
		return fmt.Errorf("announce a replay: %w", err)
	}
	return nil
}

// taker gets one message and says whether it wants more.
type taker func(*jetstream.RawStreamMsg) (more bool, err error)

// readAll hands messages of a subject to take, in the order of the stream, until it says enough.
func readAll(ctx context.Context, js jetstream.JetStream, stream, subject string, from uint64, take taker) error {
	next := from
	for {
		last, pending, more, err := readPage(ctx, js, stream, subject, next, take)
		if err != nil {
			return fmt.Errorf("read %s: %w", stream, err)
		}
		if !more || pending == 0 {
			return nil
		}
		next = last + 1
	}
}

var errIncomplete = errors.New("the answer was incomplete")

func readPage(
	ctx context.Context, js jetstream.JetStream, stream, subject string, from uint64, take taker,
) (last, pending uint64, more bool, err error) {
	batch, err := jetstreamext.GetBatch(ctx, js, stream, pageSize, jetstreamext.GetBatchSeq(from), jetstreamext.GetBatchSubject(subject))
	if err != nil {
		return 0, 0, false, err
	}
	for msg, err := range batch {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return 0, 0, false, nil
		}
		if err != nil {
			return 0, 0, false, err
		}
		// The client ends a batch silently when time runs out; what the last message says is pending then remains to be read.
		if pending, err = strconv.ParseUint(msg.Header.Get("Nats-Num-Pending"), 10, 64); err != nil {
			return 0, 0, false, fmt.Errorf("read what is pending: %w", err)
		}
		last = msg.Sequence
		if more, err = take(msg); err != nil || !more {
			return last, pending, false, err
		}
	}
	if last == 0 {
		return 0, 0, false, errors.Join(errIncomplete, ctx.Err())
	}
	return last, pending, true, nil
}
