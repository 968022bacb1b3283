package eventlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/deadline"
	"github.com/keyward/keyward/core/direct"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/eventlog/internal/batch"
	"github.com/keyward/keyward/core/eventlog/internal/cloudevent"
	"github.com/keyward/keyward/core/eventlog/internal/trail"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/span"
)

// headerAttempt names the call that concluded a ceremony: of two that conclude the same one, the event of each has the same ID.
const headerAttempt = "Keyward-Attempt"

// What Conclude answers if nothing was stored.
var (
	ErrMoved     = errors.New("the user has logged in more often than what was judged")
	ErrConcluded = errors.New("the ceremony has been concluded by another call")
)

// Found is an event and where it is in the log.
type Found = event.Found

// Span says which events of a user are looked for: those that come after a sequence, without those that the newest says are needed no more
// (see event.Use), and those that the log got since a time.
type Span struct {
	After uint64 // Never = none for that; beyond the log's end: what was known of it is of another log, so it counts as 0
	Since time.Time
	// Before events said what an account needs to take them up, accounts were written at once: who knows nothing need not be told of those
	Related bool
	Latest  bool // what the leader has is waited for; otherwise a follower may answer, with what it has
}

// Never is a sequence after which nothing comes.
const Never = math.MaxUint64

// over reports whether nothing up to a message is looked for.
func (s Span) over(msg *jetstream.RawStreamMsg) bool {
	return msg.Sequence <= s.After && (s.Since.IsZero() || msg.Time.Before(s.Since))
}

// Recent is what a log had of some types.
type Recent struct {
	Last   uint64  // sequence of the newest of them; 0 = there is none
	Events []Found // within the span, in the order of the log
}

// Recent returns the user's events of some types. What has been deleted is among them. Of one type it is what the log had at one moment.
// After 0 it reads what is at the beginning of the log, if that is all of it: longer logs are told of by Since alone.
func (l *Log) Recent(
	ctx context.Context, project ident.ProjectID, user ident.UserID, within Span, types ...event.Type,
) (found Recent, err error) {
	prefix, err := cloudevent.UserSubject(bus.EventsPrefix, project, user)
	if err != nil {
		return Recent{}, err
	}
	limited := deadline.With(ctx, readLimit)
	defer limited.End()
	ctx, step := span.Stream(limited, "read", bus.EventsStream)
	defer func() { step.End(err) }()
	for _, t := range types {
		if err := l.recent(ctx, prefix+string(t), within, &found); err != nil {
			return Recent{}, fmt.Errorf("read the newest of %s%s: %w", prefix, t, err)
		}
	}
	slices.SortFunc(found.Events, func(a, b Found) int { return cmp.Compare(a.Sequence, b.Sequence) })
	found.Events = slices.CompactFunc(found.Events, func(a, b Found) bool { return a.Sequence == b.Sequence })
	return found, nil
}

// recent adds what is found of one type. A follower that is behind is waited for.
func (l *Log) recent(ctx context.Context, subject string, within Span, to *Recent) error {
	var last uint64
	var err error
	if l.replicated && within.Latest {
		if last, _, err = l.last(ctx, bus.EventsStream, subject); err != nil {
			return err
		}
	}
	for {
		head, err := direct.Last(ctx, l.js, bus.EventsStream, subject)
		if err == nil && head == nil && last == 0 {
			return nil
		}
		if err == nil && head != nil && head.Sequence >= last {
			err = l.readSpan(ctx, head, within, &to.Events)
			if err == nil {
				to.Last = max(to.Last, head.Sequence)
				return nil
			}
		}
		if err != nil && !errors.Is(err, errBehind) {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(followerPause):
		}
	}
}

func found(msg *jetstream.RawStreamMsg) (Found, error) {
	var events []event.Event
	if err := into(&events)(msg); err != nil {
		return Found{}, err
	}
	return Found{Event: events[0], Sequence: msg.Sequence}, nil
}

