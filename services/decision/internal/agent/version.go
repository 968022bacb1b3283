package agent

import (
	"slices"
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

var systems = [...]OS{Windows, MacOS, IOS, Android, ChromeOS, Linux, VisionOS, HarmonyOS, OtherOS}

// Known reports whether o is one of the systems.
func (o OS) Known() bool { return slices.Contains(systems[:], o) }

// KnownSystems returns the names of all systems, for complaints.
func KnownSystems() string {
	names := make([]string, len(systems))
	for i, os := range systems {
		names[i] = string(os)
	}
	return strings.Join(names, ", ")
}

// Desktop reports whether computers run the system.
func (o OS) Desktop() bool { return o == Windows || o == MacOS || o == Linux || o == ChromeOS }

// Phone reports whether phones run the system.
func (o OS) Phone() bool { return o == IOS || o == Android }

// Apple reports whether the system is of Apple.
func (o OS) Apple() bool { return o == MacOS || o == IOS || o == VisionOS }

// CompareVersions compares numbers with full stops, or underscores, between them; what is not a number counts as 0.
func CompareVersions(a, b string) int {
	for a != "" || b != "" {
		var x, y string
		x, a = cutNumber(a)
		y, b = cutNumber(b)
		if m, n := number(x), number(y); m != n {
			return m - n
		}
	}
	return 0
}

// cutNumber takes the first number off a version.
func cutNumber(version string) (first, rest string) {
	for i := range len(version) {
		if version[i] == '.' || version[i] == '_' {
			return version[:i], version[i+1:]
		}
	}
	return version, ""
}

// Major is the first number of a version, 0 if there is none.
func Major(version string) int {
	first, _ := cutNumber(version)
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
