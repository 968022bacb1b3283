package ceremony_test

import (
	"encoding/base64"
	"encoding/json"
	"testing"

	"github.com/descope/virtualwebauthn"

	"github.com/keyward/keyward/api/rest"
)

// device is an authenticator and the browser around it.
type device struct {
	origin, rpID string
	options      virtualwebauthn.AuthenticatorOptions
	aaguid       [16]byte
	attachment   string // empty: the browser says nothing
	transports   []string
	counting     bool
	handle       string // client environment handle
	key          virtualwebauthn.Credential
}

func phone() *device {
	return &device{
		origin: origin, rpID: rpID, attachment: "platform", transports: []string{"internal", "hybrid"},
		options: virtualwebauthn.AuthenticatorOptions{BackupEligible: true, BackupState: true},
		aaguid:  [16]byte{0xfb, 0xfc, 0x30, 0x07, 0x15, 0x4e, 0x4e, 0xcc, 0x8c, 0x0b, 0x6e, 0x02, 0x05, 0x57, 0xd7, 0xbd},
		key:     newKey(),
	}
}

// newKey draws until both coordinates fill their 32 bytes: the library leaves out leading zeros, which RFC 9053 §7.1.1 forbids and one key in 128 has.
func newKey() virtualwebauthn.Credential {
	const fullLength = 77 // bytes of a COSE key on P-256
	for {
		key := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		if len(key.Key.AttestationData()) == fullLength {
			return key
		}
	}
}

func securityKey() *device {
	d := phone()
	d.attachment, d.transports, d.counting = "cross-platform", []string{"usb", "nfc"}, true
	d.options = virtualwebauthn.AuthenticatorOptions{}
	return d
}

func (d *device) signer() virtualwebauthn.Authenticator {
	return virtualwebauthn.Authenticator{Options: d.options, Aaguid: d.aaguid}
}

func (d *device) create(tb testing.TB, options string) string {
	tb.Helper()
	parsed, err := virtualwebauthn.ParseAttestationOptions(options)
	if err != nil {
		tb.Fatalf("creation options %q: %v", options, err)
	}
	answer := virtualwebauthn.CreateAttestationResponse(virtualwebauthn.RelyingParty{ID: d.rpID, Origin: d.origin}, d.signer(), d.key, *parsed)
	return edit(tb, answer, func(credential, response map[string]any) {
		d.browser(credential)
		if d.transports != nil {
			response["transports"] = d.transports
		}
	})
}

func (d *device) get(tb testing.TB, options string) string {
	tb.Helper()
	parsed, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		tb.Fatalf("request options %q: %v", options, err)
	}
	if d.counting {
		d.key.Counter++
	}
	answer := virtualwebauthn.CreateAssertionResponse(virtualwebauthn.RelyingParty{ID: d.rpID, Origin: d.origin}, d.signer(), d.key, *parsed)
	return edit(tb, answer, func(credential, _ map[string]any) { d.browser(credential) })
}

func (d *device) browser(credential map[string]any) {
	if d.attachment != "" {
		credential["authenticatorAttachment"] = d.attachment
	}
	credential["clientExtensionResults"] = map[string]any{"credProps": map[string]any{"rk": true}}
}

// edit changes the JSON of a PublicKeyCredential.
func edit(tb testing.TB, answer string, change func(credential, response map[string]any)) string {
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

// flip changes one byte of a member in base64url.
func flip(tb testing.TB, response map[string]any, member string, at int) {
	tb.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(response[member].(string))
	if err != nil {
		tb.Fatal(err)
	}
	raw[(at+len(raw))%len(raw)] ^= 1
	response[member] = base64.RawURLEncoding.EncodeToString(raw)
}

func (d *device) client() rest.ClientInformation {
	c := rest.ClientInformation{RemoteAddress: "127.0.0.1", UserAgent: "Mozilla/5.0"}
	if d.handle != "" {
		c.ClientEnvHandle = &d.handle
	}
	return c
}
