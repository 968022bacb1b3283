// Package agent reads what user agents, client hints and parses call browsers, systems and devices, by the tables of a policy bundle. It
// knows which versions browsers freeze. It is pure.
package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Tables are the names of browsers, systems, in-app browsers, crawlers and devices: data.keyward.agents of a bundle. What no table knows is
// the word other in facts.
type Tables struct {
	Systems  map[string]string `json:"systems"`  // fact by the beginning of a name, in lower case without spaces
	Browsers []Browser         `json:"browsers"` // the first whose token is in the user agent is the browser
	InApp    []Tokens          `json:"inApp"`    // browsers within apps for something else
	Bots     []string          `json:"bots"`     // parts of the user agents of declared crawlers, in lower case
	Devices  []Device          `json:"devices"`  // the first whose token is in the user agent is the device

	beginnings []string            // of Systems, the longest first
	browsers   map[string]*Browser // by every name in lower case without spaces
}

// Browser is how a browser is told.
type Browser struct {
	Name     string   `json:"name"`            // as facts have it
	Label    string   `json:"label"`           // as records have it
	Tokens   []string `json:"tokens"`          // in user agents, before the version
	Version  string   `json:"version"`         // the token before the version, which has to be there too; empty = the one that was found
	Names    []string `json:"names,omitempty"` // other names, in lower case without spaces
	Chromium bool     `json:"chromium,omitempty"`
}

// Tokens are the parts of user agents by which something is told.
type Tokens struct {
	Name   string   `json:"name"`
	Tokens []string `json:"tokens"`
}

// Device is how a class of devices is told.
type Device struct {
	Class  facts.Device `json:"class"`
	Tokens []string     `json:"tokens"`
	System string       `json:"system,omitempty"` // what it runs, whatever the user agent says
}

// Prepare makes the tables ready to be asked. The error is a *document.MisfitError.
func (a *Tables) Prepare() error {
	for beginning := range a.Systems {
		a.beginnings = append(a.beginnings, beginning)
	}
	slices.SortFunc(a.beginnings, func(x, y string) int { return cmp.Or(len(y)-len(x), strings.Compare(x, y)) })
	a.browsers = make(map[string]*Browser, len(a.Browsers))
	for i := range a.Browsers {
		b := &a.Browsers[i]
		if b.Name == "" || len(b.Tokens) == 0 {
			return misfit("browsers", "browser %d needs a name and a token", i)
		}
		for _, name := range append([]string{PlainName(b.Name), PlainName(b.Label)}, b.Names...) {
			if name != "" {
				a.browsers[name] = b
			}
		}
	}
	for _, d := range a.Devices {
		if !d.Class.Known() {
			return misfit("devices", "there is no device class %q; there are %s", d.Class, facts.KnownDevices())
		}
	}
	return nil
}

func misfit(table, form string, values ...any) error {
	return &document.MisfitError{Keys: []string{"keyward", "agents", table}, Message: fmt.Sprintf(form, values...)}
}

// PlainName is a name as the tables are asked for it.
func PlainName(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(name), ""))
}

// System returns the operating system of a name in any of the usual spellings: what its beginning says.
func (a *Tables) System(name string) OS {
	// Most come in these spellings, and bringing others into one form costs allocations.
	switch name {
	case "":
		return ""
	case "iOS", "iPadOS":
		return IOS
	case "macOS":
		return MacOS
	case "Android":
		return Android
	case "Windows":
		return Windows
	}
	plain := PlainName(name)
	if plain == "" {
		return ""
	}
	for _, beginning := range a.beginnings {
		if strings.HasPrefix(plain, beginning) {
			return OS(a.Systems[beginning])
		}
	}
	return OtherOS
}

// Browser returns the browser of a name in any of the usual spellings, nil if no table knows it.
func (a *Tables) Browser(name string) *Browser {
	if known, ok := a.browsers[name]; ok {
		return known
	}
	return a.browsers[PlainName(name)]
}

// BrowserWord is how facts name a browser: other is one that no table knows.
func (a *Tables) BrowserWord(name string) string {
	switch known := a.Browser(name); {
	case name == "":
		return ""
	case known == nil:
		return Other
	default:
		return known.Name
	}
}

// Reading is a user agent as the tables read it.
type Reading struct {
	Text           string
	OSName         string // as records have it
	OSVersion      string // as it is written, frozen or not
	OS             OS
	Browser        *Browser
	BrowserVersion string
	Device         facts.Device
	InApp          string
	Embedded       bool
	Mobile, Tablet bool
}

// Other stands in facts for what no table knows.
const Other = "other"

