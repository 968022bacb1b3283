// Package agent reads what user agents, client hints and parses call browsers, systems and devices, by the tables of a policy bundle. It
// knows which versions browsers freeze. It is pure.
package agent

import (
	"cmp"
	"slices"
	"strings"

	"github.com/keyward/keyward/services/decision/internal/facts"
)

// Tables are the names of browsers, systems, in-app browsers, crawlers and devices: data.keyward.agents of a bundle. What no table knows is
// the word other in facts. Bundles from before may lack those that may be absent: Complete gives them.
type Tables struct {
	Systems  map[string]string `json:"systems"`  // fact by the beginning of a name, in lower case without spaces
	Browsers []Browser         `json:"browsers"` // the first whose token is in the user agent is the browser
	InApp    []Tokens          `json:"inApp"`    // browsers within apps for something else
	Bots     []Pattern         `json:"bots"`     // in the user agents of declared crawlers, in lower case
	Devices  []Device          `json:"devices"`  // the first whose token is in the user agent is the device

	UserAgents  []UserAgent `json:"userAgents,omitempty"`  // where user agents name their system; the first that fits counts
	Platforms   []Platform  `json:"platforms,omitempty"`   // what apps call their system
	OwnVersions []Pattern   `json:"ownVersions,omitempty"` // browsers of iOS whose version beside Safari's is not the system's
	Unsaid      []string    `json:"unsaid,omitempty"`      // names that say nothing, in any case: what parsers write for what they do not know
	WebViews    []WebView   `json:"webViews,omitempty"`
	Forms       *Forms      `json:"forms,omitempty"`
	Samsung     *Samsung    `json:"samsung,omitempty"`

	Frozen  []Frozen         `json:"frozen,omitempty"` // versions that tell nothing
	Windows *WindowsVersions `json:"windows,omitempty"`

	beginnings []string            // of Systems, the longest first
	browsers   map[string]*Browser // by every name in lower case without spaces
	spelt      map[string]spelling // names as most clients spell them
}

// Browser is how a browser is told.
type Browser struct {
	Name     string    `json:"name"`              // as facts have it
	Label    string    `json:"label"`             // as records have it
	Tokens   []Pattern `json:"tokens"`            // in user agents, before the version
	Version  *Pattern  `json:"version,omitempty"` // what is before the version, which has to be there too; nil = the token that was found
	Names    []string  `json:"names,omitempty"`   // other names, in lower case without spaces
	Chromium bool      `json:"chromium,omitempty"`
}

// Tokens are the parts of user agents by which something is told.
type Tokens struct {
	Name   string    `json:"name"`
	Tokens []Pattern `json:"tokens"`
}

// Device is how a class of devices is told.
type Device struct {
	Class  facts.Device `json:"class"`
	Tokens []Pattern    `json:"tokens"`
	System OS           `json:"system,omitempty"` // what it runs, whatever the user agent says
}

// UserAgent is how user agents name a system.
type UserAgent struct {
	Name    string       `json:"name"` // of the system, as records have it
	System  OS           `json:"system"`
	Tokens  []Pattern    `json:"tokens"`
	With    []Pattern    `json:"with,omitempty"`    // of which one has to be there too
	Version *Pattern     `json:"version,omitempty"` // what is before the version; nil = none is told
	Device  facts.Device `json:"device,omitempty"`  // that it comes on; empty = the system tells
}

// Platform is what apps call a system, in nativeMeta and before a version in a user agent of their own, like NativeApp/1.4.0 (iOS 18.1;
// iPhone; iPhone16,2; arm64).
type Platform struct {
	Name   string       `json:"name"`
	Device facts.Device `json:"device,omitempty"` // that it comes on; empty = the system tells
}

// WebView is how the web views of apps are told from browsers.
type WebView struct {
	System  OS        `json:"system"`
	Tokens  []Pattern `json:"tokens"`
	Without []Pattern `json:"without,omitempty"` // of which none may be there
}

// Forms are how user agents say what they are held in.
type Forms struct {
	Tablet []Pattern `json:"tablet"`
	Phone  []Pattern `json:"phone"`
}

// Samsung is how the devices of Samsung are told.
type Samsung struct {
	Brands  []string  `json:"brands"`  // that apps state, in any case
	Models  []Pattern `json:"models"`  // in user agents
	Unnamed []string  `json:"unnamed"` // what stands for any model, or where a model would

	// What stands beside a model: parts of it, and languages. Bundles from before have none.
	Beside    []Pattern `json:"beside,omitempty"`
	Languages []string  `json:"languages,omitempty"`
}

type spelling struct {
	system OS
	device facts.Device
}

