// Package address reads addresses of clients in the forms in which proxies and backends write them: with a port, in brackets, mapped into
// IPv6, with a zone. It promises that two forms of one address are read as equal. It is pure.
package address

import (
	"net/netip"
	"strings"
)

// Parse reads one address, with or without a port. An IPv4 address mapped into IPv6 is read as what it is, and a zone, which means
// something on one machine only, is left out.
func Parse(text string) (netip.Addr, bool) {
	text = strings.Trim(strings.TrimSpace(text), `"`)
	found, err := netip.ParseAddr(text)
	if err != nil {
		found, err = withPort(text)
	}
	if err != nil {
		return netip.Addr{}, false
	}
	return found.Unmap().WithZone(""), true
}

func withPort(text string) (netip.Addr, error) {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		if inside, ok = strings.CutSuffix(inside, "]"); ok {
			return netip.ParseAddr(inside)
		}
	}
	found, err := netip.ParseAddrPort(text)
	return found.Addr(), err
}

// Client reads what a backend passes on of its client. A list, as X-Forwarded-For is, is none: its beginning is whatever the client wrote
// there, and which of the rest to believe only who runs the proxies knows.
func Client(text string) (netip.Addr, bool) { return Parse(text) }
