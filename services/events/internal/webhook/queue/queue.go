// Package queue keeps what deliveries to webhook endpoints leave behind, in the streams WEBHOOK_RETRIES, WEBHOOK_DEAD and
// WEBHOOK_DELIVERIES: events that are parked for another attempt, dead letters, and the delivery log. It promises that what is parked or
// given up is on disk when the call returns, that an event is parked once at most, and that a user's first is the one that was parked
// first. The delivery log is written in the background and may have gaps, which are counted. When what is parked is tried again is the
// business of dispatch.
package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/services/events/internal/webhook"
)

// Parked is an event that waits to be delivered again.
type Parked struct {
	Event    event.Event `json:"event"`
	Sequence uint64      `json:"sequence"`         // in the log
	Trace    string      `json:"trace,omitempty"`  // traceparent of the call that it comes of
	Replay   bool        `json:"replay,omitempty"` // it is a dead letter too, which goes when it is delivered

	at uint64 // sequence in the stream of retries; 0 = it is not there
}

// Stored reports whether the event is parked already: it was read from there, and not from the log.
func (p Parked) Stored() bool { return p.at != 0 }

// Head says how far the first parked event of a user is.
type Head struct {
	Event    ident.EventID `json:"event,omitempty"`
	Attempts int           `json:"attempts,omitempty"` // that failed
	NextMs   int64         `json:"nextMs,omitempty"`   // Unix ms

	at uint64 // sequence in the stream of retries
}

// Letter is a dead letter: an event that the endpoint did not take in as many attempts as there are.
type Letter struct {
	Event    event.Event `json:"event"`
	Sequence uint64      `json:"sequence"` // in the log
	Attempts int         `json:"attempts"`
	Status   int         `json:"status,omitempty"`
	Problem  string      `json:"problem,omitempty"`
	DeadMs   int64       `json:"deadMs"` // Unix ms: when it was given up
}

// Queue keeps parked events and dead letters. Every write is on disk when it returns.
type Queue struct {
	js      jetstream.JetStream
	retries jetstream.Stream
	dead    jetstream.Stream
}

func Open(ctx context.Context, js jetstream.JetStream) (*Queue, error) {
	q := &Queue{js: js}
	for name, into := range map[string]*jetstream.Stream{bus.WebhookRetriesStream: &q.retries, bus.WebhookDeadStream: &q.dead} {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", name, err)
		}
		*into = stream
	}
	return q, nil
}

// whatever is what a write expects that takes the place of whatever there is.
const whatever = -1

// put stores a value if the newest of its subject is the one that is expected: 0 = there is none.
func (q *Queue) put(ctx context.Context, subject string, value any, expected int64) (uint64, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", subject, err)
	}
	msg := &nats.Msg{Subject: subject, Data: raw}
	if expected != whatever {
		msg.Header = nats.Header{jetstream.ExpectedLastSubjSeqHeader: {strconv.FormatInt(expected, 10)}}
	}
	ack, err := q.js.PublishMsg(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("store %s: %w", subject, err)
	}
	return ack.Sequence, nil
}

func alreadyThere(err error) bool {
	var api *jetstream.APIError
	if !errors.As(err, &api) {
		return false
	}
	return api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant
}

// SetHead stores the state of a user's first parked event.
func (q *Queue) SetHead(ctx context.Context, e *webhook.Endpoint, user ident.UserID, h Head) (Head, error) {
	at, err := q.put(ctx, e.Subject(bus.WebhookHeadsPrefix)+"."+string(user), h, whatever)
	h.at = at
	return h, err
}

// needHead makes sure that the user has a head, so that who works for the endpoint finds what is parked.
func (q *Queue) needHead(ctx context.Context, e *webhook.Endpoint, user ident.UserID) error {
	if _, err := q.put(ctx, e.Subject(bus.WebhookHeadsPrefix)+"."+string(user), Head{}, 0); err != nil && !alreadyThere(err) {
		return err
	}
	return nil
}

