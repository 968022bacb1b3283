package detect_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/agent"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

const (
	uaSafari   = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15"
	uaIPhone   = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"
	uaIPad     = "Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 Safari/604.1"
	uaWindows  = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	uaWindows7 = "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko"
	uaEdge     = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"
	uaLinux    = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0"
	uaAndroid  = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
	uaCrOS     = "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	uaCriOS    = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0.0.0 Mobile/15E148 Safari/604.1"
	uaFacebook = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22B83 [FBAN/FBIOS;FBAV/487.0.0]"
)

func TestWhatTheClientIs(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	hints := func(platform, version string, mobile bool) *rest.JavaScriptHighEntropy {
		return &rest.JavaScriptHighEntropy{Platform: platform, PlatformVersion: version, Mobile: mobile}
	}
	for _, tc := range []struct {
		name string
		info rest.ClientInformation
		want facts.Client
	}{
		{"Safari on a Mac: the version is frozen, so unknown", rest.ClientInformation{UserAgent: uaSafari}, facts.Client{OS: "macos", Browser: "safari", Desktop: true, Device: facts.DeviceDesktop}},
		{"Safari on an iPhone", rest.ClientInformation{UserAgent: uaIPhone}, facts.Client{OS: "ios", OSVersion: 18, Browser: "safari", Mobile: true, Device: facts.DevicePhone}},
		{"Safari on an iPad", rest.ClientInformation{UserAgent: uaIPad}, facts.Client{OS: "ios", OSVersion: 17, Browser: "safari", Mobile: true, Device: facts.DeviceTablet}},
		{"Chrome on Windows: 10 and 11 call themselves NT 10.0, so unknown", rest.ClientInformation{UserAgent: uaWindows}, facts.Client{OS: "windows", Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop}},
		{"Chrome on Windows 11 by its hints", rest.ClientInformation{UserAgent: uaWindows, JavaScriptHighEntropy: hints("Windows", "15.0.0", false)}, facts.Client{OS: "windows", OSVersion: 11, Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop}},
		{"the last Windows 10 by its hints", rest.ClientInformation{UserAgent: uaWindows, JavaScriptHighEntropy: hints("Windows", "12.9.0", false)}, facts.Client{OS: "windows", OSVersion: 10, Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop}},
		{"the caller's own parse wins over hints", rest.ClientInformation{
			UserAgent: uaWindows, JavaScriptHighEntropy: hints("Windows", "15.0.0", false),
			ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "macOS", OSVersion: "15.1", BrowserName: "Safari", BrowserVersion: "18"},
		}, facts.Client{OS: "macos", OSVersion: 15, Browser: "safari", Desktop: true, Device: facts.DeviceDesktop}},
		{"a parse without a browser leaves that to the user agent", rest.ClientInformation{UserAgent: uaEdge, ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "Windows", OSVersion: "11"}}, facts.Client{OS: "windows", OSVersion: 11, Browser: "edge", Desktop: true, Device: facts.DeviceDesktop}},
		{"an old Internet Explorer", rest.ClientInformation{UserAgent: uaWindows7}, facts.Client{OS: "windows", OSVersion: 7, Browser: "internet explorer", Desktop: true, Device: facts.DeviceDesktop}},
		{"Firefox on Linux", rest.ClientInformation{UserAgent: uaLinux}, facts.Client{OS: "linux", Browser: "firefox", Desktop: true, Device: facts.DeviceDesktop}},
		{"Chrome on Android", rest.ClientInformation{UserAgent: uaAndroid}, facts.Client{OS: "android", OSVersion: 14, Browser: "chrome", Mobile: true, Device: facts.DevicePhone}},
		{"Chrome on ChromeOS", rest.ClientInformation{UserAgent: uaCrOS}, facts.Client{OS: "chromeos", Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop}},
		{"Chrome on iOS", rest.ClientInformation{UserAgent: uaCriOS}, facts.Client{OS: "ios", OSVersion: 18, Browser: "chrome", Mobile: true, Device: facts.DevicePhone}},
		{"a mobile client of a desktop system", rest.ClientInformation{JavaScriptHighEntropy: hints("Windows", "10", true)}, facts.Client{OS: "windows", OSVersion: 10, Mobile: true, Device: facts.DevicePhone}},
		{"a parsed device with a mobile user agent", rest.ClientInformation{UserAgent: "Mozilla/5.0 (X11; Linux) Mobile", ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "Linux", BrowserName: "Firefox"}}, facts.Client{OS: "linux", Browser: "firefox", Mobile: true, Device: facts.DevicePhone}},
		{"an app", app("Android", "15", rest.NativeMeta{}), facts.Client{OS: "android", OSVersion: 15, Browser: "app", Native: true, Mobile: true, Device: facts.DevicePhone}},
		{"an app that sends only its meta data", rest.ClientInformation{NativeMeta: &rest.NativeMeta{}}, facts.Client{Browser: "app", Native: true, Device: facts.DeviceUnknown}},
		{"a browser that sends meta data all the same", rest.ClientInformation{IsNative: ptr(false), NativeMeta: &rest.NativeMeta{}}, facts.Client{Device: facts.DeviceUnknown}},
		{"private and driven", rest.ClientInformation{PrivateMode: ptr(true), Webdriver: ptr(true)}, facts.Client{PrivateMode: true, Webdriver: true, Device: facts.DeviceUnknown}},
		{"nothing", rest.ClientInformation{}, facts.Client{Device: facts.DeviceUnknown}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := k.Mediation(service.Question{Client: tc.info})
			if diff := cmp.Diff(tc.want, d.Facts.Client); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhatTheClientCanDo(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
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
		{"everything denied", rest.ClientInformation{UserVerifyingPlatformAuthenticatorAvailable: ptr(false), ConditionalMediationAvailable: ptr(false)}, none},
		{"backend name of UVPAA", rest.ClientInformation{UserVerifyingPlatformAuthenticatorAvailable: ptr(true)}, but(func(s *facts.Support) { s.WebAuthn, s.UVPA = true, true })},
		{"frontend name of UVPAA", rest.ClientInformation{IsUserVerifyingPlatformAuthenticatorAvailable: ptr(true)}, but(func(s *facts.Support) { s.WebAuthn, s.UVPA = true, true })},
		{"old alias of UVPAA", rest.ClientInformation{CanUsePasskeys: ptr(true)}, but(func(s *facts.Support) { s.WebAuthn, s.UVPA = true, true })},
		{"conditional mediation", rest.ClientInformation{ConditionalMediationAvailable: ptr(true)}, but(func(s *facts.Support) { s.WebAuthn, s.ConditionalGet = true, true })},
		{"frontend name of conditional mediation", rest.ClientInformation{IsConditionalMediationAvailable: ptr(true)}, but(func(s *facts.Support) { s.WebAuthn, s.ConditionalGet = true, true })},
		{"capabilities, even if all false", rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{HybridTransport: ptr(false)}}, but(func(s *facts.Support) { s.WebAuthn, s.Hybrid = true, "no" })},
		{"passkeyPlatformAuthenticator is no local authenticator", rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{PasskeyPlatformAuthenticator: ptr(true)}}, but(func(s *facts.Support) { s.WebAuthn = true })},
		{"all capabilities", rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{
			UserVerifyingPlatformAuthenticator: ptr(true), ConditionalGet: ptr(true), ConditionalCreate: ptr(true), HybridTransport: ptr(true), ImmediateGet: ptr(true),
		}}, facts.Support{WebAuthn: true, UVPA: true, BLE: "unknown", ConditionalGet: true, ConditionalCreate: true, Hybrid: "yes", ImmediateGet: true}},
		{"bluetooth off", rest.ClientInformation{BluetoothAvailable: ptr(false)}, but(func(s *facts.Support) { s.BLE = "off" })},
		{"bluetooth on", rest.ClientInformation{BluetoothAvailable: ptr(true)}, but(func(s *facts.Support) { s.BLE = "on" })},
		{"an app", app("iOS", "18", rest.NativeMeta{}), but(func(s *facts.Support) { s.WebAuthn, s.UVPA, s.ConditionalGet = true, true, true })},
		{"an app without the API", app("iOS", "18", rest.NativeMeta{IsPlatformAuthenticatorAPISupported: ptr(false)}), none},
		{"an app on a device without a lock", app("Android", "15", rest.NativeMeta{DeviceSecure: ptr(false)}), but(func(s *facts.Support) { s.WebAuthn, s.ConditionalGet = true, true })},
		{"an app whose owner cannot be verified", app("iOS", "18", rest.NativeMeta{DeviceOwnerAuth: ptr("none")}), but(func(s *facts.Support) { s.WebAuthn, s.ConditionalGet = true, true })},
		{"an app with biometrics", app("iOS", "18", rest.NativeMeta{DeviceOwnerAuth: ptr("biometrics"), DeviceSecure: ptr(true)}), but(func(s *facts.Support) { s.WebAuthn, s.UVPA, s.ConditionalGet = true, true, true })},
		{"an app with bluetooth switched off", app("iOS", "18", rest.NativeMeta{IsBluetoothAvailable: ptr(true), IsBluetoothOn: ptr(false)}), but(func(s *facts.Support) { s.WebAuthn, s.UVPA, s.ConditionalGet, s.BLE = true, true, true, "off" })},
		{"an app with bluetooth on", app("iOS", "18", rest.NativeMeta{IsBluetoothAvailable: ptr(true), IsBluetoothOn: ptr(true)}), but(func(s *facts.Support) { s.WebAuthn, s.UVPA, s.ConditionalGet, s.BLE = true, true, true, "on" })},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := k.Mediation(service.Question{Client: tc.info})
			if diff := cmp.Diff(tc.want, d.Facts.Support); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestWhyAnEnvironmentIsBarred(t *testing.T) {
	t.Parallel()
	chrome := client("Windows", "11", "Chrome")
	blocked := func(name, below string) []any {
		entry := map[string]any{"name": name}
		if below != "" {
			entry["below"] = below
		}
		return []any{entry}
	}
	at := func(address string) rest.ClientInformation {
		return with(chrome, func(i *rest.ClientInformation) { i.RemoteAddress = address })
	}
	driven := with(chrome, func(i *rest.ClientInformation) { i.Webdriver = ptr(true) })
	for _, tc := range []struct {
		name   string
		client rest.ClientInformation
		change func(map[string]any)
		want   facts.Listing
	}{
		{"it is not", chrome, nil, facts.ListedNot},
		{"automation", driven, nil, facts.ListedWebdriver},
		{"automation that is allowed", driven, set("allowWebdriver", true), facts.ListedNot},
		{"a restricted browser", rest.ClientInformation{UserAgent: uaFacebook}, nil, facts.ListedRestrictedBrowser},
		{"Line's browser", rest.ClientInformation{UserAgent: uaIPhone + " Line/14.19.1"}, nil, facts.ListedRestrictedBrowser},
		{"the same words from an app", with(app("iOS", "18", rest.NativeMeta{}), func(i *rest.ClientInformation) { i.UserAgent = uaFacebook }), nil, facts.ListedNot},
		{"another restricted browser", rest.ClientInformation{UserAgent: uaIPhone + " Bank/1"}, nil, facts.ListedNot},
		{"another that is on the list", rest.ClientInformation{UserAgent: uaIPhone + " Bank/1"}, set("restrictedBrowserTokens", []any{"Bank/"}), facts.ListedRestrictedBrowser},
		{"a browser in all versions", chrome, set("blockedBrowsers", blocked("Chrome", "")), facts.ListedBrowser},
		{"a browser below a version", chrome, set("blockedBrowsers", blocked("chrome", "142.1")), facts.ListedBrowser},
		{"a browser at that version", chrome, set("blockedBrowsers", blocked("chrome", "142.0")), facts.ListedNot},
		{"a browser above that version, compared as numbers", chrome, set("blockedBrowsers", blocked("chrome", "99")), facts.ListedNot},
		{"another browser", chrome, set("blockedBrowsers", blocked("Safari", "")), facts.ListedNot},
		{"an operating system", chrome, set("blockedOperatingSystems", blocked("Windows", "")), facts.ListedOperatingSystem},
		{"an operating system below a version", chrome, set("blockedOperatingSystems", blocked("windows", "11")), facts.ListedNot},
		{"an address", at("203.0.113.10"), set("blockedAddresses", []any{"203.0.113.10"}), facts.ListedAddress},
		{"a range", at("203.0.113.10"), set("blockedAddresses", []any{"203.0.113.0/24"}), facts.ListedAddress},
		{"a range, address mapped to IPv6", at("::ffff:203.0.113.10"), set("blockedAddresses", []any{"203.0.113.0/24"}), facts.ListedAddress},
		{"outside the range", at("203.0.114.10"), set("blockedAddresses", []any{"203.0.113.0/24"}), facts.ListedNot},
		{"an address that is none", at("localhost"), set("blockedAddresses", []any{"203.0.113.0/24"}), facts.ListedNot},
		{"an app", app("iOS", "18", rest.NativeMeta{}), set("blockedApplications", []any{"examplebank"}), facts.ListedApplication},
		{"a browser of an app's name", client("iOS", "18", "ExampleBank"), set("blockedApplications", []any{"ExampleBank"}), facts.ListedNot},
		{"the environment itself", chrome, set("blockedEnvironments", []any{"env-1"}), facts.ListedEnvironment},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var changes []func(map[string]any)
			if tc.change != nil {
				changes = append(changes, tc.change)
			}
			d := knowledge(t, changes...).Mediation(service.Question{Client: tc.client, Environment: service.Environment{ID: "env-1", Known: true}})
			if got := d.Facts.Environment.Listed; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestEachTag(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	mac := client("macOS", "15", "Safari")
	passkeyOf := func(aaguid string, be bool) []account.Credential {
		return []account.Credential{credential(aaguid, be, "Android", "internal")}
	}
	nudged := func(change func(*history.Append)) history.History {
		var h history.History
		change(&h.Append)
		return h
	}
	pair := func(p history.Pair) history.History { return history.History{Pair: p} }
	for _, tc := range []struct {
		tag         string
		client      *rest.ClientInformation // nil = mac
		environment *service.Environment    // nil = known
		credentials []account.Credential
		history     history.History
	}{
		{tag: "support/webauthn"},
		{tag: "support/no-webauthn", client: &rest.ClientInformation{}},
		{tag: "support/uvpaa"},
		{tag: "support/no-uvpaa", client: &rest.ClientInformation{}},
		{tag: "support/conditional-get"},
		{tag: "support/conditional-create", client: &rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{ConditionalCreate: ptr(true)}}},
		{tag: "support/hybrid"},
		{tag: "support/no-hybrid", client: &rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{HybridTransport: ptr(false)}}},
		{tag: "support/ble-on"},
		{tag: "support/ble-off", client: &rest.ClientInformation{BluetoothAvailable: ptr(false)}},
		{tag: "support/ble-unknown", client: &rest.ClientInformation{}},
		{tag: "support/native", client: ptr(app("iOS", "18", rest.NativeMeta{}))},
		{tag: "support/private-mode", client: &rest.ClientInformation{PrivateMode: ptr(true)}},
		{tag: "support/webdriver", client: &rest.ClientInformation{Webdriver: ptr(true)}},
		{tag: "support/restricted-browser", client: &rest.ClientInformation{UserAgent: uaFacebook}},
		{tag: "support/no-screen-lock", client: ptr(app("Android", "15", rest.NativeMeta{DeviceSecure: ptr(false)}))},
		{tag: "support/immediate-get", client: &rest.ClientInformation{ClientCapabilities: &rest.ClientCapabilities{ImmediateGet: ptr(true)}}},
		{tag: "clientEnv/known"},
		{tag: "clientEnv/unknown", environment: &service.Environment{}},
		{tag: "clientEnv/unknown", client: &rest.ClientInformation{PrivateMode: ptr(true)}},
		{tag: "clientEnv/handle-rejected", environment: &service.Environment{Rejected: true}},
		{tag: "clientEnv/positive", history: pair(history.Pair{Positive: true})},
		{tag: "clientEnv/negative", history: pair(history.Pair{CDAStreak: 2})},
		{tag: "clientEnv/blacklisted", client: &rest.ClientInformation{Webdriver: ptr(true)}},
		{tag: "history/login-blacklisted", history: history.History{Blacklist: history.Blacklist{Login: true}}},
		{tag: "history/append-blacklisted-after-hybrid", history: history.History{Blacklist: history.Blacklist{AppendAfterHybrid: true}}},
		{tag: "history/append-blacklisted-after-error", history: history.History{Blacklist: history.Blacklist{AppendAfterError: true}}},
		{tag: "history/local-streak-3", history: pair(history.Pair{LocalStreak: 3})},
		{tag: "history/cda-streak-1", history: pair(history.Pair{CDAStreak: 1})},
		{tag: "history/sk-streak-2", history: pair(history.Pair{SecurityKeyStreak: 2})},
		{tag: "history/no-credentials", history: pair(history.Pair{NoCredentials: true})},
		{tag: "history/positive-recent", history: pair(history.Pair{Positive: true})},
		{tag: "history/positive-stale", history: pair(history.Pair{PositiveStale: true})},
		{tag: "history/default-cooldown", history: nudged(func(a *history.Append) { a.Default.Cooldown = true })},
		{tag: "history/after-error-cooldown", history: nudged(func(a *history.Append) { a.AfterError.Cooldown = true })},
		{tag: "history/after-hybrid-cooldown", history: nudged(func(a *history.Append) { a.AfterHybrid.Cooldown = true })},
		{tag: "history/auto-cooldown", history: nudged(func(a *history.Append) { a.Auto.Cooldown = true })},
		{tag: "history/conditional-create-cooldown", history: nudged(func(a *history.Append) { a.ConditionalCreateCooldown = true })},
		{tag: "history/clock-skew", history: history.History{ClockSkew: true}},
		{tag: "passkey/none"},
		{tag: "passkey/security-key", credentials: []account.Credential{credential(yubikey, false, "Windows", "usb")}},
		{tag: "passkey/apple", credentials: passkeyOf(apple, true)},
		{tag: "passkey/google", credentials: passkeyOf(google, true)},
		{tag: "passkey/windows-hello", credentials: passkeyOf(hello, false)},
		{tag: "passkey/samsung", credentials: passkeyOf(samsung, true)},
		{tag: "passkey/browser-profile", credentials: passkeyOf(chromeMac, false)},
		{tag: "passkey/password-manager", credentials: passkeyOf(bitwarden, true)},
		{tag: "passkey/unknown-provider", credentials: passkeyOf(stranger, true)},
		{tag: "passkey/synced", credentials: passkeyOf(apple, true)},
		{tag: "passkey/device-bound", credentials: passkeyOf(hello, false)},
		{tag: "passkey/availability-likely", credentials: passkeyOf(apple, true)},
		{tag: "passkey/availability-uncertain", credentials: passkeyOf(bitwarden, true)},
		{tag: "passkey/availability-remote", credentials: []account.Credential{credential(google, true, "Windows", "hybrid")}},
		{tag: "passkey/availability-none", credentials: passkeyOf(hello, false)},
	} {
		t.Run(tc.tag, func(t *testing.T) {
			t.Parallel()
			// The tag must come of what the case adds, so a plain Mac without history must not have it, unless nothing was added.
			q := question(mac, tc.credentials...)
			if tc.client != nil {
				q.Client = *tc.client
			}
			if tc.environment != nil {
				q.Environment = *tc.environment
			}
			has := func(q service.Question, h history.History) bool {
				d := k.Login(detect.Input{Question: q, Complete: true, Now: now, History: h})
				return strings.Contains(" "+strings.Join(tagNames(d.Insights.Tags), " ")+" ", " "+tc.tag+" ")
			}
			if !has(q, tc.history) {
				t.Error("the tag is missing")
			}
			added := tc.client != nil || tc.environment != nil || tc.credentials != nil || !cmp.Equal(tc.history, history.History{})
			if added && has(question(mac), history.History{}) {
				t.Error("the tag is always there")
			}
		})
	}
}

