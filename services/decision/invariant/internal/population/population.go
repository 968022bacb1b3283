// Package population is who situations are sampled of: the clients that people sign in with, those that are seldom or no person's, and the
// passkeys that there are, as each is registered. It is data, which calls cannot change: each returns values of its own.
package population

import (
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
)

// hints are what a browser on Chromium tells beside a user agent that says little.
func hints(platform, version string, mobile bool) *rest.JavaScriptHighEntropy {
	return &rest.JavaScriptHighEntropy{Platform: platform, PlatformVersion: version, Mobile: mobile}
}

func web(agent string, h *rest.JavaScriptHighEntropy) rest.ClientInformation {
	return rest.ClientInformation{UserAgent: agent, JavaScriptHighEntropy: h}
}

func parsed(browser, browserVersion, os, osVersion string) rest.ClientInformation {
	return rest.ClientInformation{ParsedDeviceInfo: &rest.ParsedDeviceInfo{
		BrowserName: browser, BrowserVersion: browserVersion, OSName: os, OSVersion: osVersion,
	}}
}

func native(agent, platform, version string) rest.ClientInformation {
	return rest.ClientInformation{
		UserAgent: agent, IsNative: new(true),
		NativeMeta: &rest.NativeMeta{
			Platform: new(platform), PlatformVersion: new(version), DisplayName: new("Example"), Name: new("com.example.app"),
			DeviceOwnerAuth: new("biometrics"),
		},
	}
}

// What the user agents of several clients have in common.
const (
	windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) "
	mac     = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
	linux   = "Mozilla/5.0 (X11; Linux x86_64) "
	android = "Mozilla/5.0 (Linux; Android 10; K) "
	iphone  = "Mozilla/5.0 (iPhone; CPU iPhone OS "
	khtml   = "AppleWebKit/537.36 (KHTML, like Gecko) "
	blink   = khtml + "Chrome/142.0.0.0 "
	webkit  = "AppleWebKit/605.1.15 (KHTML, like Gecko) "
)

// People returns the browsers that people sign in with, those that are common first.
func People() []rest.ClientInformation {
	return []rest.ClientInformation{
		web(windows+blink+"Safari/537.36", hints("Windows", "15.0.0", false)),
		web(iphone+"18_5 like Mac OS X) "+webkit+"Version/18.5 Mobile/15E148 Safari/604.1", nil),
		web(android+blink+"Mobile Safari/537.36", hints("Android", "16.0.0", true)),
		web(mac+webkit+"Version/18.1 Safari/605.1.15", nil),
		web(windows+blink+"Safari/537.36 Edg/142.0.0.0", hints("Windows", "15.0.0", false)),
		web(mac+blink+"Safari/537.36", hints("macOS", "15.1.0", false)),
		web(windows+blink+"Safari/537.36", hints("Windows", "10.0.0", false)),
		web("Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0", nil),
		web(linux+blink+"Safari/537.36", hints("Linux", "6.8.0", false)),
		web("Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0", nil),
		web(android+blink+"Mobile Safari/537.36", nil),
		web(android+blink+"Mobile Safari/537.36", hints("Android", "13.0.0", true)),
		web(android+blink+"Mobile Safari/537.36", hints("Android", "8.1.0", true)),
		web("Mozilla/5.0 (Linux; Android 14; SM-S918B) "+khtml+"SamsungBrowser/26.0 Chrome/122.0.0.0 Mobile Safari/537.36", nil),
		web(iphone+"16_3 like Mac OS X) "+webkit+"Version/16.3 Mobile/15E148 Safari/604.1", nil),
		web(iphone+"15_8 like Mac OS X) "+webkit+"Version/15.6 Mobile/15E148 Safari/604.1", nil),
		web(iphone+"18_6 like Mac OS X) "+webkit+"CriOS/142.0.0.0 Mobile/15E148 Safari/604.1", nil),
		web("Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) "+blink+"Safari/537.36", hints("Chrome OS", "16093.0.0", false)),
		parsed("Safari", "18.1", "iOS", "18.1"), parsed("Chrome", "142", "macOS", "12.6"), parsed("Chrome", "120", "Windows", "11"),
		parsed("Firefox", "144", "Android", "14"), parsed("Safari", "17.4", "macOS", "14.4"), parsed("Chrome", "128", "macOS", "15"),
	}
}

// Apps returns the apps that people sign in with.
func Apps() []rest.ClientInformation {
	const apple, okhttp = "Example/7 CFNetwork/1494.0.7 Darwin/23.4.0", "okhttp/4.12.0"
	return []rest.ClientInformation{
		native(apple, "iOS", "18.1"), native(okhttp, "Android", "15"), native(apple, "iOS", "26.0"), native(okhttp, "Android", "12"),
		native(apple, "iPadOS", "16.2"), native(okhttp, "Android", "8"), native(apple, "visionOS", "2.1"), native(apple, "macOS", "15.1"),
	}
}

