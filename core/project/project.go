// Package project holds the tenants: each project is one relying party with its own secret and origins. Store touches the key-value bucket
// "projects" and nothing else.
package project

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/sighting"
)

// Project is a tenant. Times are Unix ms.
type Project struct {
	ID      ident.ProjectID `json:"id"`
	Name    string          `json:"name"`
	RPID    string          `json:"rpID"`    // W3C WebAuthn relying party ID, a domain
	RPName  string          `json:"rpName"`  // shown by authenticators
	Origins []string        `json:"origins"` // origins that ceremonies and CORS accept
	Secret  SecretHash      `json:"secret"`
	Keys    []APIKey        `json:"keys,omitempty"`
	Issuers []Issuer        `json:"issuers,omitempty"` // whose access tokens the project takes
	// IdempotencySalt is what a gateway keeps the answers to calls with an Idempotency-Key under. It is of no use elsewhere.
	IdempotencySalt []byte `json:"idempotencySalt,omitempty"`
	// SightingKey is what tokens are made with of what is counted: who has it can try addresses, and nothing else.
	SightingKey []byte `json:"sightingKey,omitempty"`
	// SightingVersion is which it is, after the first.
	SightingVersion sighting.Version `json:"sightingVersion,omitzero"`
	Legacy          LegacyKey        `json:"handleKey"` // until the ceremony service has taken it over
	// Host name that frontends reach Keyward at; sessions are issued in its name. Empty = the configured one
	CNAME string `json:"cname,omitempty"`
	// W3C WebAuthn userVerification of logins: required or preferred; empty = as the installation has it
	UserVerification string `json:"userVerification,omitempty"`
	// What passkeys are to tell of the authenticators that make them
	Attestation Attestation `json:"attestation,omitzero"`
	Frontend    Frontend    `json:"frontend"`
	CreatedMs   int64       `json:"createdMs"`

	// Ring holds what tokens, handles and codes of the project are made with. It is not stored here, and the ceremony service
	// alone has it: nil elsewhere.
	Ring *keyring.Ring `json:"-"`

	namer *sighting.Namer // of SightingKey, as a Store has it
}

// Namer makes the tokens of what is counted; nil of a project that has no key yet, which names nothing.
func (p *Project) Namer() *sighting.Namer {
	if p.namer != nil {
		return p.namer
	}
	return sighting.NewNamer(p.SightingKey, p.SightingVersion)
}

// Salt returns the salt of answers to calls with an Idempotency-Key; of a project that has not been taken over yet it is the key of old.
func (p Project) Salt() []byte {
	if len(p.IdempotencySalt) > 0 {
		return p.IdempotencySalt
	}
	return p.Legacy
}

// LegacyKey is the key with which earlier versions made all that a project gave out, where whoever reads projects could read it.
// Without one it is stored as an object: a process of such a version cannot read that, and so does not go on with an empty key.
type LegacyKey []byte

// MarshalJSON implements json.Marshaler.
func (k LegacyKey) MarshalJSON() ([]byte, error) {
	if len(k) == 0 {
		return []byte("{}"), nil
	}
	return json.Marshal([]byte(k))
}

// UnmarshalJSON implements json.Unmarshaler.
func (k *LegacyKey) UnmarshalJSON(raw []byte) error {
	*k = nil
	if bytes.HasPrefix(raw, []byte("{")) {
		return nil
	}
	return json.Unmarshal(raw, (*[]byte)(k))
}

// NewSightingKey returns a random key of what is counted.
func NewSightingKey() []byte {
	key := make([]byte, sighting.KeySize)
	_, _ = rand.Read(key) // does not fail
	return key
}

// RotateSightingKey has what is counted named by another key from now on: all counts begin anew, but for those of the whole project, which
// name nobody.
func (p *Project) RotateSightingKey(now time.Time) {
	p.SightingKey, p.SightingVersion = NewSightingKey(), p.SightingVersion.Next(now)
}

// NewSalt returns a random salt of answers.
func NewSalt() []byte {
	salt := make([]byte, 32)
	_, _ = rand.Read(salt) // does not fail
	return salt
}

// SecretHash is what is kept of an API secret.
type SecretHash struct {
	Salt []byte `json:"salt"`
	Sum  []byte `json:"sum"` // SHA-256 of salt and secret
}
