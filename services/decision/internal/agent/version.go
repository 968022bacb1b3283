package agent

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

// Desktop reports whether computers run the system.
func (o OS) Desktop() bool { return o == Windows || o == MacOS || o == Linux || o == ChromeOS }

// Phone reports whether phones run the system.
func (o OS) Phone() bool { return o == IOS || o == Android }

// Apple reports whether the system is of Apple.
func (o OS) Apple() bool { return o == MacOS || o == IOS || o == VisionOS }

// SystemVersion is the version of the operating system as a user agent tells it; empty where browsers write the same whatever the system
// is.
func (g *Reading) SystemVersion() string {
	version := g.OSVersion
	switch g.OS {
	case Windows:
		return windowsVersion(version)
	case MacOS:
		if frozenMacOS(version) {
			return ""
		}
	case Android:
		if frozenAndroid(version, g.Text) {
			return ""
		}
	case IOS:
		return g.iosVersion()
	case ChromeOS:
		return "" // Chromium writes 14541.0.0 since 2023
	}
	return version
}

// FrozenParse reports whether a parse holds what a browser writes whatever the system's version is.
func (g *Reading) FrozenParse(os OS, version string) bool {
	switch os {
	case Windows:
		return version == "10" || version == "10.0"
	case MacOS:
		return frozenMacOS(version)
	case Android:
		return frozenAndroid(version, g.Text)
	case IOS:
		plain := strings.ReplaceAll(g.OSVersion, "_", ".")
		return g.Text != "" && (frozenIOS(version) || (g.OS == IOS && version == plain))
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
	return Major(version) == 10 && strings.Contains(userAgent, "Android 10; K")
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
func (g *Reading) iosVersion() string {
	_, after, safari := strings.Cut(g.Text, "Version/")
	safari = safari && strings.Contains(after, " Safari/") && g.InApp == "" && !HasAny(g.Text, otherBrowsers[:])
	switch own := numbers(after); {
	case safari && Major(own) >= firstOfSafari:
		return own
	case !safari && frozenIOS(g.OSVersion):
		return ""
	default:
		return g.OSVersion
	}
}

// otherBrowsers are the names that browsers of iOS with versions of their own put beside Safari's.
var otherBrowsers = [...]string{"CriOS/", "FxiOS/", "EdgiOS/", "OPT/", "OPiOS/", "GSA/", "DuckDuckGo/", "Ddg/", "YaBrowser/", "UCBrowser/"}

// NeverReleased reports whether a version of macOS is one that no system has: macOS 26 tells 16 to programs built before it.
func NeverReleased(version string) bool {
	const lastOfTheOld, firstOfTheNew = 15, 26
	n := Major(version)
	return n > lastOfTheOld && n < firstOfTheNew
}

// WindowsFromHint reads platformVersion of the user-agent client hints: 13 and above is Windows 11; below 1 it is what came before Windows
// 10.
func WindowsFromHint(version string) string {
	const first11 = 13
	switch n := Major(version); {
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

// WindowsOfBuild reads a version in a parse. A build tells what NT 10.0 does not; some parsers leave the NT before it.
func WindowsOfBuild(version string) string {
	const first11 = 22000
	if nt, found := strings.CutPrefix(version, "NT "); found {
		return windowsVersion(nt)
	}
	_, build, found := strings.Cut(version, "10.0.")
	if !found || !strings.HasPrefix(version, "10.0.") {
		return version
	}
	if Major(build) >= first11 {
		return "11"
	}
	return "10"
}

// CompareVersions compares dotted numbers; what is not a number counts as 0.
func CompareVersions(a, b string) int {
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

// Major is the first number of a version, 0 if there is none.
func Major(version string) int {
	first, _, _ := strings.Cut(strings.ReplaceAll(version, "_", "."), ".")
	return number(first)
}

// AtLeast compares major versions. One that is unknown is new enough.
func AtLeast(version, minimum int) bool { return version == 0 || version >= minimum }

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
