package devtls_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/keyward/keyward/cmd/keyward/app/devtls"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func ensure(t *testing.T, dir, host string, at time.Time) (authority, server *x509.Certificate) {
	t.Helper()
	if err := devtls.Ensure(dir, host, at); err != nil {
		t.Fatal(err)
	}
	certFile, keyFile := devtls.Server(dir)
	loaded, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return load(t, dir).Leaf, loaded.Leaf
}

func load(t *testing.T, dir string) tls.Certificate {
	t.Helper()
	authority, err := tls.LoadX509KeyPair(devtls.Authority(dir), filepath.Join(dir, "authority-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// trusts reports why somebody who trusts the authority does not take the certificate for a name.
func trusts(authority, server *x509.Certificate, name string, at time.Time) error {
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	_, err := server.Verify(x509.VerifyOptions{Roots: roots, DNSName: name, CurrentTime: at})
	return err
}

func TestTheServerIsTrustedUnderTheNamesOfThisMachineAndItsOwn(t *testing.T) {
	t.Parallel()
	authority, server := ensure(t, filepath.Join(t.TempDir(), "tls"), "login.example.test", now)
	for name, trusted := range map[string]bool{
		"localhost": true, "127.0.0.1": true, "::1": true, "login.example.test": true, "example.test": false, "10.0.0.1": false,
	} {
		if err := trusts(authority, server, name, now); (err == nil) != trusted {
			t.Errorf("%s: %v, trusted is %v", name, err, trusted)
		}
	}
}

// Whoever takes the authority's key from a laptop cannot be a bank to it.
func TestTheAuthorityCannotSpeakForOthers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	ensure(t, dir, "localhost", now)
	authority := load(t, dir)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	forged := func(names ...string) *x509.Certificate {
		raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
			SerialNumber: big.NewInt(1), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour), DNSNames: names,
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		}, authority.Leaf, &key.PublicKey, authority.PrivateKey)
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(raw)
		if err != nil {
			t.Fatal(err)
		}
		return cert
	}
	if err := trusts(authority.Leaf, forged("localhost"), "localhost", now); err != nil {
		t.Fatalf("what it may certify is not trusted: %v", err)
	}
	if err := trusts(authority.Leaf, forged("bank.example"), "bank.example", now); err == nil {
		t.Error("a certificate of the authority is trusted for a host of somebody else")
	}
}

func TestTheAuthorityStaysUntilItEndsOrAnotherHostIsServed(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	first, server := ensure(t, dir, "localhost", now)
	if again, same := ensure(t, dir, "localhost", now.Add(time.Hour)); !again.Equal(first) || !same.Equal(server) {
		t.Error("a second start makes others")
	}
	kept, renewed := ensure(t, dir, "localhost", now.Add(80*24*time.Hour))
	if !kept.Equal(first) || renewed.Equal(server) {
		t.Error("before the server's certificate ends, it alone is made anew")
	}
	if err := trusts(kept, renewed, "localhost", now.Add(100*24*time.Hour)); err != nil {
		t.Error(err)
	}
	if other, served := ensure(
		t, dir, "login.example.test", now,
	); other.Equal(first) ||
		trusts(other, served, "login.example.test", now) != nil {
		t.Error("the authority does not speak for another host that is served")
	}
	if late, _ := ensure(t, dir, "login.example.test", now.Add(6*365*24*time.Hour)); !late.NotAfter.After(now.Add(7 * 365 * 24 * time.Hour)) {
		t.Error("an authority that has ended stays")
	}
}

func TestKeysAreTheOwnersAloneAndDamageIsMadeGood(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tls")
	ensure(t, dir, "localhost", now)
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Fatalf("%d files (%v)", len(entries), err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s has the mode %v (%v)", e.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has the mode %v (%v)", info.Mode(), err)
	}
	_, keyFile := devtls.Server(dir)
	if err := os.WriteFile(keyFile, []byte("cut short"), 0o600); err != nil {
		t.Fatal(err)
	}
	authority, server := ensure(t, dir, "localhost", now)
	if err := trusts(authority, server, "localhost", now); err != nil {
		t.Error(err)
	}
}
