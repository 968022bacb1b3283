// Package recognition tells what a client is and can do, by what it sent, and whether a policy bundle bars it. What cannot be told stays
// unknown. It is pure; the tables and figures it needs come with the bundle.
package recognition

import (
	"strings"

	"github.com/keyward/keyward/api/rest"
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

// Word is the word for yes or for no, or unknown.
func (t Ternary) Word(yes, no string) string {
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

// Facts is what the client is, as policies see it.
func (c *Client) Facts() facts.Client {
	return facts.Client{
		OS: string(c.OS), OSVersion: c.OSMajor, Browser: c.Browser, Native: c.Native, Mobile: c.Mobile, Desktop: c.Desktop,
		PrivateMode: c.PrivateMode, Webdriver: c.Webdriver, Device: c.Device, Embedded: c.Embedded, InApp: c.InApp,
	}
}

// Support is what the client can do, as policies see it.
func (c *Client) Support() facts.Support {
	return facts.Support{
		WebAuthn:          c.WebAuthn,
		UVPA:              c.UVPA,
		BLE:               c.BLE.Word("on", "off"),
		ConditionalGet:    c.ConditionalGet,
		ConditionalCreate: c.ConditionalCreate,
		Hybrid:            c.Hybrid.Word("yes", "no"),
		ImmediateGet:      c.ImmediateGet,
	}
}

// MaxUserAgent is how much of a user agent is looked at, in bytes. True ones are shorter; a longer one only costs time.
const MaxUserAgent = 1024

// Recognise reads what a client sent. It never fails: what cannot be told stays unknown.
func (r *Rules) Recognise(info rest.ClientInformation, environment service.Environment) Client {
	info.UserAgent = info.UserAgent[:min(len(info.UserAgent), MaxUserAgent)]
	c := Client{
		Native:          is(info.IsNative) || (info.IsNative == nil && info.NativeMeta != nil),
		PrivateMode:     is(info.PrivateMode),
		Webdriver:       is(info.Webdriver),
		PasswordManager: ternary(info.PasswordManagerAvailable),
	}
	r.identify(&c, info)
	r.support(&c, info)
	c.RestrictedBrowser = !c.Native && ((c.InApp != "" && r.ownAgents) || agent.HasAny(info.UserAgent, r.bars.RestrictedBrowserTokens))
	c.Listed = r.listing(c, info, environment)
	return c
}

// identify finds operating system, browser and form factor. What an app says of its device wins over the caller's own parse, that over
// client hints, and those over the user agent.
func (r *Rules) identify(c *Client, info rest.ClientInformation) {
	hints, device := info.JavaScriptHighEntropy, info.ParsedDeviceInfo
	g := r.Agents.Read(info.UserAgent)
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
		if r.Agents.System(hints.Platform) == agent.Windows {
			c.OSVersion = agent.WindowsFromHint(hints.PlatformVersion)
		}
	}
	if device != nil {
		r.parsed(c, *device, hinted, &g)
	}
	if c.Native {
		c.Device = ""
		r.identifyApp(c, info)
	} else {
		c.Embedded, c.InApp = g.Embedded, g.InApp
	}
	if c.OSName != "" {
		c.OS = r.Agents.System(c.OSName)
	}
	if c.Browser = browserOfApps; !c.Native {
		r.nameBrowser(c, &g)
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
func (r *Rules) nameBrowser(c *Client, g *agent.Reading) {
	switch known := r.Agents.Browser(c.BrowserName); {
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

// parsed takes the caller's own parse. A version in it that browsers freeze is a parse of the same user agent, and tells as little.
func (r *Rules) parsed(c *Client, device rest.ParsedDeviceInfo, hinted bool, g *agent.Reading) {
	if device.BrowserName != "" {
		c.BrowserName, c.BrowserVersion = device.BrowserName, device.BrowserVersion
	}
	if device.OSName == "" {
		return
	}
	found, os := c.OSVersion, r.Agents.System(device.OSName)
	same := os == r.Agents.System(c.OSName)
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

func (r *Rules) support(c *Client, info rest.ClientInformation) {
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
		r.supportApp(c, info, *can)
	}
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
