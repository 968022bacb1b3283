package webhook

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// errAddress says that a name led where no delivery may go.
var errAddress = errors.New("the address is not allowed")

// inside are the ranges that are not the public Internet, beyond those that netip tells by itself (IANA special-purpose address
// registries).
var inside = [...]netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),       // this network
	netip.MustParsePrefix("100.64.0.0/10"),   // shared by carriers (RFC 6598)
	netip.MustParsePrefix("192.0.0.0/24"),    // protocol assignments
	netip.MustParsePrefix("192.0.2.0/24"),    // documentation
	netip.MustParsePrefix("192.88.99.0/24"),  // former 6to4 relays
	netip.MustParsePrefix("198.18.0.0/15"),   // benchmarks
	netip.MustParsePrefix("198.51.100.0/24"), // documentation
	netip.MustParsePrefix("203.0.113.0/24"),  // documentation
	netip.MustParsePrefix("240.0.0.0/4"),     // reserved, broadcast
	netip.MustParsePrefix("::/96"),           // IPv4-compatible, unspecified, loopback
	netip.MustParsePrefix("64:ff9b:1::/48"),  // NAT64 of one's own
	netip.MustParsePrefix("100::/64"),        // discard
	netip.MustParsePrefix("2001::/23"),       // protocol assignments, Teredo among them
	netip.MustParsePrefix("2001:db8::/32"),   // documentation
	netip.MustParsePrefix("2002::/16"),       // 6to4
	netip.MustParsePrefix("3fff::/20"),       // documentation
	netip.MustParsePrefix("5f00::/16"),       // segment routing
	netip.MustParsePrefix("fec0::/10"),       // former site-local
}

// nat64 holds IPv4 addresses in its last 32 bits (RFC 6052).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// public reports whether an address is on the public Internet.
func public(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		raw := a.As16()
		return public(netip.AddrFrom4([4]byte(raw[12:])))
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, p := range inside {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

// Allowed reports whether deliveries may go to an address.
func (c Config) Allowed(a netip.Addr) bool {
	if c.AllowPrivate || public(a) {
		return true
	}
	ranges, err := c.ranges()
	if err != nil {
		return false
	}
	for _, p := range ranges {
		if p.Contains(a.Unmap().WithZone("")) {
			return true
		}
	}
	return false
}

// control is called with the address that is about to be dialled, after the name was resolved (net.Dialer.Control).
func (c Config) control(_, address string, _ syscall.RawConn) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %w", errAddress, err)
	}
	if !c.Allowed(target.Addr()) {
		return errAddress
	}
	return nil
}
