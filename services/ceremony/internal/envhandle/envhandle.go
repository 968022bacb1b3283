// Package envhandle makes and checks client environment handles: the text that one browser profile or app installation keeps, so that its
// next visit is recognised. A handle holds the number of the environment and when it was issued, and proves that the project issued it. It
// holds no secret and names no user. It is pure.
package envhandle

import (
	"crypto/hmac"
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
	version := p.Ring.Newest(keyring.EnvironmentHandle).Version
	key, err := p.Ring.MAC(keyring.EnvironmentHandle, version)
	if err != nil {
		return "", fmt.Errorf("issue handle for environment %q: %w", id, err)
	}
	raw = binary.BigEndian.AppendUint64(raw, uint64(version)<<timeBits|uint64(now.Unix()))
	proof := mac(key, p, raw)
	raw = append(raw, proof[:]...)
	return Prefix + base64.RawURLEncoding.EncodeToString(raw), nil
}

// Verify returns the environment that a handle names, or one of the errors above, or why it cannot be told. The time it takes does not
// depend on how much of the proof is right.
func Verify(p project.Project, handle string, now time.Time, maxAge time.Duration) (ident.EnvironmentID, error) {
	encoded, ok := strings.CutPrefix(handle, Prefix)
	if !ok || len(encoded) != base64.RawURLEncoding.EncodedLen(size) {
		return "", ErrMalformed
	}
	var room [size]byte
	raw, err := base64.RawURLEncoding.Strict().AppendDecode(room[:0], []byte(encoded))
	if err != nil || len(raw) != size {
		return "", ErrMalformed
	}
	claims, proof := raw[:numberSize+timeSize], raw[numberSize+timeSize:]
	said := binary.BigEndian.Uint64(claims[numberSize:])
	key, err := p.Ring.MAC(keyring.EnvironmentHandle, int(said>>timeBits))
	if err != nil && !errors.Is(err, keyring.ErrVersion) {
		return "", fmt.Errorf("look for the key of a handle: %w", err)
	}
	if err != nil {
		return "", ErrForeign
	}
	if right := mac(key, p, claims); !hmac.Equal(proof, right[:]) {
		return "", ErrForeign
	}
	issued := time.Unix(int64(said&(1<<timeBits-1)), 0)
	if now.Sub(issued) >= maxAge {
		return "", ErrExpired
	}
	const longest = 32 // bytes
	id := append(make([]byte, 0, longest), envPrefix...)
	return ident.EnvironmentID(strconv.AppendUint(id, binary.BigEndian.Uint64(claims), 10)), nil
}

// mac covers the project's ID too, so that two projects that were given one key by mistake still do not share environments.
func mac(key *keyring.MAC, p project.Project, claims []byte) (proof [macSize]byte) {
	const usual = 64 // bytes
	message := append(make([]byte, 0, usual), Prefix...)
	message = append(message, p.ID...)
	message = append(message, 0)
	sum := key.Sum(append(message, claims...))
	copy(proof[:], sum[:])
	return proof
}
