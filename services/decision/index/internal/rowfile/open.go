package rowfile

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"github.com/keyward/keyward/services/decision/index/internal/positions"
)

// open is a segment whose places are in memory.
type open struct {
	sets map[posting]*positions.Set
	keys map[Dimension][]entry
}

// posting names the places of a segment that have a word.
type posting struct {
	of   Dimension
	word uint32
}

// entry says that a place has a key.
type entry struct {
	key   uint64
	place uint16
}

const (
	buckets   = 256
	entrySize = 8 + 2 // bytes
)

func newOpen() *open {
	return &open{sets: map[posting]*positions.Set{}, keys: map[Dimension][]entry{}}
}

// keyOf is what a user or a process of a project is found by. One finds no other by chance.
func keyOf(of Dimension, project, id string) uint64 {
	text := make([]byte, 0, 128) //nolint:mnd // enough for both
	text = append(append(append(append(text, byte(of)), project...), 0), id...)
	sum := sha256.Sum256(text)
	return binary.LittleEndian.Uint64(sum[:])
}

func bucketOf(key uint64) int { return int(key % buckets) }

func (o *open) add(r *Row, word func(string) uint32) {
	place := uint16(r.Sequence % positions.Span)
	o.put(posting{all, 0}, place)
	r.words(func(of Dimension, text string) { o.put(posting{of, word(text)}, place) })
	if r.User != "" {
		o.keys[User] = append(o.keys[User], entry{keyOf(User, r.Project, r.User), place})
	}
	if r.Process != "" {
		o.keys[Process] = append(o.keys[Process], entry{keyOf(Process, r.Project, r.Process), place})
	}
}

func (o *open) put(at posting, place uint16) {
	set := o.sets[at]
	if set == nil {
		set = &positions.Set{}
		o.sets[at] = set
	}
	set.Add(place)
}

// keyed returns the places of a key.
func (o *open) keyed(of Dimension, key uint64) positions.Set { return placesOf(o.keys[of], key) }

func placesOf(entries []entry, key uint64) (set positions.Set) {
	for _, e := range entries {
		if e.key == key {
			set.Add(e.place)
		}
	}
	return set
}

// bucketed returns the entries of a dimension by bucket, as they are stored.
func (o *open) bucketed(of Dimension) map[int][]byte {
	all := map[int][]byte{}
	for _, e := range o.keys[of] {
		at := bucketOf(e.key)
		all[at] = appendEntry(all[at], e)
	}
	return all
}

func appendEntry(to []byte, e entry) []byte {
	return binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint64(to, e.key), e.place)
}

func readEntries(raw []byte) ([]entry, error) {
	if len(raw)%entrySize != 0 {
		return nil, errRow
	}
	entries := make([]entry, 0, len(raw)/entrySize)
	for chunk := range slices.Chunk(raw, entrySize) {
		e := entry{binary.LittleEndian.Uint64(chunk), binary.LittleEndian.Uint16(chunk[8:])}
		if e.place >= positions.Span {
			return nil, errRow
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// placesIn returns the places of a key among the entries of its bucket.
func placesIn(raw []byte, key uint64) (positions.Set, error) {
	entries, err := readEntries(raw)
	return placesOf(entries, key), err
}

// dropKeys takes out the entries of places.
func (o *open) drop(places *positions.Set) {
	for of, entries := range o.keys {
		o.keys[of] = slices.DeleteFunc(entries, func(e entry) bool { return places.Has(e.place) })
	}
}
