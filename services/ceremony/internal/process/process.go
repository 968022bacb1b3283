// Package process keeps what happens step by step in a browser: sign-ups, logins and Connect processes under way. Store touches the bucket
// "processes" and nothing else.
//
// Whoever has the token of a process may go on with it. The token is the ID, which events carry, and a secret, of which only the hash is
// kept. A guest has a token of another secret, for the one thing that is done elsewhere: to open a link in another browser. It opens
// nothing that asks for the owner's.
package process

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
)

// Kind says which API a process belongs to.
type Kind string

// The kinds of processes.
const (
	Connect Kind = "connect"
	SignIn  Kind = "sign-in"
)

const (
	idLength     = 20
	secretLength = 26
)

// Process is one of them. Times are Unix ms.
type Process struct {
	Project   ident.ProjectID        `json:"project"`
	ID        string                 `json:"id"` // 20 letters and digits; what events and decisions call the process
	Kind      Kind                   `json:"kind"`
	Secret    []byte                 `json:"secret"`          // SHA-256
	Guest     []byte                 `json:"guest,omitempty"` // SHA-256 of the guest's secret, if there is a guest
	User      ident.UserID           `json:"user,omitempty"`
	CreatedMs int64                  `json:"createdMs"`
	ExpiresMs int64                  `json:"expiresMs"`
	Client    rest.ClientInformation `json:"client"` // as it was at the beginning, with the environment handle that the client keeps since
	State     json.RawMessage        `json:"state,omitempty"`
}

// New returns a process and its token.
func New(project ident.ProjectID, kind Kind, client rest.ClientInformation, now time.Time, lifetime time.Duration) (Process, string) {
	id, secret := ident.Alphanumeric(idLength), ident.Alphanumeric(secretLength)
	return Process{
		Project:   project,
		ID:        id,
		Kind:      kind,
		Secret:    hash(secret),
		CreatedMs: now.UnixMilli(),
		ExpiresMs: now.Add(lifetime).UnixMilli(),
		Client:    client,
	}, id + secret
}

func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// split returns the two parts of a token.
func split(token string) (id, secret string, ok bool) {
	if len(token) != idLength+secretLength {
		return "", "", false
	}
	for _, c := range []byte(token) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			return "", "", false
		}
	}
	return token[:idLength], token[idLength:], true
}

// Invite gives the process a guest, in place of the one before, and returns the guest's token.
func (p *Process) Invite() string {
	secret := ident.Alphanumeric(secretLength)
	p.Guest = hash(secret)
	return p.ID + secret
}

// opens reports whether the secret is that of the process, in constant time.
func (p Process) opens(secret string) bool {
	return subtle.ConstantTimeCompare(p.Secret, hash(secret)) == 1
}

// admits reports whether the secret is that of the guest.
func (p Process) admits(secret string) bool {
	return subtle.ConstantTimeCompare(p.Guest, hash(secret)) == 1
}
