package detect

import (
	"net/netip"
	"strconv"
	"strings"

	"github.com/mileusna/useragent"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// OS is an operating system as facts name it: one of the constants, or another name in lower case. Empty means unknown.
type OS string

// The operating systems that rules tell apart. iPadOS counts as iOS.
const (
	Windows  OS = "windows"
	MacOS    OS = "macos"
	IOS      OS = "ios"
	Android  OS = "android"
	ChromeOS OS = "chromeos"
	Linux    OS = "linux"
)

// ParseOS reads the name of an operating system in any of the usual spellings.
func ParseOS(name string) OS {
	// Most come in these spellings, and bringing others into one form costs allocations.
	switch name {
	case "iOS", "iPadOS":
		return IOS
	case "macOS":
		return MacOS
	case "Android":
		return Android
	case "Windows", "Windows 10", "Windows 11":
		return Windows
	case "":
		return ""
	}
	plain := strings.ToLower(strings.Join(strings.Fields(name), ""))
	switch plain {
	case "ios", "ipados", "iphoneos", "iphone", "ipad":
		return IOS
	case "macos", "macosx", "osx", "mac", "macintosh", "darwin":
		return MacOS
	case "android":
		return Android
	case "chromeos", "cros", "chromiumos":
		return ChromeOS
	case "linux", "gnu/linux", "ubuntu", "debian", "fedora":
		return Linux
	}
	if strings.HasPrefix(plain, "windows") && !strings.HasPrefix(plain, "windowsphone") {
		return Windows
	}
	return OS(plain)
}

func (o OS) desktop() bool { return o == Windows || o == MacOS || o == Linux || o == ChromeOS }
func (o OS) phone() bool   { return o == IOS || o == Android }
func (o OS) apple() bool   { return o == MacOS || o == IOS }

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

// maxUserAgent is how much of a user agent is looked at, in bytes. True ones are shorter; a longer one only costs time.
const maxUserAgent = 1024

// DetectClient reads what a client sent. It never fails: what cannot be told stays unknown.
func (k *Knowledge) DetectClient(info rest.ClientInformation, environment service.Environment) Client {
	info.UserAgent = info.UserAgent[:min(len(info.UserAgent), maxUserAgent)]
	c := Client{
		Native:          is(info.IsNative) || (info.IsNative == nil && info.NativeMeta != nil),
		PrivateMode:     is(info.PrivateMode),
		Webdriver:       is(info.Webdriver),
		PasswordManager: ternary(info.PasswordManagerAvailable),
	}
	c.identify(info)
	c.support(info)
	c.RestrictedBrowser = !c.Native && containsAny(info.UserAgent, k.Parameters.RestrictedBrowserTokens)
	c.Listed = k.listing(c, info.RemoteAddress, environment)
	return c
}

// identify finds operating system, browser and form factor. The caller's own parse wins over client hints, and those over the user agent.
func (c *Client) identify(info rest.ClientInformation) {
	hints, device := info.JavaScriptHighEntropy, info.ParsedDeviceInfo
	complete := device != nil && device.OSName != "" && device.BrowserName != ""
	if !complete {
		agent := useragent.Parse(info.UserAgent)
		c.OSName, c.OSVersion, c.BrowserName, c.BrowserVersion = agent.OS, agent.OSVersion, agent.Name, agent.Version
		c.Mobile = agent.Mobile || agent.Tablet
		if c.OSName == useragent.Windows {
			c.OSVersion = windowsVersion(c.OSVersion)
		}
	} else {
		c.Mobile = containsAny(info.UserAgent, mobileTokens[:])
	}
	if hints != nil {
		c.Mobile = hints.Mobile
		if hints.Platform != "" {
			c.OSName, c.OSVersion = hints.Platform, hints.PlatformVersion
			if ParseOS(hints.Platform) == Windows {
				c.OSVersion = windowsFromHint(hints.PlatformVersion)
			}
		}
	}
	if device != nil {
		if device.OSName != "" {
			c.OSName, c.OSVersion = device.OSName, device.OSVersion
		}
		if device.BrowserName != "" {
			c.BrowserName, c.BrowserVersion = device.BrowserName, device.BrowserVersion
		}
	}
	c.OS, c.Browser = ParseOS(c.OSName), parseBrowser(c.BrowserName)
	c.OSMajor = major(c.OSVersion)
	if c.OS == MacOS && frozen(c.OSVersion) {
		c.OSMajor = 0
	}
	c.Mobile = c.Mobile || c.OS.phone()
	c.Desktop = c.OS.desktop() && !c.Mobile
	c.Samsung = samsung(c.OS, info)
}

// mobileTokens are what phones and tablets put into their user agents.
var mobileTokens = [...]string{"Mobi", "Tablet", "iPad"}

// frozen reports whether a macOS version is the one that browsers put into every user agent: 10_15_7, in Firefox 10.15.
func frozen(version string) bool {
	plain := strings.ReplaceAll(version, "_", ".")
	return plain == "10.15.7" || plain == "10.15"
}

// windowsFromHint reads platformVersion of the user-agent client hints: 13 and above is Windows 11.
func windowsFromHint(version string) string {
	const first11 = 13
	switch n := major(version); {
	case n >= first11:
		return "11"
	case n > 0:
		return "10"
	default:
		return ""
	}
}

// windowsVersion translates the NT version of a user agent. Windows 11 calls itself NT 10.0 too.
func windowsVersion(nt string) string {
	switch nt {
	case "6.1":
		return "7"
	case "6.2":
		return "8"
	case "6.3":
		return "8.1"
	case "10.0":
		return "10"
	default:
		return nt
	}
}

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

func (c *Client) support(info rest.ClientInformation) {
	can := info.ClientCapabilities
	if can == nil {
		can = &rest.ClientCapabilities{}
	}
	uvpaa := is(info.UserVerifyingPlatformAuthenticatorAvailable) || is(info.IsUserVerifyingPlatformAuthenticatorAvailable) || is(info.CanUsePasskeys)
	conditional := is(info.ConditionalMediationAvailable) || is(info.IsConditionalMediationAvailable)
	meta := info.NativeMeta
	nativeAPI := meta != nil && is(meta.IsPlatformAuthenticatorAPISupported)

	c.WebAuthn = uvpaa || conditional || info.ClientCapabilities != nil || nativeAPI
	c.UVPA = uvpaa || is(can.UserVerifyingPlatformAuthenticator)
	c.ConditionalGet = conditional || is(can.ConditionalMediation) || is(can.ConditionalGet)
	c.ConditionalCreate = is(can.ConditionalCreate)
	c.ImmediateGet = is(can.ImmediateGet)
	c.Hybrid = ternary(can.HybridTransport)
	c.BLE = ternary(info.BluetoothAvailable)
	if !c.Native || meta == nil {
		return
	}
	c.NoScreenLock = isNot(meta.DeviceSecure) || (meta.DeviceOwnerAuth != nil && *meta.DeviceOwnerAuth == "none")
	c.UVPA = nativeAPI && !c.NoScreenLock
	c.PlayServices = ternary(meta.GooglePlayServices)
	switch {
	case isNot(meta.IsBluetoothAvailable), isNot(meta.IsBluetoothOn):
		c.BLE = No
	case c.BLE == Unknown && is(meta.IsBluetoothAvailable) && is(meta.IsBluetoothOn):
		c.BLE = Yes
	}
}

func (k *Knowledge) listing(c Client, address string, environment service.Environment) facts.Listing {
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
	case k.blockedAddress(address):
		return facts.ListedAddress
	case c.Native && containsFold(p.BlockedApplications, c.BrowserName):
		return facts.ListedApplication
	case environment.ID != "" && containsFold(p.BlockedEnvironments, string(environment.ID)):
		return facts.ListedEnvironment
	default:
		return facts.ListedNot
	}
}

func (k *Knowledge) blockedAddress(s string) bool {
	if len(k.addresses) == 0 {
		return false
	}
	address, err := netip.ParseAddr(s)
	if err != nil {
		return false
	}
	address = address.Unmap().WithZone("")
	for _, prefix := range k.addresses {
		if prefix.Contains(address) {
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

// compareVersions compares dotted numbers; what is not a number counts as 0.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if m, n := number(x), number(y); m != n {
			return m - n
		}
	}
	return 0
}

func major(version string) int {
	first, _, _ := strings.Cut(strings.ReplaceAll(version, "_", "."), ".")
	return number(first)
}

// number reads a number of at most nine digits; anything else is 0.
func number(s string) int {
	const maxDigits = 9
	s = strings.TrimSpace(s)
	if len(s) > maxDigits {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
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
