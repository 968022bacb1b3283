package relyingparty

import (
	"bytes"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/go-webauthn/webauthn/protocol"

	"github.com/keyward/keyward/core/event"
)

// What is refused as a whole.
const messageNoCredential = "is not the JSON of a PublicKeyCredential"

// MaxCredentialID is the longest credential ID in bytes (W3C WebAuthn §4, Credential ID).
const MaxCredentialID = 1023

// credentialJSON is a RegistrationResponseJSON or AuthenticationResponseJSON (W3C WebAuthn §5.1) as far as the server needs it. What
// clients put beside it decides nothing: outputs of extensions nobody asked for, and copies of what the attestation object holds.
type credentialJSON struct {
	ID                      string         `json:"id"`
	RawID                   string         `json:"rawId"`
	Type                    string         `json:"type"`
	AuthenticatorAttachment jsontext.Value `json:"authenticatorAttachment"`
	Response                *responseJSON  `json:"response"`
}

type responseJSON struct {
	ClientDataJSON    string         `json:"clientDataJSON"`
	AttestationObject string         `json:"attestationObject"`
	Transports        []string       `json:"transports"`
	AuthenticatorData jsontext.Value `json:"authenticatorData"` // of an assertion; a creation may repeat it, in a form of its own
	Signature         string         `json:"signature"`
	UserHandle        string         `json:"userHandle"`
}

// answer is a credentialJSON whose members have been read.
type answer struct {
	common     protocol.PublicKeyCredential
	clientData []byte // as it was signed
	readable   []byte // the same without a byte order mark
	response   *responseJSON
}

// ParseCreation decodes the JSON of the PublicKeyCredential that create() resolved to.
func ParseCreation(text string) (*protocol.ParsedCredentialCreationData, error) {
	a, err := parse(text)
	if err != nil {
		return nil, err
	}
	object, err := octets("response.attestationObject", a.response.AttestationObject)
	if err != nil {
		return nil, err
	}
	made := protocol.CredentialCreationResponse{PublicKeyCredential: a.common}
	made.AttestationResponse.ClientDataJSON = a.readable
	made.AttestationResponse.AttestationObject = object
	made.AttestationResponse.Transports = a.response.Transports
	parsed, err := made.Parse()
	if err != nil {
		return nil, refuse("response.attestationObject is not one (W3C WebAuthn §6.5.4): not CBOR, or without the data of a credential", err)
	}
	parsed.Raw.AttestationResponse.ClientDataJSON = a.clientData
	if parsed.Response.CollectedClientData.Type != protocol.CreateCeremony {
		return nil, refuse("the client data is not of type webauthn.create", nil)
	}
	return parsed, nil
}

// ParseAssertion decodes the JSON of the PublicKeyCredential that get() resolved to.
func ParseAssertion(text string) (*protocol.ParsedCredentialAssertionData, error) {
	a, err := parse(text)
	if err != nil {
		return nil, err
	}
	used := protocol.CredentialAssertionResponse{PublicKeyCredential: a.common}
	used.AssertionResponse.ClientDataJSON = a.readable
	if used.AssertionResponse.AuthenticatorData, err = a.authenticatorData(); err != nil {
		return nil, err
	}
	if used.AssertionResponse.Signature, err = octets("response.signature", a.response.Signature); err != nil {
		return nil, err
	}
	if a.response.UserHandle != "" {
		if used.AssertionResponse.UserHandle, err = octets("response.userHandle", a.response.UserHandle); err != nil {
			return nil, err
		}
	}
	parsed, err := used.Parse()
	if err != nil {
		return nil, refuse("response.authenticatorData is not that of an authenticator (W3C WebAuthn §6.1)", err)
	}
	parsed.Raw.AssertionResponse.ClientDataJSON = a.clientData
	if parsed.Response.CollectedClientData.Type != protocol.AssertCeremony {
		return nil, refuse("the client data is not of type webauthn.get", nil)
	}
	return parsed, nil
}

