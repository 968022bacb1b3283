package agent

import "strings"

// Frozen is a range of versions that are written whatever the version of the system is, so that they tell nothing.
type Frozen struct {
	System OS        `json:"system"`
	From   string    `json:"from"`
	Below  string    `json:"below"`
	With   []Pattern `json:"with,omitempty"`   // of which the user agent has to have one
	Always bool      `json:"always,omitempty"` // apps and hints say it too, not browsers alone
	// The version of Safari from which on it writes that range, and its own version is the system's. Other browsers may write anything
	// from the range on.
	Safari string `json:"safari,omitempty"`
}

// WindowsVersions are how Windows is told by what is written in place of its version.
type WindowsVersions struct {
	NT     map[string]string `json:"nt"`     // by the version of NT, and by names in lower case
	Hints  []Step            `json:"hints"`  // by platformVersion of client hints
	Builds []Step            `json:"builds"` // by the build of NT 10.0
}

// Step is what versions are from one on, up to that of the next step.
type Step struct {
	From string `json:"from"`
	Is   string `json:"is"`
}

// holds reports whether a version is of the range, in a user agent of the text.
func (f *Frozen) holds(version, text string) bool {
	return version != "" && CompareVersions(version, f.From) >= 0 && CompareVersions(version, f.Below) < 0 &&
		(len(f.With) == 0 || anyIn(text, f.With))
}

// SystemVersion is the version of the operating system as a user agent tells it; empty where browsers write the same whatever the system
// is.
func (a *Tables) SystemVersion(g *Reading) string {
	version := g.OSVersion
	if g.OS == Windows {
		version = a.ofNT(version)
	}
	for i := range a.Frozen {
		f := &a.Frozen[i]
		switch {
		case f.System != g.OS, f.Always:
		case f.Safari != "":
			own, safari := g.safari()
			if safari && CompareVersions(own, f.Safari) >= 0 {
				return own
			}
			if !safari && version != "" && CompareVersions(version, f.From) >= 0 {
				return "" // it may be true, WebKit's, or the browser's own idea of what comes next
			}
		case f.holds(version, g.Text):
			return ""
		}
	}
	return version
}

// FrozenParse reports whether a parse holds what a browser writes whatever the system's version is. Some parsers keep the first number
// alone.
func (a *Tables) FrozenParse(g *Reading, os OS, version string) bool {
	for i := range a.Frozen {
		f := &a.Frozen[i]
		var frozen bool
		switch {
		case f.System != os, f.Always:
		case f.Safari != "":
			frozen = g.Text != "" && (f.holds(version, g.Text) || (g.OS == os && begins(g.OSVersion, version)))
		default:
			cut := version != f.From && begins(f.From, version) && (g.OSVersion == "" || f.holds(g.OSVersion, g.Text))
			frozen = cut || f.holds(version, g.Text)
		}
		if frozen {
			return true
		}
	}
	return false
}

// NeverReleased reports whether no system has the version: macOS 26 tells 16 to programs built before it.
func (a *Tables) NeverReleased(os OS, version string) bool {
	for i := range a.Frozen {
		if f := &a.Frozen[i]; f.Always && f.System == os && f.holds(version, "") {
			return true
		}
	}
	return false
}

// WindowsFromHint reads platformVersion of the user-agent client hints; empty if it tells nothing.
func (a *Tables) WindowsFromHint(version string) string {
	if a.Windows == nil {
		return ""
	}
	return step(a.Windows.Hints, version)
}

// WindowsOfBuild reads a version in a parse. A build tells what NT 10.0 does not; some parsers leave the NT before it.
func (a *Tables) WindowsOfBuild(version string) string {
	const nt10 = "10.0."
	if nt, found := strings.CutPrefix(version, "NT "); found {
		if version = nt; a.FrozenParse(&Reading{}, Windows, nt) {
			return ""
		}
	}
	if build, found := strings.CutPrefix(version, nt10); found && a.Windows != nil {
		if is := step(a.Windows.Builds, build); is != "" {
			return is
		}
	}
	return a.ofNT(version)
}

// ofNT translates the version of NT.
func (a *Tables) ofNT(version string) string {
	if a.Windows != nil {
		if is, known := a.Windows.NT[strings.ToLower(version)]; known {
			return is
		}
	}
	return version
}

// TellsVersion reports whether a version says anything: parsers write 0, or a word, for one that they do not know.
func (a *Tables) TellsVersion(version string) bool {
	return strings.ContainsAny(version, "123456789") || (version != "" && a.ofNT(version) != version)
}

// step returns what a version is: that of the highest step which is not above it.
func step(steps []Step, version string) (is string) {
	from := ""
	for i := range steps {
		s := &steps[i]
		if version != "" && CompareVersions(version, s.From) >= 0 && (is == "" || CompareVersions(s.From, from) > 0) {
			from, is = s.From, s.Is
		}
	}
	return is
}

// safari returns the version that a user agent has for Safari, unless it is another browser's own or of a web view.
func (g *Reading) safari() (version string, is bool) {
	_, after, found := strings.Cut(g.Text, "Version/")
	return numbers(after), found && strings.Contains(after, " Safari/") && !g.ownVersion
}

// begins reports whether a version begins with the numbers of a parse: some parsers keep the first alone.
func begins(written, parse string) bool {
	for i := range len(parse) {
		if i == len(written) || (written[i] != parse[i] && (written[i] != '_' || parse[i] != '.')) {
			return false
		}
	}
	return parse != "" && (len(written) == len(parse) || written[len(parse)] == '_' || written[len(parse)] == '.')
}
