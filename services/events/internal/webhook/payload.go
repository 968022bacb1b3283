package webhook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Accounts looks up what the payload tells of a passkey beside its event. account.Store does.
type Accounts interface {
	Get(ctx context.Context, project ident.ProjectID, user ident.UserID) (account.Account, uint64, error)
}

// payload is the body of a delivery; subscribers read it with sdk/webhook.
type payload struct {
	Type      string   `json:"type"`
	Metadata  metadata `json:"metadata"`
	Timestamp string   `json:"timestamp"` // RFC 3339 with nanoseconds, UTC: when the event happened
	Data      data     `json:"data"`
}

type metadata struct {
	IP            string            `json:"ip"`
	OS            string            `json:"os"`
	Browser       string            `json:"browser"`
	CustomHeaders map[string]string `json:"customHeaders"` // as configured for the endpoint
}

type data struct {
	UserID      string         `json:"userID"`
	EventID     string         `json:"eventID"`
	EventType   string         `json:"eventType"` // in the log
	ProjectID   string         `json:"projectID"`
	CreatedMs   int64          `json:"createdMs"`
	Credential  *credential    `json:"credential,omitempty"`
	ProcessID   string         `json:"processID,omitempty"`
	ClientEnvID string         `json:"clientEnvID,omitempty"`
	Ceremony    string         `json:"ceremonyID,omitempty"`
	Route       string         `json:"ceremonyType,omitempty"`
	Source      string         `json:"source,omitempty"` // how the login start came about
	Kind        string         `json:"appendKind,omitempty"`
	ExpiresMs   int64          `json:"expiresMs,omitempty"`
	Deletes     string         `json:"deletedEventID,omitempty"`
	Attachment  string         `json:"attachment,omitempty"`
	Auth        *event.Auth    `json:"auth,omitempty"`
	Counter     *event.Counter `json:"counter,omitempty"`
	Backup      *event.Backup  `json:"backup,omitempty"`
	Refused     *event.Refused `json:"refused,omitempty"`
	Codes       *event.Codes   `json:"codes,omitempty"`
}

type credential struct {
	ID         string `json:"id"`
	WebAuthnID string `json:"webAuthnID,omitempty"` // base64url
	Browser    string `json:"browser,omitempty"`    // where it was created
	OS         string `json:"os,omitempty"`
	AAGUID     string `json:"aaguid,omitempty"`
	Created    int64  `json:"createdMs,omitempty"`
	LastUsed   int64  `json:"lastUsedMs,omitempty"`
	Deleted    int64  `json:"deletedMs,omitempty"`
}

// Body returns what is sent of an event under the name that was subscribed to. What is told of a passkey is what is known of it at this
// moment.
func Body(ctx context.Context, accounts Accounts, endpoint *Endpoint, name string, e *event.Event) ([]byte, error) {
	p := payload{
		Type:      name,
		Metadata:  metadata{CustomHeaders: endpoint.Headers},
		Timestamp: time.UnixMilli(e.CreatedMs).UTC().Format("2006-01-02T15:04:05.000000000Z"),
		Data: data{
			UserID: string(e.User), EventID: string(e.ID), EventType: string(e.Type), ProjectID: string(e.Project), CreatedMs: e.CreatedMs,
			ProcessID: e.Process, ClientEnvID: string(e.Environment), Ceremony: string(e.Ceremony), Route: string(e.Route), Kind: string(e.Kind),
			Source: string(e.Source), Attachment: e.Attachment, ExpiresMs: e.ExpiresMs(), Deletes: string(e.Deletes), Auth: e.Auth,
			Counter: e.Counter, Backup: e.Backup, Refused: e.Refused, Codes: e.Codes,
		},
	}
	if p.Metadata.CustomHeaders == nil {
		p.Metadata.CustomHeaders = map[string]string{}
	}
	if e.Client != nil {
		p.Metadata.IP, p.Metadata.OS, p.Metadata.Browser = e.Client.Address, e.Client.OS, e.Client.Browser
	}
	if e.Credential != "" {
		p.Data.Credential = lookUp(ctx, accounts, e)
	}
	raw, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("encode payload: %w", err)
	}
	return raw, nil
}

// lookUp returns what the account tells of the event's passkey. A delivery does not wait for it: what cannot be read is left out.
func lookUp(ctx context.Context, accounts Accounts, e *event.Event) *credential {
	found := &credential{ID: e.Credential}
	if !strings.HasPrefix(e.Credential, "cre-") || accounts == nil {
		return found
	}
	a, _, err := accounts.Get(ctx, e.Project, e.User)
	if err != nil {
		return found
	}
	id := ident.CredentialID(e.Credential)
	if i := slices.IndexFunc(a.Credentials, func(c account.Credential) bool { return c.ID == id }); i >= 0 {
		c := a.Credentials[i]
		found.WebAuthnID, found.AAGUID = base64.RawURLEncoding.EncodeToString(c.CredentialID), c.AAGUID
		found.Browser, found.OS = c.CreatedBrowser, c.CreatedOS
		found.Created, found.LastUsed = c.CreatedMs, c.LastUsedMs
		return found
	}
	if i := slices.IndexFunc(a.Deleted, func(t account.Tombstone) bool { return t.ID == id }); i >= 0 {
		t := a.Deleted[i]
		found.WebAuthnID, found.Deleted = base64.RawURLEncoding.EncodeToString(t.CredentialID), t.DeletedMs
	}
	return found
}
