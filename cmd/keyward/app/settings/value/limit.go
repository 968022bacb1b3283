package value

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/keyward/keyward/core/ratelimit"
)

// Limit is a number of calls in a time, such as 20000/10s, or off.
type Limit struct{ P *ratelimit.Limit }

// String implements pflag.Value.
func (v Limit) String() string {
	if v.P == nil {
		return ""
	}
	return v.P.String()
}

// Set implements pflag.Value.
func (v Limit) Set(text string) error {
	limit, err := ratelimit.ParseLimit(text)
	if err != nil {
		return err
	}
	*v.P = limit
	return nil
}

// Type implements pflag.Value.
func (v Limit) Type() string { return "limit" }

// Networks is a list of networks in CIDR notation; an address alone is a network of itself.
type Networks struct{ P *[]netip.Prefix }

// String implements pflag.Value.
func (v Networks) String() string {
	if v.P == nil {
		return ""
	}
	return strings.Join(v.List(), ",")
}

// Set implements pflag.Value.
func (v Networks) Set(text string) error {
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
	*v.P = networks
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
func (v Networks) List() []string {
	list := []string{}
	for _, network := range *v.P {
		list = append(list, network.String())
	}
	return list
}

// Type implements pflag.Value.
func (v Networks) Type() string { return "networks" }
