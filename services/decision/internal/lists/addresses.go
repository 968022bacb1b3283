package lists

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
)

// MaxEntries bounds the entries of one list.
const MaxEntries = 5_000_000

// ErrTooMany says that a list has more than MaxEntries entries.
var ErrTooMany = fmt.Errorf("a list has at most %d entries", MaxEntries)

// ErrLine is what every LineError is.
var ErrLine = errors.New("a line is no entry")

// LineError says which line of a file cannot be read as an entry.
type LineError struct {
	Line    int
	Message string
}

// Error implements error.
func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Message) }

// Unwrap returns ErrLine.
func (e *LineError) Unwrap() error { return ErrLine }

// Addresses is a set of addresses. It is immutable; the nil set is empty.
type Addresses struct {
	v4 []span[uint32]
	v6 []span[wide]
	// By the first 16 bits of an address of IPv4, the first span that does not end before what begins with them; nil of short lists.
	// A search in a long list would wait for memory at each step.
	starts []uint32
}

// span is all addresses from the first to the last.
type span[A any] struct{ first, last A }

// wide is an address of IPv6.
type wide struct{ high, low uint64 }

func (w wide) compare(other wide) int {
	return cmp.Or(cmp.Compare(w.high, other.high), cmp.Compare(w.low, other.low))
}

// follows reports whether w is the address behind another.
func (w wide) follows(other wide) bool {
	next := wide{high: other.high, low: other.low + 1}
	if next.low == 0 {
		next.high++
	}
	return w == next
}

// ReadAddresses reads a file of networks and addresses, one a line. What stands behind a # is a comment. The error is or wraps a *LineError
// where a line is to blame, and ErrTooMany.
func ReadAddresses(from io.Reader) (*Addresses, error) {
	const longest = 4096 // bytes of a line, its comment included
	lines := bufio.NewScanner(from)
	lines.Buffer(make([]byte, 0, longest), longest)
	var prefixes []netip.Prefix
	at := 0
	for lines.Scan() {
		at++
		text, _, _ := strings.Cut(lines.Text(), "#")
		if at == 1 {
			text = strings.TrimPrefix(text, "\ufeff") // as some editors begin files
		}
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		prefix, err := Network(text)
		if err != nil {
			return nil, &LineError{Line: at, Message: err.Error()}
		}
		if len(prefixes) == MaxEntries {
			return nil, &LineError{Line: at, Message: ErrTooMany.Error()}
		}
		prefixes = append(prefixes, prefix)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, &LineError{Line: at + 1, Message: fmt.Sprintf("longer than %d bytes", longest)}
	}
	if lines.Err() != nil {
		return nil, lines.Err()
	}
	return NewAddresses(prefixes), nil
}

// errNoNetwork says what an entry of a list of addresses has to be.
var errNoNetwork = errors.New("not a network such as 198.51.100.0/24, nor an address")

// Network reads an entry of a list of addresses. That of IPv4 mapped into IPv6 is read as what it is.
func Network(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		from, err := netip.ParseAddr(text)
		if err != nil || from.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q: %w", text, errNoNetwork)
		}
		from = from.Unmap()
		return netip.PrefixFrom(from, from.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q: %w", text, errNoNetwork)
	}
	const mapped = 96 // bits before an address of IPv4
	if prefix.Addr().Is4In6() && prefix.Bits() >= mapped {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-mapped)
	}
	if whole := prefix.Masked(); whole != prefix {
		return netip.Prefix{}, fmt.Errorf("%q: %w: the network that it is in is %s", text, errNoNetwork, whole)
	}
	return prefix, nil
}

