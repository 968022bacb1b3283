package relyingparty_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/keyring"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/services/ceremony/ceremonytest/authenticator"
	"github.com/keyward/keyward/services/ceremony/internal/challenge"
	"github.com/keyward/keyward/services/ceremony/internal/relyingparty"
)

func shop() (*relyingparty.Party, account.Account) {
	p := project.Project{ID: "pro-1", RPID: authenticator.RPID, RPName: "Shop"}
	return relyingparty.New(p, []string{authenticator.Origin}), account.Account{ID: "usr-1", UserHandle: []byte("handle")}
}

// created returns the answer of a device that has created a passkey, and what registers it.
func created(t *testing.T, d *authenticator.Device) (string, func(answer string) (account.Credential, error)) {
	t.Helper()
	party, a := shop()
	options, err := party.Create(a, relyingparty.Creation{Username: "ada", UserVerification: "required"})
	if err != nil {
		t.Fatal(err)
	}
	return d.Create(t, options.JSON), func(answer string) (account.Credential, error) {
		parsed, err := relyingparty.ParseCreation(answer)
		if err != nil {
			return account.Credential{}, err
		}
		return party.Register(a, options.Session, parsed)
	}
}

// request returns request options of an account, and their challenge as a finish finds it.
func request(t *testing.T, a account.Account) (string, challenge.Record) {
	t.Helper()
	ring, err := keyring.NewRing("pro-1", keyring.Versions{{Number: 1, Root: make([]byte, 32)}})
	if err != nil {
		t.Fatal(err)
	}
	party, _ := shop()
	asked := relyingparty.Request{UserVerification: "required"}
	sealed, err := challenge.Record{ID: "was-1", Project: "pro-1", User: a.ID, RPID: authenticator.RPID, Expires: 1}.Seal(ring, asked.Asked())
	if err != nil {
		t.Fatal(err)
	}
	found, err := challenge.NewStore(challenge.Places{}).Find(t.Context(), challenge.Claim{
		Keys: ring, Project: "pro-1", User: a.ID, Value: sealed.Value, Type: rest.PasskeyChallengeTypeAuthenticate, RPID: authenticator.RPID,
	}, time.UnixMilli(0))
	if err != nil {
		t.Fatal(err)
	}
	return party.Get(found.Value, asked), found
}

func asserted(t *testing.T, d *authenticator.Device, passkey account.Credential) (string, func(answer string) error) {
	t.Helper()
	party, a := shop()
	a.Credentials = []account.Credential{passkey}
	options, given := request(t, a)
	return d.Get(t, options), func(answer string) error {
		parsed, err := relyingparty.ParseAssertion(answer)
		if err != nil {
			return err
		}
		_, err = party.Verify(a, given, false, parsed)
		return err
	}
}

func encoded(encoding *base64.Encoding) func(credential, response map[string]any) {
	return func(credential, response map[string]any) {
		for _, members := range []map[string]any{credential, response} {
			for _, name := range []string{"id", "rawId", "clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"} {
				text, _ := members[name].(string)
				if raw, err := base64.RawURLEncoding.DecodeString(text); err == nil && text != "" {
					members[name] = encoding.EncodeToString(raw)
				}
			}
		}
	}
}

