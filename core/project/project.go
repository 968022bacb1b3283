// Package project holds the tenants: each project is one relying party with its own secret and origins. Store touches the key-value bucket "projects" and nothing else.
package project

import "github.com/keyward/keyward/core/ident"

// Project is a tenant. Times are Unix ms.
type Project struct {
	ID        ident.ProjectID `json:"id"`
	Name      string          `json:"name"`
	RPID      string          `json:"rpID"`    // W3C WebAuthn relying party ID, a domain
	RPName    string          `json:"rpName"`  // shown by authenticators
	Origins   []string        `json:"origins"` // origins that ceremonies and CORS accept
	Secret    SecretHash      `json:"secret"`
	Keys      []APIKey        `json:"keys,omitempty"`
	Issuers   []Issuer        `json:"issuers,omitempty"` // whose access tokens the project takes
	HandleKey []byte          `json:"handleKey"`         // HMAC key of client environment handles
	CNAME     string          `json:"cname,omitempty"`   // host name that frontends reach Keyward at; sessions are issued in its name. Empty = the configured one
	Frontend  Frontend        `json:"frontend"`
	CreatedMs int64           `json:"createdMs"`
}

// SecretHash is what is kept of an API secret.
type SecretHash struct {
	Salt []byte `json:"salt"`
	Sum  []byte `json:"sum"` // SHA-256 of salt and secret
}
