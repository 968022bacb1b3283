package webhook

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// parked is an event that waits to be delivered again.
type parked struct {
	Event    event.Event `json:"event"`
	Sequence uint64      `json:"sequence"`         // in the log
	Replay   bool        `json:"replay,omitempty"` // it is a dead letter too, which goes when it is delivered

	at uint64 // sequence in the stream of retries
}

// head says how far the first parked event of a user is.
type head struct {
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

// queue keeps parked events and dead letters. Every write is on disk when it returns.
type queue struct {
	js      jetstream.JetStream
	retries jetstream.Stream
	dead    jetstream.Stream
}

func openQueue(ctx context.Context, js jetstream.JetStream) (*queue, error) {
	q := &queue{js: js}
	for name, into := range map[string]*jetstream.Stream{bus.WebhookRetriesStream: &q.retries, bus.WebhookDeadStream: &q.dead} {
		stream, err := js.Stream(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("open stream %s: %w", name, err)
		}
		*into = stream
	}
	return q, nil
}

func (q *queue) put(ctx context.Context, subject string, value any, expectNone bool) (uint64, error) {
	raw, err := json.Marshal(value)
	if err != nil {
		return 0, fmt.Errorf("encode %s: %w", subject, err)
	}
	msg := &nats.Msg{Subject: subject, Data: raw}
	if expectNone {
		msg.Header = nats.Header{jetstream.ExpectedLastSubjSeqHeader: {"0"}}
	}
	ack, err := q.js.PublishMsg(ctx, msg)
	if err != nil {
		return 0, fmt.Errorf("store %s: %w", subject, err)
	}
	return ack.Sequence, nil
}

func alreadyThere(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence || api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant)
}

// setHead stores the state of a user's first parked event.
func (q *queue) setHead(ctx context.Context, e *Endpoint, user ident.UserID, h head) (head, error) {
	at, err := q.put(ctx, e.subject(bus.WebhookHeadsPrefix)+"."+string(user), h, false)
	h.at = at
	return h, err
}

// needHead makes sure that the user has a head, so that who works for the endpoint finds what is parked.
func (q *queue) needHead(ctx context.Context, e *Endpoint, user ident.UserID) error {
	if _, err := q.put(ctx, e.subject(bus.WebhookHeadsPrefix)+"."+string(user), head{}, true); err != nil && !alreadyThere(err) {
		return err
	}
	return nil
}

// park stores an event behind those that the user has parked. One that is there already stays where it is.
func (q *queue) park(ctx context.Context, e *Endpoint, p parked) error {
	subject := e.subject(bus.WebhookRetriesPrefix) + "." + string(p.Event.User) + "." + string(p.Event.ID)
	if _, err := q.put(ctx, subject, p, true); err != nil && !alreadyThere(err) {
		return err
	}
	return nil
}

// first returns the event that the user has had parked for longest, or false.
func (q *queue) first(ctx context.Context, e *Endpoint, user ident.UserID) (parked, bool, error) {
	subject := e.subject(bus.WebhookRetriesPrefix) + "." + string(user) + ".*"
	msg, err := q.retries.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return parked{}, false, nil
	}
	if err != nil {
		return parked{}, false, fmt.Errorf("read what is parked: %w", err)
	}
	var p parked
	if err := json.Unmarshal(msg.Data, &p); err != nil {
		return parked{}, false, fmt.Errorf("decode what is parked: %w", err)
	}
	p.at = msg.Sequence
	return p, true, nil
}

// there reports whether a message still exists: what is erased of a user must not come back by being stored anew. A follower may not have a message yet, so
// only the leader's word counts for one that is missing.
func (q *queue) there(ctx context.Context, stream jetstream.Stream, sequence uint64) (bool, error) {
	_, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return q.leaderHas(ctx, stream.CachedInfo().Config.Name, sequence)
	}
	if err != nil {
		return false, fmt.Errorf("look for an event: %w", err)
	}
	return true, nil
}

func (q *queue) leaderHas(ctx context.Context, stream string, sequence uint64) (bool, error) {
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

// remove takes a message from the stream of retries. One that is not there is no error.
func (q *queue) remove(ctx context.Context, sequence uint64) error {
	err := q.retries.DeleteMsg(ctx, sequence)
	if err == nil {
		return nil
	}
	// The client does not say why the server refused.
	if still, lookErr := q.there(ctx, q.retries, sequence); lookErr == nil && !still {
		return nil
	}
	return fmt.Errorf("remove a parked event: %w", err)
}

// heads returns the users that have something parked.
func (q *queue) heads(ctx context.Context, e *Endpoint) ([]ident.UserID, error) {
	prefix := e.subject(bus.WebhookHeadsPrefix) + "."
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

// head returns the head of a user, or false if nothing is parked.
func (q *queue) head(ctx context.Context, e *Endpoint, user ident.UserID) (head, bool, error) {
	msg, err := q.retries.GetLastMsgForSubject(ctx, e.subject(bus.WebhookHeadsPrefix)+"."+string(user))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return head{}, false, nil
	}
	if err != nil {
		return head{}, false, fmt.Errorf("read the state of what is parked: %w", err)
	}
	var h head
	if err := json.Unmarshal(msg.Data, &h); err != nil {
		return head{}, false, fmt.Errorf("decode the state of what is parked: %w", err)
	}
	h.at = msg.Sequence
	return h, true, nil
}

// bury stores a dead letter in place of an earlier one of the same event.
func (q *queue) bury(ctx context.Context, e *Endpoint, l Letter) error {
	_, err := q.put(ctx, deadSubject(e, l.Event.User, l.Event.ID), l, false)
	return err
}

func deadSubject(e *Endpoint, user ident.UserID, id ident.EventID) string {
	return e.subject(bus.WebhookDeadPrefix) + "." + string(user) + "." + string(id)
}

// exhume removes a dead letter, if there is one.
func (q *queue) exhume(ctx context.Context, e *Endpoint, user ident.UserID, id ident.EventID) error {
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

// PurgeUser removes everything that is kept of a user for any endpoint of the project: events that wait to be delivered again, dead letters and the delivery
// log. An attempt that is under way may add a line to the log afterwards. The user's events must have been purged from the log of events before, so that none
// of them is parked anew; those that are written after it (user-deleted) are delivered.
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

// PurgeEndpoint removes everything that is kept for an endpoint.
func PurgeEndpoint(ctx context.Context, js jetstream.JetStream, project ident.ProjectID, id ident.WebhookID) error {
	return purge(ctx, js, func(prefix string) string { return subject(prefix, project, id) + ".>" })
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

// parkedSubject matches every event that is parked for the endpoint.
func (e *Endpoint) parkedSubject() string { return e.subject(bus.WebhookRetriesPrefix) + ".*.*" }