func TestAnswersAreTakenInEveryFormOfBase64AndWithWhateverIsBesideThem(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(credential, response map[string]any){
		"as the specification has it":   encoded(base64.RawURLEncoding),
		"padded":                        encoded(base64.URLEncoding),
		"of the standard alphabet":      encoded(base64.RawStdEncoding),
		"padded, the standard alphabet": encoded(base64.StdEncoding),
		"with extensions nobody asked": func(c, _ map[string]any) {
			c["clientExtensionResults"] = map[string]any{"appid": "yes", "x": []any{1}}
		},
		"extensions are no object":       func(c, _ map[string]any) { c["clientExtensionResults"] = "none" },
		"without extensions":             func(c, _ map[string]any) { delete(c, "clientExtensionResults") },
		"an attachment nobody knows":     func(c, _ map[string]any) { c["authenticatorAttachment"] = "implant" },
		"an attachment of another type":  func(c, _ map[string]any) { c["authenticatorAttachment"] = 7 },
		"no attachment":                  func(c, _ map[string]any) { c["authenticatorAttachment"] = nil },
		"a public key in another form":   func(_, r map[string]any) { r["publicKey"], r["publicKeyAlgorithm"] = map[string]any{}, "-7" },
		"a user handle that is null":     func(_, r map[string]any) { r["userHandle"] = nil },
		"members that nobody knows":      func(c, r map[string]any) { c["x"], r["y"] = 1, []any{} },
		"transports that are null":       func(_, r map[string]any) { r["transports"] = nil },
		"a transport nobody knows":       func(_, r map[string]any) { r["transports"] = []any{"telepathy"} },
		"authenticator data beside them": func(_, r map[string]any) { r["authenticatorData"] = cmpOr(r["authenticatorData"], []any{1, 2}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := authenticator.Phone()
			answer, register := created(t, d)
			passkey, err := register(authenticator.Edit(t, answer, change))
			if err != nil {
				t.Fatal("creation:", err)
			}
			answer, verify := asserted(t, d, passkey)
			if err := verify(authenticator.Edit(t, answer, change)); err != nil {
				t.Error("assertion:", err)
			}
		})
	}
}

func cmpOr(a, b any) any {
	if a != nil {
		return a
	}
	return b
}

