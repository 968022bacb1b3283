// Package signaturetest makes keys that sign bundles, for tests.
package signaturetest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/signature"
)

// Pair is a key that signs. Both halves are PEM.
type Pair struct {
	signature.Signer
	Private, Public []byte
}

func newPair(t testing.TB, id string, key crypto.Signer, err error) Pair {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	p := Pair{
		Private: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}),
		Public:  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}),
	}
	return p.Named(t, id)
}

// Named is the same key under another ID.
func (p Pair) Named(t testing.TB, id string) Pair {
	t.Helper()
	var err error
	if p.Signer, err = signature.ParseSigner(id, p.Private); err != nil {
		t.Fatal(err)
	}
	return p
}

// Ed25519 returns a new key.
func Ed25519(t testing.TB, id string) Pair {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return newPair(t, id, key, err)
}

// P256 returns a new key.
func P256(t testing.TB, id string) Pair {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return newPair(t, id, key, err)
}

// RSA returns a new key.
func RSA(t testing.TB, id string) Pair {
	t.Helper()
	const bits = 2048
	key, err := rsa.GenerateKey(rand.Reader, bits)
	return newPair(t, id, key, err)
}

// Signed returns a copy of files with the signatures of the keys.
func Signed(t testing.TB, files bundlefile.Files, keys ...Pair) bundlefile.Files {
	t.Helper()
	files = maps.Clone(files)
	for _, k := range keys {
		content, _, err := signature.Sign(files, k.Signer)
		if err != nil {
			t.Fatal(err)
		}
		files[bundlefile.SignaturesFile] = content
	}
	return files
}

// Directory returns a directory with the public keys, each called by its ID.
func Directory(t testing.TB, keys ...Pair) string {
	t.Helper()
	dir := t.TempDir()
	for _, k := range keys {
		const ofOwner = 0o600
		if err := os.WriteFile(filepath.Join(dir, k.ID+".pem"), k.Public, ofOwner); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
