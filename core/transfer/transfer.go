// Package transfer is the form in which users move in and out of Keyward: JSON Lines, one record a line, of a user with identifiers and
// passkeys, or of a passkey event. It is pure: it reads and writes values, and knows no store.
//
// A record is an object with one member: {"user": {...}} or {"event": {...}}. For one user's own data an export also writes {"offer":
// {...}}, {"decision": {...}}, {"session": {...}} and {"delivery": {...}}; an import passes over those.
package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	jsonv2 "github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// Record is one line. Exactly one member is set.
type Record struct {
	User     *User          `json:"user,omitempty"`
	Event    *event.Event   `json:"event,omitempty"`
	Offer    jsontext.Value `json:"offer,omitempty"`
	Decision jsontext.Value `json:"decision,omitempty"`
	Session  jsontext.Value `json:"session,omitempty"`
	Delivery jsontext.Value `json:"delivery,omitempty"` // an attempt to deliver an event to a webhook
}

// Bytes is binary data, base64url without padding in JSON; on input padding and the standard alphabet are taken too.
type Bytes []byte

// MarshalText implements encoding.TextMarshaler.
func (b Bytes) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, b), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	decoded, err := base64.RawURLEncoding.DecodeString(event.Canonical(string(text)))
	if err != nil {
		return errors.New("must be base64url")
	}
	*b = decoded
	return nil
}

// User is a user with all that belongs to it. Times are Unix ms; those that are 0 are taken for the time of the import.
type User struct {
	// Form usr-<number>; without one it follows from the user handle or the first identifier
	ID       ident.UserID   `json:"userID,omitempty"`
	FullName *string        `json:"fullName,omitempty"`
	Status   account.Status `json:"status"`
	// The user is pending until every identifier that receives codes is verified, or until a login
	Unverified bool `json:"unverified,omitempty"`
	// W3C WebAuthn user handle, 1 to 64 bytes; needed with credentials, which hold it too
	UserHandle     Bytes           `json:"userHandle,omitempty"`
	Explicit       bool            `json:"explicitUserHandle,omitempty"`
	CreatedMs      int64           `json:"createdMs,omitempty"`
	UpdatedMs      int64           `json:"updatedMs,omitempty"`
	Identifiers    []Identifier    `json:"identifiers,omitempty"`
	SocialAccounts []SocialAccount `json:"socialAccounts,omitempty"`
	Credentials    []Credential    `json:"credentials,omitempty"`
	Deleted        []Tombstone     `json:"deletedCredentials,omitempty"`
	Environments   []Environment   `json:"clientEnvs,omitempty"`
	Labels         []string        `json:"labels,omitempty"`
}

// Identifier is a name that the user logs in with.
type Identifier struct {
	ID        ident.IdentifierID       `json:"identifierID,omitempty"`
	Type      account.IdentifierType   `json:"type"`
	Value     string                   `json:"value"`
	Status    account.IdentifierStatus `json:"status"`
	CreatedMs int64                    `json:"createdMs,omitempty"`
}

// SocialAccount is an account at an identity provider.
type SocialAccount struct {
	ID              ident.SocialAccountID  `json:"socialAccountID,omitempty"`
	Provider        account.SocialProvider `json:"providerType"`
	ForeignID       string                 `json:"foreignID"`
	IdentifierValue string                 `json:"identifierValue,omitempty"`
	AvatarURL       string                 `json:"avatarURL,omitempty"`
	FullName        string                 `json:"fullName,omitempty"`
	CreatedMs       int64                  `json:"createdMs,omitempty"`
}

// Credential is a passkey. CredentialID and PublicKey are needed.
type Credential struct {
	ID              ident.CredentialID  `json:"id,omitempty"` // row ID, form cre-<number>; without one it follows from CredentialID
	CredentialID    Bytes               `json:"credentialID"` // WebAuthn credential ID, 1 to 1023 bytes
	PublicKey       Bytes               `json:"publicKey"`    // COSE_Key, RFC 9052
	AttestationType string              `json:"attestationType,omitempty"`
	AAGUID          string              `json:"aaguid,omitempty"` // UUID form; empty = all zeros
	Transports      []string            `json:"transports,omitempty"`
	Attachment      string              `json:"attachment,omitempty"` // platform, cross-platform or empty
	BackupEligible  bool                `json:"backupEligible,omitempty"`
	BackupState     bool                `json:"backupState,omitempty"`
	UserVerified    bool                `json:"userVerified,omitempty"`
	SignCount       uint32              `json:"signCount,omitempty"`
	RPID            string              `json:"rpID,omitempty"` // empty = the project's
	Username        string              `json:"username,omitempty"`
	Name            string              `json:"name,omitempty"` // what the user calls the passkey; at most 200 characters
	CreatedOS       string              `json:"createdOS,omitempty"`
	CreatedBrowser  string              `json:"createdBrowser,omitempty"`
	Environment     ident.EnvironmentID `json:"clientEnvID,omitempty"`
	CreatedMs       int64               `json:"createdMs,omitempty"`
	LastUsedMs      int64               `json:"lastUsedMs,omitempty"`
	UsedOn          []string            `json:"usedOn,omitempty"`
	Attestation     *Attestation        `json:"attestation,omitempty"`
}

// Attestation is what an authenticator said of itself when it made a passkey, what that was worth, and, if it was kept, how it was signed.
type Attestation struct {
	Format         string        `json:"format"`
	Trust          account.Trust `json:"trust"`
	Step           string        `json:"step,omitempty"`
	Certificates   []Bytes       `json:"certificates,omitempty"` // SHA-256 of each
	Object         Bytes         `json:"object,omitempty"`       // W3C WebAuthn §6.5.4
	ClientDataHash Bytes         `json:"clientDataHash,omitempty"`
}

