package detect

import (
	"slices"
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/address"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/agent"
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
	OS                          agent.OS
	OSMajor                     int    // 0 = unknown
	Browser                     string // as facts name it
	Chromium                    Ternary
	Device                      facts.Device
	Embedded                    bool   // in a web view of an app
	InApp                       string // which browser within an app
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
	k.identify(&c, info)
	k.support(&c, info)
	c.RestrictedBrowser = !c.Native && ((c.InApp != "" && k.ownAgents) || agent.HasAny(info.UserAgent, k.Parameters.RestrictedBrowserTokens))
	c.Listed = k.listing(c, info, environment)
	return c
}

// identify finds operating system, browser and form factor. What an app says of its device wins over the caller's own parse, that over
// client hints, and those over the user agent.
func (k *Knowledge) identify(c *Client, info rest.ClientInformation) {
	hints, device := info.JavaScriptHighEntropy, info.ParsedDeviceInfo
	g := k.Agents.Read(info.UserAgent)
	c.OSName, c.OSVersion, c.BrowserVersion, c.Device = g.OSName, g.SystemVersion(), g.BrowserVersion, g.Device
	if g.Browser != nil {
		c.BrowserName = g.Browser.Label
	}
	if g.OSName == "" {
		c.OS = g.OS // of a device or a browser that does not name it
	}
	hinted := hints != nil && hints.Platform != ""
	if hinted {
		c.OSName, c.OSVersion = hints.Platform, hints.PlatformVersion
		if k.Agents.System(hints.Platform) == agent.Windows {
			c.OSVersion = agent.WindowsFromHint(hints.PlatformVersion)
		}
	}
	if device != nil {
		k.parsed(c, *device, hinted, &g)
	}
	if c.Native {
		c.Device = ""
		k.identifyApp(c, info)
	} else {
		c.Embedded, c.InApp = g.Embedded, g.InApp
	}
	if c.OSName != "" {
		c.OS = k.Agents.System(c.OSName)
	}
	if c.Browser = browserOfApps; !c.Native {
		k.nameBrowser(c, &g)
	}
	if c.OS == agent.MacOS && agent.NeverReleased(c.OSVersion) {
		c.OSVersion = ""
	}
	if c.OS != agent.OtherOS { // versions of systems that no table knows tell nothing
		c.OSMajor = agent.Major(c.OSVersion)
	}
	c.Device = formFactor(c, &g, hints)
	c.Mobile = c.Device == facts.DevicePhone || c.Device == facts.DeviceTablet
	c.Desktop = c.Device == facts.DeviceDesktop && c.OS.Desktop()
	c.Samsung = samsung(c.OS, info)
}

// formFactor is the class of device: what the user agent names, else what the system comes on.
func formFactor(c *Client, g *agent.Reading, hints *rest.JavaScriptHighEntropy) facts.Device {
	if c.Device != "" && (c.Device != facts.DeviceScript || c.OS == "") {
		return c.Device
	}
	mobile := g.Mobile
	if hints != nil {
		mobile = hints.Mobile
	}
	switch {
	case c.OS == agent.VisionOS:
		return facts.DeviceHeadset
	case c.OS == agent.IOS && g.Tablet:
		return facts.DeviceTablet
	case c.OS == agent.IOS:
		return facts.DevicePhone
	case c.OS == agent.Android && (c.Native || mobile || (hints == nil && !strings.Contains(g.Text, "Android"))):
		return facts.DevicePhone
	case c.OS == agent.Android, g.Tablet:
		return facts.DeviceTablet
	case mobile:
		return facts.DevicePhone
	case c.OS.Desktop():
		return facts.DeviceDesktop
	default:
		return facts.DeviceUnknown
	}
}

// nameBrowser finds the browser's name for facts: other is what no table knows, of a client that said what it is.
func (k *Knowledge) nameBrowser(c *Client, g *agent.Reading) {
	switch known := k.Agents.Browser(c.BrowserName); {
	case c.BrowserName != "" && known != nil:
		c.Browser = known.Name
		c.Chromium = No
		if known.Chromium || (known.Name == agent.Other && strings.Contains(g.Text, "Chrome/")) {
			c.Chromium = Yes
		}
	case c.BrowserName != "":
		c.Browser = agent.Other
	case c.OS != "" && g.Device != facts.DeviceScript && g.Text != "":
		c.Browser = agent.Other
	default:
		c.Browser = ""
	}
}

// browserWord is how facts name a browser.
func (k *Knowledge) browserWord(name string) string {
	switch known := k.Agents.Browser(name); {
	case name == "":
		return ""
	case known == nil:
		return agent.Other
	default:
		return known.Name
	}
}

