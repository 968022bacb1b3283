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

// models are what the population uses.
func models() []model {
	return []model{
		{"iPhone, Safari", 26, authenticator.Phone, safariOnPhone},
		{"Android, Chrome", 24, androidDevice, chromeOnAndroid},
		{"Mac, Safari", 16, authenticator.Phone, safariOnMac},
		{"Windows 11, Edge", 18, windowsHello, edgeOnWindows},
		{"Windows 10, security key", 6, authenticator.SecurityKey, chromeOnOldWindows},
		{"old Windows 10, Chrome", 6, windowsHello, chromeOnOldWindows},
		{"old browser", 4, windowsHello, oldBrowser},
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