// Read takes a user agent apart.
func (a *Tables) Read(text string) Reading {
	g := Reading{Text: text}
	if text == "" {
		return g
	}
	g.Device = a.deviceClass(text)
	if g.Device == facts.DeviceScript {
		return g
	}
	g.OSName, g.OS, g.OSVersion = systemOf(text)
	for i := range a.Devices {
		if d := &a.Devices[i]; d.Class == g.Device && d.System != "" && HasAny(text, d.Tokens) {
			g.OSName, g.OS, g.OSVersion = "", OS(d.System), ""
		}
	}
	g.readBrowser(a)
	if g.OS == "" && (g.Device != "" || g.Browser != nil) && g.Device != facts.DeviceBot {
		g.OS = OtherOS // what runs it is none that the tables know
	}
	for i := range a.InApp {
		if HasAny(text, a.InApp[i].Tokens) {
			g.InApp = a.InApp[i].Name
			break
		}
	}
	webKit := strings.Contains(text, "AppleWebKit")
	g.Embedded = (g.OS == IOS && webKit && !strings.Contains(text, "Safari/")) || (g.OS == Android && strings.Contains(text, "; wv)"))
	g.Tablet = strings.Contains(text, "iPad") || strings.Contains(text, "Tablet") || (g.OS == IOS && strings.Contains(text, "Macintosh"))
	g.Mobile = strings.Contains(text, "Mobi") || strings.Contains(text, "Phone")
	return g
}

func (a *Tables) deviceClass(text string) facts.Device {
	lower := strings.ToLower(text)
	if HasAny(lower, a.Bots) {
		return facts.DeviceBot
	}
	for i := range a.Devices {
		d := &a.Devices[i]
		if d.Class == facts.DeviceScript && strings.Contains(text, "Mozilla/") {
			continue
		}
		if HasAny(text, d.Tokens) {
			return d.Class
		}
	}
	return ""
}

func (g *Reading) readBrowser(a *Tables) {
	for i := range a.Browsers {
		b := &a.Browsers[i]
		for _, token := range b.Tokens {
			at := strings.Index(g.Text, token)
			if at < 0 {
				continue
			}
			if b.Version != "" {
				if token = b.Version; !strings.Contains(g.Text, token) {
					continue
				}
				at = strings.Index(g.Text, token)
			}
			g.Browser, g.BrowserVersion = b, numbers(g.Text[at+len(token):])
			return
		}
	}
}

// systemTokens are where user agents name their system, in order of precedence, and what stands before the version.
var systemTokens = [...]struct {
	token, name string
	os          OS
	version     string
}{
	{"Windows Phone", "Windows Phone", OtherOS, "Windows Phone "},
	{"Windows", "Windows", Windows, "Windows NT "},
	{"OpenHarmony", "HarmonyOS", HarmonyOS, "OpenHarmony "},
	{"HarmonyOS", "HarmonyOS", HarmonyOS, "HarmonyOS "},
	{"iPhone", "iOS", IOS, " OS "},
	{"iPad", "iOS", IOS, " OS "},
	{"iPod", "iOS", IOS, " OS "},
	{"Android", "Android", Android, "Android "},
	{"CrOS", "ChromeOS", ChromeOS, ""},
	{"BSD", "BSD", OtherOS, ""},
	{"SunOS", "Solaris", OtherOS, ""},
	{"Macintosh", "macOS", MacOS, "Mac OS X "},
	{"Linux", "Linux", Linux, ""},
	{"X11", "Linux", Linux, ""},
}

// systemOf finds the system that a user agent names. Safari and others on an iPad that asks for the desktop site say Macintosh; those that
// name themselves are told by that.
func systemOf(text string) (name string, os OS, version string) {
	for i := range systemTokens {
		s := &systemTokens[i]
		if !strings.Contains(text, s.token) {
			continue
		}
		if s.os == MacOS && HasAny(text, iPadTokens[:]) {
			return "iOS", IOS, ""
		}
		if s.version != "" {
			if _, after, found := strings.Cut(text, s.version); found {
				version = numbers(after)
			}
		}
		return s.name, s.os, version
	}
	return "", "", ""
}

// iPadTokens are in no user agent of a Mac.
var iPadTokens = [...]string{"CriOS", "FxiOS", "EdgiOS", "Mobile/"}

// numbers returns the version that a text begins with.
func numbers(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '_' })
	if end < 0 {
		end = len(text)
	}
	return text[:end]
}

// HasAny reports whether a text has one of the parts.
func HasAny(text string, parts []string) bool {
	for _, part := range parts {
		if strings.Contains(text, part) {
			return true
		}
	}
	return false
}
