package recognition_test

import (
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// A version that browsers write whatever the system's is must not bar anybody who has a newer one.
func TestAFrozenVersionIsUnknownAndBelowNothing(t *testing.T) {
	t.Parallel()
	const (
		uaReduced = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
		uaOldOne  = "Mozilla/5.0 (Android 10; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0"
		uaIOS26   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 " +
			"Mobile/15E148 Safari/604.1"
		uaIOS26Old = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 " +
			"Mobile/15E148 Safari/604.1"
		uaDuckDuck = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 " +
			"Mobile/15E148 Safari/604.1 Ddg/26.0"
		uaIOS18 = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.7 " +
			"Mobile/15E148 Safari/604.1"
		uaCriOS18 = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.7444.77 " +
			"Mobile/15E148 Safari/604.1"
		uaOperaGX = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.7 " +
			"Mobile/15E148 Safari/604.1 OPX/2.6.5"
		uaCatalina = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/14.0 Safari/605.1.15"
	)
	hint := func(platform, version string) *rest.JavaScriptHighEntropy {
		return &rest.JavaScriptHighEntropy{Platform: platform, PlatformVersion: version}
	}
	parse := func(os, version, userAgent string) rest.ClientInformation {
		device := &rest.ParsedDeviceInfo{OSName: os, OSVersion: version, BrowserName: "Chrome", BrowserVersion: "142"}
		return rest.ClientInformation{UserAgent: userAgent, ParsedDeviceInfo: device}
	}
	hinted := func(info rest.ClientInformation, hint *rest.JavaScriptHighEntropy) rest.ClientInformation {
		info.JavaScriptHighEntropy = hint
		return info
	}
	for _, tc := range []struct {
		name   string
		client rest.ClientInformation
		want   int
	}{
		{"macOS in a user agent", rest.ClientInformation{UserAgent: uaSafari}, 0},
		{"macOS in a parse of it", parse("macOS", "10.15.7", uaSafari), 0},
		{"macOS in a parse of it that keeps the first number alone", parse("Mac OS X", "10", uaSafari), 0},
		{"a first number of macOS alone", parse("macOS", "10", ""), 0},
		{"a first number of another macOS of the 10th", parse("macOS", "10", uaCatalina), 10},
		{"iOS under Opera GX", rest.ClientInformation{UserAgent: uaOperaGX}, 0},
		{"another macOS of the 10th", rest.ClientInformation{UserAgent: uaCatalina}, 10},
		{"a hint beside a parse that is frozen", hinted(parse("macOS", "10.15.7", uaSafari), hint("macOS", "26.1.0")), 26},
		{"macOS 16 to a program built before 26", parse("macOS", "16.0", uaSafari), 0},
		{"Windows in a user agent", rest.ClientInformation{UserAgent: uaWindows}, 0},
		{"Windows in a parse of it", parse("Windows", "10", uaWindows), 0},
		{"a Windows that only a parse with hints can know", parse("Windows", "11", uaWindows), 11},
		{"Windows 10 by its hint", rest.ClientInformation{UserAgent: uaWindows, JavaScriptHighEntropy: hint("Windows", "10.0.0")}, 10},
		{"Windows 8.1 by its hint", rest.ClientInformation{UserAgent: uaWindows, JavaScriptHighEntropy: hint("Windows", "0.3.0")}, 8},
		{"a hint without a version", rest.ClientInformation{UserAgent: uaWindows, JavaScriptHighEntropy: hint("Windows", "")}, 0},
		{"Android in a reduced user agent", rest.ClientInformation{UserAgent: uaReduced}, 0},
		{"Android in a parse of it", parse("Android", "10", uaReduced), 0},
		{"Android by its hint", rest.ClientInformation{UserAgent: uaReduced, JavaScriptHighEntropy: hint("Android", "16.0.0")}, 16},
		{"an Android that is the 10th", rest.ClientInformation{UserAgent: uaOldOne}, 10},
		{"iOS under Safari 26", rest.ClientInformation{UserAgent: uaIOS26}, 26},
		{"iOS under Safari 26, in a parse", parse("iOS", "18.6", uaIOS26), 26},
		{"iOS under Safari 26 that says another", rest.ClientInformation{UserAgent: uaIOS26Old}, 26},
		{"iOS under Safari 26 that says another, in a parse", parse("iOS", "18.5", uaIOS26Old), 26},
		{"iOS under another browser with Safari's words", rest.ClientInformation{UserAgent: uaDuckDuck}, 0},
		{"iOS in a parse of its own", parse("iOS", "17.5", uaIOS26Old), 17},
		{"Windows in a parse that leaves the NT", parse("Windows", "NT 10.0", uaWindows), 0},
		{"Windows 7 in a parse that leaves the NT", parse("Windows", "NT 6.1", uaWindows7), 7},
		{"Windows 11 by its build", parse("Windows", "10.0.26100", uaWindows), 11},
		{"Windows 10 by its build", parse("Windows", "10.0.19045", uaWindows), 10},
		{"ChromeOS in a parse of it", parse("Chrome OS", "14541.0.0", uaCrOS), 0},
		{"iOS under Safari 18", rest.ClientInformation{UserAgent: uaIOS18}, 18},
		{"iOS under Chrome", rest.ClientInformation{UserAgent: uaCriOS18}, 0},
		{"iOS 18.1 under Chrome", rest.ClientInformation{UserAgent: uaCriOS}, 18},
		{"ChromeOS", rest.ClientInformation{UserAgent: uaCrOS}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := rules(t).Recognise(tc.client, service.Environment{})
			found := c.Facts()
			if found.OSVersion != tc.want {
				t.Errorf("%s %d, want %d", found.OS, found.OSVersion, tc.want)
			}
			bar := rules(t, set("blockedOperatingSystems", []any{map[string]any{"name": found.OS, "below": "99"}}))
			listed := bar.Recognise(tc.client, service.Environment{}).Listed
			if barred := listed == facts.ListedOperatingSystem; barred != (tc.want != 0) {
				t.Errorf("below 99: %s", listed)
			}
		})
	}
}

