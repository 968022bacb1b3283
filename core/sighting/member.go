package sighting

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MemberSize is how many bytes a member of a set has: its time 6, type 1, flags 1, event 6, user 6, environment 4, network 4, credential 4,
// big-endian, so that members are in the order of their times.
const MemberSize = 32

// Flags are, beside what they say, which version of the key made the tokens. One bit is left.
const (
	flagTakenBack = 1
	flagsUnknown  = 2
	keyShift      = 2
	marks         = 1 << (8 - keyShift)
)

// ErrMember says that bytes are no member of a set.
var ErrMember = errors.New("no member of a set of sightings")

const (
	bits48 = 1<<48 - 1
	atType = 6
	atFlag = 7
	atWho  = 8
	atUser = 14
	atEnv  = 20
	atNet  = 24
	atCred = 28
)

// Member returns the sighting as a member of a set. A time before 1970 is that of 1970.
func (s Sighting) Member() [MemberSize]byte {
	var m [MemberSize]byte
	put48(m[:], uint64(max(0, s.Ms)))
	m[atType] = byte(s.Type)
	m[atFlag] = flags(s)
	put48(m[atWho:], s.Event)
	put48(m[atUser:], s.User)
	binary.BigEndian.PutUint32(m[atEnv:], s.Environment)
	binary.BigEndian.PutUint32(m[atNet:], s.Network)
	binary.BigEndian.PutUint32(m[atCred:], s.Credential)
	return m
}

// Parse reads a member of a set. Flags that it does not know are of a later version, and are an error: what they say could take it back.
func Parse(member string) (Sighting, error) {
	if len(member) != MemberSize {
		return Sighting{}, fmt.Errorf("%d bytes: %w", len(member), ErrMember)
	}
	m := []byte(member)
	t := Type(m[atType])
	if t.String() == "" {
		return Sighting{}, fmt.Errorf("type %d: %w", t, ErrMember)
	}
	if m[atFlag]&flagsUnknown != 0 {
		return Sighting{}, fmt.Errorf("flags %x: %w", m[atFlag], ErrMember)
	}
	return Sighting{
		Ms: int64(get48(m)), Type: t, TakenBack: m[atFlag]&flagTakenBack != 0, Event: get48(m[atWho:]), User: get48(m[atUser:]),
		Environment: binary.BigEndian.Uint32(m[atEnv:]), Network: binary.BigEndian.Uint32(m[atNet:]),
		Credential: binary.BigEndian.Uint32(m[atCred:]), Key: m[atFlag] >> keyShift,
	}, nil
}

func flags(s Sighting) byte {
	said := s.Key << keyShift
	if s.TakenBack {
		said |= flagTakenBack
	}
	return said
}

func put48(to []byte, n uint64) {
	binary.BigEndian.PutUint16(to, uint16(n&bits48>>32))
	binary.BigEndian.PutUint32(to[2:], uint32(n&0xffff_ffff))
}

func get48(from []byte) uint64 {
	return uint64(binary.BigEndian.Uint16(from))<<32 | uint64(binary.BigEndian.Uint32(from[2:]))
}
