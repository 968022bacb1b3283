package detect

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Agents are the names of browsers, systems, in-app browsers, crawlers and devices: data.keyward.agents of a bundle. What no table knows is
// the word other in facts.
type Agents struct {
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

// learnAgents reads the tables of a bundle, or those of Keyward's own where a bundle from before has none. own says which it was.
func learnAgents(space map[string]any) (a Agents, own bool, err error) {
	if _, own = space["agents"]; !own {
		raw, err := fs.ReadFile(policies.Bundle, "data.json")
		if err != nil {
			return a, false, err
		}
		var data struct {
			Keyward map[string]any `json:"keyward"`
		}
		if err := json.Unmarshal(raw, &data); err != nil {
			return a, false, err
		}
		space = data.Keyward
	}
	if err := decode(space, "agents", &a); err != nil {
		return a, own, err
	}
	return a, own, a.prepare()
}

func (a *Agents) prepare() error {
	for beginning := range a.Systems {
		a.beginnings = append(a.beginnings, beginning)
	}
	slices.SortFunc(a.beginnings, func(x, y string) int { return cmp.Or(len(y)-len(x), strings.Compare(x, y)) })
	a.browsers = make(map[string]*Browser, len(a.Browsers))
	for i := range a.Browsers {
		b := &a.Browsers[i]
		if b.Name == "" || len(b.Tokens) == 0 {
			return misfitAgents("browsers", "browser %d needs a name and a token", i)
		}
		for _, name := range append([]string{plainName(b.Name), plainName(b.Label)}, b.Names...) {
			if name != "" {
				a.browsers[name] = b
			}
		}
	}
	for _, d := range a.Devices {
		if !d.Class.Known() {
			return misfitAgents("devices", "there is no device class %q; there are %s", d.Class, facts.KnownDevices())
		}
	}
	return nil
}

func misfitAgents(table, form string, values ...any) error {
	return &MisfitError{Keys: []string{"keyward", "agents", table}, Message: fmt.Sprintf(form, values...)}
}

// plainName is a name as the tables are asked for it.
func plainName(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(name), ""))
}

// system returns the operating system of a name in any of the usual spellings: what its beginning says.
func (a *Agents) system(name string) OS {
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
	plain := plainName(name)
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

// browser returns the browser of a name in any of the usual spellings, nil if no table knows it.
func (a *Agents) browser(name string) *Browser {
	if known, ok := a.browsers[name]; ok {
		return known
	}
	return a.browsers[plainName(name)]
}

// agent is a user agent as the tables read it.
type agent struct {
	text           string
	osName         string // as records have it
	osVersion      string // as it is written, frozen or not
	os             OS
	browser        *Browser
	browserVersion string
	device         facts.Device
	inApp          string
	embedded       bool
	mobile, tablet bool
}

// otherWord stands in facts for what no table knows.
const otherWord = "other"

// read takes a user agent apart.
func (a *Agents) read(text string) agent {
	g := agent{text: text}
	if text == "" {
		return g
	}
	g.device = a.deviceClass(text)
	if g.device == facts.DeviceScript {
		return g
	}
	g.osName, g.os, g.osVersion = systemOf(text)
	for i := range a.Devices {
		if d := &a.Devices[i]; d.Class == g.device && d.System != "" && containsAny(text, d.Tokens) {
			g.osName, g.os, g.osVersion = "", OS(d.System), ""
		}
	}
	g.readBrowser(a)
	if g.os == "" && (g.device != "" || g.browser != nil) && g.device != facts.DeviceBot {
		g.os = OtherOS // what runs it is none that the tables know
	}
	for i := range a.InApp {
		if containsAny(text, a.InApp[i].Tokens) {
			g.inApp = a.InApp[i].Name
			break
		}
	}
	webKit := strings.Contains(text, "AppleWebKit")
	g.embedded = (g.os == IOS && webKit && !strings.Contains(text, "Safari/")) || (g.os == Android && strings.Contains(text, "; wv)"))
	g.tablet = strings.Contains(text, "iPad") || strings.Contains(text, "Tablet") || (g.os == IOS && strings.Contains(text, "Macintosh"))
	g.mobile = strings.Contains(text, "Mobi") || strings.Contains(text, "Phone")
	return g
}

func (a *Agents) deviceClass(text string) facts.Device {
	lower := strings.ToLower(text)
	if containsAny(lower, a.Bots) {
		return facts.DeviceBot
	}
	for i := range a.Devices {
		d := &a.Devices[i]
		if d.Class == facts.DeviceScript && strings.Contains(text, "Mozilla/") {
			continue
		}
		if containsAny(text, d.Tokens) {
			return d.Class
		}
	}
	return ""
}

func (g *agent) readBrowser(a *Agents) {
	for i := range a.Browsers {
		b := &a.Browsers[i]
		for _, token := range b.Tokens {
			at := strings.Index(g.text, token)
			if at < 0 {
				continue
			}
			if b.Version != "" {
				if token = b.Version; !strings.Contains(g.text, token) {
					continue
				}
				at = strings.Index(g.text, token)
			}
			g.browser, g.browserVersion = b, numbers(g.text[at+len(token):])
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
		if s.os == MacOS && containsAny(text, iPadTokens[:]) {
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
