package recognition_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

// sent returns what each published SDK sends of its client, by the name of the body. Address and user agent are the request's, where the
// body has none.
func sent(t *testing.T) map[string]rest.ClientInformation {
	t.Helper()
	raw, err := os.ReadFile("../../../../test/testdata/sdk-bodies.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Bodies []struct {
			ID      string
			Headers map[string]string
			Body    struct{ ClientInformation *rest.ClientInformation }
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	clients := map[string]rest.ClientInformation{}
	for _, body := range file.Bodies {
		info := body.Body.ClientInformation
		if info == nil {
			continue
		}
		if info.UserAgent == "" {
			info.UserAgent = body.Headers["User-Agent"]
		}
		clients[body.ID] = *info
	}
	return clients
}

func TestWhatThePublishedSDKsSendIsUnderstood(t *testing.T) {
	t.Parallel()
	r := rules(t)
	ios := facts.Client{OS: "ios", OSVersion: 18, Browser: "app", Native: true, Mobile: true, Device: facts.DevicePhone}
	android := facts.Client{OS: "android", OSVersion: 15, Browser: "app", Native: true, Mobile: true, Device: facts.DevicePhone}
	mac26 := facts.Client{OS: "macos", OSVersion: 26, Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop}
	mac := facts.Client{OS: "macos", Browser: "chrome", Desktop: true, Device: facts.DeviceDesktop}
	firefox := facts.Client{OS: "windows", Browser: "firefox", Desktop: true, Device: facts.DeviceDesktop}
	all := facts.Support{WebAuthn: true, UVPA: true, BLE: "unknown", ConditionalGet: true, Hybrid: "unknown"}
	bluetooth := all
	bluetooth.BLE = "on"
	capable := bluetooth
	capable.ConditionalCreate, capable.Hybrid = true, "yes"
	phone := capable
	phone.BLE = "unknown"
	unlocked := all
	unlocked.UVPA = false
	none := facts.Support{BLE: "unknown", Hybrid: "unknown"}
	want := map[string]struct {
		client  facts.Client
		support facts.Support
	}{
		"web-core-process-init-chrome":      {mac26, capable},
		"web-core-process-init-firefox":     {firefox, all},
		"web-core-process-init-no-webauthn": {firefox, none},
		"web-core-passkey-append-start":     {mac, none}, // the process knows the rest
		"web-core-me-append-start":          {mac26, capable},
		"connect-react-login-init":          {mac26, capable},
		"connect-react-append-init":         {mac26, capable},
		"connect-react-manage-init": {
			facts.Client{OS: "ios", OSVersion: 26, Browser: "safari", Mobile: true, Device: facts.DevicePhone}, phone,
		},
		"corbado-ios-login-init":  {ios, all},
		"corbado-ios-append-init": {ios, all},
		"corbado-ios-manage-init": {
			facts.Client{OS: "ios", OSVersion: 26, Browser: "app", Native: true, Mobile: true, Device: facts.DeviceTablet},
			unlocked,
		},
		"corbado-android-login-init":         {android, bluetooth},
		"corbado-android-append-init":        {android, all},
		"corbado-android-manage-init-failed": {android, all},
		"flutter-ios-process-init":           {ios, all},
		"flutter-android-process-init":       {android, all},
		"flutter-web-process-init":           {mac, all},
		"node-passkey-append-start":          {mac26, bluetooth},
		"node-passkey-append-finish":         {mac, all},
		"node-passkey-login-start":           {mac26, bluetooth},
		"node-passkey-login-finish":          {mac, all},
		"node-passkey-mediation-start":       {mac26, bluetooth},
		"node-passkey-mediation-finish":      {mac, all},
	}
	clients := sent(t)
	for name := range want {
		if _, ok := clients[name]; !ok {
			t.Errorf("no SDK sends %s", name)
		}
	}
	for name, info := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expected, ok := want[name]
			if !ok {
				t.Fatal("nobody says what this one must be taken for")
			}
			c := r.Recognise(info, service.Environment{})
			if diff := cmp.Diff(expected.client, c.Facts()); diff != "" {
				t.Errorf("client (-want +got)\n%s", diff)
			}
			if diff := cmp.Diff(expected.support, c.Support()); diff != "" {
				t.Errorf("support (-want +got)\n%s", diff)
			}
		})
	}
}

func TestAnAppThatCreatesSilentlySaysSo(t *testing.T) {
	t.Parallel()
	r := rules(t)
	yes, no := new(true), new(false)
	for name, tc := range map[string]struct {
		said    *bool
		browser *bool // of clientCapabilities
		want    bool
	}{
		"nothing is said, and nothing guessed by a new system": {nil, nil, false},
		"it can":                    {yes, nil, true},
		"it cannot":                 {no, nil, false},
		"it says so as browsers do": {nil, yes, true},
		"its own word goes before":  {no, yes, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			info := rest.ClientInformation{IsNative: yes, NativeMeta: &rest.NativeMeta{
				Platform: new("iOS"), PlatformVersion: new("26.0"), IsConditionalCreateSupported: tc.said,
			}}
			if tc.browser != nil {
				info.ClientCapabilities = &rest.ClientCapabilities{ConditionalCreate: tc.browser}
			}
			c := r.Recognise(info, service.Environment{})
			if got := c.Support().ConditionalCreate; got != tc.want {
				t.Errorf("conditionalCreate is %t", got)
			}
		})
	}
}

