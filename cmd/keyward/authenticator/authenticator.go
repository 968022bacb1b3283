// Package authenticator is a software authenticator with real keys and real signatures, in the place of a phone or a security key. The
// demo, the tests and the load generator log in with it. It does no I/O; a Device can be kept as JSON.
package authenticator

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/descope/virtualwebauthn"
)

// Device is an authenticator with its passkeys.
type Device struct {
	AAGUID         [16]byte  `json:"aaguid"`
	Attachment     string    `json:"attachment"` // platform or cross-platform
	Transports     []string  `json:"transports"`
	BackupEligible bool      `json:"backupEligible"`
	BackupState    bool      `json:"backupState"`
	NotVerifying   bool      `json:"notVerifying,omitempty"` // signs without user verification
	Counting       bool      `json:"counting,omitempty"`     // keeps a signature counter; synced passkeys do not
	Passkeys       []Passkey `json:"passkeys,omitempty"`
}

// Passkey is a discoverable credential.
type Passkey struct {
	RPID       string                     `json:"rpID"`
	UserHandle []byte                     `json:"userHandle"`
	Credential virtualwebauthn.Credential `json:"credential"`
}

// ErrNoCredentials means that the device holds none of the passkeys that would be accepted.
var ErrNoCredentials = errors.New("the authenticator holds no passkey that the options allow")

// ErrExcluded means that the device holds a passkey that the options exclude: a browser would raise InvalidStateError.
var ErrExcluded = errors.New("the authenticator holds an excluded passkey already")

// Phone returns a device that syncs its passkeys, like an Apple phone.
func Phone() *Device {
	return &Device{
		AAGUID:     [16]byte{0xfb, 0xfc, 0x30, 0x07, 0x15, 0x4e, 0x4e, 0xcc, 0x8c, 0x0b, 0x6e, 0x02, 0x05, 0x57, 0xd7, 0xbd},
		Attachment: "platform", Transports: []string{"internal", "hybrid"}, BackupEligible: true, BackupState: true,
	}
}

// SecurityKey returns a roaming device that keeps its passkeys to itself.
func SecurityKey() *Device {
	return &Device{
		AAGUID:     [16]byte{0xcb, 0x69, 0x48, 0x1e, 0x8f, 0xf7, 0x40, 0x39, 0x93, 0xec, 0x0a, 0x27, 0x29, 0xa1, 0x54, 0xa8},
		Attachment: "cross-platform", Transports: []string{"usb", "nfc"}, Counting: true,
	}
}

// Create makes a passkey for options (JSON as the server sent it) on a page of origin and returns the PublicKeyCredential as JSON.
func (d *Device) Create(options, origin string) (string, error) {
	parsed, err := virtualwebauthn.ParseAttestationOptions(options)
	if err != nil {
		return "", fmt.Errorf("read creation options: %w", err)
	}
	for _, p := range d.Passkeys {
		if p.Credential.IsExcludedForAttestation(*parsed) {
			return "", ErrExcluded
		}
	}
	credential := newCredential()
	d.Passkeys = append(d.Passkeys, Passkey{RPID: parsed.RelyingPartyID, UserHandle: []byte(parsed.UserID), Credential: credential})
	rp := virtualwebauthn.RelyingParty{ID: parsed.RelyingPartyID, Name: parsed.RelyingPartyName, Origin: origin}
	return d.complete(virtualwebauthn.CreateAttestationResponse(rp, d.signer(nil), credential, *parsed))
}

// newCredential draws keys until one is encoded in full: the library leaves out leading zeros of a coordinate, which COSE (RFC 9053 section
// 7.1.1) does not allow.
func newCredential() virtualwebauthn.Credential {
	const cosePublicKeyBytes = 77
	for {
		credential := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
		if len(credential.Key.AttestationData()) == cosePublicKeyBytes {
			return credential
		}
	}
}

// Get signs for options (JSON as the server sent it) on a page of origin with the first passkey they allow, and returns the
// PublicKeyCredential as JSON. Options that allow none in particular are answered with any passkey of the relying party.
func (d *Device) Get(options, origin string) (string, error) {
	parsed, err := virtualwebauthn.ParseAssertionOptions(options)
	if err != nil {
		return "", fmt.Errorf("read request options: %w", err)
	}
	passkey := d.find(parsed)
	if passkey == nil {
		return "", ErrNoCredentials
	}
	if d.Counting {
		passkey.Credential.Counter++
	}
	rp := virtualwebauthn.RelyingParty{ID: parsed.RelyingPartyID, Origin: origin}
	return d.complete(virtualwebauthn.CreateAssertionResponse(rp, d.signer(passkey.UserHandle), passkey.Credential, *parsed))
}

func (d *Device) find(options *virtualwebauthn.AssertionOptions) *Passkey {
	for _, id := range options.AllowCredentials {
		only := virtualwebauthn.AssertionOptions{AllowCredentials: []string{id}}
		for i := range d.Passkeys {
			if d.Passkeys[i].Credential.IsAllowedForAssertion(only) {
				return &d.Passkeys[i]
			}
		}
	}
	if len(options.AllowCredentials) > 0 {
		return nil
	}
	for i := range d.Passkeys {
		if d.Passkeys[i].RPID == options.RelyingPartyID {
			return &d.Passkeys[i]
		}
	}
	return nil
}

func (d *Device) signer(userHandle []byte) virtualwebauthn.Authenticator {
	return virtualwebauthn.Authenticator{
		Aaguid: d.AAGUID,
		Options: virtualwebauthn.AuthenticatorOptions{
			UserHandle: userHandle, UserNotVerified: d.NotVerifying, BackupEligible: d.BackupEligible, BackupState: d.BackupState,
		},
	}
}

// complete adds what a browser adds to the answer of an authenticator (W3C WebAuthn, PublicKeyCredential.toJSON).
func (d *Device) complete(answer string) (string, error) {
	var credential map[string]any
	if err := json.Unmarshal([]byte(answer), &credential); err != nil {
		return "", fmt.Errorf("read the authenticator's answer: %w", err)
	}
	credential["authenticatorAttachment"] = d.Attachment
	credential["clientExtensionResults"] = map[string]any{}
	if response, ok := credential["response"].(map[string]any); ok && response["attestationObject"] != nil {
		response["transports"] = d.Transports
	}
	raw, err := json.Marshal(credential)
	if err != nil {
		return "", fmt.Errorf("encode the credential: %w", err)
	}
	return string(raw), nil
}