// Park stores an event behind those that the user has parked. One that is there already stays where it is.
func (q *Queue) Park(ctx context.Context, e *webhook.Endpoint, p Parked) error {
	subject := e.Subject(bus.WebhookRetriesPrefix) + "." + string(p.Event.User) + "." + string(p.Event.ID)
	if _, err := q.put(ctx, subject, p, 0); err != nil && !alreadyThere(err) {
		return err
	}
	return nil
}

// Oldest returns when the event that has been parked for the endpoint for longest was stored, or false if there is none.
func (q *Queue) Oldest(ctx context.Context, e *webhook.Endpoint) (time.Time, bool) {
	msg, err := q.retries.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(e.Subject(bus.WebhookRetriesPrefix)+".*.*"))
	if err != nil {
		return time.Time{}, false
	}
	return msg.Time, true
}

// First returns the event that the user has had parked for longest, or false.
func (q *Queue) First(ctx context.Context, e *webhook.Endpoint, user ident.UserID) (Parked, bool, error) {
	subject := e.Subject(bus.WebhookRetriesPrefix) + "." + string(user) + ".*"
	msg, err := q.retries.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Parked{}, false, nil
	}
	if err != nil {
		return Parked{}, false, fmt.Errorf("read what is parked: %w", err)
	}
	var p Parked
	if err := json.Unmarshal(msg.Data, &p); err != nil {
		return Parked{}, false, fmt.Errorf("decode what is parked: %w", err)
	}
	p.at = msg.Sequence
	return p, true, nil
}

// Holds reports whether an event that first returned is still parked.
func (q *Queue) Holds(ctx context.Context, p Parked) (bool, error) {
	return q.Exists(ctx, q.retries, p.at)
}

// Exists reports whether a message still exists: what is erased of a user must not come back by being stored anew. A follower may not
// have a message yet, so only the leader's word counts for one that is missing.
func (q *Queue) Exists(ctx context.Context, stream jetstream.Stream, sequence uint64) (bool, error) {
	_, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return q.leaderHas(ctx, stream.CachedInfo().Config.Name, sequence)
	}
	if err != nil {
		return false, fmt.Errorf("look for an event: %w", err)
	}
	return true, nil
}

func (q *Queue) leaderHas(ctx context.Context, stream string, sequence uint64) (bool, error) {
	request, err := json.Marshal(map[string]uint64{"seq": sequence})
	if err != nil {
		return false, fmt.Errorf("encode request: %w", err)
	}
	options := q.js.Options()
	api := cmp.Or(options.APIPrefix, jetstream.DefaultAPIPrefix)
	if options.APIPrefix == "" && options.Domain != "" {
		api = "$JS." + options.Domain + ".API."
	}
	reply, err := q.js.Conn().RequestWithContext(ctx, strings.TrimSuffix(api, ".")+".STREAM.MSG.GET."+stream, request)
	if err != nil {
		return false, fmt.Errorf("look for an event: %w", err)
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return false, fmt.Errorf("look for an event: %w", err)
	}
	switch {
	case answer.Error == nil:
		return true, nil
	case answer.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return false, nil
	default:
		return false, fmt.Errorf("look for an event: %w", answer.Error)
	}
}

// Remove takes away an event that first returned. One that is not there any more is no error.
func (q *Queue) Remove(ctx context.Context, p Parked) error { return q.take(ctx, p.at) }

// RemoveHead takes away the head of a user who has nothing parked any more. One that was never stored, or is not there any more, is no
// error.
func (q *Queue) RemoveHead(ctx context.Context, h Head) error {
	if h.at == 0 {
		return nil
	}
	return q.take(ctx, h.at)
}

func (q *Queue) take(ctx context.Context, sequence uint64) error {
	err := q.retries.DeleteMsg(ctx, sequence)
	if err == nil {
		return nil
	}
	// The client does not say why the server refused.
	if still, lookErr := q.Exists(ctx, q.retries, sequence); lookErr == nil && !still {
		return nil
	}
	return fmt.Errorf("remove a parked event: %w", err)
}

