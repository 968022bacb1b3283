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
	Origin                      Origin // of these
	Agent                       agent.Reading
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

// Dotted is a version as people write it: Apple's user agents have 18_1.
func Dotted(version string) string { return strings.ReplaceAll(version, "_", ".") }

// MaxUserAgent is how much of a user agent is looked at, in bytes. True ones are shorter; a longer one only costs time.
const MaxUserAgent = 1024

// Recognise reads what a client sent. It never fails: what cannot be told stays unknown.
func (r *Rules) Recognise(info rest.ClientInformation, environment service.Environment) Client {
	info.UserAgent = info.UserAgent[:min(len(info.UserAgent), MaxUserAgent)]
	c := r.identified(is(info.IsNative) || (info.IsNative == nil && info.NativeMeta != nil), &info)
	c.PrivateMode, c.Webdriver = is(info.PrivateMode), is(info.Webdriver)
	c.PasswordManager = ternary(info.PasswordManagerAvailable)
	r.support(&c, &info)
	c.RestrictedBrowser = !c.Native && ((c.InApp != "" && r.ownAgents) || agent.HasAny(info.UserAgent, r.bars.RestrictedBrowserTokens))
	c.Listed = r.listing(&c, &info, environment)
	return c
}

// said leaves out what says nothing: to name a thing Unknown is not to name it, and does not outweigh what others say of it.
func (r *Rules) said(info rest.ClientInformation) rest.ClientInformation {
	if hints := info.JavaScriptHighEntropy; hints != nil && r.idle(hints.Platform, hints.PlatformVersion) {
		other := *hints
		r.blank(&other.Platform, &other.PlatformVersion)
		info.JavaScriptHighEntropy = &other
	}
	if device := info.ParsedDeviceInfo; device != nil &&
		(r.idle(device.OSName, device.OSVersion) || r.idle(device.BrowserName, device.BrowserVersion)) {
		other := *device
		r.blank(&other.OSName, &other.OSVersion)
		r.blank(&other.BrowserName, &other.BrowserVersion)
		info.ParsedDeviceInfo = &other
	}
	if meta := info.NativeMeta; meta != nil && (r.idle(text(meta.Platform), text(meta.PlatformVersion)) || r.idle("", text(meta.Version))) {
		other, platform, version, own := *meta, text(meta.Platform), text(meta.PlatformVersion), text(meta.Version)
		r.blank(&platform, &version)
		if r.idle("", own) {
			own = ""
		}
		other.Platform, other.PlatformVersion, other.Version = &platform, &version, &own
		info.NativeMeta = &other
	}
	return info
}

// idle reports whether a name or a version is there and says nothing.
func (r *Rules) idle(name, version string) bool {
	return (name != "" && !r.Agents.Says(name)) || (version != "" && !r.Agents.TellsVersion(version))
}

// blank takes away what says nothing; a version without its name does not.
func (r *Rules) blank(name, version *string) {
	if !r.Agents.Says(*name) {
		*name, *version = "", ""
	}
	if r.idle("", *version) {
		*version = ""
	}
}

