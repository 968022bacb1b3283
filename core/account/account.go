// Package account holds what Keyward keeps of a user: the user, the credentials and the client environments, as one document
// per user, so that one read answers a login start and one revision-checked write changes an account as a whole. Store touches
// the key-value bucket "accounts" and nothing else; it keeps decoded accounts in memory for those who ask for decisions, which
// confirm that the account is up to date.
package account

import (
	"bytes"
	"slices"
	"time"

	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// SignUpHold is how long a user is kept for a sign-up that does not go on, if somebody else wants one of the identifiers.
const SignUpHold = 15 * time.Minute

// Account is a user with everything that belongs to it. Times are Unix ms.
type Account struct {
	Project            ident.ProjectID `json:"project"`
	ID                 ident.UserID    `json:"id"`
	FullName           *string         `json:"fullName,omitempty"`
	Status             Status          `json:"status"`
	ExplicitWebauthnID *string         `json:"explicitWebauthnID,omitempty"`
	UserHandle         []byte          `json:"userHandle"` // W3C WebAuthn user handle, at most 64 bytes; never changes
	CreatedMs          int64           `json:"createdMs"`
	UpdatedMs          int64           `json:"updatedMs"`
	Credentials        []Credential    `json:"credentials,omitempty"`
	Deleted            []Tombstone     `json:"deleted,omitempty"` // deleted credentials, newest last, bounded
	Environments       []Environment   `json:"environments,omitempty"`
	Identifiers        []Identifier    `json:"identifiers,omitempty"`
	SocialAccounts     []SocialAccount `json:"socialAccounts,omitempty"`
	Labels             []string        `json:"labels,omitempty"` // that callers gave the user, sorted; what they mean is the policy's affair

	// SignUpUntilMs is set while the sign-up that made the user is under way: it is to be complete by then. A user whose
	// sign-up was not, and who has no passkey that logs in either, has been given up and is deleted when somebody else wants
	// one of the identifiers.
	SignUpUntilMs int64 `json:"signUpUntilMs,omitempty"`

	// Unverified is set while the user of a sign-up waits, pending, to be verified. The passkeys log nobody in until then.
	Unverified bool `json:"unverified,omitempty"`

	// WrongCodes is how many one-time codes were wrong since the user last proved to be who they are. Codes are taken until there are as
	// many as the operator allows.
	WrongCodes int `json:"wrongCodes,omitempty"`

	// UsedTo is up to which sequence of the log of events the account knows what logins say of its passkeys. A version that does not know
	// of it leaves it out when it writes an account; those events are taken once more then.
	UsedTo uint64 `json:"usedTo,omitempty"`

	// Unannounced holds the events that tell of changes of this document and are not yet known to be in the log. They are
	// stored with the change itself, so that no crash separates the two, and removed when the log has them.
	Unannounced []event.Event `json:"unannounced,omitempty"`
	Erasing     bool          `json:"erasing,omitempty"` // the user is being deleted: to everybody but who does it, there is no such user
	Erasure     *Erasure      `json:"erasure,omitempty"` // how far that is; only if Erasing
}

// Erasure is the progress of a user's deletion.
type Erasure struct {
	By      string `json:"by"`                // the instance that is at it
	UntilMs int64  `json:"untilMs"`           // when any other may take it over; Unix ms
	Cleared bool   `json:"cleared,omitempty"` // nothing of the user is left elsewhere; what remains is to say so, and to remove the account
}

// Ref names one account.
type Ref struct {
	Project ident.ProjectID `json:"project"`
	User    ident.UserID    `json:"user"`
}

// Unfinished reports whether something that was begun with the account has still to be brought to its end: events to be told
// of, or the user's deletion.
func (a Account) Unfinished() bool { return a.Erasing || len(a.Unannounced) > 0 }

// GivenUp reports whether the user is what is left of a sign-up that was never completed. Times are Unix ms.
func (a Account) GivenUp(nowMs int64) bool {
	return a.SignUpUntilMs != 0 && nowMs >= a.SignUpUntilMs && (len(a.Credentials) == 0 || a.Unverified)
}

// Active returns nil of a user who may log in, and otherwise why not: ErrUnverified, or ErrInactive.
func (a *Account) Active() error {
	switch {
	case a.Status == StatusActive:
		return nil
	case a.Waits():
		return ErrUnverified
	default:
		return ErrInactive
	}
}

// Waits reports whether the user may log in as soon as they are verified, and create passkeys meanwhile.
func (a *Account) Waits() bool { return a.Status == StatusPending && a.Unverified }

// Settle ends the waiting of a user whom somebody has made active, or of whom every identifier that receives codes is verified: who has
// one of them has not shown to have the others.
func (a *Account) Settle() {
	if !a.Unverified {
		return
	}
	verified, pending := false, false
	for _, i := range a.Identifiers {
		if i.Type != IdentifierTypeUsername {
			verified, pending = verified || i.Status != IdentifierStatusPending, pending || i.Status == IdentifierStatusPending
		}
	}
	if a.Status == StatusActive || verified && !pending {
		a.EndWaiting()
	}
}

// EndWaiting makes the user of a sign-up one who is verified, if they wait for that.
func (a *Account) EndWaiting() {
	if !a.Unverified {
		return
	}
	a.Unverified, a.SignUpUntilMs = false, 0
	if a.Status == StatusPending {
		a.Status = StatusActive
	}
}

// Lost reports whether the user had a passkey with that WebAuthn credential ID, which was deleted.
func (a *Account) Lost(credentialID []byte) bool {
	return len(credentialID) > 0 &&
		slices.ContainsFunc(a.Deleted, func(t Tombstone) bool { return bytes.Equal(t.CredentialID, credentialID) })
}

// Passkey returns the passkey with a WebAuthn credential ID, or nil.
func (a *Account) Passkey(credentialID []byte) *Credential {
	for i := range a.Credentials {
		if bytes.Equal(a.Credentials[i].CredentialID, credentialID) {
			return &a.Credentials[i]
		}
	}
	return nil
}

// Passkeys returns the passkeys with the given row IDs, in that order. What was registered under another RP ID is left out: no
// authenticator would find it.
func (a *Account) Passkeys(ids []ident.CredentialID, rpID string) []*Credential {
	picked := make([]*Credential, 0, len(ids))
	for _, id := range ids {
		for i := range a.Credentials {
			if a.Credentials[i].ID == id && a.Credentials[i].RPID == rpID {
				picked = append(picked, &a.Credentials[i])
				break
			}
		}
	}
	return picked
}

// Identifier is a name that the user logs in with. Of a type and value there is one in a project.
type Identifier struct {
	ID        ident.IdentifierID `json:"id"`
	Type      IdentifierType     `json:"type"`
	Value     string             `json:"value"`
	Status    IdentifierStatus   `json:"status"`
	CreatedMs int64              `json:"createdMs"`
}

// SocialAccount is an account at an identity provider. Of a provider and foreign ID there is one in a project.
type SocialAccount struct {
	ID              ident.SocialAccountID `json:"id"`
	Provider        SocialProvider        `json:"provider"`
	ForeignID       string                `json:"foreignID"` // the provider's ID of the account
	IdentifierValue string                `json:"identifierValue"`
	AvatarURL       string                `json:"avatarURL"`
	FullName        string                `json:"fullName"`
	CreatedMs       int64                 `json:"createdMs"`
}

// Credential is a passkey. Raw binary fields are base64 in JSON.
type Credential struct {
	ID              ident.CredentialID  `json:"id"`
	CredentialID    []byte              `json:"credentialID"` // WebAuthn credential ID
	PublicKey       []byte              `json:"publicKey"`    // COSE key
	AttestationType string              `json:"attestationType"`
	AAGUID          string              `json:"aaguid"` // lower-case UUID form
	Transports      []string            `json:"transports,omitempty"`
	Attachment      string              `json:"attachment,omitempty"` // platform, cross-platform or empty
	BackupEligible  bool                `json:"backupEligible"`
	BackupState     bool                `json:"backupState"`
	UserVerified    bool                `json:"userVerified"`
	SignCount       uint32              `json:"signCount"`
	CloneWarning    bool                `json:"cloneWarning,omitempty"`
	RPID            string              `json:"rpID"`
	Username        string              `json:"username"`       // the name shown by the authenticator
	Name            string              `json:"name,omitempty"` // what the user calls the passkey
	CreatedOS       string              `json:"createdOS"`
	CreatedBrowser  string              `json:"createdBrowser"`
	Environment     ident.EnvironmentID `json:"environment,omitempty"` // where it was created; empty if unknown
	CreatedMs       int64               `json:"createdMs"`
	LastUsedMs      int64               `json:"lastUsedMs"`
	UsedOn          []string            `json:"usedOn,omitempty"`      // operating systems that finished a local login with it: phone evidence
	Attestation     *Attestation        `json:"attestation,omitempty"` // nil = the authenticator said nothing of itself
}

// Attestation is what an authenticator said of itself when it made a passkey, and what that was worth.
type Attestation struct {
	Format string `json:"format"` // W3C WebAuthn §8
	Trust  Trust  `json:"trust"`
	// What it failed at, if it is Unverified
	Step string `json:"step,omitempty"`
	// SHA-256 of each certificate, that of the key which signed first. What they are is not kept: they may name the device.
	Certificates [][]byte `json:"certificates,omitempty"`
	Kept         bool     `json:"kept,omitempty"` // as a whole, beside the account
}

// Trust says who vouches for what an authenticator says of itself.
type Trust string

// The values of Trust. Empty is TrustNone.
const (
	TrustNone       Trust = "none"       // it says nothing
	TrustSelf       Trust = "self"       // the passkey itself
	TrustUnverified Trust = "unverified" // certificates that are not known to be its maker's
	TrustVerified   Trust = "verified"   // its maker, as the metadata has it
)

// Valid reports whether t is one of the values.
func (t Trust) Valid() bool {
	return slices.Contains([]Trust{TrustNone, TrustSelf, TrustUnverified, TrustVerified}, t)
}

// Attested returns who vouches for what the passkey's authenticator says of itself.
func (c *Credential) Attested() Trust {
	if c.Attestation == nil {
		return TrustNone
	}
	return c.Attestation.Trust
}

// Chain returns the hashes of the certificates of the authenticator's attestation; none if it has none, or they are not known.
func (c *Credential) Chain() [][]byte {
	if c.Attestation == nil {
		return nil
	}
	return c.Attestation.Certificates
}

// Words of W3C WebAuthn that tell where a passkey is.
const (
	transportInternal = "internal"
	transportHybrid   = "hybrid"
	transportCable    = "cable" // what hybrid was called before
	crossPlatform     = "cross-platform"
)

// Hybrid reports whether the authenticator said that it serves other devices.
func (c *Credential) Hybrid() bool {
	return slices.Contains(c.Transports, transportHybrid) || slices.Contains(c.Transports, transportCable)
}

// Elsewhere reports whether the passkey was made with an authenticator that is no part of the device it was made on.
func (c *Credential) Elsewhere() bool { return c.Attachment == crossPlatform }

// Roaming reports whether the passkey is on a security key, as far as that tells without its model: it has transports of keys alone, or
// came from elsewhere and neither leaves its authenticator nor is served by a phone.
func (c *Credential) Roaming() bool {
	if len(c.Transports) > 0 && !slices.Contains(c.Transports, transportInternal) && !c.Hybrid() {
		return true
	}
	return c.Elsewhere() && !c.BackupEligible && !c.Hybrid()
}

// CreatedBy returns the route on which the passkey was created: with a security key, with a phone by QR code, or on the device itself.
func (c *Credential) CreatedBy() event.Route {
	switch {
	case c.Roaming():
		return event.SecurityKey
	case c.Elsewhere():
		return event.CDA
	default:
		return event.Local
	}
}

// Tombstone remembers that a credential was deleted, so that its later use is told apart from a credential nobody knows.
type Tombstone struct {
	ID           ident.CredentialID `json:"id"`
	CredentialID []byte             `json:"credentialID"` // empty: the creation was given up before there was a passkey
	DeletedMs    int64              `json:"deletedMs"`
}

// GivenUp reports whether there never was a passkey: the creation was given up before.
func (t Tombstone) GivenUp() bool { return len(t.CredentialID) == 0 }

// Environment is a browser profile or app installation in which the user has been seen.
type Environment struct {
	ID             ident.EnvironmentID `json:"id"`
	OSName         string              `json:"osName"`
	OSVersion      string              `json:"osVersion"`
	BrowserName    string              `json:"browserName"`
	BrowserVersion string              `json:"browserVersion"`
	UserAgent      string              `json:"userAgent,omitempty"`     // as last seen
	JSFingerprint  string              `json:"jsFingerprint,omitempty"` // as last sent
	CreatedMs      int64               `json:"createdMs"`
	LastSeenMs     int64               `json:"lastSeenMs"`
}

// Timestamp renders Unix ms in the wire's form yyyy-MM-dd'T'HH:mm:ss, UTC.
func Timestamp(ms int64) string { return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05") }
