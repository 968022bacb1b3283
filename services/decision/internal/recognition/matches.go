package recognition

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Match is an entry of the parameters that names a client, and what was compared.
type Match struct {
	Listing   facts.Listing `json:"listing"`
	Parameter string        `json:"parameter"` // with the place in the list: blockedOperatingSystems[0]
	Entry     string        `json:"entry"`     // macOS < 14
	Client    string        `json:"client"`    // what was compared with it: 13.7 (hint)
	// Whether it bars; if not, the version of the client that it names is not known, or is another.
	Bars bool `json:"bars"`
	Soft bool `json:"soft,omitempty"` // a proof to the contrary outweighs it
	// It cannot be known whether it bars: it is for a part of the network that the record has in place of the address.
	Unknown bool `json:"unknown,omitempty"`
}

// String puts a match into words: "blockedOperatingSystems[0] macOS < 14, client 13.7 (hint)".
func (m Match) String() string {
	said := m.Parameter + " " + m.Entry + ", client " + m.Client
	switch {
	case m.Unknown:
		return said + ", of which it bars a part; the record does not have the address"
	case !m.Bars:
		return said + ", which it does not bar"
	}
	return said
}

// Matches are the entries of all lists that name the client, in the order in which lists bar. Of its address the network is known: an entry
// for a part of that may not be known to bar.
func (r *Rules) Matches(
	found facts.Listing, info rest.ClientInformation, network netip.Prefix, environment service.Environment,
) []Match {
	c := r.Recognise(info, environment)
	all := slices.Concat(
		r.automation(&c, info.UserAgent), r.matchedAddresses(network, found), r.matchedEnvironments(environment),
		r.matchedApplications(&c, info), r.matchedSystems(&c), r.matchedBrowsers(&c), r.matchedViews(&c, info.UserAgent),
	)
	for i := range all {
		all[i].Soft = slices.Contains(r.bars.SoftBars, all[i].Listing)
	}
	return all
}

func (r *Rules) automation(c *Client, userAgent string) (all []Match) {
	if r.bars.AllowWebdriver {
		return nil
	}
	if c.Webdriver {
		all = append(all, match(facts.ListedWebdriver, "allowWebdriver", "false", "driven by automation"))
	}
	if c.automatic() {
		by := "of the class " + string(c.Agent.Device)
		for _, e := range r.Agents.Automatic(read(userAgent)) {
			by += fmt.Sprintf(", by %s %q", e.Place(), e.Token)
		}
		all = append(all, match(facts.ListedBot, "allowWebdriver", "false", by))
	}
	return all
}

// matchedAddresses are the entries for the network of an address, and those for a part of it. Of the latter it is known whether they bar
// where an address was found to bar, and none but one can be meant; it is known that they do not where nothing bars.
func (r *Rules) matchedAddresses(network netip.Prefix, found facts.Listing) []Match {
	var all []Match
	for i, barred := range r.addresses {
		switch {
		case !network.IsValid() && found == facts.ListedAddress: // what is kept of it does not tell which
			m := match(facts.ListedAddress, place("blockedAddresses", i), r.bars.BlockedAddresses[i], "by an address that was not kept")
			m.Unknown = true
			all = append(all, m)
		case network.IsValid() && barred.Overlaps(network):
			m := match(facts.ListedAddress, place("blockedAddresses", i), r.bars.BlockedAddresses[i], "in "+network.String())
			m.Unknown = barred.Bits() > network.Bits()
			m.Bars = !m.Unknown
			all = append(all, m)
		}
	}
	if found == facts.ListedAddress && len(all) == 1 {
		all[0].Bars, all[0].Unknown = true, false
	}
	if found == facts.ListedNot {
		return slices.DeleteFunc(all, func(m Match) bool { return m.Unknown })
	}
	return all
}

func (r *Rules) matchedEnvironments(environment service.Environment) (all []Match) {
	for i, id := range r.bars.BlockedEnvironments {
		if environment.ID != "" && strings.EqualFold(id, string(environment.ID)) {
			all = append(all, match(facts.ListedEnvironment, place("blockedEnvironments", i), id, string(environment.ID)))
		}
	}
	return all
}

func (r *Rules) matchedApplications(c *Client, info rest.ClientInformation) (all []Match) {
	for i, name := range r.bars.BlockedApplications {
		if c.Native && blockedApplication([]string{name}, c, info.NativeMeta) {
			all = append(all, match(facts.ListedApplication, place("blockedApplications", i), name, "an app of that name"))
		}
	}
	return all
}

func (r *Rules) matchedSystems(c *Client) (all []Match) {
	system := c.Identity().System
	for i, b := range r.bars.BlockedOperatingSystems {
		if r.namesSystem(b, c) {
			all = append(all, b.match(facts.ListedOperatingSystem, place("blockedOperatingSystems", i), system))
		}
	}
	return all
}

func (r *Rules) matchedBrowsers(c *Client) (all []Match) {
	browser := c.Identity().Browser
	for i, b := range r.bars.BlockedBrowsers {
		if !c.Native && r.namesBrowser(b, c) {
			all = append(all, b.match(facts.ListedBrowser, place("blockedBrowsers", i), browser))
		}
	}
	return all
}

// matchedViews are web views, and browsers within apps.
func (r *Rules) matchedViews(c *Client, userAgent string) (all []Match) {
	if c.Embedded && r.bars.EmbeddedWebviews == "deny" {
		all = append(all, match(facts.ListedEmbeddedWebview, "embeddedWebviews", "deny", "a web view"))
	}
	if c.Native {
		return all
	}
	if c.InApp != "" && r.ownAgents {
		before := -1
		for _, e := range r.Agents.Within(read(userAgent)) {
			if e.At != before {
				with := fmt.Sprintf("with %q in the user agent", e.Token)
				all = append(all, match(facts.ListedRestrictedBrowser, place("agents.inApp", e.At), r.Agents.InApp[e.At].Name, with))
			}
			before = e.At
		}
	}
	for i, token := range r.bars.RestrictedBrowserTokens {
		if strings.Contains(read(userAgent), token) {
			all = append(all, match(facts.ListedRestrictedBrowser, place("restrictedBrowserTokens", i), token, "with it in the user agent"))
		}
	}
	return all
}

// read is the part of a user agent that is read.
func read(userAgent string) string { return userAgent[:min(len(userAgent), MaxUserAgent)] }

// match is an entry that bars.
func match(listing facts.Listing, parameter, entry, client string) Match {
	return Match{Listing: listing, Parameter: parameter, Entry: entry, Client: client, Bars: true}
}

func place(list string, at int) string { return fmt.Sprintf("%s[%d]", list, at) }

// match says of an entry that names the client whether it bars its version.
func (b Blocked) match(listing facts.Listing, parameter string, of Part) Match {
	m := Match{Listing: listing, Parameter: parameter, Entry: b.Name, Client: of.String(), Bars: true}
	if b.Below != "" {
		m.Entry, m.Client, m.Bars = b.Name+" < "+b.Below, of.version(), b.bars(of.Version, true)
	}
	return m
}

func (r *Rules) namesSystem(b Blocked, c *Client) bool {
	os := r.Agents.System(b.Name)
	return strings.EqualFold(b.Name, c.OSName) || (os == c.OS && os != agent.OtherOS)
}

func (r *Rules) namesBrowser(b Blocked, c *Client) bool {
	name := r.Agents.BrowserWord(b.Name)
	return strings.EqualFold(b.Name, c.BrowserName) || (name == c.Browser && name != agent.Other)
}
