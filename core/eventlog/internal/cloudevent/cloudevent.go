// Package cloudevent writes events and offers as messages: CloudEvents 1.0 over NATS, binary mode. It promises that no ID or type reaches
// beyond its place in the subject. It is pure.
package cloudevent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/flow"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/span"
)

// HeaderID is where a message has the ID of its event.
const HeaderID = "ce-id"

const (
	headerContentType = "content-type" // the same as ce-datacontenttype, for readers who look for what other bindings have
	specVersion       = "1.0"
	contentType       = "application/json"
	typePrefix        = "keyward.passkey."
	sourcePrefix      = "/keyward/projects/"
)

// ErrMalformed marks what no caller over the wire can cause, since IDs and types are checked before.
var ErrMalformed = errors.New("malformed")

// Message renders an event as a CloudEvent of the trace of the call that it comes of. It refuses what Check does.
func Message(ctx context.Context, prefix string, o *event.Offer) (*nats.Msg, error) {
	if err := Check(o); err != nil {
		return nil, err
	}
	msg := &nats.Msg{}
	Render(prefix, o, span.Parent(ctx), msg)
	return msg, nil
}

// Check refuses IDs and types that would reach beyond their place in the subject.
func Check(o *event.Offer) error {
	if _, err := ident.ParseEventID(string(o.ID)); err != nil {
		return fmt.Errorf("%w: event ID %w", ErrMalformed, err)
	}
	if err := check(o.Project, o.User); err != nil {
		return err
	}
	if o.Type == "" || strings.ContainsAny(string(o.Type), ".*> \t\r\n") {
		return fmt.Errorf("%w: type %q is no subject token", ErrMalformed, o.Type)
	}
	return nil
}

func check(project ident.ProjectID, user ident.UserID) error {
	if _, err := ident.ParseProjectID(string(project)); err != nil {
		return fmt.Errorf("%w: project ID %w", ErrMalformed, err)
	}
	if _, err := ident.ParseUserID(string(user)); err != nil {
		return fmt.Errorf("%w: user ID %w", ErrMalformed, err)
	}
	return nil
}

// UserSubject returns the start of the subjects of a user's messages, with the dot.
func UserSubject(prefix string, project ident.ProjectID, user ident.UserID) (string, error) {
	if err := check(project, user); err != nil {
		return "", err
	}
	return prefix + "." + string(project) + "." + string(user) + ".", nil
}

// Render makes into the message of what Check does not refuse, in the memory of the message that it was before. The trace may be empty.
func Render(prefix string, o *event.Offer, trace string, into *nats.Msg) {
	// One text for all values, instead of one each.
	const usual, usualBody = 192, 768 // bytes
	text := append(make([]byte, 0, usual), sourcePrefix...)
	text = append(text, o.Project...)
	source := len(text)
	text = append(append(text, typePrefix...), o.Type...)
	kind := len(text)
	for _, token := range [...]string{prefix, ".", string(o.Project), ".", string(o.User), ".", string(o.Type)} {
		text = append(text, token...)
	}
	to := len(text)
	all := string(time.UnixMilli(o.CreatedMs).UTC().AppendFormat(text, "2006-01-02T15:04:05.000Z"))
	into.Subject = all[kind:to]
	if into.Data == nil {
		into.Data = make([]byte, 0, usualBody)
	}
	into.Data = appendBody(into.Data[:0], o)
	flow.Head(
		into, "ce-specversion", specVersion, HeaderID, string(o.ID), "ce-source", all[:source], "ce-type", all[source:kind],
		"ce-subject", string(o.User), "ce-time", all[to:], "ce-datacontenttype", contentType, headerContentType, contentType,
		span.TraceParent, trace,
	)
}

// appendBody puts what is pending behind the members of the event. It is JSON already, so it is neither read nor copied through the
// encoder again.
func appendBody(to []byte, o *event.Offer) []byte {
	to = o.Event.AppendJSON(to)
	if len(o.Pending) == 0 {
		return to
	}
	to = append(to[:len(to)-1], `,"pending":`...)
	to = append(to, o.Pending...)
	return append(to, '}')
}
