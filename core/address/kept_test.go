package address_test

import (
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/address"
)

func TestWhatIsKeptOfAnAddress(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		form          address.Form
		told          string
		kept, network string
	}{
		"an IPv4 address loses its last byte":             {address.Truncated, "203.0.113.9", "203.0.113.0", "203.0.113.0/24"},
		"one of IPv6 all but its first 48 bits":           {address.Truncated, "2001:db8:1:2::99", "2001:db8:1::", "2001:db8:1::/48"},
		"a mapped address is one of IPv4":                 {address.Truncated, "[::ffff:203.0.113.9]:443", "203.0.113.0", "203.0.113.0/24"},
		"a list leaves nothing":                           {address.Full, "203.0.113.9:4711, 10.0.0.1", "", ""},
		"whole means without port and zone":               {address.Full, "[fe80::1%eth0]:1", "fe80::1", "fe80::/48"},
		"a form that nobody knows keeps as little as any": {"", "203.0.113.9", "203.0.113.0", "203.0.113.0/24"},
		"text that is none leaves nothing":                {address.Full, "host.example", "", ""},
		"nothing leaves nothing":                          {address.Full, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if kept, network := tc.form.Keep(tc.told); kept != tc.kept || network != tc.network {
				t.Errorf("keeps %q and %q, want %q and %q", kept, network, tc.kept, tc.network)
			}
		})
	}
}

func TestWhatIsKeptIsInTheNetworkAndKeptTwiceTheSame(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.OneOf(rapid.SliceOfN(rapid.Byte(), 4, 4), rapid.SliceOfN(rapid.Byte(), 16, 16)).Draw(t, "address")
		from, _ := netip.AddrFromSlice(raw)
		form := rapid.SampledFrom([]address.Form{address.Truncated, address.Full}).Draw(t, "form")
		kept, network := form.Keep(from.String())
		within, err := netip.ParsePrefix(network)
		if err != nil || !within.Contains(from.Unmap()) || !within.Contains(netip.MustParseAddr(kept)) {
			t.Fatalf("%s is kept as %s in %s: %v", from, kept, network, err)
		}
		if again, same := form.Keep(kept); again != kept || same != network {
			t.Fatalf("%s kept again is %s in %s", kept, again, same)
		}
	})
}
