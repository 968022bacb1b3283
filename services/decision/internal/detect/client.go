package detect

import (
	"strings"

	"github.com/mileusna/useragent"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Ternary is yes, no or unknown.
type Ternary int8

// The values of Ternary.
const (
	Unknown Ternary = iota
	No
	Yes
)

func ternary(b *bool) Ternary {
	switch {
	case b == nil:
		return Unknown
	case *b:
		return Yes
	default:
		return No
	}
}

func (t Ternary) word(yes, no string) string {
	switch t {
	case Yes:
		return yes
	case No:
		return no
	default:
		return "unknown"
	}
}

// Client is what the client is and can do.
type Client struct {
	OSName, OSVersion           string // as found, for records
	BrowserName, BrowserVersion string
	OS                          OS
	OSMajor                     int    // 0 = unknown
	Browser                     string // in lower case
	Native, Mobile, Desktop     bool
	PrivateMode, Webdriver      bool
	RestrictedBrowser           bool
	Samsung                     Ternary // whether the device is one of Samsung's

	WebAuthn, UVPA                  bool
	BLE, Hybrid                     Ternary
	ConditionalGet                  bool
	ConditionalCreate, ImmediateGet bool
	NoScreenLock                    bool
	PlayServices                    Ternary
	PasswordManager                 Ternary
	Listed                          facts.Listing
}

// MaxUserAgent is how much of a user agent is looked at, in bytes. True ones are shorter; a longer one only costs time.
const MaxUserAgent = 1024

// DetectClient reads what a client sent. It never fails: what cannot be told stays unknown.
func (k *Knowledge) DetectClient(info rest.ClientInformation, environment service.Environment) Client {
	info.UserAgent = info.UserAgent[:min(len(info.UserAgent), MaxUserAgent)]
	c := Client{
		Native:          is(info.IsNative) || (info.IsNative == nil && info.NativeMeta != nil),
		PrivateMode:     is(info.PrivateMode),
		Webdriver:       is(info.Webdriver),
		PasswordManager: ternary(info.PasswordManagerAvailable),
	}
	c.identify(info)
	k.support(&c, info)
	c.RestrictedBrowser = !c.Native && containsAny(info.UserAgent, k.Parameters.RestrictedBrowserTokens)
	c.Listed = k.listing(c, info, environment)
	return c
}

// identify finds operating system, browser and form factor. What an app says of its device wins over the caller's own parse, that over client hints, and
// those over the user agent.
func (c *Client) identify(info rest.ClientInformation) {
	hints, device := info.JavaScriptHighEntropy, info.ParsedDeviceInfo
	complete := device != nil && device.OSName != "" && device.BrowserName != ""
	if !complete {
		agent := useragent.Parse(info.UserAgent)
		c.OSName, c.OSVersion, c.BrowserName, c.BrowserVersion = agent.OS, agentVersion(agent), agent.Name, agent.Version
		c.Mobile = agent.Mobile || agent.Tablet
	} else {
		c.Mobile = containsAny(info.UserAgent, mobileTokens[:])
	}
	hinted := hints != nil && hints.Platform != ""
	if hints != nil {
		c.Mobile = hints.Mobile
	}
	if hinted {
		c.OSName, c.OSVersion = hints.Platform, hints.PlatformVersion
		if ParseOS(hints.Platform) == Windows {
			c.OSVersion = windowsFromHint(hints.PlatformVersion)
		}
	}
	if device != nil {
		c.parsed(*device, hinted, info.UserAgent)
	}
	if c.Native {
		c.identifyApp(info)
	}
	c.OS = ParseOS(c.OSName)
	if c.Browser = browserOfApps; !c.Native {
		c.Browser = parseBrowser(c.BrowserName)
	}
	if c.OS == MacOS && neverReleased(c.OSVersion) {
		c.OSVersion = ""
	}
	c.OSMajor = major(c.OSVersion)
	c.Mobile = c.Mobile || c.OS.phone()
	c.Desktop = c.OS.desktop() && !c.Mobile
	c.Samsung = samsung(c.OS, info)
}

// parsed takes the caller's own parse. A version in it that browsers freeze is a parse of the same user agent, and tells as little.
func (c *Client) parsed(device rest.ParsedDeviceInfo, hinted bool, userAgent string) {
	if device.BrowserName != "" {
		c.BrowserName, c.BrowserVersion = device.BrowserName, device.BrowserVersion
	}
	if device.OSName == "" {
		return
	}
	found, os := c.OSVersion, ParseOS(device.OSName)
	same := os == ParseOS(c.OSName)
	c.OSName, c.OSVersion = device.OSName, device.OSVersion
	if c.Native || !frozenParse(os, device.OSVersion, userAgent) {
		return
	}
	switch {
	case hinted && same:
		c.OSVersion = found
	case os == IOS:
		c.OSVersion = agentVersion(useragent.Parse(userAgent))
	default:
		c.OSVersion = ""
	}
}

// mobileTokens are what phones and tablets put into their user agents.
var mobileTokens = [...]string{"Mobi", "Tablet", "iPad"}

func parseBrowser(name string) string {
	switch name {
	case "Chrome":
		return "chrome"
	case "Safari":
		return "safari"
	case "Edge":
		return "edge"
	case "Firefox":
		return "firefox"
	}
	plain := strings.ToLower(name)
	switch plain {
	case "headless chrome", "chrome mobile", "chrome mobile ios", "google chrome", "crios":
		return "chrome"
	case "trident", "msie", "ie":
		return "internet explorer"
	case "mobile safari":
		return "safari"
	case "microsoft edge", "edge mobile":
		return "edge"
	case "firefox mobile", "firefox ios", "mozilla firefox":
		return "firefox"
	case "samsung internet", "samsungbrowser":
		return "samsung browser"
	}
	return plain
}

// samsung tells the maker of an Android device by what the app said, or by the model in the user agent, which newer browsers replace by K.
func samsung(os OS, info rest.ClientInformation) Ternary {
	if os != Android {
		return No
	}
	if meta := info.NativeMeta; meta != nil && meta.Brand != nil && *meta.Brand != "" {
		if strings.EqualFold(*meta.Brand, "samsung") {
			return Yes
		}
		return No
	}
	agent := info.UserAgent
	if containsAny(agent, []string{"SamsungBrowser", "SAMSUNG", "; SM-", "; GT-"}) {
		return Yes
	}
	_, rest, found := strings.Cut(agent, "Android ")
	if !found {
		return Unknown
	}
	inside, _, _ := strings.Cut(rest, ")")
	_, model, found := strings.Cut(inside, ";")
	switch model = strings.TrimSpace(model); {
	case !found, model == "", model == "K", model == "Mobile", strings.HasPrefix(model, "Mobile;"), strings.HasPrefix(model, "Tablet;"), strings.HasPrefix(model, "wv"):
		return Unknown
	}
	return No
}

func (k *Knowledge) support(c *Client, info rest.ClientInformation) {
	can := info.ClientCapabilities
	if can == nil {
		can = &rest.ClientCapabilities{}
	}
	uvpaa := is(info.UserVerifyingPlatformAuthenticatorAvailable) || is(info.IsUserVerifyingPlatformAuthenticatorAvailable) || is(info.CanUsePasskeys)
	conditional := is(info.ConditionalMediationAvailable) || is(info.IsConditionalMediationAvailable)

	c.WebAuthn = uvpaa || conditional || info.ClientCapabilities != nil
	c.UVPA = uvpaa || is(can.UserVerifyingPlatformAuthenticator)
	c.ConditionalGet = conditional || is(can.ConditionalMediation) || is(can.ConditionalGet)
	c.ConditionalCreate = is(can.ConditionalCreate)
	c.ImmediateGet = is(can.ImmediateGet)
	c.Hybrid = ternary(can.HybridTransport)
	c.BLE = ternary(info.BluetoothAvailable)
	if c.Native {
		k.supportApp(c, info, *can)
	}
}

func (k *Knowledge) listing(c Client, info rest.ClientInformation, environment service.Environment) facts.Listing {
	p := &k.Parameters
	switch {
	case c.Webdriver && !p.AllowWebdriver:
		return facts.ListedWebdriver
	case c.RestrictedBrowser:
		return facts.ListedRestrictedBrowser
	case !c.Native && blocked(p.BlockedBrowsers, c.BrowserName, c.Browser, c.BrowserVersion):
		return facts.ListedBrowser
	case blocked(p.BlockedOperatingSystems, c.OSName, string(c.OS), c.OSVersion):
		return facts.ListedOperatingSystem
	case k.blockedAddress(info.RemoteAddress):
		return facts.ListedAddress
	case c.Native && blockedApplication(p.BlockedApplications, c, info.NativeMeta):
		return facts.ListedApplication
	case environment.ID != "" && containsFold(p.BlockedEnvironments, string(environment.ID)):
		return facts.ListedEnvironment
	default:
		return facts.ListedNot
	}
}

func (k *Knowledge) blockedAddress(remote string) bool {
	if len(k.addresses) == 0 {
		return false
	}
	from, ok := address.Client(remote)
	if !ok {
		return false
	}
	for _, prefix := range k.addresses {
		if prefix.Contains(from) {
			return true
		}
	}
	return false
}

func blocked(list []Blocked, name, plain, version string) bool {
	for _, entry := range list {
		if !strings.EqualFold(entry.Name, name) && !strings.EqualFold(entry.Name, plain) {
			continue
		}
		if entry.Below == "" || (version != "" && compareVersions(version, entry.Below) < 0) {
			return true
		}
	}
	return false
}

func is(b *bool) bool    { return b != nil && *b }
func isNot(b *bool) bool { return b != nil && !*b }

func containsAny(s string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

func containsFold(list []string, s string) bool {
	for _, entry := range list {
		if strings.EqualFold(entry, s) {
			return true
		}
	}
	return false
}