// Parsers write 0, or a word, for a version that they do not know. It is not a very old one.
func TestAVersionThatIsNoNumberIsUnknownAndBelowNothing(t *testing.T) {
	t.Parallel()
	const mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	below := func(name, version string) any { return map[string]any{"name": name, "below": version} }
	r := rules(t, set("blockedOperatingSystems", []any{below("macOS", "14"), below("Windows", "10"), below("iOS", "17")}),
		set("blockedBrowsers", []any{below("Chrome", "100")}))
	hinted := &rest.JavaScriptHighEntropy{Platform: "macOS", PlatformVersion: "15.1"}
	parse := func(os, osVersion, browserVersion string) *rest.ParsedDeviceInfo {
		return &rest.ParsedDeviceInfo{OSName: os, OSVersion: osVersion, BrowserName: "Chrome", BrowserVersion: browserVersion}
	}
	for name, c := range map[string]struct {
		info            rest.ClientInformation
		system, browser string
		listed          facts.Listing
	}{
		"a parse without others": {rest.ClientInformation{ParsedDeviceInfo: parse("macOS", "0", "0.0.0")}, "", "", facts.ListedNot},
		"words in a parse":       {rest.ClientInformation{ParsedDeviceInfo: parse("macOS", "unknown", "Other")}, "", "", facts.ListedNot},
		"a parse beside a hint and a user agent": {
			rest.ClientInformation{UserAgent: mac, JavaScriptHighEntropy: hinted, ParsedDeviceInfo: parse("macOS", "0", "0")},
			"15.1", "142.0.0.0", facts.ListedNot,
		},
		"a parse of another browser": {
			rest.ClientInformation{UserAgent: mac, ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "macOS", BrowserName: "Edge"}}, "", "",
			facts.ListedNot,
		},
		"a hint": {
			rest.ClientInformation{
				UserAgent: mac, JavaScriptHighEntropy: &rest.JavaScriptHighEntropy{Platform: "macOS", PlatformVersion: "0.0.0"},
			}, "", "142.0.0.0", facts.ListedNot,
		},
		"a user agent": {
			rest.ClientInformation{
				UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 0_0 like Mac OS X) AppleWebKit/605.1.15 CriOS/0.0 Safari/604.1",
			}, "", "", facts.ListedNot,
		},
		"an app": {
			rest.ClientInformation{
				NativeMeta: &rest.NativeMeta{Platform: new("iOS"), PlatformVersion: new("0.0"), Name: new("x"), Version: new("0")},
			}, "", "", facts.ListedNot,
		},
		"an old Windows by its name": {
			rest.ClientInformation{ParsedDeviceInfo: parse("Windows", "XP", "49")}, "5.1", "49", facts.ListedOperatingSystem,
		},
		"an old Windows": {
			rest.ClientInformation{ParsedDeviceInfo: parse("Windows", "6.1", "142")}, "7", "142", facts.ListedOperatingSystem,
		},
		"a version that is low": {rest.ClientInformation{ParsedDeviceInfo: parse("macOS", "15", "0.9")}, "15", "0.9", facts.ListedBrowser},
	} {
		got := r.Recognise(c.info, service.Environment{})
		if got.OSVersion != c.system || got.BrowserVersion != c.browser || got.Listed != c.listed {
			t.Errorf("%s: system %q, browser %q, listed %s; want %q, %q, %s", name, got.OSVersion, got.BrowserVersion, got.Listed, c.system,
				c.browser, c.listed)
		}
	}
}
