package recognition_test

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

const (
	uaSafari = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"
	uaIPhone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 " +
		"Safari/604.1"
	uaIPad = "Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 " +
		"Safari/604.1"
	uaWindows  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	uaWindows7 = "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko"
	uaEdge     = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 " +
		"Edg/142.0.0.0"
	uaLinux   = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
	uaAndroid = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
	uaCrOS    = "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	uaCriOS   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 " +
		"Mobile/15E148 Safari/604.1"
	uaFacebook = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 " +
		"[FBAN/FBIOS;FBAV/487.0.0]"
)

func rules(t testing.TB, changes ...func(parameters map[string]any)) *recognition.Rules {
	t.Helper()
	raw, err := fs.ReadFile(policies.Bundle, "data.json")
	if err != nil {
		t.Fatal(err)
	}
	var data struct{ Keyward map[string]any }
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	for _, change := range changes {
		change(data.Keyward["parameters"].(map[string]any))
	}
	var parameters struct {
		recognition.Bars
		MinimumVersions recognition.MinimumVersions `json:"minimumVersions"`
	}
	if err := document.Decode(data.Keyward, "parameters", &parameters); err != nil {
		t.Fatal(err)
	}
	r, err := recognition.Learn(data.Keyward, parameters.Bars, parameters.MinimumVersions)
	if err != nil {
		t.Fatal(err)
	}
	return &r
}

func set(name string, value any) func(map[string]any) {
	return func(parameters map[string]any) { parameters[name] = value }
}

