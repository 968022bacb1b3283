package sighting

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"hash"
	"net/netip"
	"sync"
	"time"

	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/ident"
)

// KeySize is how many bytes a project's key has.
const KeySize = 32

// tokenSize is how many characters of base32 a token has, of 5 bits each: 55 bits are few enough that nobody is found by one alone, and
// enough that no two subjects of a project share one.
const tokenSize = 11

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// Namer makes the tokens of a project. They are pseudonyms, and not anonymous: who has the key can try addresses. It is safe for concurrent
// use.
type Namer struct {
	states  sync.Pool
	version Version
}

// Version is which of a project's keys names what is seen. Tokens of different ones cannot be compared. The zero value is the first.
type Version struct {
	Number  int   `json:"number,omitempty"`  // from 2 on
	SinceMs int64 `json:"sinceMs,omitempty"` // since when it alone names what is seen, in Unix ms
}

// carriedOn is how long tokens may be carried on that another version has made: by a step-up, which may be open for an hour (parameter
// stepUpSeconds), and by processes whose clocks differ or that have yet to hear of the next version.
const carriedOn = time.Hour + 5*time.Minute

// Next returns the version that follows from now on.
func (v Version) Next(now time.Time) Version {
	return Version{Number: max(1, v.Number) + 1, SinceMs: now.Add(carriedOn).UnixMilli()}
}

// VersionOf returns the version that has made tokens.
func VersionOf(named *event.Sighted) Version {
	if named == nil {
		return Version{}
	}
	return Version{Number: named.KeyVersion, SinceMs: named.KeySinceMs}
}

// mark is what members of sets tell versions apart by. That it comes again is no harm: by then nothing is left of the one before.
func (v Version) mark() uint8 { return uint8(v.Number % marks) }

type state struct {
	hash hash.Hash
	sum  [sha256.Size]byte
	text []byte
}

// NewNamer returns what makes tokens with a project's key; nil if there is none, which names nothing.
func NewNamer(key []byte, version Version) *Namer {
	if len(key) == 0 {
		return nil
	}
	return &Namer{states: sync.Pool{New: func() any { return &state{hash: hmac.New(sha256.New, key)} }}, version: version}
}

// token returns HMAC-SHA-256 of a name of a kind, cut short.
func (n *Namer) token(kind byte, name string) string {
	if n == nil || name == "" {
		return ""
	}
	return sum(n, kind, name)
}

// within names a part of the network.
func (n *Namer) within(kind byte, part netip.Prefix) string {
	var room [usualPrefix]byte
	return sum(n, kind, part.AppendTo(room[:0]))
}

// usualPrefix is how long the text of a network is at most, but for those with zones.
const usualPrefix = 64

func sum[T string | []byte](n *Namer, kind byte, name T) string {
	s := n.states.Get().(*state) //nolint:forcetypeassert // nothing else is put there
	defer n.states.Put(s)
	s.hash.Reset()
	s.text = append(append(s.text[:0], kind, 0), name...)
	s.hash.Write(s.text)
	s.hash.Sum(s.sum[:0])
	var text [tokenSize + 2]byte
	encoding.Encode(text[:], s.sum[:8])
	return string(text[:tokenSize])
}

// Name names what is seen: a user, or the name of one that there is not, the environment, and where on the network it comes from, as a
// client or a backend tells it. What is empty, or no address that could be of a client, is not named.
func (n *Namer) Name(user string, environment ident.EnvironmentID, remote string) *event.Sighted {
	if n == nil {
		return nil
	}
	named := &event.Sighted{
		User: n.token('u', user), Environment: n.token('e', string(environment)),
		KeyVersion: n.version.Number, KeySinceMs: n.version.SinceMs,
	}
	if from, ok := address.Client(remote); ok && countable(from) {
		named.Address, named.Network = n.within('a', within(from)), n.within('n', address.Network(from))
	}
	return named
}

// countable reports whether an address tells one client from another: that of the machine itself, and those of no machine, do not.
func countable(from netip.Addr) bool { return from.IsGlobalUnicast() }

// addressIPv6 is what a customer of a provider has.
const addressIPv6 = 64

func within(from netip.Addr) netip.Prefix {
	bits := from.BitLen()
	if from.Is6() {
		bits = addressIPv6
	}
	prefix, _ := from.Prefix(bits) // the address is valid
	return prefix
}

// wide returns the first 48 bits of a token, as members have them; 0 of none.
func wide(token string) uint64 { return decoded(token) >> 16 }

// narrow returns the first 32 bits.
func narrow(token string) uint32 { return uint32(decoded(token) >> 32) }

func decoded(token string) uint64 {
	if token == "" {
		return 0
	}
	var text [tokenSize + 2]byte
	copy(text[:], token)
	for i := min(len(token), tokenSize); i < len(text); i++ {
		text[i] = 'a'
	}
	var raw [8]byte
	if _, err := encoding.Decode(raw[:], text[:]); err != nil {
		return short(token) << 16
	}
	return binary.BigEndian.Uint64(raw[:])
}

// short returns 48 bits that tell an event from others: the name of an event is no secret, so nothing is hidden in it.
func short(id string) uint64 {
	sum := sha256.Sum256([]byte(id))
	return get48(sum[:])
}

// Credential returns what tells a passkey from others of its user; 0 of none.
func Credential(id string) uint32 {
	if id == "" {
		return 0
	}
	return max(1, uint32(short(id)>>16))
}
