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
		PrivateMode:                                   said.PrivateMode,
		Webdriver:                                     said.Webdriver,
	}
	if n := said.NativeMeta; n != nil {
		client.NativeMeta = nativeOf(*n)
	}
	return client
}

func nativeOf(said frontend.NativeMeta) *rest.NativeMeta {
	native := &rest.NativeMeta{
		Brand: said.Brand, Build: said.Build, Model: said.Model, DeviceSecure: said.IsDeviceSecure, GooglePlayServices: said.IsGooglePlayServices,
		IsBluetoothAvailable: said.IsBluetoothAvailable, IsBluetoothOn: said.IsBluetoothOn,
	}
	if said.DeviceOwnerAuth != nil {
		auth := string(*said.DeviceOwnerAuth)
		native.DeviceOwnerAuth = &auth
	}
	return native
}

// CanMediate reports whether a client can offer passkeys in a form.
func CanMediate(c rest.ClientInformation) bool {
	said := func(p *bool) bool { return p != nil && *p }
	return said(c.IsConditionalMediationAvailable) || (c.ClientCapabilities != nil && said(c.ClientCapabilities.ConditionalMediation))
}