// NewAddresses returns the addresses in any of the networks.
func NewAddresses(prefixes []netip.Prefix) *Addresses {
	a := &Addresses{}
	for _, prefix := range prefixes {
		first := prefix.Masked().Addr()
		if first.Is4() {
			from := narrow(first)
			a.v4 = append(a.v4, span[uint32]{from, from | uint32(1<<(32-prefix.Bits())-1)})
			continue
		}
		from := widen(first)
		to := from
		if host := 128 - prefix.Bits(); host > 64 {
			to.high, to.low = from.high|(1<<(host-64)-1), ^uint64(0)
		} else {
			to.low |= 1<<host - 1
		}
		a.v6 = append(a.v6, span[wide]{from, to})
	}
	a.v4 = joined(a.v4, cmp.Compare[uint32], func(one, before uint32) bool { return one == before+1 })
	a.v6 = joined(a.v6, wide.compare, wide.follows)
	if len(a.v4) > short {
		a.index()
	}
	return a
}

// A list of so many spans is in a processor's cache, where a search needs no index.
const (
	short   = 1024
	blocks  = 1 << 16
	perBits = 16 // of an address that are no part of a block's number
)

func (a *Addresses) index() {
	a.starts = make([]uint32, blocks+1)
	at := 0
	for block := range a.starts {
		for at < len(a.v4) && uint64(a.v4[at].last) < uint64(block)<<perBits {
			at++
		}
		a.starts[block] = uint32(at)
	}
}

// near returns the spans among which the one is that an address is in.
func (a *Addresses) near(wanted uint32) []span[uint32] {
	if a.starts == nil {
		return a.v4
	}
	block := wanted >> perBits
	return a.v4[a.starts[block]:min(int(a.starts[block+1])+1, len(a.v4))]
}

// joined sorts spans and makes one of those that touch.
func joined[A any](spans []span[A], compare func(A, A) int, follows func(A, A) bool) []span[A] {
	slices.SortFunc(spans, func(x, y span[A]) int { return compare(x.first, y.first) })
	kept := spans[:0]
	for _, one := range spans {
		if n := len(kept); n > 0 && (compare(one.first, kept[n-1].last) <= 0 || follows(one.first, kept[n-1].last)) {
			if compare(one.last, kept[n-1].last) > 0 {
				kept[n-1].last = one.last
			}
			continue
		}
		kept = append(kept, one)
	}
	return slices.Clip(kept)
}

func narrow(from netip.Addr) uint32 {
	raw := from.As4()
	return binary.BigEndian.Uint32(raw[:])
}

func widen(from netip.Addr) wide {
	raw := from.As16()
	return wide{binary.BigEndian.Uint64(raw[:8]), binary.BigEndian.Uint64(raw[8:])}
}

// Contains reports whether an address is in the set. The zero address is in none.
func (a *Addresses) Contains(from netip.Addr) bool {
	from = from.Unmap()
	switch {
	case a == nil || !from.IsValid():
		return false
	case from.Is4():
		wanted := narrow(from)
		among := a.near(wanted)
		at, _ := slices.BinarySearchFunc(among, wanted, func(s span[uint32], wanted uint32) int { return cmp.Compare(s.last, wanted) })
		return at < len(among) && among[at].first <= wanted
	default:
		wanted := widen(from)
		at, _ := slices.BinarySearchFunc(a.v6, wanted, func(s span[wide], wanted wide) int { return s.last.compare(wanted) })
		return at < len(a.v6) && a.v6[at].first.compare(wanted) <= 0
	}
}

// Overlaps reports whether a set has some of a network, and whether it has all of it.
func (a *Addresses) overlaps(within netip.Prefix) (some, all bool) {
	if a == nil || !within.IsValid() {
		return false, false
	}
	one := NewAddresses([]netip.Prefix{within})
	for _, s := range a.v4 {
		for _, w := range one.v4 {
			some = some || s.first <= w.last && w.first <= s.last
			all = all || s.first <= w.first && w.last <= s.last
		}
	}
	for _, s := range a.v6 {
		for _, w := range one.v6 {
			some = some || s.first.compare(w.last) <= 0 && w.first.compare(s.last) <= 0
			all = all || s.first.compare(w.first) <= 0 && w.last.compare(s.last) <= 0
		}
	}
	return some, all
}

// Equal reports whether two sets have the same addresses.
func (a *Addresses) Equal(other *Addresses) bool {
	if a == nil || other == nil {
		return a == other
	}
	return slices.Equal(a.v4, other.v4) && slices.Equal(a.v6, other.v6)
}