func TestWhatAnAppCanDoComesWithItsSystem(t *testing.T) {
	t.Parallel()
	r := rules(t)
	said := func(platform, version string, change func(*rest.ClientInformation)) rest.ClientInformation {
		info := rest.ClientInformation{
			UserAgent: "okhttp/4.12.0", IsNative: new(true),
			NativeMeta: &rest.NativeMeta{Platform: &platform, PlatformVersion: &version, DisplayName: new("Example")},
		}
		if change != nil {
			change(&info)
		}
		return info
	}
	meta := func(change func(*rest.NativeMeta)) func(*rest.ClientInformation) {
		return func(i *rest.ClientInformation) { change(i.NativeMeta) }
	}
	agent := func(userAgent string, uvpaa bool) rest.ClientInformation {
		return rest.ClientInformation{IsNative: new(true), UserAgent: userAgent, IsUserVerifyingPlatformAuthenticatorAvailable: &uvpaa}
	}
	for _, tc := range []struct {
		name                     string
		client                   rest.ClientInformation
		webauthn, uvpa, fillsIns bool
	}{
		{"iOS 16 has passkeys", said("iOS", "16.0", nil), true, true, true},
		{"iOS 15 has none", said("iOS", "15.8", nil), false, false, false},
		{"a version that is not told is new enough", said("iPadOS", "", nil), true, true, true},
		{"Android 9 has passkeys, not in fields", said("Android", "9", nil), true, true, false},
		{"Android 8 has none", said("Android", "8.1.0", nil), false, false, false},
		{"Android 14 fills in", said("Android", "14", nil), true, true, true},
		{"no Play services", said("Android", "15", meta(func(m *rest.NativeMeta) { m.IsGooglePlayServices = new(false) })), false, false, false},
		{
			"no Play services, in the other spelling",
			said("Android", "15", meta(func(m *rest.NativeMeta) { m.GooglePlayServices = new(false) })), false, false, false,
		},
		{"no lock", said("Android", "15", meta(func(m *rest.NativeMeta) { m.DeviceOwnerAuth = new("none") })), true, false, true},
		{
			"a device that is not secure, in the other spelling",
			said("Android", "15", meta(func(m *rest.NativeMeta) { m.IsDeviceSecure = new(false) })), true, false, true,
		},
		{"a code", said("Android", "15", meta(func(m *rest.NativeMeta) { m.DeviceOwnerAuth = new("code") })), true, true, true},
		{"Android's error is not the lock's", said("Android", "15", meta(func(m *rest.NativeMeta) { m.Error = new("x") })), true, true, true},
		{
			"Apple's error stands where a way would",
			said("iOS", "18.1", meta(func(m *rest.NativeMeta) { m.Error = new("Kein Code.") })), true, false, true,
		},
		{
			"an error beside a way",
			said("iOS", "18.1", meta(func(m *rest.NativeMeta) { m.Error, m.DeviceOwnerAuth = new("x"), new("code") })), true, true,
			true,
		},
		{
			"what is stated goes first",
			said("iOS", "15", meta(func(m *rest.NativeMeta) { m.IsPlatformAuthenticatorAPISupported = new(true) })), true, true,
			true,
		},
		{
			"an authenticator that is denied",
			said("iOS", "18", func(i *rest.ClientInformation) { i.UserVerifyingPlatformAuthenticatorAvailable = new(false) }), true,
			false, true,
		},
		{
			"a form that is denied",
			said("iOS", "18", func(i *rest.ClientInformation) { i.ConditionalMediationAvailable = new(false) }), true, true, false,
		},
		{"macOS 13, whose apps have no such fields", said("macOS", "13.0", nil), true, true, false},
		{"visionOS", said("visionOS", "2.0", nil), true, true, true},
		{"a system that is not known", said("Tizen", "9", nil), false, false, false},
		{"a system in the app's own user agent", agent("NativeApp/1.4.0 (iOS 18.1; iPhone; iPhone16,2; arm64)", true), true, true, true},
		{"no biometrics are no lack of a passcode", agent("NativeApp/1.4.0 (Android 15; Pixel 9; tokay; arm64-v8a)", false), true, true, true},
		{"an old one in the user agent", agent("NativeApp/1.4.0 (Android 8.1.0; Pixel; sailfish; arm64-v8a)", false), false, false, false},
		{"no system anywhere, and nothing stated", rest.ClientInformation{IsNative: new(true), UserAgent: "okhttp/4.12.0"}, false, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := r.Recognise(tc.client, service.Environment{})
			got := c.Support()
			if got.WebAuthn != tc.webauthn || got.UVPA != tc.uvpa || got.ConditionalGet != tc.fillsIns {
				t.Errorf("webauthn %v, uvpa %v, conditionalGet %v", got.WebAuthn, got.UVPA, got.ConditionalGet)
			}
		})
	}
}
