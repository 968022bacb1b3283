package environments

import (
	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
)

// ClientOf is what a client says of itself, in the words of the Backend API; address and user agent are the request's.
func ClientOf(v service.Visit, said frontend.ClientInformation) rest.ClientInformation {
	client := rest.ClientInformation{
		RemoteAddress: v.RemoteAddress, UserAgent: v.UserAgent,
		BluetoothAvailable:              said.BluetoothAvailable,
		CanUsePasskeys:                  said.CanUsePasskeys,
		ClientCapabilities:              said.ClientCapabilities,
		ClientEnvHandle:                 said.ClientEnvHandle,
		ClientEnvHandleMeta:             said.ClientEnvHandleMeta,
		IsConditionalMediationAvailable: said.IsConditionalMediationAvailable,
		IsNative:                        said.IsNative,
		IsUserVerifyingPlatformAuthenticatorAvailable: said.IsUserVerifyingPlatformAuthenticatorAvailable,
		JavaScriptHighEntropy:                         said.JavaScriptHighEntropy,
		JavascriptFingerprint:                         said.VisitorID,
		MaxTouchPoints:                                said.MaxTouchPoints,
		PrivateMode:                                   said.PrivateMode,
		Webdriver:                                     said.Webdriver,
	}
	if n := said.NativeMeta; n != nil {
		client.NativeMeta = nativeOf(*n)
	}
	return client
}

func nativeOf(said frontend.NativeMeta) *rest.NativeMeta {
	return &rest.NativeMeta{
		Platform: said.Platform, PlatformVersion: said.PlatformVersion, DisplayName: said.DisplayName, Name: said.Name, Version: said.Version,
		Brand: said.Brand, Build: said.Build, Model: said.Model, DeviceSecure: said.IsDeviceSecure, GooglePlayServices: said.IsGooglePlayServices,
		IsBluetoothAvailable: said.IsBluetoothAvailable, IsBluetoothOn: said.IsBluetoothOn, Error: said.Error,
		DeviceOwnerAuth: said.DeviceOwnerAuth, IsConditionalCreateSupported: said.IsConditionalCreateSupported,
		Locale: said.Locale, Screen: said.Screen, SdkInitTimeMs: said.SdkInitTimeMs,
	}
}

// MayMediate reports whether a client can perhaps offer passkeys in a form, so that the policy is worth asking. Apps say nothing of it:
// their system tells.
func MayMediate(c rest.ClientInformation) bool {
	said := func(p *bool) bool { return p != nil && *p }
	native := said(c.IsNative) || (c.IsNative == nil && c.NativeMeta != nil)
	can := c.ClientCapabilities
	return native || said(c.ConditionalMediationAvailable) || said(c.IsConditionalMediationAvailable) ||
		(can != nil && (said(can.ConditionalMediation) || said(can.ConditionalGet)))
}
