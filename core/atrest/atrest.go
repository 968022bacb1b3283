// Package atrest encrypts what is stored: who reads a disk, a backup or a bucket, without the key, learns nothing of it and
// cannot change it or move it elsewhere unnoticed. It touches the bucket that Rewrite is given, and the file that File is
// given, and nothing else.
//
// A value is sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha) under a random nonce of 192 bits, with its place as
// associated data. It says by which key it was sealed, so that keys are changed by putting a new one in front: the first key
// seals, every key opens.
package atrest

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// What can keep a value from being opened.
var (
	ErrKey   = errors.New("it is encrypted under none of the keys")
	ErrBroke = errors.New("it was changed or moved since it was encrypted")
	ErrPlain = errors.New("it is not encrypted")
)

// ErrNone says that a text holds no key.
var ErrNone = errors.New("there is no key")

// A sealed value is magic, the ID of its key, the nonce and the ciphertext. No JSON begins with magic.
const (
	magic  = "kwe1"
	idSize = 4
	header = len(magic) + idSize + chacha20poly1305.NonceSizeX
)

// Keys seal and open values. nil keeps values as they are. It is safe for concurrent use.
type Keys struct {
	all   []key // the first seals
	plain bool  // what is not encrypted is opened too
}

// Plain is what Parse takes for the leave to open what is not encrypted, beside the keys: for the start that encrypts what was
// stored before there were keys.
const Plain = "plain"

type key struct {
	id   [idSize]byte
	aead cipher.AEAD
}

// NewKey returns a random key as Parse takes it.
func NewKey() string {
	raw := make([]byte, chacha20poly1305.KeySize)
	_, _ = rand.Read(raw) // does not fail
	return base64.StdEncoding.EncodeToString(raw)
}

// Parse reads keys, each the base64 form of 32 bytes, separated by commas or white space, and Plain. No error holds any part of them; it
// is ErrNone if there is none.
func Parse(text string) (*Keys, error) {
	made := &Keys{}
	fields := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\r' || r == '\n' })
	for i, field := range fields {
		if field == Plain {
			made.plain = true
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(field)
		if err != nil || len(raw) != chacha20poly1305.KeySize {
			return nil, fmt.Errorf("key %d must be the base64 form of %d bytes", i+1, chacha20poly1305.KeySize)
		}
		aead, err := chacha20poly1305.NewX(raw)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		made.all = append(made.all, key{id: idOf(raw), aead: aead})
	}
	if len(made.all) == 0 {
		return nil, ErrNone
	}
	return made, nil
}

func idOf(raw []byte) (id [idSize]byte) {
	sum := sha256.Sum256(append([]byte("keyward encryption key ID\x00"), raw...))
	copy(id[:], sum[:])
	return id
}

// Strict returns keys that do not open what is not encrypted. Whoever can write to a bucket but has no key can then put
// nothing there that is believed.
func (k *Keys) Strict() *Keys {
	if k == nil {
		return nil
	}
	return &Keys{all: k.all}
}

// Seal encrypts a value for its place.
func (k *Keys) Seal(place string, value []byte) ([]byte, error) {
	if k == nil {
		return value, nil
	}
	first := k.all[0]
	sealed := make([]byte, header, header+len(value)+first.aead.Overhead())
	copy(sealed, magic)
	copy(sealed[len(magic):], first.id[:])
	nonce := sealed[len(magic)+idSize : header]
	_, _ = rand.Read(nonce) // does not fail
	return first.aead.Seal(sealed, nonce, value, []byte(place)), nil
}

// Open decrypts what was sealed for the place. What is not encrypted it returns as it is if there are no keys, or Plain is
// beside them. Its errors are those above.
func (k *Keys) Open(place string, stored []byte) ([]byte, error) {
	if !Sealed(stored) {
		if k != nil && !k.plain {
			return nil, ErrPlain
		}
		return stored, nil
	}
	if k == nil {
		return nil, ErrKey
	}
	if len(stored) < header {
		return nil, ErrBroke
	}
	for _, each := range k.all {
		if !bytes.Equal(each.id[:], stored[len(magic):len(magic)+idSize]) {
			continue
		}
		value, err := each.aead.Open(nil, stored[len(magic)+idSize:header], stored[header:], []byte(place))
		if err != nil {
			return nil, ErrBroke
		}
		return value, nil
	}
	return nil, fmt.Errorf("%w: it was encrypted by %s", ErrKey, hex.EncodeToString(stored[len(magic):len(magic)+idSize]))
}

// Sealed reports whether a value is encrypted.
func Sealed(stored []byte) bool { return bytes.HasPrefix(stored, []byte(magic)) }

// current reports whether a value is stored as Seal would store it today.
func (k *Keys) current(stored []byte) bool {
	if k == nil {
		return !Sealed(stored)
	}
	return Sealed(stored) && len(stored) >= header && bytes.Equal(k.all[0].id[:], stored[len(magic):len(magic)+idSize])
}
