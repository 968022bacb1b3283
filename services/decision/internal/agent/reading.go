package agent

import (
	"slices"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/facts"
)

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
	Disguised      bool // it names another system than it is of, and gives itself away

	ownVersion bool // the version beside Safari's is the browser's own
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
	g.readSystem(a)
	for i := range a.Devices {
		if d := &a.Devices[i]; d.Class == g.Device && d.System != "" && anyIn(text, d.Tokens) {
			g.OSName, g.OS, g.OSVersion = "", d.System, ""
		}
	}
	g.readBrowser(a)
	if g.OS == "" && (g.Device != "" || g.Browser != nil) && g.Device != facts.DeviceBot {
		g.OS = OtherOS // what runs it is none that the tables know
	}
	for i := range a.InApp {
		if anyIn(text, a.InApp[i].Tokens) {
			g.InApp = a.InApp[i].Name
			break
		}
	}
	g.Embedded = a.webView(g.OS, text)
	g.ownVersion = g.OS == IOS && (g.InApp != "" || anyIn(text, a.OwnVersions))
	if a.Forms != nil {
		g.Tablet = g.Tablet || anyIn(text, a.Forms.Tablet)
		g.Mobile = anyIn(text, a.Forms.Phone)
	}
	return g
}

func (a *Tables) deviceClass(text string) facts.Device {
	if anyIn(strings.ToLower(text), a.Bots) {
		return facts.DeviceBot
	}
	for i := range a.Devices {
		d := &a.Devices[i]
		if d.Class == facts.DeviceScript && strings.Contains(text, "Mozilla/") {
			continue
		}
		if anyIn(text, d.Tokens) {
			return d.Class
		}
	}
	return ""
}

// readSystem finds the system that a user agent names.
func (g *Reading) readSystem(a *Tables) {
	for i := range a.UserAgents {
		u := &a.UserAgents[i]
		if !anyIn(g.Text, u.Tokens) || (len(u.With) > 0 && !anyIn(g.Text, u.With)) {
			continue
		}
		g.OSName, g.OS, g.Tablet = u.Name, u.System, u.Device == facts.DeviceTablet
		g.Disguised = len(u.With) > 0
		if u.Version != nil {
			g.OSVersion = u.Version.version(g.Text)
			if !a.TellsVersion(g.OSVersion) {
				g.OSVersion = ""
			}
		}
		return
	}
}

func (g *Reading) readBrowser(a *Tables) {
	for i := range a.Browsers {
		b := &a.Browsers[i]
		for j := range b.Tokens {
			end := b.Tokens[j].behind(g.Text)
			if end >= 0 && b.Version != nil {
				end = b.Version.behind(g.Text)
			}
			if end < 0 {
				continue
			}
			g.Browser, g.BrowserVersion = b, numbers(g.Text[end:])
			if !a.TellsVersion(g.BrowserVersion) {
				g.BrowserVersion = ""
			}
			return
		}
	}
}

func (a *Tables) webView(os OS, text string) bool {
	for i := range a.WebViews {
		w := &a.WebViews[i]
		if w.System == os && anyIn(text, w.Tokens) && !anyIn(text, w.Without) {
			return true
		}
	}
	return false
}

// AppSystem returns the system that an app names in a user agent of its own, and its version.
func (a *Tables) AppSystem(userAgent string) (name, version string) {
	for i := range a.Platforms {
		system := a.Platforms[i].Name
		before, after, found := strings.Cut(userAgent, system+" ")
		if !found || (before != "" && !strings.ContainsAny(before[len(before)-1:], "(; ")) {
			continue
		}
		if version := numbers(after); version != "" {
			return system, version
		}
	}
	return "", ""
}

// IsSamsung reports whether a user agent of Android names a model of Samsung's, and named whether it names one at all.
func (a *Tables) IsSamsung(userAgent string) (samsung, named bool) {
	if a.Samsung == nil {
		return false, false
	}
	if anyIn(userAgent, a.Samsung.Models) {
		return true, true
	}
	_, rest, _ := strings.Cut(userAgent, "Android ")
	inside, _, _ := strings.Cut(rest, ")")
	_, parts, _ := strings.Cut(inside, ";") // what is before is the version
	for part := range strings.SplitSeq(parts, ";") {
		if a.Samsung.isModel(strings.TrimSpace(part)) {
			return false, true
		}
	}
	return false, false
}

// Made reports whether a brand is Samsung's.
func (a *Tables) Made(brand string) bool {
	if a.Samsung == nil {
		return false
	}
	for _, own := range a.Samsung.Brands {
		if strings.EqualFold(own, brand) {
			return true
		}
	}
	return false
}

// isModel reports whether a part of what a user agent of Android says of its device may name the model.
func (s *Samsung) isModel(part string) bool {
	return part != "" && !slices.Contains(s.Unnamed, part) && !anyIn(part, s.Beside) && !s.isLanguage(part)
}

// isLanguage reports whether a part is a language as old user agents name it, such as en or en-us.
func (s *Samsung) isLanguage(part string) bool {
	const code, whole = len("en"), len("en-us")
	return (len(part) == code || (len(part) == whole && (part[code] == '-' || part[code] == '_'))) && slices.Contains(s.Languages, part[:code])
}

// version returns the version behind a pattern, empty if it is not there.
func (p *Pattern) version(text string) string {
	if end := p.behind(text); end >= 0 {
		return numbers(text[end:])
	}
	return ""
}

// numbers returns the version that a text begins with.
func numbers(text string) string {
	end := strings.IndexFunc(text, func(r rune) bool { return (r < '0' || r > '9') && r != '.' && r != '_' })
	if end < 0 {
		end = len(text)
	}
	return text[:end]
}
