package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Reach says of one passkey what holds it, and why it can or cannot be used from a client.
type Reach struct {
	Credential    ident.CredentialID `json:"credentialID"`
	Class         facts.Class        `json:"class"`
	Authenticator string             `json:"authenticator,omitempty"` // the name of it, if it is known
	Availability  Availability       `json:"availability"`
	Why           string             `json:"why"`
}

// Reaches returns what was found of each passkey, in the account's order.
func (d *Detection) Reaches(k *Knowledge) []Reach {
	all := make([]Reach, 0, len(d.passkeys))
	for i := range d.passkeys {
		p := &d.passkeys[i]
		all = append(all, Reach{
			Credential: p.ID, Class: p.class, Authenticator: k.Authenticators[p.AAGUID].Name, Availability: p.availability, Why: d.why(k, p),
		})
	}
	return all
}

func (d *Detection) why(k *Knowledge, p *passkey) string {
	switch p.availability {
	case SecurityKey:
		return "whoever carries the key can use it anywhere"
	case Likely:
		return likely(p.class, d.system())
	case Uncertain:
		return uncertain(p.class)
	case Remote:
		if d.Facts.AccountFacts.CDA.Route {
			return "it is on another device, and this client can use it from there"
		}
		return "it may be used from another device, and the way to one is closed"
	default:
		return d.missing(k, p) + d.elsewhere(p)
	}
}

// system names the client's operating system.
func (d *Detection) system() string {
	if d.Client.OSName == "" {
		return "the system, which is not known,"
	}
	return strings.TrimSpace(d.Client.OSName + " " + d.Client.OSVersion)
}

func likely(class facts.Class, system string) string {
	switch class {
	case facts.ClassApple:
		return system + " has Apple's passkeys"
	case facts.ClassGoogle:
		return system + " has Google's passkeys"
	case facts.ClassSamsung:
		return "the device is one of Samsung's"
	default:
		return "the client has a password manager"
	}
}

func uncertain(class facts.Class) string {
	switch class {
	case facts.ClassGoogle:
		return "Chrome has Google's passkeys where the user is signed in to it"
	case facts.ClassWindowsHello:
		return "it stays on one Windows device, which this one may be"
	case facts.ClassBrowserProfile:
		return "it stays in one browser profile, which this one may be"
	case facts.ClassSamsung:
		return "the device may be one of Samsung's"
	case facts.ClassPasswordManager:
		return "the client may have the password manager"
	default:
		return "it was created on such a system, which this one may be"
	}
}

// missing says why the client itself has not got the passkey.
func (d *Detection) missing(k *Knowledge, p *passkey) string {
	if local, _ := k.row(*p, &d.Client); local != AvailabilityNot {
		return "the client has no authenticator of its own that verifies the user"
	}
	switch p.class {
	case facts.ClassApple:
		return d.system() + " does not have Apple's passkeys"
	case facts.ClassGoogle:
		return d.system() + " does not have Google's passkeys here"
	case facts.ClassWindowsHello:
		return "it stays on one Windows device, and this is none"
	case facts.ClassBrowserProfile:
		return "it stays in the browser profile where it was created, and this is another system or browser"
	case facts.ClassSamsung:
		return "the device is not one of Samsung's"
	case facts.ClassPasswordManager:
		return "the client has no password manager that serves passkeys"
	default:
		return "it was created on another system"
	}
}

// elsewhere says why it cannot be used from another device either.
func (d *Detection) elsewhere(p *passkey) string {
	if !slices.Contains(p.Transports, transportHybrid) {
		return "; it cannot be used from another device"
	}
	return "; the way to another device is closed"
}

// Barring says which entry of the parameters bars a client for the reason that was found; empty if none can be named. Of its address the network is
// known.
func (k *Knowledge) Barring(found facts.Listing, info rest.ClientInformation, network netip.Prefix, environment service.Environment) string {
	p := &k.Parameters
	c := k.DetectClient(info, environment)
	switch found {
	case facts.ListedWebdriver:
		return "allowWebdriver is false"
	case facts.ListedRestrictedBrowser:
		return entry("restrictedBrowserTokens", p.RestrictedBrowserTokens, func(token string) bool { return strings.Contains(info.UserAgent, token) })
	case facts.ListedBrowser:
		return blockedEntry("blockedBrowsers", p.BlockedBrowsers, func(one []Blocked) bool { return blocked(one, c.BrowserName, c.Browser, c.BrowserVersion) })
	case facts.ListedOperatingSystem:
		return blockedEntry("blockedOperatingSystems", p.BlockedOperatingSystems, func(one []Blocked) bool {
			return blocked(one, c.OSName, string(c.OS), c.OSVersion)
		})
	case facts.ListedAddress:
		return entry("blockedAddresses", p.BlockedAddresses, func(text string) bool {
			barred, err := parsePrefix(text)
			return err == nil && network.IsValid() && barred.Overlaps(network)
		})
	case facts.ListedApplication:
		return entry("blockedApplications", p.BlockedApplications, func(name string) bool { return blockedApplication([]string{name}, c, info.NativeMeta) })
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

func blockedEntry(list string, of []Blocked, bars func([]Blocked) bool) string {
	for _, one := range of {
		switch {
		case !bars([]Blocked{one}):
		case one.Below == "":
			return fmt.Sprintf("%s has %q", list, one.Name)
		default:
			return fmt.Sprintf("%s has %q below %s", list, one.Name, one.Below)
		}
	}
	return ""
}
