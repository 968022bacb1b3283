package visitor

import (
	"math/rand/v2"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// Model is a kind of device with the browser that people use on it.
type Model struct {
	Name    string
	Share   int // of the population, in percent
	Device  func() *authenticator.Device
	Browser func() rest.ClientInformation
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

// SafariOnMac is Safari 18 on a Mac.
func SafariOnMac() rest.ClientInformation {
	return browser(
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15", "Safari", "18.1",
		"macOS", "15.1",
	)
}

// SafariOnPhone is the same on an iPhone.
func SafariOnPhone() rest.ClientInformation {
	return browser(
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1",
		"Safari", "18.1", "iOS", "18.1",
	)
}

// ChromeOnAndroid is Chrome on a phone.
func ChromeOnAndroid() rest.ClientInformation {
	return browser(
		"Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36", "Chrome", "131.0",
		"Android", "15",
	)
}

// EdgeOnWindows is Edge on Windows 11.
func EdgeOnWindows() rest.ClientInformation {
	return browser(
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0", "Edge",
		"131.0", "Windows", "11",
	)
}

// ChromeOnOldWindows has no way to verify its user, and no Bluetooth to reach a phone.
func ChromeOnOldWindows() rest.ClientInformation {
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

// OldBrowser says nothing of passkeys at all.
func OldBrowser() rest.ClientInformation {
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

// ChromeOnWindows is Chrome on Windows 11.
func ChromeOnWindows() rest.ClientInformation {
	b := agent("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
	b.JavaScriptHighEntropy = &rest.JavaScriptHighEntropy{Platform: "Windows", PlatformVersion: "15.0.0"}
	return b
}

// WindowsOfBefore is a browser with WebAuthn that fills in no passkeys.
func WindowsOfBefore() rest.ClientInformation {
	b := ChromeOnOldWindows()
	b.ConditionalMediationAvailable = no()
	return b
}

// SafariOfNewPhone is Safari 26, which says iOS 18.6.
func SafariOfNewPhone() rest.ClientInformation {
	return agent(
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1",
	)
}

// Instagram is the browser of an app for something else.
func Instagram() rest.ClientInformation {
	return agent(
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/22H20 Instagram 406.0.0.22.71",
	)
}

// Automated is a browser that a program drives.
func Automated() rest.ClientInformation {
	b := ChromeOnWindows()
	b.Webdriver = yes()
	return b
}

// Crawler is a client that says that it is one.
func Crawler() rest.ClientInformation {
	return agent("Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)")
}

// ChromeOnLinux has no authenticator of its own, and reaches phones.
func ChromeOnLinux() rest.ClientInformation {
	b := agent("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36")
	b.UserVerifyingPlatformAuthenticatorAvailable = no()
	b.ClientCapabilities.UserVerifyingPlatformAuthenticator = no()
	return b
}

// Television is a client with WebAuthn, and nothing to keep a passkey in.
func Television() rest.ClientInformation {
	b := agent("Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.270 Safari/537.36 WebAppManager")
	b.UserVerifyingPlatformAuthenticatorAvailable, b.BluetoothAvailable = no(), nil
	b.ClientCapabilities = &rest.ClientCapabilities{UserVerifyingPlatformAuthenticator: no()}
	return b
}

// Headset is a browser before the eyes.
func Headset() rest.ClientInformation {
	b := Television()
	b.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; Quest 3) AppleWebKit/537.36 (KHTML, like Gecko) OculusBrowser/40.1.0 " +
		"Chrome/138.0.0.0 VR Safari/537.36"
	return b
}

// Console is a browser of a game console.
func Console() rest.ClientInformation {
	b := Television()
	b.UserAgent = "Mozilla/5.0 (PlayStation; PlayStation 5/9.00) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/13.0 Safari/605.1.15"
	return b
}

// Private is a browser's window that forgets.
func Private(of func() rest.ClientInformation) func() rest.ClientInformation {
	return func() rest.ClientInformation {
		b := of()
		b.PrivateMode = yes()
		return b
	}
}

// WithoutManager is a browser that knows that no password manager is there.
func WithoutManager(of func() rest.ClientInformation) func() rest.ClientInformation {
	return func() rest.ClientInformation {
		b := of()
		b.PasswordManagerAvailable = no()
		return b
	}
}

// AppOnPhone sends what the SDK for iOS does.
func AppOnPhone() rest.ClientInformation {
	return rest.ClientInformation{
		RemoteAddress: "192.0.2.11", UserAgent: "Example/7 CFNetwork/3860.100.1 Darwin/25.0.0", IsNative: yes(),
		NativeMeta: &rest.NativeMeta{
			Platform: new("iOS"), PlatformVersion: new("26.1"), Name: new("com.example.app"), DisplayName: new("Example"), Version: new("1.0"),
			Build: new("7"), DeviceOwnerAuth: new("biometrics"), Brand: new("apple"), Model: new("iPhone17,1"), Locale: new("en_GB"),
			IsConditionalCreateSupported: yes(),
		},
	}
}

// AppOnAndroid sends what the SDK for Android does, of a device with or without a lock.
func AppOnAndroid(lock string) func() rest.ClientInformation {
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

// AndroidDevice is a phone with Google's password manager.
func AndroidDevice() *authenticator.Device {
	d := authenticator.Phone()
	d.AAGUID = [16]byte{0xea, 0x9b, 0x8d, 0x66, 0x4d, 0x01, 0x1d, 0x21, 0x3c, 0xe4, 0xb6, 0xb4, 0x8c, 0xb5, 0x75, 0xd4}
	return d
}

// WindowsHello is a PC that keeps its passkeys to itself.
func WindowsHello() *authenticator.Device {
	return &authenticator.Device{
		AAGUID:     [16]byte{0x08, 0x98, 0x70, 0x58, 0xca, 0xdc, 0x4b, 0x81, 0xb6, 0xe1, 0x30, 0xde, 0x50, 0xdc, 0xbe, 0x96},
		Attachment: "platform", Transports: []string{"internal"}, Counting: true,
	}
}

// PasswordManager is an extension of the browser.
func PasswordManager() *authenticator.Device {
	return &authenticator.Device{
		AAGUID:     [16]byte{0xd5, 0x48, 0x82, 0x6e, 0x79, 0xb4, 0xdb, 0x40, 0xa3, 0xd8, 0x11, 0x11, 0x6f, 0x7e, 0x83, 0x49},
		Attachment: "platform", Transports: []string{"internal"}, BackupEligible: true, BackupState: true,
	}
}

// models are what the population uses.
func models() []Model {
	return []Model{
		{"iPhone, Safari", 13, authenticator.Phone, SafariOnPhone},
		{"iPhone, Safari 26", 8, authenticator.Phone, SafariOfNewPhone},
		{"iPhone, app", 5, authenticator.Phone, AppOnPhone},
		{"Android, Chrome", 18, AndroidDevice, ChromeOnAndroid},
		{"Android, app", 5, AndroidDevice, AppOnAndroid("code")},
		{"Android without a lock, app", 1, AndroidDevice, AppOnAndroid("none")},
		{"Mac, Safari", 14, authenticator.Phone, SafariOnMac},
		{"Windows 11, Edge", 10, WindowsHello, EdgeOnWindows},
		{"Windows 11, Chrome, manager", 7, PasswordManager, ChromeOnWindows},
		{"Windows 10, security key", 3, authenticator.SecurityKey, ChromeOnOldWindows},
		{"old Windows 10, Chrome", 4, WindowsHello, ChromeOnOldWindows},
		{"Linux, Chrome", 3, WindowsHello, ChromeOnLinux},
		{"browser of an app", 3, authenticator.Phone, Instagram},
		{"television", 1, WindowsHello, Television},
		{"console", 1, WindowsHello, Console},
		{"headset", 1, WindowsHello, Headset},
		{"crawler", 1, WindowsHello, Crawler},
		{"old browser", 2, WindowsHello, OldBrowser},
	}
}

// Draw picks a model by its share.
func Draw(random *rand.Rand) Model {
	all := models()
	n := random.IntN(100)
	for _, m := range all {
		if n -= m.Share; n < 0 {
			return m
		}
	}
	return all[0]
}