func TestAnAnswerThatCannotBeReadIsRefusedByTheMember(t *testing.T) {
	t.Parallel()
	set := func(name string, value any) func(c, r map[string]any) {
		return func(c, r map[string]any) {
			if _, there := c[name]; there {
				c[name] = value
				return
			}
			r[name] = value
		}
	}
	type refusal struct {
		change func(c, r map[string]any)
		want   string
	}
	both := map[string]refusal{
		"no ID":                   {set("id", ""), "id is missing"},
		"an ID of another type":   {set("id", 7), "id is of the wrong JSON type"},
		"an ID that is no base64": {set("id", "%"), "id is not base64url"},
		"an ID with a line break": {set("id", "AA\nAA"), "id is not base64url"},
		"an ID of no bytes":       {set("id", "="), "id is empty"},
		"an ID of 1024 bytes": {func(c, _ map[string]any) {
			long := base64.RawURLEncoding.EncodeToString(make([]byte, 1024))
			c["id"], c["rawId"] = long, long
		}, "id is longer than 1023 bytes"},
		"no raw ID":                     {func(c, _ map[string]any) { delete(c, "rawId") }, "rawId is missing"},
		"two IDs":                       {set("rawId", "AAAA"), "id and rawId differ"},
		"no type":                       {set("type", nil), `type is not "public-key"`},
		"another type":                  {set("type", "password"), `type is not "public-key"`},
		"no response":                   {set("response", nil), "response is missing"},
		"a response that is a list":     {set("response", []any{}), "response is of the wrong JSON type"},
		"no client data":                {set("clientDataJSON", nil), "response.clientDataJSON is missing"},
		"client data of another type":   {set("clientDataJSON", map[string]any{}), "response.clientDataJSON is of the wrong JSON type"},
		"client data that is no base64": {set("clientDataJSON", "{}"), "response.clientDataJSON is not base64url"},
		"client data that is no JSON": {
			set("clientDataJSON", "AAAA"), "response.clientDataJSON is not the JSON of client data (W3C WebAuthn §5.8.1)",
		},
		"client data whose type is a number": {
			set("clientDataJSON", base64.RawURLEncoding.EncodeToString([]byte(`{"type":1}`))),
			"response.clientDataJSON is not the JSON of client data (W3C WebAuthn §5.8.1)",
		},
		"transports that are no list": {
			func(_, r map[string]any) { r["transports"] = "usb" }, "response.transports is of the wrong JSON type",
		},
		"a transport that is a number": {
			func(_, r map[string]any) { r["transports"] = []any{1} }, "response.transports.0 is of the wrong JSON type",
		},
	}
	creations := map[string]refusal{
		"no attestation object": {set("attestationObject", nil), "response.attestationObject is missing"},
		"an attestation object that is no CBOR": {
			set("attestationObject", "AAAA"),
			"response.attestationObject is not one (W3C WebAuthn §6.5.4): not CBOR, or without the data of a credential",
		},
		"an attestation object of something new": {
			set("attestationObject", "oA"),
			"response.attestationObject is not one (W3C WebAuthn §6.5.4): not CBOR, or without the data of a credential",
		},
	}
	assertions := map[string]refusal{
		"no authenticator data":              {set("authenticatorData", nil), "response.authenticatorData is missing"},
		"authenticator data of another type": {set("authenticatorData", []any{1}), "response.authenticatorData is of the wrong JSON type"},
		"authenticator data of two bytes": {
			set("authenticatorData", "AAA"), "response.authenticatorData is not that of an authenticator (W3C WebAuthn §6.1)",
		},
		"no signature":                    {set("signature", nil), "response.signature is missing"},
		"a signature of another alphabet": {set("signature", "?"), "response.signature is not base64url"},
		"a user handle that is no base64": {func(_, r map[string]any) { r["userHandle"] = "?" }, "response.userHandle is not base64url"},
	}
	d := authenticator.Phone()
	creation, register := created(t, d)
	passkey, err := register(creation)
	if err != nil {
		t.Fatal(err)
	}
	assertion, _ := asserted(t, d, passkey)
	creationErr := func(text string) error { _, err := relyingparty.ParseCreation(text); return err }
	assertionErr := func(text string) error { _, err := relyingparty.ParseAssertion(text); return err }
	hold := func(cases map[string]refusal, answer string, parse func(string) error) {
		for name, c := range cases {
			var refused *fault.Refusal
			if err := parse(authenticator.Edit(t, answer, c.change)); !errors.As(err, &refused) || refused.Error() != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		}
	}
	hold(both, creation, creationErr)
	hold(creations, creation, creationErr)
	hold(both, assertion, assertionErr)
	hold(assertions, assertion, assertionErr)
	for _, text := range []string{"", "null", "[]", `"x"`, "{", "{}{}", `{"id":"AA","id":"AA"}`} {
		for _, err := range []error{creationErr(text), assertionErr(text)} {
			if err == nil {
				t.Errorf("%q was taken", text)
			}
		}
	}
}

// W3C WebAuthn §7.1 step 5 and §7.2 step 9 run UTF-8 decode, which leaves out a byte order mark; the signature is over all bytes.
func TestClientDataMayBeginWithAByteOrderMark(t *testing.T) {
	t.Parallel()
	party, a := shop()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	id := []byte("passkey")
	a.Credentials = []account.Credential{{CredentialID: id, PublicKey: cose(t, key), RPID: authenticator.RPID, UserVerified: true}}
	_, given := request(t, a)
	clientData := []byte(
		"\ufeff" + `{"type":"webauthn.get","challenge":"` + given.Value + `","origin":"` + authenticator.Origin + `","crossOrigin":false}`,
	)
	rpIDHash, clientHash := sha256.Sum256([]byte(authenticator.RPID)), sha256.Sum256(clientData)
	data := append(rpIDHash[:], 0x05, 0, 0, 0, 1) // present and verified
	digest := sha256.Sum256(append(append([]byte{}, data...), clientHash[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, key, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	text := base64.RawURLEncoding.EncodeToString
	answer, err := json.Marshal(map[string]any{"id": text(id), "rawId": text(id), "type": "public-key", "response": map[string]any{
		"clientDataJSON": text(clientData), "authenticatorData": text(data), "signature": text(signature),
	}})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := relyingparty.ParseAssertion(string(answer))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := party.Verify(a, given, false, parsed); err != nil {
		t.Error(err)
	}
}
