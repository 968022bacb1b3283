package certificate_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/keyward/keyward/services/gateway/internal/certificate"
)

// files are a certificate and a key in a directory of a test, and a clock moved by hand.
type files struct {
	t         *testing.T
	cert, key string
	now       time.Time
	log       bytes.Buffer
	metrics   *prometheus.Registry
	written   time.Time
}

func newFiles(t *testing.T) *files {
	dir := t.TempDir()
	return &files{
		t: t, cert: filepath.Join(dir, "tls.crt"), key: filepath.Join(dir, "tls.key"),
		now: time.Unix(1_800_000_000, 0), metrics: prometheus.NewRegistry(), written: time.Unix(1_700_000_000, 0),
	}
}

// made returns a new certificate for a name, and its key, as PEM.
func (f *files) made(name string, expires time.Time) (cert, key []byte) {
	f.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Unix(0, 0), NotAfter: expires,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		f.t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		f.t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw})
}

// write writes a file, later than any before.
func (f *files) write(path string, content []byte) {
	f.t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.written = f.written.Add(time.Second)
	if err := os.Chtimes(path, f.written, f.written); err != nil {
		f.t.Fatal(err)
	}
}

func (f *files) open() (*certificate.Files, error) {
	return certificate.Open(
		f.cert, f.key,
		certificate.Deps{Now: func() time.Time { return f.now }, Log: slog.New(slog.NewTextHandler(&f.log, nil)), Metrics: f.metrics},
	)
}

// served returns the name in the certificate that a handshake gets, once the files may have been looked at again.
func (f *files) served(kept *certificate.Files) string {
	f.t.Helper()
	f.now = f.now.Add(certificate.Every)
	got, err := kept.Get(nil)
	if err != nil {
		f.t.Fatal(err)
	}
	return got.Leaf.Subject.CommonName
}

func TestACertificateIsRenewedAndABrokenOneIsNot(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	year := f.now.AddDate(1, 0, 0)
	cert, key := f.made("one", year)
	f.write(f.cert, cert)
	f.write(f.key, key)
	kept, err := f.open()
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when, want string, failures float64) {
		t.Helper()
		if got := f.served(kept); got != want {
			t.Errorf("%s: %s is served, want %s", when, got, want)
		}
		if got := f.failures(); got != failures {
			t.Errorf("%s: %v failures were counted, want %v", when, got, failures)
		}
	}
	expect("at first", "one", 0)

	next, nextKey := f.made("two", year.AddDate(1, 0, 0))
	f.write(f.cert, next)
	expect("with the key of another", "one", 1)
	expect("still", "one", 1)
	f.write(f.key, nextKey)
	expect("with both", "two", 1)

	f.write(f.cert, []byte("no PEM"))
	expect("with what is no certificate", "two", 2)
	if err := os.Remove(f.cert); err != nil {
		t.Fatal(err)
	}
	expect("without a file", "two", 3)
	expect("still without", "two", 3)
	f.write(f.cert, cert)
	f.write(f.key, key)
	expect("with the first ones again", "one", 3)

	text := f.log.String()
	if n := strings.Count(text, "cannot be used"); n != 3 || strings.Count(text, "renewed") != 2 || strings.Contains(text, "PRIVATE") {
		t.Errorf("logged:\n%s", text)
	}
}

// failures returns how many renewals failed, as it is counted.
func (f *files) failures() float64 {
	f.t.Helper()
	found, err := f.metrics.Gather()
	if err != nil {
		f.t.Fatal(err)
	}
	for _, family := range found {
		if family.GetName() == "keyward_tls_reload_failures_total" {
			return family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return -1
}

// A handshake that opened a pipe would wait for a writer, and with it every other.
func TestAPipeInThePlaceOfAFileIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	cert, key := f.made("one.example.com", f.now.Add(time.Hour))
	f.write(f.cert, cert)
	f.write(f.key, key)
	kept, err := f.open()
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Remove(f.key), syscall.Mkfifo(f.key, 0o600)); err != nil {
		t.Fatal(err)
	}
	served := make(chan string, 1)
	go func() { served <- f.served(kept) }()
	select {
	case name := <-served:
		if name != "one.example.com" || !strings.Contains(f.log.String(), "tls_key") {
			t.Errorf("served %s, told %s", name, f.log.String())
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the handshake waits for somebody to write the key")
	}
}

func TestFilesAreNotLookedAtForEveryHandshake(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	renew := func(name string) {
		cert, key := f.made(name, f.now.AddDate(1, 0, 0))
		f.write(f.cert, cert)
		f.write(f.key, key)
	}
	renew("one")
	kept, err := f.open()
	if err != nil {
		t.Fatal(err)
	}
	renew("two")
	f.now = f.now.Add(certificate.Every / 2)
	if got, err := kept.Get(nil); err != nil || got.Leaf.Subject.CommonName != "one" {
		t.Errorf("at once: %v, %v", got.Leaf.Subject, err)
	}
	if got := f.served(kept); got != "two" {
		t.Errorf("then %s is served", got)
	}
}

func TestFilesThatCannotBeUsedAreNamedByTheirSetting(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	if _, err := f.open(); err == nil || !strings.HasPrefix(err.Error(), "tls_cert: ") {
		t.Errorf("without files: %v", err)
	}
	cert, _ := f.made("one", f.now)
	f.write(f.cert, cert)
	if _, err := f.open(); err == nil || !strings.HasPrefix(err.Error(), "tls_key: ") {
		t.Errorf("without a key: %v", err)
	}
	_, other := f.made("two", f.now)
	f.write(f.key, other)
	if _, err := f.open(); err == nil || !strings.HasPrefix(err.Error(), "tls_cert, tls_key: ") {
		t.Errorf("with the key of another: %v", err)
	}
}

func TestAnExpiredCertificateIsUsedAndSaidToBe(t *testing.T) {
	t.Parallel()
	f := newFiles(t)
	cert, key := f.made("one", f.now.Add(-time.Hour))
	f.write(f.cert, cert)
	f.write(f.key, key)
	if _, err := f.open(); err != nil || !strings.Contains(f.log.String(), "level=WARN") ||
		!strings.Contains(f.log.String(), "it has expired") {
		t.Errorf("%v, logged %s", err, f.log.String())
	}
	want := "# HELP keyward_tls_certificate_expiry_timestamp_seconds When the TLS certificate in use expires; Unix seconds.\n" +
		"# TYPE keyward_tls_certificate_expiry_timestamp_seconds gauge\nkeyward_tls_certificate_expiry_timestamp_seconds 1.7999964e+09\n"
	if err := testutil.GatherAndCompare(f.metrics, strings.NewReader(want), "keyward_tls_certificate_expiry_timestamp_seconds"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(f.metrics); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
