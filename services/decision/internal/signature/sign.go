package signature

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"

	opa "github.com/open-policy-agent/opa/v1/bundle"
	"github.com/open-policy-agent/opa/v1/util"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// Signer is a private key.
type Signer struct {
	ID        string
	Algorithm string // as JWTs name it
	private   string // PEM
}

// ParseSigner reads a private key in PEM.
func ParseSigner(id string, raw []byte) (Signer, error) {
	if id == "" {
		return Signer{}, errors.New("the key must have an ID")
	}
	private, err := privateKey(raw)
	if err != nil {
		return Signer{}, err
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return Signer{}, errors.New("it is no key that signs")
	}
	algorithms, err := algorithmsOf(signer.Public())
	if err != nil {
		return Signer{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return Signer{}, err
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return Signer{ID: id, Algorithm: algorithms[0], private: string(encoded)}, nil
}

func privateKey(raw []byte) (any, error) {
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case "PRIVATE KEY":
			return x509.ParsePKCS8PrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			return x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			return x509.ParseECPrivateKey(block.Bytes)
		case "EC PARAMETERS": // OpenSSL writes them before a key
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the private key is encrypted; decrypt it first, as by openssl pkey")
		default:
			return nil, fmt.Errorf("it is %q where a private key is needed", block.Type)
		}
	}
	return nil, errors.New("it is no private key in PEM")
}

// Sign returns the content of .signatures.json once the key has signed the files, too. Signatures of other files than these are dropped,
// and how many there were is said.
func Sign(files bundlefile.Files, by Signer) (content []byte, dropped int, err error) {
	hashes, err := hash(files)
	if err != nil {
		return nil, 0, err
	}
	token, err := opa.GenerateSignedToken(hashes, opa.NewSigningConfig(by.private, by.Algorithm, ""), by.ID)
	if err != nil {
		return nil, 0, fmt.Errorf("sign the files: %w", err)
	}
	before, err := tokens(files)
	if err != nil {
		return nil, 0, err
	}
	signed := opa.SignaturesConfig{}
	for _, old := range before {
		named, said := keyNamed(old)
		listed := map[string]opa.FileInfo{}
		for _, file := range said.Files {
			listed[file.Name] = file
		}
		switch {
		case covers(listed, files) != nil:
			dropped++
		case named != by.ID:
			signed.Signatures = append(signed.Signatures, old)
		}
	}
	signed.Signatures = append(signed.Signatures, token)
	content, err = json.MarshalIndent(signed, "", "  ")
	return append(content, '\n'), dropped, err
}

// hash is what is signed of the files.
func hash(files bundlefile.Files) ([]opa.FileInfo, error) {
	hasher, err := opa.NewSignatureHasher(opa.SHA256)
	if err != nil {
		return nil, err
	}
	var hashes []opa.FileInfo
	for _, name := range files.Names() {
		if name == bundlefile.SignaturesFile {
			continue
		}
		var content any = files[name]
		if opa.IsStructuredDoc(name) {
			if err = util.Unmarshal(files[name], &content); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		sum, err := hasher.HashFile(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		hashes = append(hashes, opa.NewFile(name, hex.EncodeToString(sum), opa.SHA256.String()))
	}
	return hashes, nil
}
