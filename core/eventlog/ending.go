package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/span"
)

// headerAttempt names the call that concluded a ceremony: of two that conclude the same one, the event of each has the same ID.
const headerAttempt = "Keyward-Attempt"

// What Conclude answers if nothing was stored.
var (
	ErrMoved     = errors.New("the user's log has more than what was judged")
	ErrConcluded = errors.New("the ceremony has been concluded by another call")
)

// Found is an event and where it is in the log.
type Found struct {
	event.Event
	Sequence uint64
}

// Span says which events of a user are looked for: those that come after a sequence, and those that the log got since a time.
type Span struct {
	After  uint64
	Since  time.Time
	Latest bool // what the leader has is waited for; otherwise a follower may answer, with what it has
}

// over reports whether nothing up to a message is looked for.
func (s Span) over(msg *jetstream.RawStreamMsg) bool {
	return msg.Sequence <= s.After && msg.Time.Before(s.Since)
}

// Recent is what a log had at one moment.
type Recent struct {
	Last   uint64  // sequence of the user's newest event, of whatever type; 0 = there is none
	Events []Found // of the types and the span that were asked for, in the order of the log: all up to Last
}

// Recent returns the user's events of some types. What has been deleted is among them.
func (l *Log) Recent(
	ctx context.Context, project ident.ProjectID, user ident.UserID, within Span, types ...event.Type,
) (Recent, error) {
	prefix, err := userSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return Recent{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	ctx, step := span.Stream(ctx, "read", bus.EventsStream)
	found, err := l.recent(ctx, prefix, within, types)
	step.End(err)
	if err != nil {
		return Recent{}, fmt.Errorf("read the newest of %s>: %w", prefix, err)
	}
	return found, nil
}

func (l *Log) recent(ctx context.Context, prefix string, within Span, types []event.Type) (Recent, error) {
	var last uint64
	var err error
	if l.replicated && within.Latest {
		if last, _, err = l.last(ctx, bus.EventsStream, prefix+">"); err != nil {
			return Recent{}, err
		}
	}
	for {
		found, err := l.recentHere(ctx, prefix, within, types)
		if err != nil && !errors.Is(err, errBehind) {
			return Recent{}, err
		}
		if err == nil && found.Last >= last {
			return found, nil
		}
		select {
		case <-ctx.Done():
			return Recent{}, ctx.Err()
		case <-time.After(followerPause):
		}
	}
}

// recentHere reads what a server knows now: neither more, since what comes while one type is read may be missing of another, nor less.
func (l *Log) recentHere(ctx context.Context, prefix string, within Span, types []event.Type) (Recent, error) {
	var found Recent
	// Of most users it is the newest event that tells that there is nothing to be read.
	newest, err := direct.Last(ctx, l.js, bus.EventsStream, prefix+">")
	if err != nil || newest == nil {
		return Recent{}, err
	}
	if within.over(newest) {
		return Recent{Last: newest.Sequence}, nil
	}
	heads := make(map[string]*jetstream.RawStreamMsg)
	err = l.eachNewest(ctx, bus.EventsStream, prefix+">", func(msg *jetstream.RawStreamMsg) {
		heads[msg.Subject], found.Last = msg, max(found.Last, msg.Sequence)
	})
	if err != nil {
		return Recent{}, err
	}
	for _, t := range types {
		head := heads[prefix+string(t)]
		if head == nil || within.over(head) {
			continue
		}
		if err := l.readSpan(ctx, head, within, &found.Events); err != nil {
			return Recent{}, err
		}
	}
	slices.SortFunc(found.Events, func(a, b Found) int { return cmp.Compare(a.Sequence, b.Sequence) })
	found.Events = slices.CompactFunc(found.Events, func(a, b Found) bool { return a.Sequence == b.Sequence })
	return found, nil
}

// readSpan adds what the subject of a newest message has within a span, and not beyond that message.
func (l *Log) readSpan(ctx context.Context, head *jetstream.RawStreamMsg, within Span, to *[]Found) error {
	read := func(start jetstreamext.GetBatchOpt) error {
		take := func(msg *jetstream.RawStreamMsg) error {
			if msg.Sequence > head.Sequence {
				return nil
			}
			var events []event.Event
			if err := into(&events)(msg); err != nil {
				return err
			}
			*to = append(*to, Found{Event: events[0], Sequence: msg.Sequence})
			return nil
		}
		following, pending, err := l.readBatch(ctx, bus.EventsStream, take, start, jetstreamext.GetBatchSubject(head.Subject))
		if err == nil && pending > 0 {
			following, err = l.readAll(ctx, bus.EventsStream, head.Subject, following, take)
		}
		// On one server, what is missing has been erased meanwhile.
		if err == nil && l.replicated && following <= head.Sequence {
			return errBehind
		}
		return err
	}
	if head.Sequence > within.After {
		if err := read(jetstreamext.GetBatchSeq(within.After + 1)); err != nil {
			return err
		}
	}
	if within.After > 0 && !head.Time.Before(within.Since) {
		return read(jetstreamext.GetBatchStartTime(within.Since))
	}
	return nil
}

// conclude stores the event that ends a ceremony, if the user's newest event, of whatever type, is the one at the sequence after: so that
// the caller has judged all there is. After ErrMoved and ErrConcluded nothing is stored. A call that is repeated because its answer was
// lost has the attempt of the one before, and finds what that one has stored. After another error e may be stored or not.
func (l *Log) conclude(ctx context.Context, e event.Event, after uint64, attempt string) (stored []byte, r Receipt, err error) {
	ctx, step := span.Stream(ctx, "append", bus.EventsStream)
	defer func() { step.End(err) }()
	msg, err := message(ctx, bus.EventsPrefix, event.Offer{Event: e})
	if err != nil {
		return nil, Receipt{}, err
	}
	prefix, err := userSubject(bus.EventsPrefix, e.Project, e.User)
	if err != nil {
		return nil, Receipt{}, err
	}
	msg.Header[headerAttempt] = []string{attempt}
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(after, 10))
	msg.Header.Set(jetstream.ExpectedLastSubjSeqSubjHeader, prefix+">")
	// It goes alone: of two messages of one batch the server would not see the first when it judges the second.
	r, err = l.commits.single(ctx, msg, string(e.ID))
	if moved(err) || err == nil && (r.Duplicate || r.Unsure) {
		r, err = l.resolve(ctx, e, msg, after, r)
	}
	return msg.Data, r, err
}

