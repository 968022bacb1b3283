package recognition_test

import (
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
)

func TestEachPartOfAClientIsToldWithWhereItCameFrom(t *testing.T) {
	t.Parallel()
	r := rules(t)
	const (
		mac    = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
		iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 " +
			"Safari/604.1"
		old = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 " +
			"Safari/604.1"
	)
	parse := func(system, version string) *rest.ParsedDeviceInfo {
		return &rest.ParsedDeviceInfo{OSName: system, OSVersion: version, BrowserName: "Edge", BrowserVersion: "141"}
	}
	for name, c := range map[string]struct {
		info            rest.ClientInformation
		system, browser string
	}{
		"nothing is said": {rest.ClientInformation{}, "unknown", "unknown"},
		"a frozen version in the user agent": {
			rest.ClientInformation{UserAgent: mac},
			"macOS (user agent; version unknown; 10.15.7 in the user agent is what is written whatever the version is)",
			"Chrome 142.0.0.0 (user agent)",
		},
		"a hint tells the version": {
			rest.ClientInformation{UserAgent: mac, JavaScriptHighEntropy: &rest.JavaScriptHighEntropy{Platform: "macOS", PlatformVersion: "15.1.0"}},
			"macOS 15.1.0 (hint)", "Chrome 142.0.0.0 (user agent)",
		},
		"a hint of a version that was never released": {
			rest.ClientInformation{UserAgent: mac, JavaScriptHighEntropy: &rest.JavaScriptHighEntropy{Platform: "macOS", PlatformVersion: "16.0"}},
			"macOS (hint; version unknown; 16.0 in the hint is what is written whatever the version is)", "Chrome 142.0.0.0 (user agent)",
		},
		"Safari's own version is the system's": {
			rest.ClientInformation{UserAgent: iphone},
			"iOS 26.0 (user agent; version by the browser's version; 18.6 in the user agent is what is written whatever the version is)",
			"Safari 26.0 (user agent)",
		},
		"a version of Apple's with underscores": {
			rest.ClientInformation{UserAgent: old}, "iOS 17.5 (user agent)", "Safari 17.5 (user agent)",
		},
		"a parse": {rest.ClientInformation{UserAgent: mac, ParsedDeviceInfo: parse("macOS", "15.3")}, "macOS 15.3 (parse)", "Edge 141 (parse)"},
		"a parse of what is frozen": {
			rest.ClientInformation{UserAgent: mac, ParsedDeviceInfo: parse("macOS", "10.15.7")},
			"macOS (parse; version unknown; 10.15.7 in the parse is what is written whatever the version is)", "Edge 141 (parse)",
		},
		"a parse of what is frozen, beside a hint": {
			rest.ClientInformation{
				UserAgent: mac, ParsedDeviceInfo: parse("macOS", "10.15.7"),
				JavaScriptHighEntropy: &rest.JavaScriptHighEntropy{Platform: "macOS", PlatformVersion: "15.1.0"},
			},
			"macOS 15.1.0 (parse; version by the hint; 10.15.7 in the parse is what is written whatever the version is)", "Edge 141 (parse)",
		},
		"a parse of Safari's frozen version": {
			rest.ClientInformation{UserAgent: iphone, ParsedDeviceInfo: parse("iOS", "18.6")},
			"iOS 26.0 (parse; version by the browser's version; 18.6 in the user agent is what is written whatever the version is)",
			"Edge 141 (parse)",
		},
		"a parse of Safari's true version": {
			rest.ClientInformation{UserAgent: old, ParsedDeviceInfo: parse("iOS", "17.5")}, "iOS 17.5 (parse)", "Edge 141 (parse)",
		},
		"an app": {
			rest.ClientInformation{UserAgent: "okhttp/4.12.0", NativeMeta: &rest.NativeMeta{
				Platform: new("Android"), PlatformVersion: new("15"), Name: new("io.example"), Version: new("7.4"),
			}},
			"Android 15 (app)", "io.example 7.4 (app)",
		},
		"an app's own user agent": {
			rest.ClientInformation{UserAgent: "NativeApp/1.4.0 (iOS 18.1; iPhone; iPhone16,2; arm64)", IsNative: new(true)}, "iOS 18.1 (user agent)",
			"unknown",
		},
	} {
		client := r.Recognise(c.info, service.Environment{})
		i := client.Identity()
		if i.System.String() != c.system || i.Browser.String() != c.browser {
			t.Errorf("%s:\ngot  %s; %s\nwant %s; %s", name, i.System, i.Browser, c.system, c.browser)
		}
	}
}
