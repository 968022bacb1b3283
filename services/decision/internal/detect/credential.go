package detect

import (
	"slices"

	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/services/decision/internal/facts"
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

// W3C WebAuthn transports and attachments.
const (
	transportInternal = "internal"
	transportHybrid   = "hybrid"
	crossPlatform     = "cross-platform"
)

// Classify tells what holds a credential.
func (k *Knowledge) Classify(c *account.Credential) facts.Class {
	hybrid := slices.Contains(c.Transports, transportHybrid)
	if len(c.Transports) > 0 && !hybrid && !slices.Contains(c.Transports, transportInternal) {
		return facts.ClassSecurityKey
	}
	if c.Attachment == crossPlatform && !c.BackupEligible && !hybrid {
		return facts.ClassSecurityKey
	}
	if known, ok := k.Authenticators[c.AAGUID]; ok {
		return known.Class
	}
	if c.AAGUID != noAAGUID && c.AAGUID != "" {
		return facts.ClassUnknown
	}
	switch os := ParseOS(c.CreatedOS); {
	case c.BackupEligible && os.apple():
		return facts.ClassApple
	case c.BackupEligible && os == Android:
		return facts.ClassGoogle
	case !c.BackupEligible && os == Windows:
		return facts.ClassWindowsHello
	default:
		return facts.ClassUnknown
	}
}

// passkey is a credential as it looks from a client.
type passkey struct {
	*account.Credential
	class        facts.Class
	availability Availability
	remoteHigh   bool // known to be on a phone
	remoteLow    bool // perhaps on another device
}

func (k *Knowledge) assess(c *account.Credential, client *Client) passkey {
	p := passkey{Credential: c, class: k.Classify(c)}
	if p.class == facts.ClassSecurityKey {
		p.availability = SecurityKey
		return p
	}
	hybrid := slices.Contains(c.Transports, transportHybrid)
	p.availability = k.availability(p, client, hybrid)
	if !hybrid || p.availability == Likely {
		return p
	}
	if phone := onPhone(c); phone {
		p.remoteHigh = p.syncsToPhones()
	} else {
		p.remoteLow = true
	}
	return p
}

func (p passkey) syncsToPhones() bool {
	switch p.class {
	case facts.ClassApple, facts.ClassGoogle, facts.ClassSamsung:
		return true
	case facts.ClassUnknown:
		return p.BackupEligible
	default:
		return false
	}
}

// onPhone reports whether the credential was created or used on a phone or tablet.
func onPhone(c *account.Credential) bool {
	if ParseOS(c.CreatedOS).phone() {
		return true
	}
	return slices.ContainsFunc(c.UsedOn, func(os string) bool { return ParseOS(os).phone() })
}

// availability is the table of the reference: one row a class. Without a local authenticator that verifies the user, only a password manager that was
// seen here can still hold a local passkey; other rows fall to their remote column.
func (k *Knowledge) availability(p passkey, client *Client, hybrid bool) Availability {
	local, remote := k.row(p, client)
	if local != AvailabilityNot && !client.UVPA && (p.class != facts.ClassPasswordManager || client.PasswordManager != Yes) {
		local, remote = AvailabilityNot, true
	}
	switch {
	case local != AvailabilityNot:
		return local
	case remote && hybrid:
		return Remote
	default:
		return AvailabilityNot
	}
}

// row returns the likely or uncertain column if one applies, and whether the remote column does otherwise.
func (k *Knowledge) row(p passkey, client *Client) (local Availability, remote bool) {
	switch p.class {
	case facts.ClassApple:
		minimum := &k.Parameters.MinimumVersions
		if client.OS == VisionOS || (client.OS == IOS && atLeast(client.OSMajor, minimum.IOS)) ||
			(client.OS == MacOS && atLeast(client.OSMajor, minimum.MacOS)) {
			return Likely, false
		}
		return AvailabilityNot, client.Desktop
	case facts.ClassGoogle:
		return k.googleRow(client)
	case facts.ClassWindowsHello:
		if client.OS == Windows {
			return Uncertain, false
		}
		return AvailabilityNot, false
	case facts.ClassBrowserProfile:
		if client.OS == ParseOS(p.CreatedOS) && client.Browser == parseBrowser(p.CreatedBrowser) {
			return Uncertain, false
		}
		return AvailabilityNot, false
	case facts.ClassSamsung:
		switch {
		case client.OS == Android && client.Samsung == Yes:
			return Likely, false
		case client.OS == Android && client.Samsung == Unknown:
			return Uncertain, false
		}
		return AvailabilityNot, client.Desktop
	case facts.ClassPasswordManager:
		return k.managerRow(client), false
	default:
		if client.OS != "" && client.OS == ParseOS(p.CreatedOS) {
			return Uncertain, false
		}
		return AvailabilityNot, true
	}
}

// managerRow is none where the system does not serve passkeys of managers that it does not come with.
func (k *Knowledge) managerRow(client *Client) Availability {
	minimum := &k.Parameters.MinimumVersions
	old := (client.OS == IOS && !atLeast(client.OSMajor, minimum.ManagersIOS)) ||
		(client.OS == Android && !atLeast(client.OSMajor, minimum.ManagersAndroid))
	switch {
	case old || client.PasswordManager == No:
		return AvailabilityNot
	case client.PasswordManager == Yes:
		return Likely
	default:
		return Uncertain
	}
}

func (k *Knowledge) googleRow(client *Client) (local Availability, remote bool) {
	chrome := client.Browser == "chrome"
	switch {
	case client.OS == Android && atLeast(client.OSMajor, k.Parameters.MinimumVersions.Android) && (!client.Native || client.PlayServices != No):
		return Likely, false
	case client.OS == ChromeOS:
		return Likely, false
	case chrome && (client.Desktop || client.OS == IOS):
		return Uncertain, false
	default:
		return AvailabilityNot, client.Desktop
	}
}

// atLeast treats an unknown version as new enough.
func atLeast(version, minimum int) bool { return version == 0 || version >= minimum }
