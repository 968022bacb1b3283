// Package devtls makes a certificate authority for one laptop, and the certificate of the server that runs there: some SDKs call https
// alone. The authority can speak for the names of this machine and for those that it was made for, and for nobody else, whoever gets its
// key. It touches the directory that it is given, which only its owner reads.
package devtls

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// The files of a directory.
const (
	authorityFile    = "authority.pem"
	authorityKeyFile = "authority-key.pem"
	serverFile       = "server.pem"
	serverKeyFile    = "server-key.pem"
)

const (
	authorityLasts = 5 * 365 * 24 * time.Hour // it has to be trusted by hand, so seldom
	serverLasts    = 90 * 24 * time.Hour
	renewBefore    = 30 * 24 * time.Hour
	skew           = time.Hour // clocks of clients may be behind
)

// Dir returns the directory that belongs to a data directory: beside it, so that a copy of the data holds no key that browsers trust.
func Dir(dataDir string) string { return filepath.Clean(dataDir) + "-tls" }

// Authority returns the file with the certificate that clients are to trust.
func Authority(dir string) string { return filepath.Join(dir, authorityFile) }

// Server returns the files with the server's certificate and its key.
func Server(dir string) (cert, key string) {
	return filepath.Join(dir, serverFile), filepath.Join(dir, serverKeyFile)
}

// Ensure makes what is missing, ends soon, or does not speak for host: the authority, the server's certificate, or both. host may be a name
// of this machine.
func Ensure(dir, host string, now time.Time) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make the directory of the local authority: %w", err)
	}
	names := namesOf(host)
	authority, err := load(filepath.Join(dir, authorityFile), filepath.Join(dir, authorityKeyFile))
	if err != nil || !authority.speaksFor(names, now) {
		if authority, err = makeAuthority(names, now); err != nil {
			return err
		}
		if err := authority.save(filepath.Join(dir, authorityFile), filepath.Join(dir, authorityKeyFile)); err != nil {
			return err
		}
	}
	certFile, keyFile := Server(dir)
	server, err := load(certFile, keyFile)
	if err == nil && server.signedBy(authority, names, now) {
		return nil
	}
	if server, err = authority.certify(names, now); err != nil {
		return err
	}
	return server.save(certFile, keyFile)
}

// names is what a certificate speaks for.
type names struct {
	dns []string
	ips []net.IP
}

func namesOf(host string) names {
	n := names{dns: []string{"localhost"}, ips: []net.IP{net.IPv4(127, 0, 0, 1).To4(), net.IPv6loopback}}
	ip := net.ParseIP(host)
	switch {
	case ip != nil && !ip.IsLoopback():
		n.ips = append(n.ips, ip)
	case ip == nil && host != "" && !slices.Contains(n.dns, host):
		n.dns = append(n.dns, host)
	}
	return n
}

// networks are the addresses as constraints name them.
func (n names) networks() []*net.IPNet {
	var all []*net.IPNet
	for _, ip := range n.ips {
		if four := ip.To4(); four != nil {
			ip = four
		}
		all = append(all, &net.IPNet{IP: ip, Mask: net.CIDRMask(8*len(ip), 8*len(ip))})
	}
	return all
}

// pair is a certificate and its key.
type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func makeAuthority(n names, now time.Time) (pair, error) {
	template := &x509.Certificate{
		Subject:   pkix.Name{CommonName: "Keyward local authority", Organization: []string{"Keyward, for development on this machine"}},
		NotBefore: now.Add(-skew), NotAfter: now.Add(authorityLasts),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign,
		PermittedDNSDomainsCritical: true, PermittedDNSDomains: n.dns, PermittedIPRanges: n.networks(),
	}
	return sign(template, nil)
}

func (p pair) certify(n names, now time.Time) (pair, error) {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: n.dns[len(n.dns)-1]}, NotBefore: now.Add(-skew), NotAfter: now.Add(serverLasts),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: n.dns, IPAddresses: n.ips,
	}
	return sign(template, &p)
}

// sign makes a key and its certificate, by itself without issuer.
func sign(template *x509.Certificate, issuer *pair) (pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return pair{}, fmt.Errorf("make a key: %w", err)
	}
	const serialBits = 127
	if template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits)); err != nil {
		return pair{}, fmt.Errorf("draw a serial number: %w", err)
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.cert, issuer.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		return pair{}, fmt.Errorf("sign a certificate: %w", err)
	}
	cert, err := x509.ParseCertificate(raw)
	if err != nil {
		return pair{}, fmt.Errorf("read a certificate: %w", err)
	}
	return pair{cert, key}, nil
}

func (p pair) lasts(now time.Time) bool {
	return now.After(p.cert.NotBefore) && now.Add(renewBefore).Before(p.cert.NotAfter)
}

// speaksFor reports whether an authority may certify the names for a while.
func (p pair) speaksFor(n names, now time.Time) bool {
	contained := func(name string) bool { return slices.Contains(p.cert.PermittedDNSDomains, name) }
	for _, network := range n.networks() {
		if !slices.ContainsFunc(p.cert.PermittedIPRanges, func(known *net.IPNet) bool { return known.String() == network.String() }) {
			return false
		}
	}
	return p.cert.IsCA && p.lasts(now) && !slices.ContainsFunc(n.dns, func(name string) bool { return !contained(name) })
}

func (p pair) signedBy(authority pair, n names, now time.Time) bool {
	return p.lasts(now) && p.cert.CheckSignatureFrom(authority.cert) == nil && slices.Equal(p.cert.DNSNames, n.dns) &&
		slices.EqualFunc(p.cert.IPAddresses, n.ips, net.IP.Equal)
}

var errKey = errors.New("the key is of another kind")

func load(certFile, keyFile string) (pair, error) {
	loaded, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return pair{}, fmt.Errorf("read %s: %w", certFile, err)
	}
	key, ok := loaded.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return pair{}, fmt.Errorf("read %s: %w", keyFile, errKey)
	}
	return pair{loaded.Leaf, key}, nil
}

// save writes the key first: a certificate without its key is made anew.
func (p pair) save(certFile, keyFile string) error {
	raw, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return fmt.Errorf("encode a key: %w", err)
	}
	if err := write(keyFile, "PRIVATE KEY", raw); err != nil {
		return err
	}
	return write(certFile, "CERTIFICATE", p.cert.Raw)
}

func write(file, kind string, raw []byte) error {
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: kind, Bytes: raw}); err != nil {
		return fmt.Errorf("encode %s: %w", file, err)
	}
	if err := os.WriteFile(file, text.Bytes(), 0o600); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