// Heads returns the users that have something parked.
func (q *Queue) Heads(ctx context.Context, e *webhook.Endpoint) ([]ident.UserID, error) {
	prefix := e.Subject(bus.WebhookHeadsPrefix) + "."
	info, err := q.retries.Info(ctx, jetstream.WithSubjectFilter(prefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("list what is parked: %w", err)
	}
	users := make([]ident.UserID, 0, len(info.State.Subjects))
	for subject := range maps.Keys(info.State.Subjects) {
		users = append(users, ident.UserID(strings.TrimPrefix(subject, prefix)))
	}
	return users, nil
}

// Head returns the head of a user, or false if nothing is parked.
func (q *Queue) Head(ctx context.Context, e *webhook.Endpoint, user ident.UserID) (Head, bool, error) {
	msg, err := q.retries.GetLastMsgForSubject(ctx, e.Subject(bus.WebhookHeadsPrefix)+"."+string(user))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return Head{}, false, nil
	}
	if err != nil {
		return Head{}, false, fmt.Errorf("read the state of what is parked: %w", err)
	}
	var h Head
	if err := json.Unmarshal(msg.Data, &h); err != nil {
		return Head{}, false, fmt.Errorf("decode the state of what is parked: %w", err)
	}
	h.at = msg.Sequence
	return h, true, nil
}

// Bury stores a dead letter in place of an earlier one of the same event.
func (q *Queue) Bury(ctx context.Context, e *webhook.Endpoint, l Letter) error {
	_, err := q.put(ctx, deadSubject(e, l.Event.User, l.Event.ID), l, whatever)
	return err
}

func deadSubject(e *webhook.Endpoint, user ident.UserID, id ident.EventID) string {
	return e.Subject(bus.WebhookDeadPrefix) + "." + string(user) + "." + string(id)
}

// Exhume removes a dead letter, if there is one.
func (q *Queue) Exhume(ctx context.Context, e *webhook.Endpoint, user ident.UserID, id ident.EventID) error {
	if err := q.dead.Purge(ctx, jetstream.WithPurgeSubject(deadSubject(e, user, id))); err != nil {
		return fmt.Errorf("remove a dead letter: %w", err)
	}
	return nil
}

// kept returns, for each stream that keeps something for endpoints, the starts of its subjects.
func kept() map[string][]string {
	return map[string][]string{
		bus.WebhookRetriesStream:    {bus.WebhookRetriesPrefix, bus.WebhookHeadsPrefix},
		bus.WebhookDeadStream:       {bus.WebhookDeadPrefix},
		bus.WebhookDeliveriesStream: {bus.WebhookDeliveriesPrefix},
	}
}

// PurgeUser removes everything that is kept of a user for any endpoint of the project: events that wait to be delivered again, dead
// letters and the delivery log. An attempt that is under way may add a line to the log afterwards. The user's events must have been
// purged from the log of events before, so that none of them is parked anew; those that are written after it (user-deleted) are
// delivered.
func PurgeUser(ctx context.Context, js jetstream.JetStream, project ident.ProjectID, user ident.UserID) error {
	if _, err := ident.ParseProjectID(string(project)); err != nil {
		return fmt.Errorf("project ID %w", err)
	}
	if _, err := ident.ParseUserID(string(user)); err != nil {
		return fmt.Errorf("user ID %w", err)
	}
	middle := "." + string(project) + ".*." + string(user)
	return purge(ctx, js, func(prefix string) string {
		if prefix == bus.WebhookHeadsPrefix {
			return prefix + middle
		}
		return prefix + middle + ".*"
	})
}

// Remove removes everything that is kept for an endpoint.
func Remove(ctx context.Context, js jetstream.JetStream, project ident.ProjectID, id ident.WebhookID) error {
	if err := removePosition(ctx, js, project, id); err != nil {
		return err
	}
	return purge(ctx, js, func(prefix string) string { return webhook.Subject(prefix, project, id) + ".>" })
}

func purge(ctx context.Context, js jetstream.JetStream, subject func(prefix string) string) error {
	streams := kept()
	for _, name := range slices.Sorted(maps.Keys(streams)) {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return fmt.Errorf("open stream %s: %w", name, err)
		}
		for _, prefix := range streams[name] {
			if err := stream.Purge(ctx, jetstream.WithPurgeSubject(subject(prefix))); err != nil {
				return fmt.Errorf("purge %s: %w", name, err)
			}
		}
	}
	return nil
}
