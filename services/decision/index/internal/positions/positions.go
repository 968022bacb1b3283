// Package positions holds sets of places within a segment of the index, small while they are few. It is pure.
package positions

import (
	"encoding/binary"
	"errors"
	"iter"
	"math/bits"
	"slices"
)

// Span is how many places a segment has.
const Span = 1 << 14

const (
	words    = Span / 64
	mostFew  = Span/16 - 1 // places that are kept one by one; of more, a bit for each place takes less
	twoBytes = 2
)

// Set is a set of places. The zero value is empty. What is done with sets changes none of them but by Add.
type Set struct {
	few  []uint16 // sorted; used while many is nil
	many *[words]uint64
}

// ErrDamaged reports bytes that no set was written as.
var ErrDamaged = errors.New("no set of places was written so")

// Add adds a place. It is fastest in the order of the places.
func (s *Set) Add(place uint16) {
	if s.many == nil && len(s.few) < mostFew {
		if n := len(s.few); n == 0 || s.few[n-1] < place {
			s.few = append(s.few, place)
			return
		}
		at, found := slices.BinarySearch(s.few, place)
		if !found {
			s.few = slices.Insert(s.few, at, place)
		}
		return
	}
	if s.many == nil {
		s.many = s.bitmap()
		s.few = nil
	}
	s.many[place%Span/64] |= 1 << (place % 64)
}

func (s *Set) bitmap() *[words]uint64 {
	if s.many != nil {
		return s.many
	}
	many := new([words]uint64)
	for _, place := range s.few {
		many[place/64] |= 1 << (place % 64)
	}
	return many
}

// Len returns how many places there are.
func (s *Set) Len() int {
	if s.many == nil {
		return len(s.few)
	}
	n := 0
	for _, word := range s.many {
		n += bits.OnesCount64(word)
	}
	return n
}

// Has reports whether a place is in the set.
func (s *Set) Has(place uint16) bool {
	if s.many == nil {
		_, found := slices.BinarySearch(s.few, place)
		return found
	}
	return s.many[place/64]&(1<<(place%64)) != 0
}

// And returns what is in both.
func (s *Set) And(other *Set) Set { return s.with(other, true) }

// Without returns what is in s and not in other.
func (s *Set) Without(other *Set) Set {
	if other.many == nil && len(other.few) == 0 {
		return *s
	}
	return s.with(other, false)
}

func (s *Set) with(other *Set, in bool) Set {
	if s.many == nil {
		var few []uint16
		for _, place := range s.few {
			if other.Has(place) == in {
				few = append(few, place)
			}
		}
		return Set{few: few}
	}
	if in && other.many == nil {
		return other.with(s, true)
	}
	many, theirs := new([words]uint64), other.bitmap()
	for i := range many {
		if in {
			many[i] = s.many[i] & theirs[i]
		} else {
			many[i] = s.many[i] &^ theirs[i]
		}
	}
	return Set{many: many}
}

// Ascending visits the places from the lowest.
func (s *Set) Ascending() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		if s.many == nil {
			slices.Values(s.few)(yield)
			return
		}
		for i, word := range s.many {
			for ; word != 0; word &= word - 1 {
				if !yield(uint16(i*64 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// Descending visits the places from the highest.
func (s *Set) Descending() iter.Seq[uint16] {
	return func(yield func(uint16) bool) {
		if s.many == nil {
			for _, place := range slices.Backward(s.few) {
				if !yield(place) {
					return
				}
			}
			return
		}
		for i, word := range slices.Backward(s.many[:]) {
			for word != 0 {
				top := 63 - bits.LeadingZeros64(word)
				if !yield(uint16(i*64 + top)) {
					return
				}
				word &^= 1 << top
			}
		}
	}
}

// Encode returns the set in bytes: two for each place, or a bit for each place that there could be.
func (s *Set) Encode() []byte {
	if s.many == nil {
		out := make([]byte, 0, twoBytes*len(s.few))
		for _, place := range s.few {
			out = binary.LittleEndian.AppendUint16(out, place)
		}
		return out
	}
	out := make([]byte, 0, Span/8)
	for _, word := range s.many {
		out = binary.LittleEndian.AppendUint64(out, word)
	}
	return out
}

// Decode reads what Encode has written; otherwise it returns ErrDamaged.
func Decode(raw []byte) (Set, error) {
	if len(raw) == Span/8 {
		many := new([words]uint64)
		for i := range many {
			many[i] = binary.LittleEndian.Uint64(raw[8*i:])
		}
		return Set{many: many}, nil
	}
	if len(raw)%twoBytes != 0 || len(raw) > twoBytes*mostFew {
		return Set{}, ErrDamaged
	}
	few := make([]uint16, len(raw)/twoBytes)
	for i := range few {
		few[i] = binary.LittleEndian.Uint16(raw[twoBytes*i:])
		if few[i] >= Span || i > 0 && few[i] <= few[i-1] {
			return Set{}, ErrDamaged
		}
	}
	return Set{few: few}, nil
}
