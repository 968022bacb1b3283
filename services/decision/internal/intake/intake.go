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
	if _, err := by.Verify(files, pushed); err != nil {
		return nil, err
	}
	if !Lacking(files) || files[bundlefile.SignaturesFile] == nil {
		return packed, nil
	}
	own, err := bundlefile.Read(policies.Bundle)
	if err != nil {
		return nil, fmt.Errorf("read the bundle of the program: %w", err)
	}
	FillIn(files, own)
	return archive.Pack(files)
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
