package recognition

import "strings"

// From is where a client's word comes from.
type From string

// The sources, those that are trusted most first.
const (
	FromApp     From = "app"   // what an app says of its device (nativeMeta)
	FromParse   From = "parse" // the caller's own parse of the client (parsedDeviceInfo)
	FromHint    From = "hint"  // client hints
	FromAgent   From = "user agent"
	FromBrowser From = "browser's version" // on systems where it is the system's too
)

// Origin tells where what is known of a client came from.
type Origin struct {
	System, Version, Browser From
	Frozen                   string // a version that says nothing, since browsers write it whatever the system's is; empty = none
	FrozenIn                 From
}

// Part is the system or the browser of a client, and where that came from.
type Part struct {
	Name        string `json:"name,omitempty"` // empty = not known
	From        From   `json:"from,omitempty"`
	Version     string `json:"version,omitempty"` // empty = not known
	VersionFrom From   `json:"versionFrom,omitempty"`
	Frozen      string `json:"frozen,omitempty"` // a version that was said and tells nothing
	FrozenIn    From   `json:"frozenIn,omitempty"`
}

// Identity is what a client was taken for, as it was said: names are free text.
type Identity struct {
	System  Part `json:"system"`
	Browser Part `json:"browser"`
}

// Identity returns what the client was taken for, and by what.
func (c *Client) Identity() Identity {
	o := &c.Origin
	i := Identity{
		System:  Part{Name: c.OSName, Version: Dotted(c.OSVersion), Frozen: Dotted(o.Frozen), FrozenIn: o.FrozenIn},
		Browser: Part{Name: c.BrowserName, Version: c.BrowserVersion},
	}
	if c.OSName != "" {
		i.System.From = o.System
	}
	if c.OSVersion != "" {
		i.System.VersionFrom = o.Version
	}
	if c.BrowserName != "" {
		i.Browser.From = o.Browser
	}
	if c.BrowserVersion != "" {
		i.Browser.VersionFrom = o.Browser
	}
	return i
}

// String puts a part into words: "iOS 26.0 (user agent; version of the browser's version; 18.6 in the user agent is frozen)".
func (p Part) String() string {
	if p.Name == "" {
		return "unknown"
	}
	said := p.Name
	if p.Version != "" {
		said += " " + p.Version
	}
	notes := []string{string(p.From)}
	switch {
	case p.Version == "":
		notes = append(notes, "version unknown")
	case p.VersionFrom != p.From:
		notes = append(notes, "version by the "+string(p.VersionFrom))
	}
	if p.Frozen != "" {
		notes = append(notes, p.Frozen+" in the "+string(p.FrozenIn)+" is what is written whatever the version is")
	}
	return said + " (" + strings.Join(notes, "; ") + ")"
}

// version is the version with its source, for comparisons: "13.7 (hint)".
func (p Part) version() string {
	switch {
	case p.Version != "":
		return p.Version + " (" + string(p.VersionFrom) + ")"
	case p.Frozen != "":
		return "unknown (" + p.Frozen + " in the " + string(p.FrozenIn) + " is frozen)"
	default:
		return "unknown"
	}
}

// reads notes what was made of the version that a user agent writes.
func (o *Origin) reads(written, version string, ios bool) {
	o.Version = FromAgent
	switch {
	case written != "" && version == "":
		o.freezes(written, FromAgent)
	case ios && Dotted(written) != Dotted(version):
		o.freezes(written, FromAgent)
		o.Version = FromBrowser
	}
}

// takes notes that system and version were taken from elsewhere. A version that is not told leaves the one that was frozen to be named.
func (o *Origin) takes(from From, version string) {
	o.System, o.Version = from, from
	if version != "" {
		o.Frozen, o.FrozenIn = "", ""
	}
}

// freezes notes a version that was said and tells nothing.
func (o *Origin) freezes(version string, in From) { o.Frozen, o.FrozenIn = version, in }
