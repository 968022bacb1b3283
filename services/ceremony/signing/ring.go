package signing

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/secret"
)

// State is what a key is good for at a moment. It follows from the clock and the other keys of the ring.
type State string

// The states, in the order that a key goes through them.
const (
	Next    State = "next"    // published, so that whoever keeps key sets knows it before it signs
	Active  State = "active"  // signs
	Retired State = "retired" // signs no more; published until everything it signed has expired
)

const (
	// MaxLifetime bounds the life of what is signed. A retired key is published for as long, and for clockMargin more.
	MaxLifetime = 24 * time.Hour
	// Lead is how long a key is published before it signs, unless somebody wants it to sign at once.
	Lead = time.Hour

	clockMargin = 10 * time.Minute
	keyBits     = 2048
	maxKeys     = 16 // of one project, published at a time
)

// Key is one key of a ring as it is stored. Times are Unix ms.
type Key struct {
	ID        ident.KeyID `json:"id"`
	CreatedMs int64       `json:"createdMs"` // published since
	SignsMs   int64       `json:"signsMs"`   // signs from then on, until the next one does
	Private   private     `json:"private"`   // PKCS #8, DER
}

// private is a private key, which prints as stars.
type private []byte

// Format implements fmt.Formatter, so that no verb prints the key.
func (private) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, secret.Stars) }

// Keys are the keys of a project, ordered by when they sign. The zero value has none.
type Keys []Key

// active returns the index of the key that signs at a moment. Before the first one's time, by a clock that is behind, it is the first.
func (k Keys) active(now time.Time) int {
	for i := len(k) - 1; i > 0; i-- {
		if k[i].SignsMs <= now.UnixMilli() {
			return i
		}
	}
	return 0
}

// StateOf returns the state of the i-th key.
func (k Keys) StateOf(i int, now time.Time) State {
	switch active := k.active(now); {
	case i > active:
		return Next
	case i == active:
		return Active
	default:
		return Retired
	}
}

// current returns the keys without those of which everything they signed has expired.
func (k Keys) current(now time.Time) Keys {
	first := k.active(now)
	for first > 0 && k[first].SignsMs+(MaxLifetime+clockMargin).Milliseconds() > now.UnixMilli() {
		first--
	}
	return k[first:]
}

// due reports whether a next key is to be published, so that the active one signs for no longer than maxAge.
func (k Keys) due(now time.Time, maxAge time.Duration) bool {
	last := len(k) - 1
	return k.active(now) == last && now.UnixMilli() >= k[last].SignsMs+(maxAge-Lead).Milliseconds()
}

// ErrTooMany says that a project was rotated so often that its key set would grow without bounds.
var ErrTooMany = errors.New("there are too many keys that have signed lately; wait until some of them are no longer needed")

// rotated returns the keys with one more, which signs after Lead, or at once. If there is a next key already, it is that one.
func (k Keys) rotated(now time.Time, immediately bool, generate func() (Key, error)) (Keys, error) {
	k = slices.Clone(k.current(now))
	signs := now
	if !immediately {
		signs = now.Add(Lead)
	}
	if next := k.active(now) + 1; next < len(k) {
		k[next].SignsMs = min(k[next].SignsMs, signs.UnixMilli())
		return k, nil
	}
	if len(k) >= maxKeys {
		return nil, ErrTooMany
	}
	made, err := generate()
	if err != nil {
		return nil, err
	}
	made.CreatedMs, made.SignsMs = now.UnixMilli(), signs.UnixMilli()
	return append(k, made), nil
}

// generate returns a new key without its times.
func generate() (Key, error) {
	made, err := rsa.GenerateKey(rand.Reader, keyBits)
	if err != nil {
		return Key{}, fmt.Errorf("generate a signing key: %w", err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		return Key{}, fmt.Errorf("encode a signing key: %w", err)
	}
	return Key{ID: ident.NewKeyID(), Private: raw}, nil
}

// ring is the keys of a project, ready for use. It never changes.
type ring struct {
	revision uint64
	keys     Keys
	ready    map[ident.KeyID]*readyKey
}

// readyKey is a decoded key.
type readyKey struct {
	private *rsa.PrivateKey
	public  json.RawMessage // the JWK
}

// newRing decodes what an earlier ring has not decoded already.
func newRing(keys Keys, revision uint64, earlier *ring) (*ring, error) {
	r := &ring{revision: revision, keys: keys, ready: make(map[ident.KeyID]*readyKey, len(keys))}
	for _, k := range keys {
		if earlier != nil && earlier.ready[k.ID] != nil {
			r.ready[k.ID] = earlier.ready[k.ID]
			continue
		}
		ready, err := decode(k)
		if err != nil {
			return nil, err
		}
		r.ready[k.ID] = ready
	}
	return r, nil
}

func decode(k Key) (*readyKey, error) {
	parsed, err := x509.ParsePKCS8PrivateKey(k.Private)
	if err != nil {
		return nil, fmt.Errorf("decode signing key %s: %w", k.ID, err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("decode signing key %s: it is no RSA key", k.ID)
	}
	public, err := publicJWK(k.ID, &key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("publish signing key %s: %w", k.ID, err)
	}
	return &readyKey{private: key, public: public}, nil
}

// publicJWK returns the public key as RFC 7517 has it: kty, n, e, kid, alg and use.
func publicJWK(id ident.KeyID, key *rsa.PublicKey) (json.RawMessage, error) {
	public, err := jwk.Import(key)
	if err != nil {
		return nil, err
	}
	for name, value := range map[string]any{jwk.KeyIDKey: string(id), jwk.AlgorithmKey: jwa.RS256(), jwk.KeyUsageKey: jwk.ForSignature} {
		if err := public.Set(name, value); err != nil {
			return nil, err
		}
	}
	return json.Marshal(public)
}

// public appends the JWKs that verifiers need.
func (r *ring) public(to []json.RawMessage, now time.Time) []json.RawMessage {
	for _, k := range r.keys.current(now) {
		to = append(to, r.ready[k.ID].public)
	}
	return to
}

// find returns a key that is published.
func (r *ring) find(id ident.KeyID, now time.Time) *readyKey {
	if r == nil {
		return nil
	}
	for _, k := range r.keys.current(now) {
		if k.ID == id {
			return r.ready[k.ID]
		}
	}
	return nil
}
