package issuer

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/lestrrat-go/jwx/v3/jwk"
)

const (
	maxKeys    = 100  // of an issuer
	minRSABits = 2048 // RFC 7518 §3.3
	maxRSABits = 8192 // beyond it, verifying is work that somebody else could put to use
)

// jwks is a JWK Set (RFC 7517 §5).
type jwks struct {
	Keys []jsontext.Value `json:"keys"`
}

// publicKey is a key that tokens are verified with.
type publicKey struct {
	id         string   // empty: it has none
	algorithms []string // that it is for
	public     any      // *rsa.PublicKey, *ecdsa.PublicKey or ed25519.PublicKey
}

// keySet is the keys of an issuer at a moment.
type keySet struct{ keys []publicKey }

// newKeySet takes the keys that tokens can be verified with, and passes over all others, as RFC 7517 §5 wants it: issuers publish keys for
// encryption too, and of kinds that are yet to come.
func newKeySet(published jwks) *keySet {
	set := &keySet{}
	for _, raw := range published.Keys {
		if key, ok := newPublicKey(raw); ok {
			set.keys = append(set.keys, key)
		}
	}
	return set
}

func newPublicKey(raw []byte) (publicKey, bool) {
	parsed, err := jwk.ParseKey(raw)
	if err != nil {
		return publicKey{}, false
	}
	if use, stated := parsed.KeyUsage(); stated && use != string(jwk.ForSignature) {
		return publicKey{}, false
	}
	if operations, stated := parsed.KeyOps(); stated && !slices.Contains(operations, jwk.KeyOpVerify) {
		return publicKey{}, false
	}
	var public any
	if jwk.Export(parsed, &public) != nil {
		return publicKey{}, false
	}
	algorithms := algorithmsOf(public)
	if one, stated := parsed.Algorithm(); stated {
		algorithms = slices.DeleteFunc(algorithms, func(name string) bool { return name != one.String() })
	}
	id, _ := parsed.KeyID()
	return publicKey{id: id, algorithms: algorithms, public: public}, len(algorithms) > 0
}

// algorithmsOf returns what a public key can verify; nothing for what is no public key, or a weak one.
func algorithmsOf(key any) []string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits || bits > maxRSABits {
			return nil
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		// Each algorithm is for one curve (RFC 7518 §3.4).
		switch key.Curve {
		case elliptic.P256():
			return []string{"ES256"}
		case elliptic.P384():
			return []string{"ES384"}
		case elliptic.P521():
			return []string{"ES512"}
		}
	case ed25519.PublicKey:
		if len(key) == ed25519.PublicKeySize {
			return []string{"EdDSA"}
		}
	}
	return nil
}

// find returns the key of that ID for an algorithm, or without an ID the only one for it: OpenID Connect Core 1.0 §10.1 lets a token name
// none only if there is no choice.
func (s *keySet) find(id, algorithm string) (publicKey, bool) {
	if s == nil {
		return publicKey{}, false
	}
	fits := func(k publicKey) bool { return (id == "" || k.id == id) && slices.Contains(k.algorithms, algorithm) }
	first := slices.IndexFunc(s.keys, fits)
	if first < 0 {
		return publicKey{}, false
	}
	if id == "" && slices.ContainsFunc(s.keys[first+1:], fits) {
		return publicKey{}, false
	}
	return s.keys[first], true
}