// Strangers returns what is seldom signed in with, or is no person's.
func Strangers() []rest.ClientInformation {
	return []rest.ClientInformation{
		{}, web("okhttp/4.12.0", nil), web("curl/8.5.0", nil),
		web(iphone+"18_5 like Mac OS X) "+webkit+"Mobile/15E148 Instagram 300.0.0.0", nil),
		web("Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) "+khtml+"Version/4.0 Chrome/142.0.0.0 Mobile Safari/537.36", nil),
		web("Mozilla/5.0 (Linux; Android 14; Pixel 8; wv) "+blink+"Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/400.0.0.0;]", nil),
		web("Mozilla/5.0 (SMART-TV; LINUX; Tizen 7.0) "+khtml+"Version/7.0 TV Safari/537.36", nil),
		web("Mozilla/5.0 (PlayStation; PlayStation 5/7.00) "+webkit+"Version/15.4 Safari/605.1.15", nil),
		web("Mozilla/5.0 (X11; Linux x86_64; Quest 3) "+khtml+"OculusBrowser/36.0 Chrome/130.0.0.0 VR Safari/537.36", nil),
		web("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", nil),
		web(linux+khtml+"HeadlessChrome/142.0.0.0 Safari/537.36", nil),
		parsed("Unheard-of Browser", "3", "Unheard-of OS", "9"), parsed("", "", "visionOS", "2.1"), parsed("Chrome", "142", "", ""),
	}
}

// Passkeys returns passkeys by what holds them, as each is registered.
func Passkeys() []account.Credential {
	of := func(aaguid, attachment, os, browser string, synced bool, transports ...string) account.Credential {
		return account.Credential{
			AAGUID: aaguid, Attachment: attachment, CreatedOS: os, CreatedBrowser: browser, Transports: transports,
			BackupEligible: synced, BackupState: synced,
		}
	}
	const platform, cross = "platform", "cross-platform"
	const zero = "00000000-0000-0000-0000-000000000000"
	return []account.Credential{
		of("fbfc3007-154e-4ecc-8c0b-6e020557d7bd", platform, "iOS", "Safari", true, "internal", "hybrid"),
		of("fbfc3007-154e-4ecc-8c0b-6e020557d7bd", cross, "Windows", "Chrome", true, "internal", "hybrid"),
		of("fbfc3007-154e-4ecc-8c0b-6e020557d7bd", platform, "macOS", "Safari", true),
		of("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4", platform, "Android", "Chrome", true, "internal", "hybrid"),
		of("ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4", platform, "Windows", "Chrome", true, "internal"),
		of("08987058-cadc-4b81-b6e1-30de50dcbe96", platform, "Windows", "Chrome", false, "internal"),
		of("53414d53-554e-4700-0000-000000000000", platform, "Android", "Samsung Browser", true, "internal", "hybrid"),
		of("adce0002-35bc-c60a-648b-0b25f1f05503", platform, "macOS", "Chrome", false, "internal"),
		of("bada5566-a7aa-401f-bd96-45619a55120d", platform, "macOS", "Chrome", true, "internal"),
		of("bada5566-a7aa-401f-bd96-45619a55120d", platform, "iOS", "Safari", true, "internal", "hybrid"),
		of("d548826e-79b4-db40-a3d8-11116f7e8349", platform, "Windows", "Firefox", true),
		of("fdb141b2-5d84-443e-8a35-4698c205a502", platform, "Linux", "Firefox", true, "internal"),
		of("2fc0579f-8113-47ea-b116-bb5a8db9202a", cross, "Windows", "Chrome", false, "usb", "nfc"),
		of("2fc0579f-8113-47ea-b116-bb5a8db9202a", cross, "macOS", "Safari", false, "usb"),
		of("17290f1e-c212-34d0-1423-365d729f09d9", cross, "iOS", "Safari", false, "hybrid", "internal"),
		of("12345678-9abc-4def-8123-456789abcdef", platform, "Windows", "Edge", true, "internal"),
		of("12345678-9abc-4def-8123-456789abcde0", platform, "Linux", "Chrome", false, "internal"),
		of(zero, platform, "iOS", "Safari", true, "internal", "hybrid"), of(zero, cross, "macOS", "Chrome", true, "hybrid"),
		of(zero, platform, "Windows", "Chrome", false, "internal"), of(zero, "", "", "", false),
	}
}
