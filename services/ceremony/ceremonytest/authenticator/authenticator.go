// Package authenticator is a virtual authenticator and the browser around it, for tests: it answers creation and request options as
// devices do, and its answers can be spoilt.
package authenticator

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
)

// Where a device is, unless a test says otherwise.
const (
	Origin = "https://login.example.com"
	RPID   = "example.com"
)

// Device is an authenticator and the browser around it.
type Device struct {
	Origin, RPID string
	Options      virtualwebauthn.AuthenticatorOptions
	aaguid       [16]byte
	Attachment   string // empty: the browser says nothing
	Transports   []string
	counting     bool
	Handle       string // client environment handle
	Key          virtualwebauthn.Credential
}

// Phone returns a device whose passkeys are synced.
func Phone() *Device {
	return &Device{
		Origin: Origin, RPID: RPID, Attachment: "platform", Transports: []string{"internal", "hybrid"},
		Options: virtualwebauthn.AuthenticatorOptions{BackupEligible: true, BackupState: true},
		aaguid:  [16]byte{0xfb, 0xfc, 0x30, 0x07, 0x15, 0x4e, 0x4e, 0xcc, 0x8c, 0x0b, 0x6e, 0x02, 0x05, 0x57, 0xd7, 0xbd},
		Key:     NewKey(),
	}
}

// NewKey draws until both coordinates fill their 32 bytes: the library leaves out leading zeros, which RFC 9053 §7.1.1 forbids and one
// key in 128 has.
func NewKey() virtualwebauthn.Credential {
	const fullLength = 77 // bytes of a COSE key on P-256
	for {
		key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		if len(key.Key.AttestationData()) == fullLength {
			return key
		}
	}
}

// SecurityKey returns a roaming authenticator, which counts its signatures and has its passkeys for itself.
func SecurityKey() *Device {
	d := Phone()
	d.Attachment, d.Transports, d.counting = "cross-platform", []string{"usb", "nfc"}, true
	d.Options = virtualwebauthn.AuthenticatorOptions{}
	return d
}

func (d *Device) signer() virtualwebauthn.Authenticator {
	return virtualwebauthn.Authenticator{Options: d.Options, Aaguid: d.aaguid}
}

// Create answers creation options.
func (d *Device) Create(tb testing.TB, options string) string {
	tb.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(options)
	if err != nil {
		tb.Fatalf("creation options %q: %v", options, err)
	}
	answer := virtualwebauthn.CreateAttestationResponse(virtualwebauthn.RelyingParty{ID: d.RPID, Origin: d.Origin}, d.signer(), d.Key, *parsed)
	return Edit(tb, answer, func(credential, response map[string]any) {
		d.browser(credential)
		if d.Transports != nil {
			response["transports"] = d.Transports
		}
	})
}

// Get answers request options.
func (d *Device) Get(tb testing.TB, options string) string {
	tb.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		tb.Fatalf("request options %q: %v", options, err)
	}
	if d.counting {
		d.Key.Counter++
	}
	answer := virtualwebauthn.CreateAssertionResponse(virtualwebauthn.RelyingParty{ID: d.RPID, Origin: d.Origin}, d.signer(), d.Key, *parsed)
	return Edit(tb, answer, func(credential, _ map[string]any) { d.browser(credential) })
}

func (d *Device) browser(credential map[string]any) {
	if d.Attachment != "" {
		credential["authenticatorAttachment"] = d.Attachment
	}
	credential["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": true}}
}

// Edit changes the JSON of a PublicKeyCredential.
func Edit(tb testing.TB, answer string, change func(credential, response map[string]any)) string {
	tb.Helper()
	var credential map[string]any
	if err := json.Unmarshal([]byte(answer), &credential); err != nil {
		tb.Fatal(err)
	}
	change(credential, credential["response"].(map[string]any))
	raw, err := json.Marshal(credential)
	if err != nil {
		tb.Fatal(err)
	}
	return string(raw)
}

// Flip changes one byte of a member in base64url.
func Flip(tb testing.TB, response map[string]any, member string, at int) {
	tb.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(response[member].(string))
	if err != nil {
		tb.Fatal(err)
	}
	raw[(at+len(raw))%len(raw)] ^= 1
	response[member] = base64.RawURLEncoding.EncodeToString(raw)
}

// Client is what a backend tells of the device.
func (d *Device) Client() rest.ClientInformation {
	c := rest.ClientInformation{RemoteAddress: "127.0.0.1", UserAgent: "Mozilla/5.0"}
	if d.Handle != "" {
		c.ClientEnvHandle = &d.Handle
	}
	return c
}

func (d *Device) Said() frontend.ClientInformation {
	yes := true
	said := frontend.ClientInformation{IsUserVerifyingPlatformAuthenticatorAvailable: &yes, IsConditionalMediationAvailable: &yes}
	if d.Handle != "" {
		said.ClientEnvHandle = &d.Handle
	}
	return said
}

func ChallengeIn(t testing.TB, options string) string {
	t.Helper()
	var parsed struct {
		PublicKey struct {
			Challenge string `json:"challenge"`
		} `json:"publicKey"`
	}
	if err := json.Unmarshal([]byte(options), &parsed); err != nil || parsed.PublicKey.Challenge == "" {
		t.Fatalf("options %q: %v", options, err)
	}
	return parsed.PublicKey.Challenge
}