func attestationOf(a *account.Attestation) *Attestation {
	if a == nil {
		return nil
	}
	t := &Attestation{Format: a.Format, Trust: a.Trust, Step: a.Step}
	for _, hash := range a.Certificates {
		t.Certificates = append(t.Certificates, hash)
	}
	return t
}

// Tombstone is what is left of a deleted credential.
type Tombstone struct {
	ID           ident.CredentialID `json:"id"`
	CredentialID Bytes              `json:"credentialID"`
	DeletedMs    int64              `json:"deletedMs,omitempty"`
}

// Environment is a browser profile or app installation.
type Environment struct {
	ID             ident.EnvironmentID `json:"id"`
	OSName         string              `json:"osName,omitempty"`
	OSVersion      string              `json:"osVersion,omitempty"`
	BrowserName    string              `json:"browserName,omitempty"`
	BrowserVersion string              `json:"browserVersion,omitempty"`
	UserAgent      string              `json:"userAgent,omitempty"`
	JSFingerprint  string              `json:"jsFingerprint,omitempty"`
	CreatedMs      int64               `json:"createdMs,omitempty"`
	LastSeenMs     int64               `json:"lastSeenMs,omitempty"`
}

// Parse reads one line. It is strict: unknown and repeated members are faults, so that a misspelt name does not lose data. The error says
// what is wrong and where.
func Parse(line []byte) (Record, error) {
	var r Record
	if len(bytes.TrimSpace(line)) == 0 {
		return Record{}, errors.New("is empty")
	}
	if err := jsonv2.Unmarshal(line, &r, jsonv2.RejectUnknownMembers(true)); err != nil {
		return Record{}, explain(err)
	}
	set := 0
	for _, is := range []bool{r.User != nil, r.Event != nil, r.Offer != nil, r.Decision != nil, r.Session != nil, r.Delivery != nil} {
		if is {
			set++
		}
	}
	if set != 1 {
		return Record{}, errors.New("must have one member: user or event")
	}
	return r, nil
}

// explain says in the record's terms what the decoder found.
func explain(err error) error {
	var semantic *jsonv2.SemanticError
	if errors.As(err, &semantic) {
		where := strings.ReplaceAll(strings.TrimPrefix(string(semantic.JSONPointer), "/"), "/", ".")
		switch {
		case errors.Is(err, jsonv2.ErrUnknownName):
			return fmt.Errorf("%s: is no member that there is", where)
		case semantic.Err != nil:
			return fmt.Errorf("%s: %w", where, semantic.Err)
		case where != "":
			return fmt.Errorf("%s: has the wrong type", where)
		}
	}
	var syntactic *jsontext.SyntacticError
	if errors.As(err, &syntactic) {
		return fmt.Errorf("is no JSON at byte %d: %w", syntactic.ByteOffset, syntactic.Err)
	}
	return fmt.Errorf("is no record: %w", err)
}

// Format writes a record as one line, without its end.
func Format(r Record) ([]byte, error) {
	line, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode a record: %w", err)
	}
	return line, nil
}

// Of returns a stored account as the user that an export writes.
func Of(a account.Account) User {
	u := User{
		ID:         a.ID,
		FullName:   a.FullName,
		Status:     a.Status,
		Unverified: a.Unverified,
		UserHandle: a.UserHandle,
		Explicit:   a.ExplicitWebauthnID != nil,
		CreatedMs:  a.CreatedMs,
		UpdatedMs:  a.UpdatedMs,
		Labels:     a.Labels,
	}
	for _, i := range a.Identifiers {
		u.Identifiers = append(u.Identifiers, Identifier(i))
	}
	for _, s := range a.SocialAccounts {
		u.SocialAccounts = append(u.SocialAccounts, SocialAccount(s))
	}
	for _, c := range a.Credentials {
		u.Credentials = append(u.Credentials, Credential{
			ID:              c.ID,
			CredentialID:    c.CredentialID,
			PublicKey:       c.PublicKey,
			AttestationType: c.AttestationType,
			AAGUID:          c.AAGUID,
			Transports:      c.Transports,
			Attachment:      c.Attachment,
			BackupEligible:  c.BackupEligible,
			BackupState:     c.BackupState,
			UserVerified:    c.UserVerified,
			SignCount:       c.SignCount,
			RPID:            c.RPID,
			Username:        c.Username,
			Name:            c.Name,
			CreatedOS:       c.CreatedOS,
			CreatedBrowser:  c.CreatedBrowser,
			Environment:     c.Environment,
			CreatedMs:       c.CreatedMs,
			LastUsedMs:      c.LastUsedMs,
			UsedOn:          c.UsedOn,
			Attestation:     attestationOf(c.Attestation),
		})
	}
	for _, d := range a.Deleted {
		if d.GivenUp() {
			continue // its challenge is of no use elsewhere
		}
		u.Deleted = append(u.Deleted, Tombstone{ID: d.ID, CredentialID: d.CredentialID, DeletedMs: d.DeletedMs})
	}
	for _, e := range a.Environments {
		u.Environments = append(u.Environments, Environment{
			ID: e.ID, OSName: e.OSName, OSVersion: e.OSVersion, BrowserName: e.BrowserName, BrowserVersion: e.BrowserVersion, UserAgent: e.UserAgent,
			JSFingerprint: e.JSFingerprint, CreatedMs: e.CreatedMs, LastSeenMs: e.LastSeenMs,
		})
	}
	return u
}

// derived returns a number for an ID that follows from what it is of, so that the same line read twice names the same thing.
func derived(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	const floor = 1_000_000_000_000_000_000 // 19 digits, as drawn IDs have
	return strconv.FormatUint(floor+binary.BigEndian.Uint64(sum[:])%(8*floor), 10)
}
