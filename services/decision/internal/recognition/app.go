package recognition

import (
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/internal/agent"
)

// browserOfApps stands where a browser would. Which app it is is free text, which facts do not hold.
const browserOfApps = "app"

// ownerNone is what an app says of a device without a lock.
const ownerNone = "none"

// identifyApp takes what an app says of the system and of itself.
func (r *Rules) identifyApp(c *Client, info rest.ClientInformation) {
	meta, device := info.NativeMeta, info.ParsedDeviceInfo
	if meta == nil {
		meta = &rest.NativeMeta{}
	}
	switch {
	case text(meta.Platform) != "":
		c.OSName, c.OSVersion = *meta.Platform, text(meta.PlatformVersion)
		if r.Agents.System(c.OSName) == agent.Windows {
			c.OSVersion = r.Agents.WindowsOfBuild(c.OSVersion)
		}
		c.Device = r.Agents.DeviceOf(c.OSName)
		c.Origin.takes(FromApp, c.OSVersion)
	case hinted(info.JavaScriptHighEntropy), strings.HasPrefix(info.UserAgent, "Mozilla/"): // a web view, told as browsers are
	case device == nil || device.OSName == "":
		if name, version := r.Agents.AppSystem(info.UserAgent); name != "" {
			c.OSName, c.OSVersion, c.Device = name, version, r.Agents.DeviceOf(name)
			c.Origin.takes(FromAgent, c.OSVersion)
		}
	}
	if device == nil || device.BrowserName == "" {
		if name := text(meta.Name); name != "" {
			c.BrowserName, c.BrowserVersion, c.Origin.Browser = name, text(meta.Version), FromApp
		}
	}
}

// hinted reports whether client hints name the system.
func hinted(hints *rest.JavaScriptHighEntropy) bool { return hints != nil && hints.Platform != "" }

// supportApp finds what an app can do. Apps state neither capabilities nor an authenticator that verifies its user: both come with the
// system. What is absent is unknown and never no.
func (r *Rules) supportApp(c *Client, info *rest.ClientInformation, can *rest.ClientCapabilities) {
	meta := info.NativeMeta
	if meta == nil {
		meta = &rest.NativeMeta{}
	}
	c.PlayServices = ternary(either(meta.GooglePlayServices, meta.IsGooglePlayServices))
	c.NoScreenLock = noScreenLock(c.OS, meta)
	switch stated := meta.IsPlatformAuthenticatorAPISupported; {
	case stated != nil:
		c.WebAuthn = *stated
	case !c.WebAuthn:
		c.WebAuthn = r.systemHasPasskeys(c)
	}
	// A silent creation is never guessed by the system: an app says that it can.
	if stated := meta.IsConditionalCreateSupported; stated != nil {
		c.ConditionalCreate = *stated
	}
	denied := isNot(info.UserVerifyingPlatformAuthenticatorAvailable) || isNot(info.IsUserVerifyingPlatformAuthenticatorAvailable) ||
		isNot(can.UserVerifyingPlatformAuthenticator)
	// Without meta data it is Flutter's word for biometrics; a passcode verifies a user as well.
	denied = denied && info.NativeMeta != nil
	c.UVPA = c.WebAuthn && !denied && !c.NoScreenLock

	unsaid := info.ConditionalMediationAvailable == nil && info.IsConditionalMediationAvailable == nil &&
		can.ConditionalMediation == nil && can.ConditionalGet == nil
	if unsaid {
		c.ConditionalGet = c.WebAuthn && r.systemFillsIn(c)
	}
	switch {
	case isNot(meta.IsBluetoothAvailable), isNot(meta.IsBluetoothOn):
		c.BLE = No
	case c.BLE == Unknown && is(meta.IsBluetoothAvailable) && is(meta.IsBluetoothOn):
		c.BLE = Yes
	}
}

// noScreenLock reports whether nothing on the device verifies its owner. Apple's systems never say none: they answer an error instead of a
// way.
func noScreenLock(os agent.OS, meta *rest.NativeMeta) bool {
	if isNot(either(meta.DeviceSecure, meta.IsDeviceSecure)) || text(meta.DeviceOwnerAuth) == ownerNone {
		return true
	}
	return os.Apple() && meta.DeviceOwnerAuth == nil && meta.Error != nil
}

// systemHasPasskeys reports whether the system of an app has passkeys. A version that is unknown is new enough.
func (r *Rules) systemHasPasskeys(c *Client) bool {
	minimum := &r.minimum
	switch c.OS {
	case agent.IOS:
		return agent.AtLeast(c.OSMajor, minimum.IOS)
	case agent.MacOS:
		return agent.AtLeast(c.OSMajor, minimum.MacOS)
	case agent.VisionOS:
		return true
	case agent.Android:
		return agent.AtLeast(c.OSMajor, minimum.Android) && c.PlayServices != No
	default:
		return false
	}
}

// systemFillsIn reports whether the system offers passkeys in the fields of apps. On Android it takes the Credential Manager that serves
// other managers too.
func (r *Rules) systemFillsIn(c *Client) bool {
	switch c.OS {
	case agent.IOS, agent.VisionOS:
		return true
	case agent.Android:
		return agent.AtLeast(c.OSMajor, r.minimum.ManagersAndroid)
	default:
		return false
	}
}

// blockedApplication reports whether an app is barred, under any of its names.
func blockedApplication(list []string, c *Client, meta *rest.NativeMeta) bool {
	if containsFold(list, c.BrowserName) {
		return true
	}
	return meta != nil && (containsFold(list, text(meta.Name)) || containsFold(list, text(meta.DisplayName)))
}

// either returns the one of a member's two spellings that was said. If both were, the doubt counts.
func either(a, b *bool) *bool {
	if a == nil || isNot(b) {
		return b
	}
	return a
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
