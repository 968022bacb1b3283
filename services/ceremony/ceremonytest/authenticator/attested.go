package authenticator

import (
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/keyward/keyward/core/metadata/metadatatest"
)

// Maker makes authenticators, and has certificates that say so.
type Maker struct {
	Root, Batch metadatatest.Certificate
	AAGUID      [16]byte // of its model
}

// NewMaker returns the maker of a model, whose certificates are valid for a year around a moment.
func NewMaker(tb testing.TB, aaguid [16]byte, now time.Time) *Maker {
	tb.Helper()
	root := metadatatest.Certify(tb, &x509.Certificate{Subject: pkix.Name{CommonName: "Maker"}, IsCA: true}, nil, now)
	model, err := asn1.Marshal(aaguid[:])
	if err != nil {
		tb.Fatal(err)
	}
	// W3C WebAuthn §8.2.1 says what has to be in it.
	batch := metadatatest.Certify(tb, &x509.Certificate{
		Subject: pkix.Name{
			Country: []string{"DE"}, Organization: []string{"Maker"}, OrganizationalUnit: []string{"Authenticator Attestation"},
			CommonName: "Batch 1",
		},
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 45724, 1, 1, 4}, Value: model}},
	}, &root, now)
	return &Maker{Root: root, Batch: batch, AAGUID: aaguid}
}

// Key returns a security key of the maker's.
func (m *Maker) Key() *Device {
	d := SecurityKey()
	d.aaguid = m.AAGUID
	return d
}

// Attest has the answer of a device say that it is of the maker's, in the format packed (W3C WebAuthn §8.2).
func (m *Maker) Attest(tb testing.TB, answer string) string {
	tb.Helper()
	return m.AttestWith(tb, answer)
}

// AttestWith is Attest with more certificates behind the maker's.
func (m *Maker) AttestWith(tb testing.TB, answer string, more ...[]byte) string {
	tb.Helper()
	return Restate(tb, answer, "packed", func(signed []byte) any {
		digest := sha256.Sum256(signed)
		signature, err := m.Batch.Key.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			tb.Fatal(err)
		}
		const es256 = -7
		return map[string]any{"alg": es256, "sig": signature, "x5c": append([][]byte{m.Batch.Raw}, more...)}
	})
}

// Restate puts another statement into the answer to creation options, which is made of what it would sign.
func Restate(tb testing.TB, answer, format string, state func(signed []byte) any) string {
	tb.Helper()
	return Edit(tb, answer, func(_, response map[string]any) {
		bytes := func(member string) []byte {
			raw, err := base64.RawURLEncoding.DecodeString(response[member].(string))
			if err != nil {
				tb.Fatal(err)
			}
			return raw
		}
		var object struct {
			AuthData []byte `cbor:"authData"`
		}
		if err := cbor.Unmarshal(bytes("attestationObject"), &object); err != nil {
			tb.Fatal(err)
		}
		hash := sha256.Sum256(bytes("clientDataJSON"))
		statement := state(append(object.AuthData[:len(object.AuthData):len(object.AuthData)], hash[:]...))
		raw, err := cbor.Marshal(map[string]any{"fmt": format, "authData": object.AuthData, "attStmt": statement})
		if err != nil {
			tb.Fatal(err)
		}
		response["attestationObject"] = base64.RawURLEncoding.EncodeToString(raw)
	})
}
