// Package contradiction holds what a client sent against itself: its user agent against its hints, and against what browsers of that
// version can do. What nobody said, and what browsers write whatever is true, contradicts nothing. It is pure.
package contradiction

import (
	"strings"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// The first versions of what browsers say they can do. Others than these have no immediate requests.
const (
	createsInChromium     = 130 // behind a flag
	createsInSafari       = 18
	immediatelyInChromium = 136 // the same
)

// Versions of Chromium from which on it writes one version of a system whatever it runs on.
const (
	onWindows10 = 110 // it does not run on those before, whose NT 10.0 is also that of Windows 11
	frozenMac   = 117
)

// Find compares what is there to be compared. Apps speak for themselves in a form of their own, and are not compared.
func Find(read *agent.Reading, tables *agent.Tables, said *rest.ClientInformation) (facts.Agent, facts.Contradictions) {
	if read.Text == "" || read.Device == facts.DeviceScript || said.NativeMeta != nil || (said.IsNative != nil && *said.IsNative) {
		return facts.AgentUnknown, facts.Contradictions{}
	}
	found := facts.Contradictions{FrozenVersion: frozenVersion(read)}
	compared := false
	if hints := said.JavaScriptHighEntropy; hints != nil && hints.Platform != "" {
		compared = true
		found.OSHint = osHint(read, tables.System(hints.Platform))
		found.MobileHint = mobileHint(read, hints.Mobile)
		found.BrowserHint = sendsNone(read)
	}
	if able(said.ClientCapabilities) {
		compared = true
		found.Capability = tooOld(read, said.ClientCapabilities)
	}
	if said.MaxTouchPoints != nil && read.Device == "" && (read.OS == agent.Android || read.OS == agent.IOS) {
		compared = true
		found.Touch = *said.MaxTouchPoints == 0
	}
	switch {
	case found != facts.Contradictions{}:
		return facts.AgentContradicting, found
	case compared:
		return facts.AgentConsistent, found
	default:
		return facts.AgentUnknown, found
	}
}

// osHint: Android's Chromium says Linux when it asks for the desktop site, and a system that no table knows may be any.
func osHint(read *agent.Reading, hinted agent.OS) bool {
	known := func(os agent.OS) bool { return os != "" && os != agent.OtherOS }
	if !known(read.OS) || !known(hinted) || read.OS == hinted {
		return false
	}
	linux := func(os agent.OS) bool { return os == agent.Linux || os == agent.Android || os == agent.ChromeOS }
	return !linux(read.OS) || !linux(hinted)
}

// mobileHint: a hint that is not there reads as no, so only one that says yes is held against what computers write.
func mobileHint(read *agent.Reading, mobile bool) bool {
	return mobile && (read.OS == agent.Windows || read.OS == agent.MacOS)
}

// sendsNone: browsers of Apple's and Mozilla's engines have no hints.
func sendsNone(read *agent.Reading) bool {
	return read.Browser != nil && !read.Browser.Chromium && (read.Browser.Name == "firefox" || read.Browser.Name == "safari")
}

// frozenVersion reports whether a browser writes a version of its system that it writes no more.
func frozenVersion(read *agent.Reading) bool {
	version := chromium(read)
	switch {
	case version >= frozenMac && read.OS == agent.MacOS:
		return read.OSVersion != "" && read.OSVersion != "10_15_7"
	case version >= onWindows10 && read.OS == agent.Windows:
		return read.OSVersion != "" && read.OSVersion != "10.0"
	default:
		return false
	}
}

// tooOld reports whether a browser says that it can do what it cannot. What devices of other kinds can is not known.
func tooOld(read *agent.Reading, can *rest.ClientCapabilities) bool {
	if read.Device != "" || read.Browser == nil {
		return false
	}
	creates, immediately := is(can.ConditionalCreate), is(can.ImmediateGet)
	if version := chromium(read); version > 0 {
		return creates && version < createsInChromium || immediately && version < immediatelyInChromium
	}
	switch version := agent.Major(read.BrowserVersion); read.Browser.Name {
	case "safari":
		return immediately || creates && version > 0 && version < createsInSafari
	case "firefox":
		return immediately
	default:
		return false
	}
}

func is(b *bool) bool { return b != nil && *b }

// chromium is the version of the engine; 0 = another engine, or not told.
func chromium(read *agent.Reading) int {
	_, after, found := strings.Cut(read.Text, "Chrome/")
	if !found {
		return 0
	}
	end := strings.IndexFunc(after, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(after)
	}
	return agent.Major(after[:end])
}

// able reports whether a client says of anything whether it can do it.
func able(can *rest.ClientCapabilities) bool {
	return can != nil && *can != rest.ClientCapabilities{}
}
