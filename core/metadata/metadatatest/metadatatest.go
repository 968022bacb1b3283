// Package metadatatest is a metadata service of authenticators for tests: it has a root of its own, and signs what it is told to. It
// touches nothing.
package metadatatest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"testing"
	"time"
)

// Service signs metadata.
type Service struct {
	Root, Between, Leaf Certificate
}

// Certificate is a certificate and its key.
type Certificate struct {
	*x509.Certificate
	Key crypto.Signer
}

// New returns a service whose certificates are valid for a year around a moment, for that name.
func New(t testing.TB, name string, now time.Time) *Service {
	t.Helper()
	root := Certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Root"}, IsCA: true}, nil, now)
	between := Certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Between"}, IsCA: true}, &root, now)
	leaf := Certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}}, &between, now)
	return &Service{Root: root, Between: between, Leaf: leaf}
}

// Certify returns a certificate that is made after a template and signed by another one, or by itself.
func Certify(t testing.TB, template *x509.Certificate, by *Certificate, now time.Time) Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const halfYear = 183 * 24 * time.Hour
	const bits = 64
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), bits)); err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = now.Add(-halfYear), now.Add(halfYear)
	template.BasicConstraintsValid = true
	if template.IsCA {
		template.KeyUsage = x509.KeyUsageCertSign
	}
	parent, signer := template, crypto.Signer(key)
	if by != nil {
		parent, signer = by.Certificate, by.Key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return Certificate{made, key}
}

// Entry is what is said of a model, as the blob has it.
type Entry map[string]any

// Model returns an entry of a model with the roots of its attestation, and reports: statuses, or objects as Report makes them.
func Model(aaguid string, roots []Certificate, reports ...any) Entry {
	certificates := []string{}
	for _, root := range roots {
		certificates = append(certificates, base64.StdEncoding.EncodeToString(root.Raw))
	}
	said := []any{}
	for _, r := range reports {
		if status, alone := r.(string); alone {
			r = map[string]any{"status": status}
		}
		said = append(said, r)
	}
	return Entry{
		"aaguid": aaguid, "statusReports": said, "timeOfLastStatusChange": "2026-01-01",
		"metadataStatement": map[string]any{
			"aaguid": aaguid, "description": "A model", "protocolFamily": "fido2", "attestationTypes": []string{"basic_full"},
			"attestationRootCertificates": certificates,
		},
	}
}

// Payload returns what a blob says.
func Payload(t testing.TB, number int, next time.Time, entries ...Entry) []byte {
	t.Helper()
	if entries == nil {
		entries = []Entry{}
	}
	text, err := json.Marshal(map[string]any{
		"legalHeader": "For tests", "no": number, "nextUpdate": next.UTC().Format(time.DateOnly), "entries": entries,
	})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Blob returns a signed blob.
func (s *Service) Blob(t testing.TB, number int, next time.Time, entries ...Entry) []byte {
	t.Helper()
	return s.Sign(t, Payload(t, number, next, entries...), nil)
}

// Sign signs a payload. The header is as the service's, but for what is given.
func (s *Service) Sign(t testing.TB, payload []byte, header map[string]any) []byte {
	t.Helper()
	whole := map[string]any{"alg": "ES256", "typ": "JWT", "x5c": [][]byte{s.Leaf.Raw, s.Between.Raw}}
	for name, value := range header {
		whole[name] = value
	}
	text, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode(text) + "." + encode(payload)
	digest := sha256.Sum256([]byte(signed))
	return []byte(signed + "." + encode(s.sign(t, digest[:])))
}

func (s *Service) sign(t testing.TB, digest []byte) []byte {
	t.Helper()
	key, is := s.Leaf.Key.(*ecdsa.PrivateKey)
	if !is {
		signature, err := s.Leaf.Key.Sign(rand.Reader, digest, crypto.SHA256)
		if err != nil {
			t.Fatal(err)
		}
		return signature
	}
	r, v, err := ecdsa.Sign(rand.Reader, key, digest)
	if err != nil {
		t.Fatal(err)
	}
	const number = 32
	signature := make([]byte, 2*number)
	r.FillBytes(signature[:number])
	v.FillBytes(signature[number:])
	return signature
}