// identify finds operating system, browser and form factor. What an app says of its device wins over the caller's own parse, that over
// client hints, and those over the user agent.
func (r *Rules) identify(c *Client, info rest.ClientInformation) {
	hints, device := info.JavaScriptHighEntropy, info.ParsedDeviceInfo
	g := r.Agents.Read(info.UserAgent)
	c.Agent = g
	c.OSName, c.OSVersion, c.BrowserVersion, c.Device = g.OSName, r.Agents.SystemVersion(&g), g.BrowserVersion, g.Device
	if g.Browser != nil {
		c.BrowserName = g.Browser.Label
	}
	if g.OSName == "" {
		c.OS = g.OS // of a device or a browser that does not name it
	}
	c.Origin.System, c.Origin.Browser = FromAgent, FromAgent
	c.Origin.reads(g.OSVersion, c.OSVersion, g.OS == agent.IOS)
	if hinted(hints) {
		c.OSName, c.OSVersion = hints.Platform, hints.PlatformVersion
		if r.Agents.System(hints.Platform) == agent.Windows {
			c.OSVersion = r.Agents.WindowsFromHint(hints.PlatformVersion)
		}
		c.Origin.takes(FromHint, c.OSVersion)
	}
	if device != nil {
		r.parsed(c, *device, hinted(hints), &g)
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
	if r.Agents.NeverReleased(c.OS, c.OSVersion) {
		c.Origin.freezes(c.OSVersion, c.Origin.Version)
		c.OSVersion = ""
	}
	if c.OS != agent.OtherOS { // versions of systems that no table knows tell nothing
		c.OSMajor = agent.Major(c.OSVersion)
	}
	c.Device = r.formFactor(c, &g, hints)
	c.Mobile = c.Device == facts.DevicePhone || c.Device == facts.DeviceTablet
	c.Desktop = c.Device == facts.DeviceDesktop && c.OS.Desktop()
	c.Samsung = r.samsung(c.OS, info)
}

// formFactor is the class of device: what the user agent names, else what the system comes on. What asks for the site of a Mac and runs iOS
// is an iPad.
func (r *Rules) formFactor(c *Client, g *agent.Reading, hints *rest.JavaScriptHighEntropy) facts.Device {
	if c.Device != "" && (c.Device != facts.DeviceScript || c.OS == "") {
		return c.Device
	}
	mobile := g.Mobile || hints != nil && hints.Mobile // a hint that is left out says nothing
	switch {
	case c.OS == agent.VisionOS:
		return facts.DeviceHeadset
	case c.OS == agent.IOS && (g.Tablet || g.OS == agent.MacOS || r.Agents.DeviceOf(c.OSName) == facts.DeviceTablet):
		return facts.DeviceTablet
	case c.OS == agent.IOS:
		return facts.DevicePhone
	case c.OS == agent.Android && (c.Native || mobile || (hints == nil && !strings.Contains(g.Text, "Android"))):
		return facts.DevicePhone
	case c.OS == agent.Android, g.Tablet && c.OS != agent.MacOS:
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

// parsed takes the caller's own parse. A version in it that browsers freeze is a parse of the same user agent, and tells as little; the
// number of a distribution is not that of Linux.
func (r *Rules) parsed(c *Client, device rest.ParsedDeviceInfo, hinted bool, g *agent.Reading) {
	if device.BrowserName != "" {
		same := device.BrowserVersion == "" && r.Agents.BrowserWord(device.BrowserName) == r.Agents.BrowserWord(c.BrowserName)
		c.BrowserName, c.Origin.Browser = device.BrowserName, FromParse
		if !same { // what it leaves out others tell
			c.BrowserVersion = device.BrowserVersion
		}
	}
	if device.OSName == "" {
		return
	}
	found, os := c.OSVersion, r.Agents.System(device.OSName)
	if os == agent.MacOS && g.OS == agent.IOS && g.Disguised && !hinted {
		return // it takes an iPad that asks for the desktop site at its word
	}
	same, by := os == r.Agents.System(c.OSName), c.Origin.Version
	c.OSName, c.OSVersion = device.OSName, device.OSVersion
	switch os {
	case agent.Windows:
		c.OSVersion = r.Agents.WindowsOfBuild(device.OSVersion)
	case agent.Linux:
		c.OSVersion = ""
	}
	c.Origin.takes(FromParse, c.OSVersion)
	switch frozen := !c.Native && r.Agents.FrozenParse(g, os, device.OSVersion); {
	case c.OSVersion == "" && same: // what it leaves out others tell
		c.OSVersion, c.Origin.Version = found, by
	case frozen:
		c.Origin.freezes(device.OSVersion, FromParse)
		r.thaw(c, os, found, by, hinted && same, g)
	}
}

// thaw finds the version of a system whose parse is frozen: what a hint told, or on iOS what the user agent tells.
func (r *Rules) thaw(c *Client, os agent.OS, found string, by From, hinted bool, g *agent.Reading) {
	switch {
	case hinted:
		c.OSVersion, c.Origin.Version = found, by
	case os == agent.IOS:
		said := c.OSVersion
		if c.OSVersion = r.Agents.SystemVersion(g); c.OSVersion != "" && agent.Major(c.OSVersion) == agent.Major(said) {
			c.Origin.freezes("", "") // it was true
			return
		}
		c.Origin.reads(g.OSVersion, c.OSVersion, true)
	default:
		c.OSVersion = ""
	}
}

// samsung tells the maker of an Android device by what the app said, or by the model in the user agent, which newer browsers replace by K.
func (r *Rules) samsung(os agent.OS, info rest.ClientInformation) Ternary {
	if os != agent.Android {
		return No
	}
	var yes, told bool
	if meta := info.NativeMeta; meta != nil && text(meta.Brand) != "" {
		yes, told = r.Agents.Made(*meta.Brand), true
	} else {
		yes, told = r.Agents.IsSamsung(info.UserAgent)
	}
	switch {
	case yes:
		return Yes
	case told:
		return No
	default:
		return Unknown
	}
}

func (r *Rules) support(c *Client, info *rest.ClientInformation) {
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
		r.supportApp(c, info, can)
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
