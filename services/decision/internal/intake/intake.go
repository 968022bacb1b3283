// Package intake is what a bundle goes through before it is checked and answers: its signatures are verified, and what "opa build" leaves
// out is added from the bundle of the program.
//
// It promises that nothing is added before signatures are verified, and that only whole kinds of files are: a bundle that has a schema of
// its own gets none. It touches nothing but the public keys that it is told of.
package intake

import (
	"fmt"
	"slices"
	"time"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/signature"
	"github.com/keyward/keyward/services/decision/internal/tarball"
)

// Open returns packed files that were pushed at a moment, as they are to answer: what they lack is added if they are signed, so that nobody
// could add it before. The error is or wraps signature.ErrRefused if they are not signed as they must be.
func Open(packed []byte, by signature.Config, pushed time.Time) ([]byte, error) {
	unpacked, err := archive.Unpack(packed)
	if err != nil {
		return nil, err
	}
	files, err := bundlefile.Read(unpacked)
	if err != nil {
		return nil, err
	}
	if by.Keys != "" {
		dropAdded(files)
	}
	if _, err := by.Verify(files, pushed); err != nil {
		return nil, err
	}
	if !Lacking(files) || files[bundlefile.SignaturesFile] == nil {
		return packed, nil
	}
	if err := fillIn(files); err != nil {
		return nil, err
	}
	return archive.Pack(files)
}

// dropAdded drops what was added to a bundle that was signed without it, as the archive keeps what has answered: no signature says that it
// is as it was.
func dropAdded(files bundlefile.Files) {
	signed := signature.Names(files)
	if len(signed) == 0 || slices.ContainsFunc(signed, isSchema) {
		return
	}
	for _, name := range files.Names() {
		if isSchema(name) || name == bundlefile.ProvidersFile && !slices.Contains(signed, name) {
			delete(files, name)
		}
	}
}

// fillIn adds what is missing from the bundle of the program.
func fillIn(files bundlefile.Files) error {
	own, err := bundlefile.Read(policies.Bundle)
	if err != nil {
		return fmt.Errorf("read the bundle of the program: %w", err)
	}
	FillIn(files, own)
	return nil
}

// Fetched returns an archive that somebody else has built as Open takes it, and a hash of its files. What it lacks is added, unless it is
// signed, which Open is to verify first. What is no bundle is a bundlefile.Error.
func Fetched(raw []byte) (packed []byte, content string, err error) {
	files, err := tarball.Read(raw)
	if err != nil {
		return nil, "", &bundlefile.Error{Message: "the bundle: " + err.Error()}
	}
	content = files.Hash()
	if Lacking(files) && files[bundlefile.SignaturesFile] == nil {
		if err := fillIn(files); err != nil {
			return nil, "", err
		}
	}
	packed, err = archive.Pack(files)
	return packed, content, err
}

// Lacking reports whether files lack what "opa build" leaves out: they have no schema at all.
func Lacking(files bundlefile.Files) bool { return !slices.ContainsFunc(files.Names(), isSchema) }

func isSchema(name string) bool {
	_, ok := bundlefile.SchemaName(name)
	return ok
}

// FillIn adds the schemas of other files, and the names of authenticators if there are none.
func FillIn(files, from bundlefile.Files) {
	providers := !files.HasProviders() // OPA writes them into data.json, if they come from where it reads data
	for _, name := range from.Names() {
		if isSchema(name) || name == bundlefile.ProvidersFile && providers {
			files[name] = from[name]
		}
	}
}