// moved reports whether the server refused a message for its condition.
func moved(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// resolve tells whether a message that was refused, or that the server says it has, is there: it may be of an attempt whose answer was
// lost, and it may be another call's. known is where the server says that it is, if it did.
func (l *Log) resolve(ctx context.Context, e event.Event, sent *nats.Msg, after uint64, known Receipt) (Receipt, error) {
	from := after + 1
	if known.Sequence != 0 {
		from = min(from, known.Sequence)
	}
	r, err := Receipt{}, ErrMoved
	unread := l.read(ctx, bus.EventsStream, sent.Subject, from, func(msg *jetstream.RawStreamMsg) error {
		switch {
		case msg.Header.Get(headerID) != string(e.ID) || r.Sequence != 0:
		case msg.Header.Get(headerAttempt) == sent.Header.Get(headerAttempt):
			r, err = Receipt{Sequence: msg.Sequence, Unsure: true}, nil
		default:
			err = ErrConcluded
		}
		return nil
	})
	if unread != nil {
		return Receipt{}, fmt.Errorf("look for an event that may be stored: %w", unread)
	}
	if errors.Is(err, ErrMoved) && known.Sequence != 0 {
		return Receipt{}, ErrConcluded // what the server knew it by has been erased
	}
	return r, err
}

// Recent returns the user's events of some types from the log itself.
func (s *Store) Recent(
	ctx context.Context, project ident.ProjectID, user ident.UserID, within Span, types ...event.Type,
) (Recent, error) {
	found, err := s.log.Recent(ctx, project, user, within, types...)
	if err != nil {
		return Recent{}, unread(err)
	}
	return found, nil
}

// Conclude stores the event that ends a ceremony, as Log has it, under the promise that Append gives. ErrMoved and ErrConcluded come as
// they are.
func (s *Store) Conclude(ctx context.Context, e event.Event, after uint64, attempt string) (Receipt, error) {
	stored, receipt, err := s.log.conclude(ctx, e, after, attempt)
	switch {
	case errors.Is(err, ErrMoved), errors.Is(err, ErrConcluded):
		return Receipt{}, err
	case errors.Is(err, errMalformed):
		return Receipt{}, unstored(err)
	case err != nil:
		s.cache.Uncertain(ctx, e.Project, e.User)
		return Receipt{}, unstored(err)
	case receipt.Unsure:
		err = s.cache.Remove(ctx, e.Project, e.User)
	default:
		err = s.cache.Add(ctx, e, stored)
	}
	if err != nil {
		return Receipt{}, fault.Unavailable(retryAfter, "the event could not be announced").Because(err)
	}
	return receipt, nil
}
