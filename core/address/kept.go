package address

import "net/netip"

// Of an address a network is enough for lists of networks, and of no use to find a person.
const (
	networkIPv4 = 24
	networkIPv6 = 48
)

// Network returns the network that an address is in: the first 24 bits of IPv4, 48 of IPv6. That of the zero address is the zero prefix.
func Network(from netip.Addr) netip.Prefix {
	from = from.WithZone("")
	bits := networkIPv6
	if from.Is4() {
		bits = networkIPv4
	}
	within, err := from.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return within
}

// Form is how much of an address is kept of what happened.
type Form string

// The forms.
const (
	Truncated Form = "truncated" // the first address of the network
	Token     Form = "token"     // nothing of it; whoever keeps it names it by tokens of the project (see package sighting)
	Full      Form = "full"
)

// Known reports whether f is one of the forms.
func (f Form) Known() bool { return f == Truncated || f == Token || f == Full }

// NetworkOf returns the network of an address that a client or a backend told, as Keep does.
func NetworkOf(told string) string {
	from, ok := Client(told)
	if !ok {
		return ""
	}
	var room [usualText]byte
	return string(Network(from).AppendTo(room[:0]))
}

// usualText is how long the text of a network is at most, but for those with zones.
const usualText = 64

// Keep returns what the form keeps of an address that a client or a backend told; of a form that is not known, as little as of any. Text
// that is no address leaves nothing.
func (f Form) Keep(told string) (address, network string) {
	from, ok := Client(told)
	if !ok || f == Token {
		return "", ""
	}
	within := Network(from)
	if f != Full {
		from = within.Addr()
	}
	return from.String(), within.String()
}