// readSpan adds what the subject of a newest message has within a span, and not beyond that message.
func (l *Log) readSpan(ctx context.Context, head *jetstream.RawStreamMsg, within Span, to *[]Found) error {
	if within.After != Never && within.After > head.Sequence {
		within.After = 0
	}
	if within.over(head) {
		return nil
	}
	if head.Sequence > within.After {
		newest, err := found(head)
		if err != nil {
			return err
		}
		switch use := newest.Use; {
		case use == nil || use.After == nil:
			if within.Related && within.After == 0 {
				return nil
			}
		case *use.After <= within.After:
			*to = append(*to, newest)
			within.After = head.Sequence
		}
	}
	take := func(msg *jetstream.RawStreamMsg) error {
		one, err := found(msg)
		if err == nil && msg.Sequence <= head.Sequence {
			*to = append(*to, one)
		}
		return err
	}
	messages, whole, err := trail.Back(ctx, l.js, bus.EventsStream, head, within.over)
	for _, msg := range messages {
		err = errors.Join(err, take(msg))
	}
	if whole || err != nil {
		return err
	}
	read := func(start jetstreamext.GetBatchOpt, whole bool) error {
		following, pending, err := batch.Read(ctx, l.js, bus.EventsStream, take, start, jetstreamext.GetBatchSubject(head.Subject))
		if err == nil && pending > 0 && whole {
			following, err = batch.All(ctx, l.js, bus.EventsStream, head.Subject, following, take)
		}
		// On one server, what is missing has been erased meanwhile.
		if err == nil && l.replicated && following <= head.Sequence && (whole || pending == 0) {
			return errBehind
		}
		return err
	}
	// What an account has not taken up at all, an earlier version has, or there is little of it.
	if head.Sequence > within.After {
		if err := read(jetstreamext.GetBatchSeq(within.After+1), within.After > 0); err != nil {
			return err
		}
	}
	if !head.Time.Before(within.Since) && !within.Since.IsZero() {
		return read(jetstreamext.GetBatchStartTime(within.Since), true)
	}
	return nil
}

// conclude stores the event that ends a ceremony, if the user's newest one of its type is the one at the sequence after: so that the caller
// has judged all there is. After ErrMoved and ErrConcluded nothing is stored. A call that is repeated because its answer was
// lost has the attempt of the one before, and finds what that one has stored. After another error e may be stored or not.
func (l *Log) conclude(ctx context.Context, e event.Event, after uint64, attempt string) (stored []byte, r Receipt, err error) {
	ctx, step := span.Stream(ctx, "append", bus.EventsStream)
	defer func() { step.End(err) }()
	msg, err := cloudevent.Message(ctx, bus.EventsPrefix, &event.Offer{Event: e})
	if err != nil {
		return nil, Receipt{}, err
	}
	msg.Header[headerAttempt] = []string{attempt}
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(after, 10))
	// It goes alone: refused, it would have the others of a batch refused.
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
		case msg.Header.Get(cloudevent.HeaderID) != string(e.ID) || r.Sequence != 0:
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
	case errors.Is(err, cloudevent.ErrMalformed):
		return Receipt{}, unstored(err)
	case err != nil:
		s.cache.Uncertain(ctx, e.Project, e.User)
		return Receipt{}, unstored(err)
	case receipt.Unsure:
		err = errors.Join(s.cache.Remove(ctx, e.Project, e.User), s.cache.SeeAgain(ctx, e))
	default:
		err = s.cache.Add(ctx, e, stored)
	}
	if err != nil {
		return Receipt{}, fault.Unavailable(retryAfter, "the event could not be announced").Because(err)
	}
	return receipt, nil
}

// Logins implements account.Logins.
func (l *Log) Logins(ctx context.Context, project ident.ProjectID, user ident.UserID, known uint64) ([]Found, error) {
	found, err := l.Recent(ctx, project, user, Span{After: known, Related: true, Latest: true}, event.LoginCompleted)
	return found.Events, err
}

// Logins implements account.Logins.
func (s *Store) Logins(ctx context.Context, project ident.ProjectID, user ident.UserID, known uint64) ([]Found, error) {
	found, err := s.log.Logins(ctx, project, user, known)
	if err != nil {
		return nil, unread(err)
	}
	return found, nil
}

// EachLogin tells of the completed logins of all users after a sequence of the log, in their order. What comes meanwhile may be left out.
func (s *Store) EachLogin(ctx context.Context, after uint64, visit func(ident.ProjectID, ident.UserID, uint64) error) error {
	const all = bus.EventsPrefix + ".*.*." + string(event.LoginCompleted)
	_, err := batch.All(ctx, s.log.js, bus.EventsStream, all, after+1, func(msg *jetstream.RawStreamMsg) error {
		project, user, _ := strings.Cut(strings.TrimPrefix(msg.Subject, bus.EventsPrefix+"."), ".")
		user, _, _ = strings.Cut(user, ".")
		return visit(ident.ProjectID(project), ident.UserID(user), msg.Sequence)
	})
	return err
}
