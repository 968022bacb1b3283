package signature

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/keyward/keyward/core/plainfile"
)

// maxKeys bounds how often one signature is tried.
const maxKeys = 64

// leastRSA is the fewest bits of an RSA key that is worth anything.
const leastRSA = 2048

// Key vouches for bundles. A signature counts for what was pushed from the one moment on and before the other; each may be zero.
type Key struct {
	ID         string
	Algorithm  string // as JWTs name it
	Scope      string // that a signature has to say, as OPA has scopes
	NotBefore  time.Time
	Retired    time.Time
	public     string // PEM
	thumbprint string // DER, which tells keys apart whatever they are called
}

func (k Key) config() *opa.VerificationConfig {
	return opa.NewVerificationConfig(map[string]*opa.KeyConfig{k.ID: {Key: k.public, Algorithm: k.Algorithm, Scope: k.Scope}}, k.ID, "", nil)
}

// barred says why the key does not count at a moment; empty if it does. At no moment in particular each counts that is there.
func (k Key) barred(at time.Time) string {
	switch {
	case at.IsZero():
		return ""
	case at.Before(k.NotBefore):
		return "does not count before " + k.NotBefore.UTC().Format(time.RFC3339)
	case !k.Retired.IsZero() && !at.Before(k.Retired):
		return "was retired at " + k.Retired.UTC().Format(time.RFC3339)
	}
	return ""
}

// written is a key in a file of keys.
type written struct {
	Key       string    `yaml:"key"`  // PEM
	File      string    `yaml:"file"` // or where that is, beside the file of keys
	Algorithm string    `yaml:"algorithm"`
	Scope     string    `yaml:"scope"`
	NotBefore time.Time `yaml:"not_before"`
	RetiredAt time.Time `yaml:"retired_at"`
}

// read returns the keys at a path, in the order of their IDs: of a directory those in its files that end in .pem or .pub, of a PEM file its
// own, and of another file those that it describes.
func read(path string) ([]Key, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	var keys []Key
	if info.IsDir() {
		keys, err = readDirectory(path)
	} else {
		keys, err = readFile(path)
	}
	switch {
	case err != nil:
		return nil, err
	case len(keys) == 0:
		return nil, fmt.Errorf("%s: there is no public key, in a file that ends in .pem or .pub", path)
	case len(keys) > maxKeys:
		return nil, fmt.Errorf("%s: there are more than %d keys", path, maxKeys)
	}
	slices.SortFunc(keys, func(a, b Key) int { return cmp.Compare(a.ID, b.ID) })
	return keys, apart(keys)
}

// apart refuses a key that is there twice: it would count as two.
func apart(keys []Key) error {
	ids, seen := map[string]bool{}, map[string]string{}
	for _, k := range keys {
		if other, twice := seen[k.thumbprint]; twice {
			return fmt.Errorf("%s and %s are the same key", other, k.ID)
		}
		if ids[k.ID] {
			return fmt.Errorf("there are two keys with the ID %s", k.ID)
		}
		ids[k.ID], seen[k.thumbprint] = true, k.ID
	}
	return nil
}

func isPEM(name string) bool { return filepath.Ext(name) == ".pem" || filepath.Ext(name) == ".pub" }

// KeyID is the ID of a key in a file of that name: the name without its ending.
func KeyID(path string) string {
	name := filepath.Base(path)
	return strings.TrimSuffix(name, filepath.Ext(name))
}

func readDirectory(dir string) ([]Key, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var keys []Key
	for _, e := range entries {
		if e.IsDir() || strings.HasPrefix(e.Name(), ".") || !isPEM(e.Name()) {
			continue
		}
		k, err := readKey(filepath.Join(dir, e.Name()), written{})
		if err != nil {
			return nil, err
		}
		k.ID = KeyID(e.Name())
		keys = append(keys, k)
	}
	return keys, nil
}

func readFile(path string) ([]Key, error) {
	if isPEM(path) {
		k, err := readKey(path, written{})
		k.ID = KeyID(path)
		return []Key{k}, err
	}
	raw, err := plainfile.Read(path, plainfile.MaxText)
	if err != nil {
		return nil, err
	}
	var file struct {
		Keys map[string]written `yaml:"keys"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(&file); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	keys := make([]Key, 0, len(file.Keys))
	for id, w := range file.Keys {
		k, err := w.key(filepath.Dir(path))
		if err == nil && id == "" {
			err = errors.New("must have an ID")
		}
		if err != nil {
			return nil, fmt.Errorf("%s: keys.%s: %w", path, id, err)
		}
		k.ID = id
		keys = append(keys, k)
	}
	return keys, nil
}

// key reads a key that is described in a file of that directory.
func (w written) key(dir string) (Key, error) {
	if !w.RetiredAt.IsZero() && !w.NotBefore.Before(w.RetiredAt) {
		return Key{}, errors.New("retired_at: must be after not_before")
	}
	switch {
	case (w.Key == "") == (w.File == ""):
		return Key{}, errors.New("needs either key or file")
	case w.Key != "":
		return parseKey([]byte(w.Key), w)
	case filepath.IsAbs(w.File):
		return readKey(w.File, w)
	default:
		return readKey(filepath.Join(dir, w.File), w)
	}
}

func readKey(path string, w written) (Key, error) {
	raw, err := plainfile.Read(path, plainfile.MaxText)
	if err != nil {
		return Key{}, err
	}
	k, err := parseKey(raw, w)
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// parseKey reads a public key, or the one in a certificate. A private one has no business on a server that verifies.
func parseKey(raw []byte, w written) (Key, error) {
	public, err := publicKey(raw)
	if err != nil {
		return Key{}, err
	}
	algorithms, err := algorithmsOf(public)
	if err != nil {
		return Key{}, err
	}
	k := Key{Algorithm: cmp.Or(w.Algorithm, algorithms[0]), Scope: w.Scope, NotBefore: w.NotBefore, Retired: w.RetiredAt}
	if !slices.Contains(algorithms, k.Algorithm) {
		return Key{}, fmt.Errorf("algorithm: must be %s with such a key", strings.Join(algorithms, ", "))
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return Key{}, err
	}
	k.thumbprint, k.public = string(der), string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	return k, nil
}

func publicKey(raw []byte) (any, error) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PUBLIC KEY":
			return x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			return x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			certificate, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, err
			}
			return certificate.PublicKey, nil
		case "EC PARAMETERS": // OpenSSL writes them before a key
		default:
			return nil, fmt.Errorf("it is %q where a public key is needed", block.Type)
		}
	}
	return nil, errors.New("it is no public key in PEM")
}

// algorithmsOf returns the algorithms that a public key may sign with, as JWTs name them, the usual one first.
func algorithmsOf(public any) ([]string, error) {
	switch key := public.(type) {
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	case *ecdsa.PublicKey:
		curve := map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[key.Curve.Params().Name]
		if curve == "" {
			return nil, fmt.Errorf("there is no algorithm for the curve %s", key.Curve.Params().Name)
		}
		return []string{curve}, nil
	case *rsa.PublicKey:
		if key.N.BitLen() < leastRSA {
			return nil, fmt.Errorf("the RSA key has %d bits; at least %d are needed", key.N.BitLen(), leastRSA)
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	default:
		return nil, errors.New("it is neither an Ed25519, an elliptic curve's nor an RSA key")
	}
}