func TestWhatTheClientIs(t *testing.T) {
	t.Parallel()
	r := rules(t)
	hints := func(platform, version string, mobile bool) *rest.JavaScriptHighEntropy {
		return &rest.JavaScriptHighEntropy{Platform: platform, PlatformVersion: version, Mobile: mobile}
	}
	for _, tc := range []struct {
		name string
		info rest.ClientInformation
		want facts.Client
	}{
		{
			"Safari on a Mac: the version is frozen, so unknown", rest.ClientInformation{UserAgent: uaSafari},
			facts.Client{OS: "macos", Browser: "safari", Desktop: true, Device: facts.DeviceDesktop},
		},
		{
			"Safari on an iPhone", rest.ClientInformation{UserAgent: uaIPhone},
			facts.Client{OS: "ios", OSVersion: 18, Browser: "safari", Mobile: true, Device: facts.DevicePhone},
		},
		{
			"Safari on an iPad", rest.ClientInformation{UserAgent: uaIPad},
			facts.Client{OS: "ios", OSVersion: 17, Browser: "safari", Mobile: true, Device: facts.DeviceTablet},
		},
		{
			"Chrome on Windows: 10 and 11 call themselves NT 10.0, so unknown", rest.ClientInformation{UserAgent: uaWindows},
			facts.Client{OS: "windows", Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop},
		},
		{
			"Chrome on Windows 11 by its hints",
			rest.ClientInformation{UserAgent: uaWindows, JavaScriptHighEntropy: hints("Windows", "15.0.0", false)},
			facts.Client{OS: "windows", OSVersion: 11, Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop},
		},
		{
			"the last Windows 10 by its hints",
			rest.ClientInformation{UserAgent: uaWindows, JavaScriptHighEntropy: hints("Windows", "12.9.0", false)},
			facts.Client{OS: "windows", OSVersion: 10, Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop},
		},
		{"the caller's own parse wins over hints", rest.ClientInformation{
			UserAgent: uaWindows, JavaScriptHighEntropy: hints("Windows", "15.0.0", false),
			ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "macOS", OSVersion: "15.1", BrowserName: "Safari", BrowserVersion: "18"},
		}, facts.Client{OS: "macos", OSVersion: 15, Browser: "safari", Desktop: true, Device: facts.DeviceDesktop}},
		{
			"a parse without a browser leaves that to the user agent",
			rest.ClientInformation{UserAgent: uaEdge, ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "Windows", OSVersion: "11"}},
			facts.Client{OS: "windows", OSVersion: 11, Browser: "edge", Desktop: true, Device: facts.DeviceDesktop},
		},
		{
			"an old Internet Explorer", rest.ClientInformation{UserAgent: uaWindows7},
			facts.Client{OS: "windows", OSVersion: 7, Browser: "internet explorer", Desktop: true, Device: facts.DeviceDesktop},
		},
		{
			"Firefox on Linux", rest.ClientInformation{UserAgent: uaLinux},
			facts.Client{OS: "linux", Browser: "firefox", Desktop: true, Device: facts.DeviceDesktop},
		},
		{
			"Chrome on Android", rest.ClientInformation{UserAgent: uaAndroid},
			facts.Client{OS: "android", OSVersion: 14, Browser: "chrome", Mobile: true, Device: facts.DevicePhone},
		},
		{
			"Chrome on ChromeOS", rest.ClientInformation{UserAgent: uaCrOS},
			facts.Client{OS: "chromeos", Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop},
		},
		{
			"Chrome on iOS", rest.ClientInformation{UserAgent: uaCriOS},
			facts.Client{OS: "ios", OSVersion: 18, Browser: "chrome", Mobile: true, Device: facts.DevicePhone},
		},
		{
			"a mobile client of a desktop system", rest.ClientInformation{JavaScriptHighEntropy: hints("Windows", "10", true)},
			facts.Client{OS: "windows", OSVersion: 10, Mobile: true, Device: facts.DevicePhone},
		},
		{
			"a parsed device with a mobile user agent",
			rest.ClientInformation{
				UserAgent:        "Mozilla/5.0 (X11; Linux) Mobile",
				ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "Linux", BrowserName: "Firefox"},
			},
			facts.Client{OS: "linux", Browser: "firefox", Mobile: true, Device: facts.DevicePhone},
		},
		{
			"an app", factstest.App("Android", "15", rest.NativeMeta{}),
			facts.Client{OS: "android", OSVersion: 15, Browser: "app", Native: true, Mobile: true, Device: facts.DevicePhone},
		},
		{
			"an app that sends only its meta data", rest.ClientInformation{NativeMeta: &rest.NativeMeta{}},
			facts.Client{Browser: "app", Native: true, Device: facts.DeviceUnknown},
		},
		{
			"a browser that sends meta data all the same",
			rest.ClientInformation{IsNative: new(false), NativeMeta: &rest.NativeMeta{}}, facts.Client{Device: facts.DeviceUnknown},
		},
		{
			"private and driven", rest.ClientInformation{PrivateMode: new(true), Webdriver: new(true)},
			facts.Client{PrivateMode: true, Webdriver: true, Device: facts.DeviceUnknown},
		},
		{"nothing", rest.ClientInformation{}, facts.Client{Device: facts.DeviceUnknown}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := r.Recognise(tc.info, service.Environment{})
			if diff := cmp.Diff(tc.want, c.Facts()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhatTheClientCanDo(t *testing.T) {
	t.Parallel()
	r := rules(t)
	none := facts.Support{BLE: "unknown", Hybrid: "unknown"}
	but := func(change func(*facts.Support)) facts.Support {
		s := none
		change(&s)
		return s
	}
	for _, tc := range []struct {
		name string
		info rest.ClientInformation
		want facts.Support
	}{
		{"nothing said", rest.ClientInformation{}, none},
		{
			"everything denied",
			rest.ClientInformation{UserVerifyingPlatformAuthenticatorAvailable: new(false), ConditionalMediationAvailable: new(false)},
			none,
		},
		{
			"backend name of UVPAA", rest.ClientInformation{UserVerifyingPlatformAuthenticatorAvailable: new(true)},
			but(func(s *facts.Support) { s.WebAuthn, s.UVPA = true, true }),
		},
		{
			"frontend name of UVPAA", rest.ClientInformation{IsUserVerifyingPlatformAuthenticatorAvailable: new(true)},
			but(func(s *facts.Support) { s.WebAuthn, s.UVPA = true, true }),
		},
		{
			"old alias of UVPAA", rest.ClientInformation{CanUsePasskeys: new(true)},
			but(func(s *facts.Support) { s.WebAuthn, s.UVPA = true, true }),
		},
		{
			"conditional mediation", rest.ClientInformation{ConditionalMediationAvailable: new(true)},
			but(func(s *facts.Support) { s.WebAuthn, s.ConditionalGet = true, true }),
		},
		{
			"frontend name of conditional mediation", rest.ClientInformation{IsConditionalMediationAvailable: new(true)},
			but(func(s *facts.Support) { s.WebAuthn, s.ConditionalGet = true, true }),
		},
		{
			"capabilities, even if all false",
			rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{HybridTransport: new(false)}},
			but(func(s *facts.Support) { s.WebAuthn, s.Hybrid = true, "no" }),
		},
		{
			"passkeyPlatformAuthenticator is no local authenticator",
			rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{PasskeyPlatformAuthenticator: new(true)}},
			but(func(s *facts.Support) { s.WebAuthn = true }),
		},
		{"all capabilities", rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{
			UserVerifyingPlatformAuthenticator: new(true), ConditionalGet: new(true), ConditionalCreate: new(true),
			HybridTransport: new(true), ImmediateGet: new(true),
		}}, facts.Support{
			WebAuthn:          true,
			UVPA:              true,
			BLE:               "unknown",
			ConditionalGet:    true,
			ConditionalCreate: true,
			Hybrid:            "yes",
			ImmediateGet:      true,
		}},
		{"bluetooth off", rest.ClientInformation{BluetoothAvailable: new(false)}, but(func(s *facts.Support) { s.BLE = "off" })},
		{"bluetooth on", rest.ClientInformation{BluetoothAvailable: new(true)}, but(func(s *facts.Support) { s.BLE = "on" })},
		{
			"an app", factstest.App("iOS", "18", rest.NativeMeta{}),
			but(func(s *facts.Support) { s.WebAuthn, s.UVPA, s.ConditionalGet = true, true, true }),
		},
		{"an app without the API", factstest.App("iOS", "18", rest.NativeMeta{IsPlatformAuthenticatorAPISupported: new(false)}), none},
		{
			"an app on a device without a lock", factstest.App("Android", "15", rest.NativeMeta{DeviceSecure: new(false)}),
			but(func(s *facts.Support) { s.WebAuthn, s.ConditionalGet = true, true }),
		},
		{
			"an app whose owner cannot be verified", factstest.App("iOS", "18", rest.NativeMeta{DeviceOwnerAuth: new("none")}),
			but(func(s *facts.Support) { s.WebAuthn, s.ConditionalGet = true, true }),
		},
		{
			"an app with biometrics",
			factstest.App("iOS", "18", rest.NativeMeta{DeviceOwnerAuth: new("biometrics"), DeviceSecure: new(true)}),
			but(func(s *facts.Support) { s.WebAuthn, s.UVPA, s.ConditionalGet = true, true, true }),
		},
		{
			"an app with bluetooth switched off",
			factstest.App("iOS", "18", rest.NativeMeta{IsBluetoothAvailable: new(true), IsBluetoothOn: new(false)}),
			but(func(s *facts.Support) { s.WebAuthn, s.UVPA, s.ConditionalGet, s.BLE = true, true, true, "off" }),
		},
		{
			"an app with bluetooth on",
			factstest.App("iOS", "18", rest.NativeMeta{IsBluetoothAvailable: new(true), IsBluetoothOn: new(true)}),
			but(func(s *facts.Support) { s.WebAuthn, s.UVPA, s.ConditionalGet, s.BLE = true, true, true, "on" }),
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := r.Recognise(tc.info, service.Environment{})
			if diff := cmp.Diff(tc.want, c.Support()); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestTheNameOfASystem(t *testing.T) {
	t.Parallel()
	r := rules(t)
	for name, want := range map[string]agent.OS{
		"Windows": agent.Windows, "windows 11": agent.Windows, "Windows NT": agent.Windows, "Windows Phone": agent.OtherOS,
		"macOS": agent.MacOS, "Mac OS X": agent.MacOS, "Mac OS": agent.MacOS, "macOS Tahoe": agent.MacOS, "iOS": agent.IOS,
		"iPadOS 18": agent.IOS,
		"Android":   agent.Android, "Chrome OS": agent.ChromeOS, "Chromium OS": agent.ChromeOS, "CrOS": agent.ChromeOS,
		"Linux x86_64": agent.Linux,
		"Fedora Linux": agent.Linux, "Ubuntu": agent.Linux, "HarmonyOS": agent.HarmonyOS, "Haiku": agent.OtherOS, "": "",
	} {
		info := rest.ClientInformation{ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: name}}
		if got := r.Recognise(info, service.Environment{}).OS; got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}
