package recognition

import (
	"errors"
	"net/netip"
	"slices"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// ErrAddressNotKept says why it cannot be told anew whether a recorded client is barred.
var ErrAddressNotKept = errors.New("the parameters bar addresses that the record does not tell from the client's")

// Bars are the parameters that say which clients are barred.
type Bars struct {
	AllowWebdriver          bool            `json:"allowWebdriver"`
	RestrictedBrowserTokens []string        `json:"restrictedBrowserTokens"`
	BlockedBrowsers         []Blocked       `json:"blockedBrowsers"`
	BlockedOperatingSystems []Blocked       `json:"blockedOperatingSystems"`
	BlockedAddresses        []string        `json:"blockedAddresses"`
	BlockedApplications     []string        `json:"blockedApplications"`
	BlockedEnvironments     []string        `json:"blockedEnvironments"`
	SoftBars                []facts.Listing `json:"softBars,omitempty"` // bundles from before it have none
	// Allow or deny; bundles from before it have none, which allows
	EmbeddedWebviews string `json:"embeddedWebviews,omitempty"`
}

// Blocked is a browser or operating system that is barred, in all versions or in those below one.
type Blocked struct {
	Name  string `json:"name"`
	Below string `json:"below,omitempty"`
}

// listing finds what bars the client: the first that is hard, or else the first that is soft.
func (r *Rules) listing(c *Client, info *rest.ClientInformation, environment service.Environment) facts.Listing {
	p := &r.bars
	soft := facts.ListedNot
	for _, one := range [...]struct {
		listed facts.Listing
		bars   bool
	}{
		{facts.ListedWebdriver, c.Webdriver && !p.AllowWebdriver},
		{facts.ListedBot, c.automatic() && !p.AllowWebdriver},
		{facts.ListedAddress, r.blockedAddress(info.RemoteAddress)},
		{facts.ListedEnvironment, environment.ID != "" && containsFold(p.BlockedEnvironments, string(environment.ID))},
		{facts.ListedApplication, c.Native && blockedApplication(p.BlockedApplications, c, info.NativeMeta)},
		{facts.ListedOperatingSystem, r.blockedSystem(c)},
		{facts.ListedBrowser, !c.Native && r.blockedBrowser(c)},
		{facts.ListedEmbeddedWebview, c.Embedded && p.EmbeddedWebviews == "deny"},
		{facts.ListedRestrictedBrowser, c.RestrictedBrowser},
	} {
		switch {
		case !one.bars:
		case !slices.Contains(p.SoftBars, one.listed):
			return one.listed
		case soft == facts.ListedNot:
			soft = one.listed
		}
	}
	return soft
}

// automatic reports whether a client says that it is a crawler, or a browser without a window; that it also says to be an app takes nothing
// back.
func (c *Client) automatic() bool {
	return c.Agent.Device == facts.DeviceBot || c.Agent.Device == facts.DeviceHeadless
}

func (r *Rules) blockedSystem(c *Client) bool {
	return slices.ContainsFunc(r.bars.BlockedOperatingSystems, func(b Blocked) bool { return b.bars(c.OSVersion, r.namesSystem(b, c)) })
}

func (r *Rules) blockedBrowser(c *Client) bool {
	return slices.ContainsFunc(r.bars.BlockedBrowsers, func(b Blocked) bool { return b.bars(c.BrowserVersion, r.namesBrowser(b, c)) })
}

// bars reports whether an entry that names the client bars its version. One that is unknown is below nothing.
func (b Blocked) bars(version string, named bool) bool {
	return named && (b.Below == "" || (version != "" && agent.CompareVersions(Dotted(version), Dotted(b.Below)) < 0))
}

func (r *Rules) blockedAddress(remote string) bool {
	if len(r.addresses) == 0 {
		return false
	}
	from, ok := address.Client(remote)
	if !ok {
		return false
	}
	for _, prefix := range r.addresses {
		if prefix.Contains(from) {
			return true
		}
	}
	return false
}

// TellsNetwork returns ErrAddressNotKept if some addresses of the network are barred and others are not; of one that was left out of the
// record, if any address is barred.
func (r *Rules) TellsNetwork(network netip.Prefix, leftOut bool) error {
	if leftOut && len(r.addresses) > 0 {
		return ErrAddressNotKept
	}
	for _, barred := range r.addresses {
		if network.IsValid() && barred.Bits() > network.Bits() && barred.Overlaps(network) {
			return ErrAddressNotKept
		}
	}
	return nil
}

// Within returns an address of the network that is barred, or one that is not; false if there is none.
func (r *Rules) Within(network netip.Prefix, barred bool) (netip.Addr, bool) {
	at := network.Masked().Addr()
	candidates := []netip.Addr{at}
	for _, prefix := range r.addresses {
		if !prefix.Overlaps(network) || prefix.Bits() <= network.Bits() {
			continue
		}
		candidates = append(candidates, prefix.Masked().Addr(), last(prefix).Next())
	}
	for _, at := range candidates {
		listed := slices.ContainsFunc(r.addresses, func(p netip.Prefix) bool { return p.Contains(at) })
		if network.Contains(at) && listed == barred {
			return at, true
		}
	}
	return netip.Addr{}, false
}

// last is the last address of a network.
func last(network netip.Prefix) netip.Addr {
	const octet = 8
	bytes := network.Masked().Addr().AsSlice()
	for bit := network.Bits(); bit < octet*len(bytes); bit++ {
		bytes[bit/octet] |= 1 << (octet - 1 - bit%octet)
	}
	at, _ := netip.AddrFromSlice(bytes)
	return at
}