// Whole reports whether no table is missing that bundles from before lack.
func (a *Tables) Whole() bool {
	return a.UserAgents != nil && a.Platforms != nil && a.OwnVersions != nil && a.Unsaid != nil && a.WebViews != nil && a.Forms != nil &&
		a.Samsung != nil && a.Samsung.Beside != nil && a.Samsung.Languages != nil && a.Frozen != nil && a.Windows != nil
}

// Complete takes the tables that a bundle from before lacks from those of another.
func (a *Tables) Complete(by *Tables) {
	if a.UserAgents == nil {
		a.UserAgents = by.UserAgents
	}
	if a.Platforms == nil {
		a.Platforms = by.Platforms
	}
	if a.OwnVersions == nil {
		a.OwnVersions = by.OwnVersions
	}
	if a.Unsaid == nil {
		a.Unsaid = by.Unsaid
	}
	if a.WebViews == nil {
		a.WebViews = by.WebViews
	}
	if a.Frozen == nil {
		a.Frozen = by.Frozen
	}
	a.Forms, a.Samsung, a.Windows = cmp.Or(a.Forms, by.Forms), cmp.Or(a.Samsung, by.Samsung), cmp.Or(a.Windows, by.Windows)
	whole := *a.Samsung
	if whole.Beside == nil {
		whole.Beside = by.Samsung.Beside
	}
	if whole.Languages == nil {
		whole.Languages = by.Samsung.Languages
	}
	a.Samsung = &whole
}

// Prepare makes the tables ready to be asked. The error is a *document.MisfitError that names the member at fault.
func (a *Tables) Prepare() error {
	if err := a.check(); err != nil {
		return err
	}
	for beginning := range a.Systems {
		a.beginnings = append(a.beginnings, beginning)
	}
	slices.SortFunc(a.beginnings, func(x, y string) int { return cmp.Or(len(y)-len(x), strings.Compare(x, y)) })
	a.browsers = make(map[string]*Browser, len(a.Browsers))
	for i := range a.Browsers {
		b := &a.Browsers[i]
		for _, name := range append([]string{PlainName(b.Name), PlainName(b.Label)}, b.Names...) {
			if name != "" {
				a.browsers[name] = b
			}
		}
	}
	a.spelt = map[string]spelling{}
	for _, p := range a.Platforms {
		a.spelt[p.Name] = a.spell(p.Name)
	}
	for i := range a.UserAgents {
		u := &a.UserAgents[i]
		s := a.spell(u.Name)
		if _, known := a.beginning(PlainName(u.Name)); !known {
			s.system = u.System // it need not be said twice
		}
		a.spelt[u.Name] = s
	}
	return nil
}

// PlainName is a name as the tables are asked for it.
func PlainName(name string) string {
	return strings.ToLower(strings.Join(strings.Fields(name), ""))
}

// Says reports whether a name says anything: parsers have words for what they do not know.
func (a *Tables) Says(name string) bool {
	name = strings.TrimSpace(name)
	return name != "" && !slices.ContainsFunc(a.Unsaid, func(one string) bool { return strings.EqualFold(one, name) })
}

// System returns the operating system of a name in any of the usual spellings: what its beginning says.
func (a *Tables) System(name string) OS {
	if name == "" {
		return ""
	}
	return a.spelling(name).system
}

// DeviceOf returns the class of device that a system of the name comes on; empty where the system alone does not tell.
func (a *Tables) DeviceOf(name string) facts.Device { return a.spelling(name).device }

// spelling finds a name. Most come in the spellings of the tables, and bringing others into one form costs allocations.
func (a *Tables) spelling(name string) spelling {
	if known, ok := a.spelt[name]; ok {
		return known
	}
	return a.spell(name)
}

func (a *Tables) spell(name string) spelling {
	plain := PlainName(name)
	if plain == "" {
		return spelling{}
	}
	s := spelling{system: OtherOS}
	if system, known := a.beginning(plain); known {
		s.system = system
	}
	for i := range a.Platforms {
		if strings.HasPrefix(plain, PlainName(a.Platforms[i].Name)) {
			s.device = a.Platforms[i].Device
			break
		}
	}
	return s
}

// beginning returns the system that a name's beginning says.
func (a *Tables) beginning(plain string) (system OS, known bool) {
	for _, beginning := range a.beginnings {
		if strings.HasPrefix(plain, beginning) {
			return OS(a.Systems[beginning]), true
		}
	}
	return "", false
}

// Browser returns the browser of a name in any of the usual spellings, nil if no table knows it.
func (a *Tables) Browser(name string) *Browser {
	if known, ok := a.browsers[name]; ok {
		return known
	}
	plain := PlainName(name)
	if known, ok := a.browsers[plain]; ok {
		return known
	}
	return a.browsers[strings.TrimRight(plain, "0123456789.")] // some write the version behind it
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
