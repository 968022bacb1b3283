package detect

import (
	"strconv"
	"strings"
)

// OS is an operating system as facts name it. Empty means that nothing was said.
type OS string

// The operating systems that rules tell apart. iPadOS counts as iOS.
const (
	Windows  OS = "windows"
	MacOS    OS = "macos"
	IOS      OS = "ios"
	Android  OS = "android"
	ChromeOS OS = "chromeos"
	Linux    OS = "linux"
	VisionOS OS = "visionos"

	HarmonyOS OS = "harmonyos"
	OtherOS   OS = "other"
)

func (o OS) desktop() bool { return o == Windows || o == MacOS || o == Linux || o == ChromeOS }
func (o OS) phone() bool   { return o == IOS || o == Android }
func (o OS) apple() bool   { return o == MacOS || o == IOS || o == VisionOS }

// systemVersion is the version of the operating system as a user agent tells it; empty where browsers write the same whatever the system
// is.
func (g *agent) systemVersion() string {
	version := g.osVersion
	switch g.os {
	case Windows:
		return windowsVersion(version)
	case MacOS:
		if frozenMacOS(version) {
			return ""
		}
	case Android:
		if frozenAndroid(version, g.text) {
			return ""
		}
	case IOS:
		return g.iosVersion()
	case ChromeOS:
		return "" // Chromium writes 14541.0.0 since 2023
	}
	return version
}

// frozenParse reports whether a parse holds what a browser writes whatever the system's version is.
func (g *agent) frozenParse(os OS, version string) bool {
	switch os {
	case Windows:
		return version == "10" || version == "10.0"
	case MacOS:
		return frozenMacOS(version)
	case Android:
		return frozenAndroid(version, g.text)
	case IOS:
		plain := strings.ReplaceAll(g.osVersion, "_", ".")
		return g.text != "" && (frozenIOS(version) || (g.os == IOS && version == plain))
	case ChromeOS:
		return strings.HasPrefix(version, "14541.")
	}
	return false
}

// frozenMacOS: 10_15_7 since Safari 11.1, in Firefox 10.15. Others of the 10th are true.
func frozenMacOS(version string) bool {
	plain := strings.ReplaceAll(version, "_", ".")
	return plain == "10.15.7" || plain == "10.15"
}

// frozenAndroid: Chromium's reduced user agents say Android 10 and the model K.
func frozenAndroid(version, userAgent string) bool {
	return major(version) == 10 && strings.Contains(userAgent, "Android 10; K")
}

// The version that WebKit writes since Safari 26, whatever the system's: 18_6, or 18_7 later.
const (
	frozenIOSMajor = 18
	frozenIOSMinor = 6
	firstOfSafari  = 26 // from here on Safari's own version is the system's
)

func frozenIOS(version string) bool {
	first, rest, _ := strings.Cut(strings.ReplaceAll(version, "_", "."), ".")
	minor, _, _ := strings.Cut(rest, ".")
	return number(first) == frozenIOSMajor && number(minor) >= frozenIOSMinor
}

// iosVersion reads the system's version of a user agent of iOS or iPadOS. Safari's own version tells it from the one on that freezes the
// system's, whatever stands there; below, the system's is true. Browsers with a version of their own, and web views, have nothing else to
// tell a frozen one by.
func (g *agent) iosVersion() string {
	_, after, safari := strings.Cut(g.text, "Version/")
	safari = safari && strings.Contains(after, " Safari/") && g.inApp == "" && !containsAny(g.text, otherBrowsers[:])
	switch own := numbers(after); {
	case safari && major(own) >= firstOfSafari:
		return own
	case !safari && frozenIOS(g.osVersion):
		return ""
	default:
		return g.osVersion
	}
}

// otherBrowsers are the names that browsers of iOS with versions of their own put beside Safari's.
var otherBrowsers = [...]string{"CriOS/", "FxiOS/", "EdgiOS/", "OPT/", "OPiOS/", "GSA/", "DuckDuckGo/", "Ddg/", "YaBrowser/", "UCBrowser/"}

// neverReleased reports whether a version of macOS is one that no system has: macOS 26 tells 16 to programs built before it.
func neverReleased(version string) bool {
	const lastOfTheOld, firstOfTheNew = 15, 26
	n := major(version)
	return n > lastOfTheOld && n < firstOfTheNew
}

// windowsFromHint reads platformVersion of the user-agent client hints: 13 and above is Windows 11; below 1 it is what came before Windows
// 10.
func windowsFromHint(version string) string {
	const first11 = 13
	switch n := major(version); {
	case n >= first11:
		return "11"
	case n > 0:
		return "10"
	}
	switch {
	case strings.HasPrefix(version, "0.1"):
		return "7"
	case strings.HasPrefix(version, "0.2"):
		return "8"
	case strings.HasPrefix(version, "0.3"):
		return "8.1"
	default:
		return ""
	}
}

// windowsVersion translates the NT version of a user agent. Windows 11 calls itself NT 10.0 too, so that one tells nothing.
func windowsVersion(nt string) string {
	switch nt {
	case "6.1":
		return "7"
	case "6.2":
		return "8"
	case "6.3":
		return "8.1"
	case "10.0":
		return ""
	default:
		return nt
	}
}

// windowsOfBuild reads a version in a parse. A build tells what NT 10.0 does not; some parsers leave the NT before it.
func windowsOfBuild(version string) string {
	const first11 = 22000
	if nt, found := strings.CutPrefix(version, "NT "); found {
		return windowsVersion(nt)
	}
	_, build, found := strings.Cut(version, "10.0.")
	if !found || !strings.HasPrefix(version, "10.0.") {
		return version
	}
	if major(build) >= first11 {
		return "11"
	}
	return "10"
}

// compareVersions compares dotted numbers; what is not a number counts as 0.
func compareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a, _ = strings.Cut(a, ".")
		y, b, _ = strings.Cut(b, ".")
		if m, n := number(x), number(y); m != n {
			return m - n
		}
	}
	return 0
}

func major(version string) int {
	first, _, _ := strings.Cut(strings.ReplaceAll(version, "_", "."), ".")
	return number(first)
}

// number reads a number of at most nine digits; anything else is 0.
func number(s string) int {
	const maxDigits = 9
	s = strings.TrimSpace(s)
	if len(s) > maxDigits {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil {
		return 0
	}
	return int(n)
}