// parse reads what both ceremonies share.
func parse(text string) (answer, error) {
	said, err := decodeCredential(text)
	if err != nil {
		return answer{}, err
	}
	if said.Type != string(protocol.PublicKeyCredentialType) {
		return answer{}, refuse(`type is not "public-key"`, nil)
	}
	id, err := credentialID(said)
	if err != nil {
		return answer{}, err
	}
	if said.Response == nil {
		return answer{}, refuse("response is missing", nil)
	}
	a := answer{response: said.Response, common: protocol.PublicKeyCredential{
		Credential: protocol.Credential{ID: base64.RawURLEncoding.EncodeToString(id), Type: said.Type}, RawID: id,
	}}
	// What a client says beyond the two words of the specification is as if it said nothing (W3C WebAuthn §5.4.5).
	if json.Unmarshal(said.AuthenticatorAttachment, &a.common.AuthenticatorAttachment) != nil {
		a.common.AuthenticatorAttachment = ""
	}
	if a.clientData, err = octets("response.clientDataJSON", said.Response.ClientDataJSON); err != nil {
		return answer{}, err
	}
	a.readable = bytes.TrimPrefix(a.clientData, []byte("\ufeff")) // UTF-8 decode, W3C WebAuthn §7.1 step 5
	return a, checkClientData(a.readable)
}

func decodeCredential(text string) (credentialJSON, error) {
	var said credentialJSON
	err := json.Unmarshal([]byte(text), &said)
	var wrong *json.SemanticError
	switch {
	case err == nil && !strings.HasPrefix(strings.TrimLeft(text, " \t\r\n"), "{"): // null
		return said, refuse(messageNoCredential, nil)
	case err == nil:
		return said, nil
	case errors.As(err, &wrong) && wrong.JSONPointer != "":
		return said, refuse(member(wrong.JSONPointer)+" is of the wrong JSON type", err)
	default:
		return said, refuse(messageNoCredential, err)
	}
}

// member is where a pointer points, in the words of the specification. The pointers of a credentialJSON hold names of its own and positions
// in a list.
func member(at jsontext.Pointer) string {
	var names []string
	for name := range at.Tokens() {
		names = append(names, name)
	}
	return strings.Join(names, ".")
}

// credentialID returns the bytes that id and rawId both stand for.
func credentialID(said credentialJSON) ([]byte, error) {
	id, err := octets("id", said.ID)
	if err != nil {
		return nil, err
	}
	raw, err := octets("rawId", said.RawID)
	if err != nil {
		return nil, err
	}
	switch {
	case !bytes.Equal(id, raw):
		return nil, refuse("id and rawId differ", nil)
	case len(id) > MaxCredentialID:
		return nil, refuse("id is longer than 1023 bytes", nil)
	default:
		return id, nil
	}
}

// checkClientData finds out whether client data can be read, so that the words for what cannot are its own.
func checkClientData(readable []byte) error {
	var data protocol.CollectedClientData
	if err := json.Unmarshal(
		readable, &data, json.DefaultOptionsV2(), jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true),
	); err != nil {
		return refuse("response.clientDataJSON is not the JSON of client data (W3C WebAuthn §5.8.1)", err)
	}
	return nil
}

func (a answer) authenticatorData() ([]byte, error) {
	const name = "response.authenticatorData"
	var text string
	if len(a.response.AuthenticatorData) > 0 && json.Unmarshal(a.response.AuthenticatorData, &text) != nil {
		return nil, refuse(name+" is of the wrong JSON type", nil)
	}
	return octets(name, text)
}

// octets reads a member that holds bytes. Clients have written them in every form of base64; which one shows in some bytes and not in
// others, so that all are taken or the same client works by chance.
func octets(name, text string) ([]byte, error) {
	if text == "" {
		return nil, refuse(name+" is missing", nil)
	}
	decoded, err := base64.RawURLEncoding.DecodeString(event.Canonical(text))
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, refuse(name+" is not base64url", err)
	}
	if len(decoded) == 0 {
		return nil, refuse(name+" is empty", nil)
	}
	return decoded, nil
}

// MayCreate reports whether a policy that allows these models of authenticators, any if it names none, takes a passkey of this one.
func MayCreate(allowed []string, aaguid string) bool {
	return len(allowed) == 0 || slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, aaguid) })
}
