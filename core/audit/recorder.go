package audit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/core/span"
)

// ErrUnrecorded says that something was done and is not in the stream.
var ErrUnrecorded = errors.New("it is done, but not in the stream of security events")

// CloudEvents 1.0, binary content mode of the NATS protocol binding.
const (
	typePrefix  = "keyward.audit."
	source      = "/keyward"
	timeFormat  = "2006-01-02T15:04:05.000Z07:00"
	contentType = "application/json"
	noProject   = "_"
)

// Recorder writes events of one actor. Make it with NewRecorder.
type Recorder struct {
	js       jetstream.JetStream
	actor    Actor
	instance string
	now      func() time.Time
}

// NewRecorder returns the recorder of an actor in this process.
func NewRecorder(js jetstream.JetStream, actor Actor, now func() time.Time) *Recorder {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "unknown"
	}
	return &Recorder{js: js, actor: actor, instance: host, now: now}
}

// By returns the recorder of another actor in the same process.
func (r *Recorder) By(actor Actor) *Recorder {
	other := *r
	other.actor = actor
	return &other
}

// Record returns when all the events are on disk. Its error is ErrUnrecorded, with the cause; events after the first that failed may be
// there.
func (r *Recorder) Record(ctx context.Context, events ...Event) error {
	var errs []error
	for _, e := range events {
		if err := r.publish(ctx, r.message(ctx, e)); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", e.Type, err))
		}
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnrecorded, errors.Join(errs...))
}

// publish is done once: with the ID in the header a message that is sent again is the same one to the server.
func (r *Recorder) publish(ctx context.Context, msg *nats.Msg) error {
	_, err := r.js.PublishMsg(ctx, msg)
	return err
}

// message returns an event as it is published.
func (r *Recorder) message(ctx context.Context, e Event) *nats.Msg {
	now := r.now()
	e.Schema, e.ID, e.CreatedMs, e.Actor, e.Instance = schemaVersion, ident.NewAuditID(), now.UnixMilli(), r.actor, r.instance
	if by, ok := reqctx.OperatorOf(ctx); ok {
		e.Actor = Actor{Kind: Operator, Name: by.Name, ID: by.ID} // whatever service does it for the operator
	}
	e.RequestID, e.CallerKey, e.Reason = reqctx.RequestID(ctx), reqctx.CallerKey(ctx), shortened(e.Reason)
	about, from := noProject, source
	if e.Project != "" {
		about, from = string(e.Project), source+"/projects/"+string(e.Project)
	}
	body, err := json.Marshal(e)
	if err != nil {
		panic(fmt.Sprintf("an event of names cannot be written: %v", err))
	}
	msg := nats.NewMsg(bus.AuditPrefix + "." + about + "." + string(e.Type))
	msg.Data = body
	for name, value := range map[string]string{
		"ce-specversion":     "1.0",
		"ce-id":              string(e.ID),
		"ce-source":          from,
		"ce-type":            typePrefix + string(e.Type),
		"ce-subject":         about,
		"ce-time":            now.UTC().Format(timeFormat),
		"ce-datacontenttype": contentType,
		"content-type":       contentType,
		nats.MsgIdHdr:        string(e.ID),
	} {
		msg.Header[name] = []string{value}
	}
	if trace := span.Parent(ctx); trace != "" {
		msg.Header[span.TraceParent] = []string{trace}
	}
	return msg
}

// maxReason bounds why something was refused, in bytes: what a whole log line holds is not for a message.
const maxReason = 1000

func shortened(text string) string {
	if len(text) <= maxReason {
		return text
	}
	return strings.ToValidUTF8(text[:maxReason], "") + "…"
}

// Told is a Recorder for somebody who changes projects or operators one after another and asks at the end whether all of it was recorded.
type Told struct {
	recorder *Recorder
	err      error
}

// Tell returns one without errors so far.
func (r *Recorder) Tell() *Told { return &Told{recorder: r} }

// Changed records what one version of a project differs from another in.
func (t *Told) Changed(ctx context.Context, before, after *project.Project) {
	t.Add(ctx, Changes(before, after)...)
}

// OperatorChanged records that an operator was made, or revoked.
func (t *Told) OperatorChanged(ctx context.Context, before, after *operator.Operator) {
	t.Add(ctx, OperatorChanges(before, after)...)
}

// Add records events.
func (t *Told) Add(ctx context.Context, events ...Event) {
	t.err = errors.Join(t.err, t.recorder.Record(ctx, events...))
}

// Err returns nil if all is on disk, and otherwise ErrUnrecorded.
func (t *Told) Err() error { return t.err }
