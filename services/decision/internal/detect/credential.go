package detect

import (
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// Availability is how a passkey can be reached from a client.
type Availability string

// The availabilities, best first. Security keys have one of their own: whoever carries the key can use it anywhere.
const (
	Likely          Availability = "likely"
	Uncertain       Availability = "uncertain"
	Remote          Availability = "remote"
	SecurityKey     Availability = "security-key"
	AvailabilityNot Availability = "none"
)

// noAAGUID is what authenticators send that do not say what they are.
const noAAGUID = "00000000-0000-0000-0000-000000000000"

// Classify tells what holds a credential.
func (k *Knowledge) Classify(c *account.Credential) facts.Class {
	if onlyRoams(c) {
		return facts.ClassSecurityKey
	}
	if known, ok := k.Authenticators[c.AAGUID]; ok {
		return known.Class
	}
	if c.Roaming() {
		return facts.ClassSecurityKey
	}
	if (c.AAGUID != noAAGUID && c.AAGUID != "") || c.Elsewhere() {
		return facts.ClassUnknown
	}
	switch os := k.Clients.Agents.System(c.CreatedOS); {
	case c.BackupEligible && os.Apple():
		return facts.ClassApple
	case c.BackupEligible && os == agent.Android:
		return facts.ClassGoogle
	case !c.BackupEligible && os == agent.Windows:
		return facts.ClassWindowsHello
	default:
		return facts.ClassUnknown
	}
}

// onlyRoams reports whether the transports are those of keys alone.
func onlyRoams(c *account.Credential) bool {
	return len(c.Transports) > 0 && !slices.Contains(c.Transports, "internal") && !c.Hybrid()
}

// CreatedBy returns the route on which a credential was created, with what is known of its model.
func (k *Knowledge) CreatedBy(c *account.Credential) event.Route {
	if k.Classify(c) == facts.ClassSecurityKey {
		return event.SecurityKey
	}
	return c.CreatedBy()
}

// passkey is a credential as it looks from a client.
type passkey struct {
	*account.Credential
	class        facts.Class
	local        reach // likely, uncertain or none
	byPhone      reach // high, low or none
	availability Availability
	gone         bool // what it needs is not there, whatever was proven
	proven, said bool // here
}

// reach is how far a passkey can be reached in one way, and why.
type reach struct{ value, why string }

// The values of reach: of this client likely, uncertain and none, of a phone high, low and none.
const (
	likely    = string(Likely)
	uncertain = string(Uncertain)
	none      = string(AvailabilityNot)
	high      = "high"
	low       = "low"
)

// usedByPhone is why a passkey can be had from a phone: it was.
const usedByPhone = "used-by-phone"

func (k *Knowledge) assess(c *account.Credential, client *recognition.Client, h *history.History) passkey {
	p := passkey{Credential: c, class: k.Classify(c)}
	_, p.proven = slices.BinarySearch(h.Pair.Proven, c.ID)
	_, p.said = slices.BinarySearch(h.Pair.Said, c.ID)
	_, byPhone := slices.BinarySearch(h.ByPhone, c.ID)
	if p.class == facts.ClassSecurityKey {
		p.said = false // whoever carries the key may have it elsewhere next time
		p.local, p.byPhone = reach{none, "security-key"}, reach{none, "security-key"}
		if byPhone {
			p.byPhone = reach{high, usedByPhone}
		}
		p.availability = SecurityKey
		return p
	}
	p.local = k.local(&p, client, h.Pair.Lost)
	p.byPhone = k.byPhone(&p, byPhone)
	switch {
	case p.local.value != none:
		p.availability = Availability(p.local.value)
	case p.byPhone.value != none:
		p.availability = Remote
	default:
		p.availability = AvailabilityNot
	}
	return p
}

// local is what this client may hold: the column of the class, then what was proven here. What a passkey needs and is not there outweighs
// both.
func (k *Knowledge) local(p *passkey, client *recognition.Client, lost bool) reach {
	found := k.row(p, client)
	if why := k.missing(p, client); why != "" {
		p.gone = true
		return reach{none, why}
	}
	switch {
	case p.proven && !lost:
		found = reach{likely, "worked-here"}
	case p.said && found.value == none:
		found = reach{uncertain, "said-to-exist-here"}
	}
	if client.Embedded && found.value == likely {
		return reach{uncertain, "embedded-webview"}
	}
	return found
}

// managed reports whether the passkey is with a manager that is no part of the system, or may be.
func (p *passkey) managed() bool {
	return p.class == facts.ClassPasswordManager || (p.class == facts.ClassUnknown && p.BackupEligible)
}

// sameSystem reports whether the client runs the system that the passkey was made on, and it was made there.
func (k *Knowledge) sameSystem(p *passkey, client *recognition.Client) bool {
	return client.OS != "" && !p.Elsewhere() && client.OS == k.Clients.Agents.System(p.CreatedOS)
}

// missing says what the passkey needs and the client lacks; empty = nothing.
func (k *Knowledge) missing(p *passkey, client *recognition.Client) string {
	manager := p.class == facts.ClassPasswordManager
	if !client.UVPA && !(manager && client.PasswordManager == recognition.Yes) && !(p.managed() && p.proven) {
		return "no-local-authenticator"
	}
	foreign := p.class == facts.ClassUnknown && p.BackupEligible && !k.sameSystem(p, client)
	switch {
	case (manager || foreign) && k.belowManagers(client):
		return "os-too-old" // where no manager serves passkeys, a word on managers means nothing
	case (manager || foreign) && client.PasswordManager == recognition.No:
		return "manager-absent"
	case p.class == facts.ClassGoogle && client.Native && client.OS == agent.Android && client.PlayServices == recognition.No:
		return "no-play-services"
	}
	return ""
}

// belowManagers reports whether the system is known to be older than those that serve passkeys of managers.
func (k *Knowledge) belowManagers(client *recognition.Client) bool {
	minimum := &k.Parameters.MinimumVersions
	return (client.OS == agent.IOS && !agent.AtLeast(client.OSMajor, minimum.ManagersIOS)) ||
		(client.OS == agent.Android && !agent.AtLeast(client.OSMajor, minimum.ManagersAndroid))
}

// row is the table of the reference: one row a class.
func (k *Knowledge) row(p *passkey, client *recognition.Client) reach {
	switch client.Device {
	case facts.DeviceTV, facts.DeviceConsole:
		return reach{none, "device-class"}
	case facts.DeviceHeadset:
		if client.OS != agent.VisionOS {
			return reach{none, "device-class"}
		}
	}
	if client.OS == "" {
		return reach{uncertain, "system-unknown"}
	}
	minimum := &k.Parameters.MinimumVersions
	switch p.class {
	case facts.ClassApple:
		return appleRow(client, minimum)
	case facts.ClassGoogle:
		return googleRow(client, minimum)
	case facts.ClassWindowsHello:
		switch {
		case client.OS != agent.Windows:
			return reach{none, "other-os"}
		case !agent.AtLeast(client.OSMajor, minimum.Windows):
			return reach{none, "os-too-old"}
		}
		return reach{uncertain, "same-machine-unknown"}
	case facts.ClassBrowserProfile:
		if k.sameSystem(p, client) && client.Browser == k.Clients.Agents.BrowserWord(p.CreatedBrowser) {
			return reach{uncertain, "same-machine-unknown"}
		}
		return reach{none, "other-browser"}
	case facts.ClassSamsung:
		return samsungRow(client)
	case facts.ClassPasswordManager:
		return k.managerRow(p, client)
	case facts.ClassPhoneBound:
		if k.productExists(p, client.OS) && client.OS.Phone() {
			return reach{uncertain, "same-machine-unknown"}
		}
		return reach{none, "other-os"}
	default:
		return k.unknownRow(p, client)
	}
}

func appleRow(client *recognition.Client, minimum *recognition.MinimumVersions) reach {
	switch {
	case client.OS == agent.VisionOS,
		client.OS == agent.IOS && agent.AtLeast(client.OSMajor, minimum.IOS),
		client.OS == agent.MacOS && agent.AtLeast(client.OSMajor, minimum.MacOS):
		return reach{likely, "synced-here"}
	case client.OS.Apple():
		return reach{none, "os-too-old"}
	}
	return reach{none, "other-os"}
}

func googleRow(client *recognition.Client, minimum *recognition.MinimumVersions) reach {
	switch {
	case client.OS == agent.ChromeOS:
		return reach{likely, "synced-here"}
	case client.OS == agent.Android && !client.Native && client.Browser == "huawei browser":
		return reach{none, "other-browser"}
	case client.OS == agent.Android && agent.AtLeast(client.OSMajor, minimum.Android):
		return reach{likely, "synced-here"}
	case client.OS == agent.Android:
		return reach{none, "os-too-old"}
	case client.OS == agent.IOS && agent.AtLeast(client.OSMajor, minimum.GoogleIOS):
		return reach{uncertain, "third-party-provider"}
	case client.OS == agent.IOS:
		return reach{none, "os-too-old"}
	case !client.Desktop:
		return reach{none, "other-os"}
	case client.Browser != "chrome":
		return reach{none, "other-browser"}
	case !agent.AtLeast(agent.Major(client.BrowserVersion), minimum.GoogleChrome):
		return reach{none, "browser-too-old"}
	}
	return reach{uncertain, "third-party-provider"}
}

func samsungRow(client *recognition.Client) reach {
	switch {
	case client.OS != agent.Android:
		return reach{none, "other-os"}
	case client.Samsung == recognition.Yes:
		return reach{likely, "synced-here"}
	case client.Samsung == recognition.Unknown:
		return reach{uncertain, "brand-unknown"}
	}
	return reach{none, "other-brand"}
}

// servesManagers reports whether managers that are no part of the system serve passkeys there, in versions that are new enough.
func servesManagers(os agent.OS) bool {
	switch os {
	case agent.IOS, agent.Android, agent.MacOS, agent.Windows, agent.Linux, agent.ChromeOS:
		return true
	default:
		return false
	}
}

func (k *Knowledge) managerRow(p *passkey, client *recognition.Client) reach {
	switch {
	case !servesManagers(client.OS):
		return reach{none, "other-os"}
	case !k.productExists(p, client.OS):
		return reach{none, "no-such-product"}
	case client.PasswordManager == recognition.Yes:
		return reach{likely, "manager-seen"}
	}
	return reach{uncertain, "manager-unknown"}
}

// productExists reports whether the provider has a product for the system. An entry that does not say has one wherever its class has.
func (k *Knowledge) productExists(p *passkey, os agent.OS) bool {
	platforms := k.Authenticators[p.AAGUID].Platforms
	return len(platforms) == 0 || slices.Contains(platforms, string(os))
}

func (k *Knowledge) unknownRow(p *passkey, client *recognition.Client) reach {
	synced := p.BackupEligible
	switch {
	case k.sameSystem(p, client):
		return reach{uncertain, "provider-unknown"}
	case synced && (servesManagers(client.OS) || client.OS == agent.VisionOS):
		return reach{uncertain, "provider-unknown"}
	case !synced && p.Elsewhere() && client.OS.Phone():
		return reach{uncertain, "same-machine-unknown"}
	}
	return reach{none, "other-os"}
}

// byPhone is what a phone may hold. A ceremony that a phone finished outranks what the authenticator said of itself.
func (k *Knowledge) byPhone(p *passkey, finished bool) reach {
	onPhone := func(os string) bool { return k.Clients.Agents.System(os).Phone() }
	switch {
	case finished:
		return reach{high, usedByPhone}
	case p.class == facts.ClassWindowsHello, p.class == facts.ClassBrowserProfile:
		return reach{none, "never-on-a-phone"}
	case len(p.Transports) > 0 && !p.Hybrid():
		return reach{none, "no-hybrid-transport"}
	case p.Elsewhere():
		return reach{high, "made-by-phone"}
	case p.class == facts.ClassSamsung, p.class == facts.ClassPhoneBound:
		return reach{high, "lives-on-phones"}
	case onPhone(p.CreatedOS):
		return reach{high, "made-on-phone"}
	case slices.ContainsFunc(p.UsedOn, onPhone):
		return reach{high, "used-on-phone"}
	case p.BackupEligible:
		return reach{low, "synced-no-phone-seen"}
	}
	return reach{none, "never-on-a-phone"}
}
