package detect

import (
	"strconv"
	"strings"

	"github.com/mileusna/useragent"
)

// OS is an operating system as facts name it: one of the constants, or another name in lower case. Empty means unknown.
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
)

// ParseOS reads the name of an operating system in any of the usual spellings.
func ParseOS(name string) OS {
	// Most come in these spellings, and bringing others into one form costs allocations.
	switch name {
	case "iOS", "iPadOS":
		return IOS
	case "macOS":
		return MacOS
	case "Android":
		return Android
	case "Windows", "Windows 10", "Windows 11":
		return Windows
	case "":
		return ""
	}
	plain := strings.ToLower(strings.Join(strings.Fields(name), ""))
	switch plain {
	case "ios", "ipados", "iphoneos", "iphone", "ipad":
		return IOS
	case "macos", "macosx", "osx", "mac", "macintosh", "darwin":
		return MacOS
	case "android":
		return Android
	case "chromeos", "cros", "chromiumos":
		return ChromeOS
	case "linux", "gnu/linux", "ubuntu", "debian", "fedora":
		return Linux
	}
	if strings.HasPrefix(plain, "windows") && !strings.HasPrefix(plain, "windowsphone") {
		return Windows
	}
	return OS(plain)
}

func (o OS) desktop() bool { return o == Windows || o == MacOS || o == Linux || o == ChromeOS }
func (o OS) phone() bool   { return o == IOS || o == Android }
func (o OS) apple() bool   { return o == MacOS || o == IOS || o == VisionOS }

// agentVersion is the version of the operating system as a user agent tells it; empty where browsers write the same whatever the system is.
func agentVersion(agent useragent.UserAgent) string {
	version := agent.OSVersion
	switch ParseOS(agent.OS) {
	case Windows:
		return windowsVersion(version)
	case MacOS:
		if frozenMacOS(version) {
			return ""
		}
	case Android:
		if frozenAndroid(version, agent.String) {
			return ""
		}
	case IOS:
		return iosVersion(version, agent)
	case ChromeOS:
		return "" // Chromium writes 14541.0.0 since 2023
	}
	return version
}

// frozenParse reports whether a parse holds what a browser writes whatever the system's version is.
func frozenParse(os OS, version, userAgent string) bool {
	switch os {
	case Windows:
		return version == "10" || version == "10.0"
	case MacOS:
		return frozenMacOS(version)
	case Android:
		return frozenAndroid(version, userAgent)
	case IOS:
		return frozenIOS(version) && userAgent != ""
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

// iosVersion reads the system's version of a user agent of iOS or iPadOS. Safari's own version tells it where the system's is frozen; that of another
// browser or of a web view does not.
func iosVersion(version string, agent useragent.UserAgent) string {
	if !frozenIOS(version) {
		return version
	}
	_, after, safari := strings.Cut(agent.String, "Version/")
	safari = safari && strings.Contains(after, " Safari/") && !containsAny(agent.String, otherBrowsers[:])
	if !safari {
		return ""
	}
	own, _, _ := strings.Cut(after, " ")
	if major(own) >= firstOfSafari {
		return own
	}
	return version
}

// otherBrowsers are the names that browsers of iOS put beside Safari's own version.
var otherBrowsers = [...]string{"CriOS/", "FxiOS/", "EdgiOS/", "OPT/", "OPiOS/", "GSA/", "DuckDuckGo/", "YaBrowser/", "UCBrowser/", "Instagram", "FBAN"}

// neverReleased reports whether a version of macOS is one that no system has: macOS 26 tells 16 to programs built before it.
func neverReleased(version string) bool {
	const lastOfTheOld, firstOfTheNew = 15, 26
	n := major(version)
	return n > lastOfTheOld && n < firstOfTheNew
}

// windowsFromHint reads platformVersion of the user-agent client hints: 13 and above is Windows 11; below 1 it is what came before Windows 10.
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
