// Package mmdbtest writes small databases in the MaxMind DB format, for tests of what reads them. It is pure.
package mmdbtest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"time"
)

// Entry is what a database has of the addresses of a network: the values are string, float64, uint16, uint32, uint64, Entry or []string.
type Entry map[string]any

// Located returns an entry as those of cities are. A country that is empty is left out.
func Located(country string, lat, lon float64, radius uint16) Entry {
	e := Entry{"location": Entry{"latitude": lat, "longitude": lon, "accuracy_radius": radius}}
	if country != "" {
		e["country"] = Entry{"iso_code": country}
	}
	return e
}

// System returns an entry as those of autonomous systems are.
func System(number uint32) Entry {
	return Entry{"autonomous_system_number": number, "autonomous_system_organization": "An operator"}
}

// empty is the record of addresses of which nothing is known.
const empty = -1

// tree is the nodes by their index: each record is another node, empty, or an entry below it.
type tree [][2]int

// of is the record of the entry of an index.
func of(entry int) int { return empty - 1 - entry }

// Write returns a database that was built at a moment. An entry of a smaller network outweighs one of a larger one. It panics if a prefix
// is none.
func Write(built time.Time, entries map[string]Entry) []byte {
	prefixes := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		return cmp.Or(bits(netip.MustParsePrefix(a))-bits(netip.MustParsePrefix(b)), cmp.Compare(a, b))
	})
	nodes := tree{{empty, empty}}
	var data bytes.Buffer
	offsets := make([]int, len(prefixes))
	for i, prefix := range prefixes {
		nodes.insert(netip.MustParsePrefix(prefix), of(i))
		offsets[i] = data.Len()
		encode(&data, entries[prefix])
	}
	nodes = nodes.reached()
	var out bytes.Buffer
	used := map[int]bool{}
	const separator, record = 16, 3 // bytes
	for _, node := range nodes {
		for _, side := range node {
			value := side
			switch {
			case side == empty:
				value = len(nodes)
			case side < empty:
				used[empty-1-side] = true
				value = len(nodes) + separator + offsets[empty-1-side]
			}
			out.Write([]byte{byte(value >> 16), byte(value >> 8), byte(value)})
		}
	}
	if len(used) != len(prefixes) {
		panic("an entry is hidden behind others")
	}
	out.Write(make([]byte, separator))
	out.Write(data.Bytes())
	out.WriteString("\xab\xcd\xefMaxMind.com")
	encode(&out, Entry{
		"node_count": uint32(len(nodes)), "record_size": uint16(8 * record), "ip_version": uint16(6), "database_type": "Keyward-Test",
		"languages": []string{"en"}, "binary_format_major_version": uint16(2), "binary_format_minor_version": uint16(0),
		"build_epoch": uint64(built.Unix()), "description": Entry{"en": "of a test"},
	})
	return out.Bytes()
}

// bits is how long a prefix is in a tree of IPv6, where IPv4 is below ::/96.
func bits(p netip.Prefix) int {
	const before = 96
	if p.Addr().Is4() {
		return p.Bits() + before
	}
	return p.Bits()
}

func (t *tree) insert(p netip.Prefix, value int) {
	path := p.Addr().As16()
	if p.Addr().Is4() {
		path = [16]byte{}
		four := p.Addr().As4()
		copy(path[12:], four[:])
	}
	at := 0
	for depth := range bits(p) {
		side := path[depth/8] >> (7 - depth%8) & 1
		if depth == bits(p)-1 {
			(*t)[at][side] = value
			return
		}
		next := (*t)[at][side]
		if next <= empty {
			*t = append(*t, [2]int{next, next})
			next = len(*t) - 1
			(*t)[at][side] = next
		}
		at = next
	}
}

// reached returns the nodes that the first leads to.
func (t tree) reached() tree {
	index := map[int]int{0: 0}
	order := []int{0}
	for i := 0; i < len(order); i++ {
		for _, side := range t[order[i]] {
			if _, known := index[side]; side > empty && !known {
				index[side] = len(order)
				order = append(order, side)
			}
		}
	}
	found := make(tree, len(order))
	for i, was := range order {
		for side, value := range t[was] {
			if value > empty {
				value = index[value]
			}
			found[i][side] = value
		}
	}
	return found
}

// Types of the format.
const (
	text    = 2
	double  = 3
	short   = 5
	word    = 6
	object  = 7
	long    = 9
	array   = 11
	largest = 7 // that fits into the first byte
	inByte  = 29
)

func head(to *bytes.Buffer, kind, size int) {
	first, rest := size, []byte(nil)
	if size >= inByte {
		first, rest = inByte, []byte{byte(size - inByte)}
	}
	if kind <= largest {
		to.WriteByte(byte(kind<<5 | first))
	} else {
		to.Write([]byte{byte(first), byte(kind - largest)})
	}
	to.Write(rest)
}

func encode(to *bytes.Buffer, value any) {
	unsigned := func(kind int, n uint64) {
		raw := bytes.TrimLeft(binary.BigEndian.AppendUint64(nil, n), "\x00")
		head(to, kind, len(raw))
		to.Write(raw)
	}
	switch v := value.(type) {
	case string:
		head(to, text, len(v))
		to.WriteString(v)
	case float64:
		head(to, double, 8)
		to.Write(binary.BigEndian.AppendUint64(nil, math.Float64bits(v)))
	case uint16:
		unsigned(short, uint64(v))
	case uint32:
		unsigned(word, uint64(v))
	case uint64:
		unsigned(long, v)
	case []string:
		head(to, array, len(v))
		for _, one := range v {
			encode(to, one)
		}
	case Entry:
		head(to, object, len(v))
		for _, name := range slices.Sorted(maps.Keys(v)) {
			encode(to, name)
			encode(to, v[name])
		}
	default:
		panic(fmt.Sprintf("%T is no value of the format", value))
	}
}
