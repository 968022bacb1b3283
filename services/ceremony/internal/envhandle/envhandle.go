// Package envhandle makes and checks client environment handles: the text that one browser profile or app installation keeps, so that its
// next visit is recognised. A handle holds the number of the environment and when it was issued, and proves that the project issued it. It
// holds no secret and names no user. It is pure.
package envhandle

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
)

// Prefix tells handles of this form from those of other systems and of forms to come.
const Prefix = "ceh1_"

const (
	numberSize = 8
	timeSize   = 8 // of which the first two bytes are the version of the key: times leave them empty
	timeBits   = 48
	macSize    = 20 // bytes of HMAC-SHA256 that are kept
	size       = numberSize + timeSize + macSize
	envPrefix  = "env-"
)

// The ways in which a handle can be wrong.
var (
	ErrMalformed = errors.New("not a client environment handle")
	ErrForeign   = errors.New("not issued by this project")
	ErrExpired   = errors.New("expired")
)

// Issue returns the handle of an environment for one project.
func Issue(p project.Project, id ident.EnvironmentID, now time.Time) (string, error) {
	number, err := strconv.ParseUint(strings.TrimPrefix(string(id), envPrefix), 10, 64)
	if err != nil {
		return "", fmt.Errorf("issue handle for environment %q: %w", id, err)
	}
	raw := make([]byte, 0, size)
	raw = binary.BigEndian.AppendUint64(raw, number)
	key := p.Ring.Newest(keyring.EnvironmentHandle)
	raw = binary.BigEndian.AppendUint64(raw, uint64(key.Version)<<timeBits|uint64(now.Unix()))
	raw = append(raw, mac(key.Secret, p, raw)...)
	return Prefix + base64.RawURLEncoding.EncodeToString(raw), nil
}

// Verify returns the environment that a handle names, or one of the errors above, or why it cannot be told. The time it takes does not
// depend on how much of the proof is right.
func Verify(p project.Project, handle string, now time.Time, maxAge time.Duration) (ident.EnvironmentID, error) {
	encoded, ok := strings.CutPrefix(handle, Prefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(size) {
		return "", ErrMalformed
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(encoded)
	if err != nil || len(raw) != size {
		return "", ErrMalformed
	}
	claims, proof := raw[:numberSize+timeSize], raw[numberSize+timeSize:]
	said := binary.BigEndian.Uint64(claims[numberSize:])
	key, err := p.Ring.Key(keyring.EnvironmentHandle, int(said>>timeBits))
	if err != nil && !errors.Is(err, keyring.ErrVersion) {
		return "", fmt.Errorf("look for the key of a handle: %w", err)
	}
	if err != nil || !hmac.Equal(proof, mac(key, p, claims)) {
		return "", ErrForeign
	}
	issued := time.Unix(int64(said&(1<<timeBits-1)), 0)
	if now.Sub(issued) >= maxAge {
		return "", ErrExpired
	}
	return ident.EnvironmentID(envPrefix + strconv.FormatUint(binary.BigEndian.Uint64(claims), 10)), nil
}

// mac covers the project's ID too, so that two projects that were given one key by mistake still do not share environments.
func mac(key []byte, p project.Project, claims []byte) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(Prefix))
	h.Write([]byte(p.ID))
	h.Write([]byte{0})
	h.Write(claims)
	return h.Sum(nil)[:macSize]
}
