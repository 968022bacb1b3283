// Package seal makes challenges that are the state of their ceremonies: what a start has to remember is encrypted into the challenge that
// it gives out, so that it stores nothing, and the finish has to read nothing back. It is pure but for the random source.
//
// A challenge is base64url of a version, the version of the key, a nonce, and the state under XChaCha20-Poly1305
// (draft-irtf-cfrg-xchacha). It is opened by whoever has the project's keys and names the same project and user, which are bound as
// associated data and not carried. That the rest fits, the caller asks of what was opened: the process and the RP ID are in the state as
// hashes, so that a ceremony that is another's can be told from a forgery. One changed bit anywhere, and it does not open.
//
// The key is the project's for this purpose (core/keyring): all instances of the ceremony service have it and nobody else. A rotation
// makes a newer version; the older ones open what they sealed until long after that has expired. The nonce has 192 bits and is random, so
// that a key may seal as many challenges as anybody will ever ask for: after 2^80 of them two have the same nonce once in four billion
// times. With the 96 bits of AES-GCM that would be after 2^32 of them, which a busy project reaches.
//
// A seal says nothing of whether a challenge has been used: opening it again gives the same state. That it is used once, the event that
// ends the ceremony says, or, of a challenge that nobody is named in, a durable mark; both name the ceremony (package challenge). Which of
// the two it is, the version says: an instance that knows of marks alone, as in an earlier version, opens nothing that an event spends.
//
// Lists are in the state as hashes of 6 bytes, salted with the ID of the ceremony, which nobody knows before the challenge is made: a
// passkey that is taken for another of the same user would have to be found within the ceremony, and be the user's.
package seal

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
)

// ErrForged reports that a text is no challenge that was sealed for this project and user, with a key that the project still has.
var ErrForged = errors.New("not a challenge of this project and user")

const (
	// The versions of the form of the challenge and of the state in it.
	spentByMark  = 1
	spentByEvent = 2

	keySize    = 4 // bytes of the version of the key
	headSize   = 1 + keySize
	nonceSize  = chacha20poly1305.NonceSizeX
	sealedFrom = headSize + nonceSize
	// Overhead is by how many bytes a challenge is longer than the state.
	Overhead = sealedFrom + chacha20poly1305.Overhead
	// MaxLength is how long a challenge may be: for as many passkeys and origins as a user and a project may have.
	MaxLength = 10_240
)

// To says whom a challenge is given to.
type To struct {
	Project ident.ProjectID
	User    ident.UserID // empty: nobody is named yet
}

// version is that of the challenges that are given out. The event that spends one is the user's.
func (to To) version() byte {
	if to.User == "" {
		return spentByMark
	}
	return spentByEvent
}

// Seal returns a challenge that holds c.
func Seal(keys *keyring.Ring, to To, c Ceremony) (string, error) {
	return seal(keys, to, c, to.version())
}

func seal(keys *keyring.Ring, to To, c Ceremony, version byte) (string, error) {
	key := keys.Newest(keyring.SealedChallenge)
	if key.Version <= keyring.Legacy || key.Version > math.MaxUint32 {
		return "", fmt.Errorf("no challenge can say the version %d of its key", key.Version)
	}
	aead, err := cipherOf(key.Secret)
	if err != nil {
		return "", err
	}
	const usual = 256 // bytes
	room := make([]byte, 2*usual)
	raw := append(room[:0:usual], version)
	raw = binary.BigEndian.AppendUint32(raw, uint32(key.Version))
	raw = raw[:sealedFrom]
	rand.Read(raw[headSize:])
	state, err := c.append(room[usual:usual])
	if err != nil {
		return "", err
	}
	raw = aead.Seal(raw, raw[headSize:sealedFrom], state, bound(raw, to))
	if base64.RawURLEncoding.EncodedLen(len(raw)) > MaxLength {
		return "", fmt.Errorf("the state of a ceremony takes %d bytes, which is too much for a challenge", len(state))
	}
	var text [2 * usual]byte
	return string(base64.RawURLEncoding.AppendEncode(text[:0], raw)), nil
}

// Open returns what a challenge holds, ErrForged, or why that cannot be told. Whoever sent it, it costs what its length does.
func Open(keys *keyring.Ring, to To, challenge string) (Opened, error) {
	if len(challenge) > MaxLength || strings.ContainsAny(challenge, "\r\n") { // which the decoder would leave out
		return Opened{}, ErrForged
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(challenge)
	if err != nil || len(raw) < Overhead || raw[0] != spentByMark && raw[0] != to.version() {
		return Opened{}, ErrForged
	}
	number := binary.BigEndian.Uint32(raw[1:])
	if number == keyring.Legacy {
		return Opened{}, ErrForged
	}
	key, err := keys.Key(keyring.SealedChallenge, int(number))
	if errors.Is(err, keyring.ErrVersion) {
		return Opened{}, ErrForged
	}
	if err != nil {
		return Opened{}, fmt.Errorf("look for the key of a challenge: %w", err)
	}
	aead, err := cipherOf(key)
	if err != nil {
		return Opened{}, err
	}
	state, err := aead.Open(raw[sealedFrom:sealedFrom], raw[headSize:sealedFrom], raw[sealedFrom:], bound(raw, to))
	if err != nil {
		return Opened{}, ErrForged
	}
	o, err := parse(state)
	o.ByEvent = raw[0] == spentByEvent
	return o, err
}

func cipherOf(key []byte) (cipher.AEAD, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("use the key of challenges: %w", err)
	}
	return aead, nil
}

// bound is the data that a seal is associated with. No ID has a NUL in it, so no two pairs are the same bytes.
func bound(raw []byte, to To) []byte {
	const ids = 64 // bytes, usually
	b := append(make([]byte, 0, headSize+ids), raw[:headSize]...)
	b = append(b, to.Project...)
	b = append(b, 0)
	return append(b, to.User...)
}
