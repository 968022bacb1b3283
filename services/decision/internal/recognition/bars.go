package recognition

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// ErrAddressNotKept says why it cannot be told anew whether a recorded client is barred.
var ErrAddressNotKept = errors.New("the record has the network of the client, and the parameters bar a part of it")

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
func (r *Rules) listing(c Client, info rest.ClientInformation, environment service.Environment) facts.Listing {
	p := &r.bars
	automatic := c.Device == facts.DeviceBot || c.Device == facts.DeviceHeadless
	soft := facts.ListedNot
	for _, one := range [...]struct {
		listed facts.Listing
		bars   bool
	}{
		{facts.ListedWebdriver, c.Webdriver && !p.AllowWebdriver},
		{facts.ListedBot, automatic && !c.Native && !p.AllowWebdriver},
		{facts.ListedAddress, r.blockedAddress(info.RemoteAddress)},
		{facts.ListedEnvironment, environment.ID != "" && containsFold(p.BlockedEnvironments, string(environment.ID))},
		{facts.ListedApplication, c.Native && blockedApplication(p.BlockedApplications, c, info.NativeMeta)},
		{facts.ListedOperatingSystem, r.blockedSystem(&c)},
		{facts.ListedBrowser, !c.Native && r.blockedBrowser(&c)},
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

func (r *Rules) blockedSystem(c *Client) bool {
	return slices.ContainsFunc(r.bars.BlockedOperatingSystems, func(b Blocked) bool { return r.barsSystem(b, c) })
}

func (r *Rules) barsSystem(b Blocked, c *Client) bool {
	os := r.Agents.System(b.Name)
	return b.bars(c.OSVersion, strings.EqualFold(b.Name, c.OSName) || (os == c.OS && os != agent.OtherOS))
}

func (r *Rules) blockedBrowser(c *Client) bool {
	return slices.ContainsFunc(r.bars.BlockedBrowsers, func(b Blocked) bool { return r.barsBrowser(b, c) })
}

func (r *Rules) barsBrowser(b Blocked, c *Client) bool {
	name := r.Agents.BrowserWord(b.Name)
	return b.bars(c.BrowserVersion, strings.EqualFold(b.Name, c.BrowserName) || (name == c.Browser && name != agent.Other))
}

// bars reports whether an entry that names the client bars its version. One that is unknown is below nothing.
func (b Blocked) bars(version string, named bool) bool {
	return named && (b.Below == "" || (version != "" && agent.CompareVersions(version, b.Below) < 0))
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

// TellsNetwork returns ErrAddressNotKept if some addresses of the network are barred and others are not.
func (r *Rules) TellsNetwork(network netip.Prefix) error {
	for _, barred := range r.addresses {
		if network.IsValid() && barred.Bits() > network.Bits() && barred.Overlaps(network) {
			return ErrAddressNotKept
		}
	}
	return nil
}

// Barring says which entry of the parameters bars a client for the reason that was found; empty if none can be named. Of its address the
// network is known.
func (r *Rules) Barring(
	found facts.Listing, info rest.ClientInformation, network netip.Prefix, environment service.Environment,
) string {
	p := &r.bars
	c := r.Recognise(info, environment)
	switch found {
	case facts.ListedWebdriver:
		return "allowWebdriver is false"
	case facts.ListedBot:
		return "allowWebdriver is false, and the device is of the class " + string(c.Device)
	case facts.ListedEmbeddedWebview:
		return `embeddedWebviews is "deny"`
	case facts.ListedRestrictedBrowser:
		if found := entry("agents.inApp", []string{c.InApp}, func(name string) bool { return name != "" && r.ownAgents }); found != "" {
			return found
		}
		return entry(
			"restrictedBrowserTokens", p.RestrictedBrowserTokens, func(token string) bool { return strings.Contains(info.UserAgent, token) },
		)
	case facts.ListedBrowser:
		return blockedEntry("blockedBrowsers", p.BlockedBrowsers, func(one Blocked) bool { return r.barsBrowser(one, &c) })
	case facts.ListedOperatingSystem:
		return blockedEntry("blockedOperatingSystems", p.BlockedOperatingSystems, func(one Blocked) bool { return r.barsSystem(one, &c) })
	case facts.ListedAddress:
		return entry("blockedAddresses", p.BlockedAddresses, func(text string) bool {
			barred, err := parsePrefix(text)
			return err == nil && network.IsValid() && barred.Overlaps(network)
		})
	case facts.ListedApplication:
		return entry(
			"blockedApplications", p.BlockedApplications, func(name string) bool { return blockedApplication([]string{name}, c, info.NativeMeta) },
		)
	case facts.ListedEnvironment:
		return entry("blockedEnvironments", p.BlockedEnvironments, func(id string) bool { return strings.EqualFold(id, string(environment.ID)) })
	default:
		return ""
	}
}

func entry(list string, of []string, bars func(string) bool) string {
	for _, one := range of {
		if bars(one) {
			return fmt.Sprintf("%s has %q", list, one)
		}
	}
	return ""
}

func blockedEntry(list string, of []Blocked, bars func(Blocked) bool) string {
	for _, one := range of {
		switch {
		case !bars(one):
		case one.Below == "":
			return fmt.Sprintf("%s has %q", list, one.Name)
		default:
			return fmt.Sprintf("%s has %q below %s", list, one.Name, one.Below)
		}
	}
	return ""
}
