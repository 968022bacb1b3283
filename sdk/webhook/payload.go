package webhook

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/keyward/keyward/sdk/event"
)

// Payload is the body of a delivery. Members that this package does not know are left out.
type Payload struct {
	// Type is the name under which the endpoint subscribed to the event: the type itself, or one like user.created. Data.EventType is the
	// type.
	Type      string    `json:"type"`
	Metadata  Metadata  `json:"metadata"`
	Timestamp time.Time `json:"timestamp"` // when the event happened
	Data      Data      `json:"data"`
}

// Metadata is where a ceremony was finished from, as the caller reported it, and what was configured for the endpoint.
type Metadata struct {
	IP            string            `json:"ip"`
	OS            string            `json:"os"`
	Browser       string            `json:"browser"`
	CustomHeaders map[string]string `json:"customHeaders"`
}

// Data is what happened. The first five are always set.
type Data struct {
	UserID      event.UserID     `json:"userID"`
	EventID     event.ID         `json:"eventID"`
	EventType   event.Type       `json:"eventType"`
	ProjectID   event.ProjectID  `json:"projectID"`
	CreatedMs   int64            `json:"createdMs"` // Unix ms
	Credential  *Credential      `json:"credential,omitempty"`
	ProcessID   string           `json:"processID,omitempty"`
	ClientEnvID string           `json:"clientEnvID,omitempty"`
	Ceremony    event.CeremonyID `json:"ceremonyID,omitempty"`
	Route       event.Route      `json:"ceremonyType,omitempty"`
	Source      event.Source     `json:"source,omitempty"` // how the login start came about
	Kind        event.Kind       `json:"appendKind,omitempty"`
	ExpiresMs   int64            `json:"expiresMs,omitempty"`
	Deletes     event.ID         `json:"deletedEventID,omitempty"`
	Auth        *event.Auth      `json:"auth,omitempty"`
}

// Credential is what was known of a passkey when the attempt was made: two attempts may differ in it. Without its account there is the ID
// alone.
type Credential struct {
	ID         string `json:"id"`                   // cre-<number>; of events that callers sent, whatever they called it
	WebAuthnID string `json:"webAuthnID,omitempty"` // base64url without padding
	Browser    string `json:"browser,omitempty"`    // where it was created
	OS         string `json:"os,omitempty"`
	AAGUID     string `json:"aaguid,omitempty"`
	Created    int64  `json:"createdMs,omitempty"`
	LastUsed   int64  `json:"lastUsedMs,omitempty"`
	Deleted    int64  `json:"deletedMs,omitempty"`
}

// Parse reads a body. It does not verify it: Verify first. The error is encoding/json's.
func Parse(body []byte) (Payload, error) {
	var p Payload
	if err := json.Unmarshal(body, &p); err != nil {
		return Payload{}, fmt.Errorf("read a webhook's body: %w", err)
	}
	return p, nil
}