// parsed takes the caller's own parse. A version in it that browsers freeze is a parse of the same user agent, and tells as little.
func (k *Knowledge) parsed(c *Client, device rest.ParsedDeviceInfo, hinted bool, g *agent.Reading) {
	if device.BrowserName != "" {
		c.BrowserName, c.BrowserVersion = device.BrowserName, device.BrowserVersion
	}
	if device.OSName == "" {
		return
	}
	found, os := c.OSVersion, k.Agents.System(device.OSName)
	same := os == k.Agents.System(c.OSName)
	c.OSName, c.OSVersion = device.OSName, device.OSVersion
	if os == agent.Windows {
		c.OSVersion = agent.WindowsOfBuild(device.OSVersion)
	}
	if c.Native || !g.FrozenParse(os, device.OSVersion) {
		return
	}
	switch {
	case hinted && same:
		c.OSVersion = found
	case os == agent.IOS:
		c.OSVersion = g.SystemVersion()
	default:
		c.OSVersion = ""
	}
}

// samsung tells the maker of an Android device by what the app said, or by the model in the user agent, which newer browsers replace by K.
func samsung(os agent.OS, info rest.ClientInformation) Ternary {
	if os != agent.Android {
		return No
	}
	if meta := info.NativeMeta; meta != nil && meta.Brand != nil && *meta.Brand != "" {
		if strings.EqualFold(*meta.Brand, "samsung") {
			return Yes
		}
		return No
	}
	text := info.UserAgent
	if agent.HasAny(text, []string{"SAMSUNG", "; SM-", "; GT-"}) {
		return Yes
	}
	_, rest, found := strings.Cut(text, "Android ")
	if !found {
		return Unknown
	}
	inside, _, _ := strings.Cut(rest, ")")
	_, model, found := strings.Cut(inside, ";")
	switch model = strings.TrimSpace(model); {
	case !found,
		model == "",
		model == "K",
		model == "Mobile",
		strings.HasPrefix(model, "Mobile;"),
		strings.HasPrefix(model, "Tablet;"),
		strings.HasPrefix(model, "wv"):
		return Unknown
	}
	return No
}

func (k *Knowledge) support(c *Client, info rest.ClientInformation) {
	can := info.ClientCapabilities
	if can == nil {
		can = &rest.ClientCapabilities{}
	}
	uvpaa := is(info.UserVerifyingPlatformAuthenticatorAvailable) || is(info.IsUserVerifyingPlatformAuthenticatorAvailable) ||
		is(info.CanUsePasskeys)
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

// listing finds what bars the client: the first that is hard, or else the first that is soft.
func (k *Knowledge) listing(c Client, info rest.ClientInformation, environment service.Environment) facts.Listing {
	p := &k.Parameters
	automatic := c.Device == facts.DeviceBot || c.Device == facts.DeviceHeadless
	soft := facts.ListedNot
	for _, one := range [...]struct {
		listed facts.Listing
		bars   bool
	}{
		{facts.ListedWebdriver, c.Webdriver && !p.AllowWebdriver},
		{facts.ListedBot, automatic && !c.Native && !p.AllowWebdriver},
		{facts.ListedAddress, k.blockedAddress(info.RemoteAddress)},
		{facts.ListedEnvironment, environment.ID != "" && containsFold(p.BlockedEnvironments, string(environment.ID))},
		{facts.ListedApplication, c.Native && blockedApplication(p.BlockedApplications, c, info.NativeMeta)},
		{facts.ListedOperatingSystem, k.blockedSystem(&c)},
		{facts.ListedBrowser, !c.Native && k.blockedBrowser(&c)},
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

func (k *Knowledge) blockedSystem(c *Client) bool {
	return slices.ContainsFunc(k.Parameters.BlockedOperatingSystems, func(b Blocked) bool { return k.barsSystem(b, c) })
}

func (k *Knowledge) barsSystem(b Blocked, c *Client) bool {
	os := k.Agents.System(b.Name)
	return b.bars(c.OSVersion, strings.EqualFold(b.Name, c.OSName) || (os == c.OS && os != agent.OtherOS))
}

func (k *Knowledge) blockedBrowser(c *Client) bool {
	return slices.ContainsFunc(k.Parameters.BlockedBrowsers, func(b Blocked) bool { return k.barsBrowser(b, c) })
}

func (k *Knowledge) barsBrowser(b Blocked, c *Client) bool {
	name := k.browserWord(b.Name)
	return b.bars(c.BrowserVersion, strings.EqualFold(b.Name, c.BrowserName) || (name == c.Browser && name != agent.Other))
}

// bars reports whether an entry that names the client bars its version. One that is unknown is below nothing.
func (b Blocked) bars(version string, named bool) bool {
	return named && (b.Below == "" || (version != "" && agent.CompareVersions(version, b.Below) < 0))
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

func is(b *bool) bool    { return b != nil && *b }
func isNot(b *bool) bool { return b != nil && !*b }

func containsFold(list []string, s string) bool {
	for _, entry := range list {
		if strings.EqualFold(entry, s) {
			return true
		}
	}
	return false
}
