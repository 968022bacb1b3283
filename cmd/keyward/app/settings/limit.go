package settings

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/keyward/keyward/core/ratelimit"
)

// limitValue is a number of calls in a time, such as 20000/10s, or off.
type limitValue struct{ p *ratelimit.Limit }

func (v limitValue) String() string {
	if v.p == nil {
		return ""
	}
	return v.p.String()
}

func (v limitValue) Set(text string) error {
	limit, err := ratelimit.ParseLimit(text)
	if err != nil {
		return err
	}
	*v.p = limit
	return nil
}

func (v limitValue) Type() string { return "limit" }

// networksValue is a list of networks in CIDR notation; an address alone is a network of itself.
type networksValue struct{ p *[]netip.Prefix }

func (v networksValue) String() string {
	if v.p == nil {
		return ""
	}
	return strings.Join(v.List(), ",")
}

func (v networksValue) Set(text string) error {
	var networks []netip.Prefix
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item == "" {
			continue
		}
		network, err := parseNetwork(item)
		if err != nil {
			return fmt.Errorf("%q must be a network such as 10.0.0.0/8 or 2001:db8::/32, or an address", item)
		}
		networks = append(networks, network)
	}
	*v.p = networks
	return nil
}

func parseNetwork(text string) (netip.Prefix, error) {
	if !strings.Contains(text, "/") {
		address, err := netip.ParseAddr(text)
		if err != nil {
			return netip.Prefix{}, err
		}
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	network, err := netip.ParsePrefix(text)
	return network.Masked(), err
}

// List returns the networks as text.
func (v networksValue) List() []string {
	list := []string{}
	for _, network := range *v.p {
		list = append(list, network.String())
	}
	return list
}

func (v networksValue) Type() string { return "networks" }
