package factstest

import "github.com/keyward/keyward/api/rest"

// Browser is a capable browser on an operating system.
func Browser(os, version, browser string) rest.ClientInformation {
	return rest.ClientInformation{
		UserVerifyingPlatformAuthenticatorAvailable: new(true), ConditionalMediationAvailable: new(true), BluetoothAvailable: new(true),
		ParsedDeviceInfo:   &rest.ParsedDeviceInfo{OSName: os, OSVersion: version, BrowserName: browser, BrowserVersion: "142.0"},
		ClientCapabilities: &rest.ClientCapabilities{HybridTransport: new(true)},
	}
}

// App is an app of a capable phone.
func App(os, version string, meta rest.NativeMeta) rest.ClientInformation {
	if meta.IsPlatformAuthenticatorAPISupported == nil {
		meta.IsPlatformAuthenticatorAPISupported = new(true)
	}
	return rest.ClientInformation{
		IsNative: new(true), NativeMeta: &meta,
		ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: os, OSVersion: version, BrowserName: "ExampleBank", BrowserVersion: "7.4"},
	}
}

// With changes what a client says.
func With(info rest.ClientInformation, change func(*rest.ClientInformation)) rest.ClientInformation {
	change(&info)
	return info
}
