package gateway

import (
	"net/netip"
	"testing"
)

func TestTheLogHasAsMuchOfAnAddressAsIsSet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ setting, address, want string }{
		{LogWhole, "203.0.113.9", "203.0.113.9"},
		{LogWhole, "2001:db8:1:2::3", "2001:db8:1:2::3"},
		{LogWhole, "fe80::1%eth0", "fe80::1"},
		{LogNetwork, "203.0.113.9", "203.0.113.0/24"},
		{LogNetwork, "2001:db8:1:2::3", "2001:db8:1::/48"},
		{LogNone, "203.0.113.9", ""},
	} {
		if got := (Config{LogAddresses: c.setting}).logged(netip.MustParseAddr(c.address)); got != c.want {
			t.Errorf("%s of %s: %q, want %q", c.setting, c.address, got, c.want)
		}
	}
	if got := (Config{LogAddresses: LogWhole}).logged(netip.Addr{}); got != "" {
		t.Errorf("of no address: %q", got)
	}
}
