package packed

import (
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/signature"
)

// SignaturesFile is the name of the file that holds the signatures of a bundle.
const SignaturesFile = bundlefile.SignaturesFile

// KeyID is the ID of a key in a file of that name.
func KeyID(path string) string { return signature.KeyID(path) }

// Sign returns the content of SignaturesFile once a private key in PEM, which has that ID, has signed the files, too. Signatures of other
// files than these are dropped, and how many there were is said.
func Sign(files Files, id string, private []byte) (content []byte, dropped int, err error) {
	signer, err := signature.ParseSigner(id, private)
	if err != nil {
		return nil, 0, err
	}
	return signature.Sign(bundlefile.Files(files), signer)
}
