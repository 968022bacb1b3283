package demo

import (
	"math/rand/v2"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// model is a kind of device with the browser that people use on it.
type model struct {
	name    string
	share   int // of the population, in percent
	device  func() *authenticator.Device
	browser func() rest.ClientInformation
}

func yes() *bool { return new(true) }

func no() *bool { return new(false) }

// browser describes a browser that can do everything locally.
func browser(userAgent, name, version, os, osVersion string) rest.ClientInformation {
	return rest.ClientInformation{
		RemoteAddress: "192.0.2.7",
		UserAgent:     userAgent,
		UserVerifyingPlatformAuthenticatorAvailable: yes(),
		ConditionalMediationAvailable:               yes(),
		BluetoothAvailable:                          yes(),
		ClientCapabilities: &rest.ClientCapabilities{
			ConditionalCreate:                  yes(),
			ConditionalMediation:               yes(),
			HybridTransport:                    yes(),
			PasskeyPlatformAuthenticator:       yes(),
			UserVerifyingPlatformAuthenticator: yes(),
		},
		ParsedDeviceInfo: &rest.ParsedDeviceInfo{BrowserName: name, BrowserVersion: version, OSName: os, OSVersion: osVersion},
	}
}

func safariOnMac() rest.ClientInformation {
	return browser(
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15", "Safari", "18.1",
		"macOS", "15.1",
	)
}

func safariOnPhone() rest.ClientInformation {
	return browser(
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
		"Safari", "18.1", "iOS", "18.1",
	)
}

func chromeOnAndroid() rest.ClientInformation {
	return browser(
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36", "Chrome", "131.0",
		"Android", "15",
	)
}

func edgeOnWindows() rest.ClientInformation {
	return browser(
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", "Edge",
		"131.0", "Windows", "11",
	)
}

// chromeOnOldWindows has no way to verify its user, and no Bluetooth to reach a phone.
func chromeOnOldWindows() rest.ClientInformation {
	b := browser(
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/109.0.0.0 Safari/537.36", "Chrome", "109.0",
		"Windows", "10",
	)
	b.UserVerifyingPlatformAuthenticatorAvailable, b.BluetoothAvailable = no(), no()
	b.ClientCapabilities = &rest.ClientCapabilities{
		ConditionalMediation: no(), HybridTransport: no(), PasskeyPlatformAuthenticator: no(), UserVerifyingPlatformAuthenticator: no(),
	}
	return b
}

// oldBrowser says nothing of passkeys at all.
func oldBrowser() rest.ClientInformation {
	return rest.ClientInformation{
		RemoteAddress: "192.0.2.9",
		UserAgent:     "Mozilla/5.0 (X11; Linux x86_64; rv:52.0) Gecko/20100101 Firefox/52.0",
	}
}

// agent is a browser that says what current ones do of a system, and no more than its user agent.
func agent(userAgent string) rest.ClientInformation {
	return rest.ClientInformation{
		RemoteAddress: "192.0.2.8", UserAgent: userAgent, UserVerifyingPlatformAuthenticatorAvailable: yes(),
		ConditionalMediationAvailable: yes(), BluetoothAvailable: yes(),
		ClientCapabilities: &rest.ClientCapabilities{
			ConditionalMediation: yes(), HybridTransport: yes(), UserVerifyingPlatformAuthenticator: yes(),
		},
	}
}

func chromeOnWindows() rest.ClientInformation {
	b := agent("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
	b.JavaScriptHighEntropy = &rest.JavaScriptHighEntropy{Platform: "Windows", PlatformVersion: "15.0.0"}
	return b
}

// windowsOfBefore is a browser with WebAuthn that fills in no passkeys.
func windowsOfBefore() rest.ClientInformation {
	b := chromeOnOldWindows()
	b.ConditionalMediationAvailable = no()
	return b
}

// safariOfNewPhone is Safari 26, which says iOS 18.6.
func safariOfNewPhone() rest.ClientInformation {
	return agent(
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
	)
}

// instagram is the browser of an app for something else.
func instagram() rest.ClientInformation {
	return agent(
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22H20 Instagram 406.0.0.22.71",
	)
}

// automated is a browser that a program drives.
func automated() rest.ClientInformation {
	b := chromeOnWindows()
	b.Webdriver = yes()
	return b
}

func crawler() rest.ClientInformation {
	return agent("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)")
}

// chromeOnLinux has no authenticator of its own, and reaches phones.
func chromeOnLinux() rest.ClientInformation {
	b := agent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
	b.UserVerifyingPlatformAuthenticatorAvailable = no()
	b.ClientCapabilities.UserVerifyingPlatformAuthenticator = no()
	return b
}

// television is a client with WebAuthn, and nothing to keep a passkey in.
func television() rest.ClientInformation {
	b := agent("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.270 Safari/537.36 WebAppManager")
	b.UserVerifyingPlatformAuthenticatorAvailable, b.BluetoothAvailable = no(), nil
	b.ClientCapabilities = &rest.ClientCapabilities{UserVerifyingPlatformAuthenticator: no()}
	return b
}

func headset() rest.ClientInformation {
	b := television()
	b.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/40.1.0 " +
		"Chrome/138.0.0.0 VR Safari/537.36"
	return b
}

func console() rest.ClientInformation {
	b := television()
	b.UserAgent = "Mozilla/5.0 (PlayStation; PlayStation 5/9.00) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15"
	return b
}

// private is a browser's window that forgets.
func private(of func() rest.ClientInformation) func() rest.ClientInformation {
	return func() rest.ClientInformation {
		b := of()
		b.PrivateMode = yes()
		return b
	}
}

// withoutManager is a browser that knows that no password manager is there.
func withoutManager(of func() rest.ClientInformation) func() rest.ClientInformation {
	return func() rest.ClientInformation {
		b := of()
		b.PasswordManagerAvailable = no()
		return b
	}
}

// appOnPhone sends what the SDK for iOS does.
func appOnPhone() rest.ClientInformation {
	return rest.ClientInformation{
		RemoteAddress: "192.0.2.11", UserAgent: "Example/7 CFNetwork/3860.100.1 Darwin/25.0.0", IsNative: yes(),
		NativeMeta: &rest.NativeMeta{
			Platform: new("iOS"), PlatformVersion: new("26.1"), Name: new("com.example.app"), DisplayName: new("Example"), Version: new("1.0"),
			Build: new("7"), DeviceOwnerAuth: new("biometrics"), Brand: new("apple"), Model: new("iPhone17,1"), Locale: new("en_GB"),
			IsConditionalCreateSupported: yes(),
		},
	}
}

// appOnAndroid sends what the SDK for Android does, of a device with or without a lock.
func appOnAndroid(lock string) func() rest.ClientInformation {
	return func() rest.ClientInformation {
		return rest.ClientInformation{
			RemoteAddress: "192.0.2.12", UserAgent: "okhttp/4.12.0", IsNative: yes(),
			NativeMeta: &rest.NativeMeta{
				Platform: new("Android"), PlatformVersion: new("15"), Name: new("com.example.app"), DisplayName: new("Example"),
				Version: new("1.0"), Build: new("7"), DeviceOwnerAuth: &lock, IsBluetoothAvailable: yes(), IsBluetoothOn: yes(),
				IsGooglePlayServices: yes(),
			},
		}
	}
}

func androidDevice() *authenticator.Device {
	d := authenticator.Phone()
	d.AAGUID = [16]byte{0xea, 0x9b, 0x8d, 0x66, 0x4d, 0x01, 0x1d, 0x21, 0x3c, 0xe4, 0xb6, 0xb4, 0x8c, 0xb5, 0x75, 0xd4}
	return d
}

func windowsHello() *authenticator.Device {
	return &authenticator.Device{
		AAGUID:     [16]byte{0x08, 0x98, 0x70, 0x58, 0xca, 0xdc, 0x4b, 0x81, 0xb6, 0xe1, 0x30, 0xde, 0x50, 0xdc, 0xbe, 0x96},
		Attachment: "platform", Transports: []string{"internal"}, Counting: true,
	}
}

// passwordManager is an extension of the browser.
func passwordManager() *authenticator.Device {
	return &authenticator.Device{
		AAGUID:     [16]byte{0xd5, 0x48, 0x82, 0x6e, 0x79, 0xb4, 0xdb, 0x40, 0xa3, 0xd8, 0x11, 0x11, 0x6f, 0x7e, 0x83, 0x49},
		Attachment: "platform", Transports: []string{"internal"}, BackupEligible: true, BackupState: true,
	}
}

// models are what the population uses.
func models() []model {
	return []model{
		{"iPhone, Safari", 13, authenticator.Phone, safariOnPhone},
		{"iPhone, Safari 26", 8, authenticator.Phone, safariOfNewPhone},
		{"iPhone, app", 5, authenticator.Phone, appOnPhone},
		{"Android, Chrome", 18, androidDevice, chromeOnAndroid},
		{"Android, app", 5, androidDevice, appOnAndroid("code")},
		{"Android without a lock, app", 1, androidDevice, appOnAndroid("none")},
		{"Mac, Safari", 14, authenticator.Phone, safariOnMac},
		{"Windows 11, Edge", 10, windowsHello, edgeOnWindows},
		{"Windows 11, Chrome, manager", 7, passwordManager, chromeOnWindows},
		{"Windows 10, security key", 3, authenticator.SecurityKey, chromeOnOldWindows},
		{"old Windows 10, Chrome", 4, windowsHello, chromeOnOldWindows},
		{"Linux, Chrome", 3, windowsHello, chromeOnLinux},
		{"browser of an app", 3, authenticator.Phone, instagram},
		{"television", 1, windowsHello, television},
		{"console", 1, windowsHello, console},
		{"headset", 1, windowsHello, headset},
		{"crawler", 1, windowsHello, crawler},
		{"old browser", 2, windowsHello, oldBrowser},
	}
}

// draw picks a model by its share.
func draw(random *rand.Rand) model {
	all := models()
	n := random.IntN(100)
	for _, m := range all {
		if n -= m.share; n < 0 {
			return m
		}
	}
	return all[0]
}