func TestTheNameOfASystem(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	for name, want := range map[string]agent.OS{
		"Windows": agent.Windows, "windows 11": agent.Windows, "Windows NT": agent.Windows, "Windows Phone": agent.OtherOS,
		"macOS": agent.MacOS, "Mac OS X": agent.MacOS, "Mac OS": agent.MacOS, "macOS Tahoe": agent.MacOS, "iOS": agent.IOS, "iPadOS 18": agent.IOS,
		"Android": agent.Android, "Chrome OS": agent.ChromeOS, "Chromium OS": agent.ChromeOS, "CrOS": agent.ChromeOS, "Linux x86_64": agent.Linux,
		"Fedora Linux": agent.Linux, "Ubuntu": agent.Linux, "HarmonyOS": agent.HarmonyOS, "Haiku": agent.OtherOS, "": "",
	} {
		info := rest.ClientInformation{ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: name}}
		if got := k.DetectClient(info, service.Environment{}).OS; got != want {
			t.Errorf("%q is %q, want %q", name, got, want)
		}
	}
}

// FuzzDetect holds that nothing a client sends can stop a decision or leave the forms that policies rely on.
func FuzzDetect(f *testing.F) {
	for _, agent := range []string{uaSafari, uaIPhone, uaIPad, uaWindows7, uaEdge, uaAndroid, uaCrOS, uaFacebook, "", "(", ";;;", "Android ", "\xff\xfe"} {
		f.Add(agent, "203.0.113.1", "Windows", "10_15_7", []byte(`{"nativeMeta":{"brand":"x"},"isNative":true}`))
	}
	f.Add(uaAndroid, "::1", "", "999999999999999999999.1", []byte(`{"javaScriptHighEntropy":{"platform":"Windows","platformVersion":"..","mobile":true},"clientCapabilities":{}}`))
	k := knowledge(f, set("blockedAddresses", []any{"10.0.0.0/8"}), set("blockedBrowsers", []any{map[string]any{"name": "Chrome", "below": "1.x.3"}}))
	f.Fuzz(func(t *testing.T, agent, address, os, version string, sent []byte) {
		var info rest.ClientInformation
		if json.Unmarshal(sent, &info) != nil {
			info = rest.ClientInformation{}
		}
		info.UserAgent, info.RemoteAddress = agent, address
		if os != "" {
			info.ParsedDeviceInfo = &rest.ParsedDeviceInfo{OSName: os, OSVersion: version}
		}
		q := question(info, credential(apple, true, os, "internal", "hybrid"), credential(samsung, true, os, "internal"))
		d := k.Login(detect.Input{Question: q, Complete: true, Now: now})
		c := d.Facts.Credentials
		if sum := c.Likely + c.Uncertain + c.Remote + c.SecurityKey; sum > c.Total || c.Total != 2 {
			t.Errorf("counts %+v", c)
		}
		if d.Facts.Client.OSVersion < 0 || (d.Facts.Client.Mobile && d.Facts.Client.Desktop) {
			t.Errorf("client %+v", d.Facts.Client)
		}
		if d.Facts.Value() == nil {
			t.Error("no value")
		}
	})
}
