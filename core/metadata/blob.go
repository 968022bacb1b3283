// Package metadata knows what FIDO's metadata service (MDS, version 3) says of models of authenticators: the roots of their attestation,
// and what has become of them. Verify and Snapshot are pure: neither looks at a clock, nor asks anybody on the way, not even whether a
// certificate has been revoked. Keeper touches the object store "authenticator-metadata" and nothing else.
//
// It promises that nothing counts that was not signed for the service's name below the given root; that of what was accepted once nothing
// older is accepted after it; and that what was accepted last and is good stays, whatever comes later.
package metadata

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/go-webauthn/webauthn/metadata"
)

// MaxSize is how many bytes a blob may have: several times what there is, icons of every model included.
const MaxSize = 32 << 20

// Name is whom the service's certificate is for, if nobody says otherwise.
const Name = "mds.fidoalliance.org"

// maxChain is how many certificates may lead from a signature to its root.
const maxChain = 10

// Why a blob is not accepted.
var (
	ErrTooLarge  = fmt.Errorf("the metadata has more than %d MiB", MaxSize>>20)
	ErrForm      = errors.New("the metadata is no signed blob of FIDO's metadata service")
	ErrAlgorithm = errors.New("the metadata is signed by an algorithm other than RS256 and ES256")
	ErrChain     = errors.New("the certificates of the metadata do not lead to the root")
	ErrName      = errors.New("the metadata is signed for another name")
	ErrSignature = errors.New("the signature of the metadata is wrong")
	ErrOlder     = errors.New("the metadata is older than what there is")
)

// Trust says who is believed.
type Trust struct {
	Roots []*x509.Certificate // empty = GlobalSign's Root CA - R3, as the service has it
	Name  string              // of the certificate that signs; empty = Name
}

// ReadRoots reads certificates in the PEM format.
func ReadRoots(text []byte) ([]*x509.Certificate, error) {
	var roots []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		root, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(roots)+1, err)
		}
		roots = append(roots, root)
	}
	if len(roots) == 0 {
		return nil, errors.New("there is no certificate in the PEM format")
	}
	return roots, nil
}

func (t Trust) roots() (*x509.CertPool, error) {
	pool, roots := x509.NewCertPool(), t.Roots
	if len(roots) == 0 {
		der, err := base64.StdEncoding.DecodeString(metadata.ProductionMDSRoot)
		if err != nil {
			return nil, err
		}
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, err
		}
		roots = append(roots, root)
	}
	for _, root := range roots {
		pool.AddCert(root)
	}
	return pool, nil
}

type header struct {
	Algorithm    string   `json:"alg"`
	Certificates [][]byte `json:"x5c"`
	Elsewhere    string   `json:"x5u"`
	Critical     []string `json:"crit"`
}

// Verify returns what a blob says that was signed by whom t believes, as of a moment. The errors are or wrap those above.
func Verify(blob []byte, t Trust, now time.Time) (*Snapshot, error) {
	if len(blob) > MaxSize {
		return nil, ErrTooLarge
	}
	blob = bytes.TrimSpace(blob)
	parts := bytes.Split(blob, []byte("."))
	const jws = 3 // RFC 7515 §7.1
	if len(parts) != jws {
		return nil, ErrForm
	}
	var decoded [jws][]byte
	for i, part := range parts {
		raw := make([]byte, base64.RawURLEncoding.DecodedLen(len(part)))
		n, err := base64.RawURLEncoding.Decode(raw, part)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrForm, err)
		}
		decoded[i] = raw[:n]
	}
	leaf, algorithm, err := signer(decoded[0], t, now)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(blob[:len(parts[0])+1+len(parts[1])])
	if err := check(leaf, algorithm, digest[:], decoded[2]); err != nil {
		return nil, err
	}
	return read(decoded[1])
}

// signer returns the certificate that has signed, if it may.
func signer(text []byte, t Trust, now time.Time) (*x509.Certificate, string, error) {
	var h header
	if err := json.Unmarshal(text, &h); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrForm, err)
	}
	switch {
	case h.Algorithm != "RS256" && h.Algorithm != "ES256":
		return nil, "", ErrAlgorithm
	case h.Elsewhere != "" || len(h.Critical) > 0:
		return nil, "", fmt.Errorf("%w: x5u and crit are not taken", ErrForm)
	case len(h.Certificates) == 0 || len(h.Certificates) > maxChain:
		return nil, "", fmt.Errorf("%w: there are %d of them", ErrChain, len(h.Certificates))
	}
	chain := make([]*x509.Certificate, len(h.Certificates))
	between := x509.NewCertPool()
	for i, der := range h.Certificates {
		var err error
		if chain[i], err = x509.ParseCertificate(der); err != nil {
			return nil, "", fmt.Errorf("%w: %w", ErrChain, err)
		}
		if i == 0 {
			continue
		}
		between.AddCert(chain[i])
		if err := chain[i-1].CheckSignatureFrom(chain[i]); err != nil { // each certifies the one before (RFC 7515 §4.1.6)
			return nil, "", fmt.Errorf("%w: %w", ErrChain, err)
		}
	}
	roots, err := t.roots()
	if err != nil {
		return nil, "", err
	}
	if _, err := chain[0].Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	}); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrChain, err)
	}
	name := t.Name
	if name == "" {
		name = Name
	}
	if err := chain[0].VerifyHostname(name); err != nil {
		return nil, "", fmt.Errorf("%w: %w", ErrName, err)
	}
	return chain[0], h.Algorithm, nil
}

func check(leaf *x509.Certificate, algorithm string, digest, signature []byte) error {
	switch key := leaf.PublicKey.(type) {
	case *rsa.PublicKey:
		if algorithm == "RS256" && rsa.VerifyPKCS1v15(key, crypto.SHA256, digest, signature) == nil {
			return nil
		}
	case *ecdsa.PublicKey:
		const number = 32 // bytes, twice (RFC 7518 §3.4)
		if algorithm != "ES256" || key.Curve != elliptic.P256() || len(signature) != 2*number {
			return ErrSignature
		}
		r, s := new(big.Int).SetBytes(signature[:number]), new(big.Int).SetBytes(signature[number:])
		if ecdsa.Verify(key, digest, r, s) {
			return nil
		}
	}
	return ErrSignature
}
