package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/secret"
)

// Endpoint is where events of a project are delivered to, as it is stored. Times are Unix ms.
type Endpoint struct {
	ID        ident.WebhookID   `json:"id"`
	Project   ident.ProjectID   `json:"project"`
	URL       string            `json:"url"`
	Username  string            `json:"username,omitempty"` // basic authentication, if either is set
	Password  Hidden            `json:"password,omitempty"`
	Headers   map[string]string `json:"headers,omitempty"`
	Events    []string          `json:"events"` // as subscribed: documented types, types of the log, or * alone
	Secrets   []Secret          `json:"secrets"`
	Start     uint64            `json:"start"` // sequence in the log of the first event that it gets
	CreatedMs int64             `json:"createdMs"`
	UpdatedMs int64             `json:"updatedMs"`
	PausedMs  int64             `json:"pausedMs,omitempty"` // since when an operator has deliveries wait; 0 = they do not
	GoneMs    int64             `json:"goneMs,omitempty"`   // when it answered 410: nothing is delivered until the endpoint is changed
}

// Pause has deliveries wait or go on, and returns what that is called in the trail; empty = it was so before.
func (e *Endpoint) Pause(paused bool, now time.Time) (act string) {
	switch {
	case paused == (e.PausedMs > 0):
		return ""
	case paused:
		e.PausedMs = now.UnixMilli()
		return "webhook-paused"
	default:
		e.PausedMs = 0
		return "webhook-resumed"
	}
}

// Halted reports whether nothing is delivered to the endpoint until it is changed, or resumed.
func (e *Endpoint) Halted() bool { return e.GoneMs > 0 || e.PausedMs > 0 }

// Secret is a key that deliveries are signed with. A hash of it would not do: a signature cannot be made from that.
type Secret struct {
	ID        string `json:"id"` // whs-<number>
	Value     Hidden `json:"value"`
	CreatedMs int64  `json:"createdMs"`
	ExpiresMs int64  `json:"expiresMs,omitempty"` // 0 = never
}

// Active reports whether deliveries are signed with s.
func (s Secret) Active(now time.Time) bool { return s.ExpiresMs == 0 || s.ExpiresMs > now.UnixMilli() }

// Hidden is a secret that is stored as it is and printed as stars.
type Hidden string

// String implements fmt.Stringer.
func (h Hidden) String() string { return secret.Text(h).String() }

// Format implements fmt.Formatter, so that no verb prints the value.
func (h Hidden) Format(f fmt.State, verb rune) { secret.Text(h).Format(f, verb) }

// LogValue implements slog.LogValuer.
func (h Hidden) LogValue() slog.Value { return slog.StringValue(h.String()) }

// Reveal returns the value.
func (h Hidden) Reveal() string { return string(h) }

// SecretPrefix begins every signing secret, as Standard Webhooks has it.
const SecretPrefix = "whsec_"

// secretBytes is the length of a signing key; Standard Webhooks allows 24 to 64.
const secretBytes = 32

// NewSecret draws a signing secret.
func NewSecret(now time.Time) Secret {
	var key [secretBytes]byte
	rand.Read(key[:])
	return Secret{
		ID:        "whs-" + number(string(ident.NewWebhookID())),
		Value:     Hidden(SecretPrefix + base64.StdEncoding.EncodeToString(key[:])),
		CreatedMs: now.UnixMilli(),
	}
}

// number returns what follows the prefix of an ID.
func number(id string) string {
	_, digits, _ := strings.Cut(id, "-")
	return digits
}

// Key is where an endpoint is stored in its bucket.
func Key(project ident.ProjectID, id ident.WebhookID) string {
	return string(project) + "." + string(id)
}

func (e *Endpoint) Key() string { return Key(e.Project, e.ID) }

// Endpoints returns the endpoints that are stored in the bucket "webhook-endpoints", under Key; one that is not there is missing.
func Endpoints(bucket jetstream.KeyValue, sealer kv.Sealer, missing error) kv.Bucket[Endpoint] {
	return kv.Bucket[Endpoint]{KV: bucket, Name: "webhook endpoint", Missing: missing, Sealer: sealer}
}

// Consumer is the name of the durable consumer of the log in which an earlier version kept how far the endpoint had got.
func (e *Endpoint) Consumer() string { return "webhook-" + string(e.ID) }

// LogSubject matches every event of the endpoint's project.
func (e *Endpoint) LogSubject() string { return bus.EventsPrefix + "." + string(e.Project) + ".>" }

// Subject returns the start of the subjects under which something is kept for the endpoint, without a dot at the end.
func (e *Endpoint) Subject(prefix string) string { return Subject(prefix, e.Project, e.ID) }

// Subject is subject of the endpoint that a project has, or had, under that ID.
func Subject(prefix string, project ident.ProjectID, endpoint ident.WebhookID) string {
	return prefix + "." + string(project) + "." + string(endpoint)
}

// MessageID returns the webhook-id of an event: the same for every attempt to deliver it to the endpoint.
func MessageID(e ident.EventID, endpoint ident.WebhookID) string {
	return "msg_" + number(string(e)) + "_" + number(string(endpoint))
}

// EventOf returns the event that a webhook-id of the endpoint names.
func EventOf(messageID string, endpoint ident.WebhookID) (ident.EventID, bool) {
	digits, ok := strings.CutSuffix(messageID, "_"+number(string(endpoint)))
	if !ok {
		return "", false
	}
	digits, ok = strings.CutPrefix(digits, "msg_")
	if !ok {
		return "", false
	}
	id, err := ident.ParseEventID("pke-" + digits)
	return id, err == nil
}

// All subscribes to every event.
const All = "*"

// documented are the names that the API's documents give to some types of the log.
func documented() [6]documentedType {
	return [...]documentedType{
		{"passkey-login.completed", event.LoginCompleted},
		{"passkey.created", event.AppendCompleted},
		{"passkey.deleted", event.PasskeyDeleted},
		{"user.created", event.UserCreated},
		{"user.updated", event.UserUpdated},
		{"user.deleted", event.UserDeleted},
	}
}

type documentedType struct {
	name string
	of   event.Type
}

// TypeOf returns the type of the log that a subscription names, or why it names none.
func TypeOf(subscription string) (event.Type, error) {
	for _, d := range documented() {
		if d.name == subscription {
			return d.of, nil
		}
	}
	t := event.Type(subscription)
	switch {
	case t.Observed():
		return "", fmt.Errorf("%q is an observation that is not delivered", subscription)
	case t.Known():
		return t, nil
	}
	return "", fmt.Errorf("%q is no type of event", subscription)
}

// Subscribed returns the name under which the endpoint gets events of the type, or false if it does not. Of a type with a
// documented name, * gives that.
func (e *Endpoint) Subscribed(t event.Type) (string, bool) {
	if slices.Contains(e.Events, All) {
		return documentedName(t), true
	}
	if slices.Contains(e.Events, string(t)) {
		return string(t), true
	}
	if name := documentedName(t); slices.Contains(e.Events, name) {
		return name, true
	}
	return "", false
}

func documentedName(t event.Type) string {
	for _, d := range documented() {
		if d.of == t {
			return d.name
		}
	}
	return string(t)
}
