// Package signature tells by which keys the files of a bundle are signed, and signs them: .signatures.json, as OPA defines it, has JSON Web
// Tokens over the hashes of all files.
//
// It promises that every file is what each key has signed that it tells of, that no file is there beside those, and that a key counts once,
// whatever it is called. OPA's own library judges each token; that takes one at a time, so they are handed to it one by one. The package
// reads public keys from where it is told each time that it verifies, so that a key which is taken away counts no more; it touches nothing
// else.
package signature

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
)

// ErrRefused is what every error is that says a bundle is not signed as it must be. With other keys it may be another time.
var ErrRefused = errors.New("the bundle is not signed as it must be")

// Bounds of what a file of signatures may hold.
const (
	maxTokens = 32
	maxToken  = 1 << 20
)

// ownPlugin is how OPA calls what it does without a plugin.
const ownPlugin = "_default"

// Config says who has to have signed.
type Config struct {
	Keys     string // a file or a directory of public keys; empty = signatures are not looked at
	Required int    // how many of the keys must have signed; 0 = none, and what is signed must be what was signed
}

// Validate reports every setting that cannot work, one a line.
func (c Config) Validate() error {
	var errs []error
	if c.Required < 0 {
		errs = append(errs, errors.New("policy_signatures_required: must be at least 0"))
	}
	if c.Keys == "" {
		return errors.Join(errs...)
	}
	keys, err := read(c.Keys)
	switch {
	case err != nil:
		errs = append(errs, fmt.Errorf("policy_signature_keys: %w", err))
	case c.Required > len(keys):
		errs = append(errs, fmt.Errorf("policy_signatures_required: is %d, and policy_signature_keys has %d keys", c.Required, len(keys)))
	}
	return errors.Join(errs...)
}

// Binds reports whether what nobody has signed is refused.
func (c Config) Binds() bool { return c.Keys != "" && c.Required > 0 }

// Verify returns the IDs of the keys by which files are signed that were pushed at a moment; zero is at none in particular. Without keys in
// the configuration it returns none. Every error is ErrRefused and a bundlefile.Error.
func (c Config) Verify(files bundlefile.Files, at time.Time) ([]string, error) {
	if c.Keys == "" {
		return nil, nil
	}
	keys, err := read(c.Keys)
	if err != nil {
		return nil, refusedFile("", "policy_signature_keys: "+err.Error())
	}
	tokens, err := tokens(files)
	if err != nil {
		return nil, err
	}
	v := verification{files: files, keys: keys, at: at, signed: map[string]bool{}}
	for n, token := range tokens {
		if err := v.token(token); err != nil {
			return nil, refused("signature %d: %s", n+1, err.Error())
		}
	}
	if len(v.signed) < c.Required {
		return nil, refused("%s", v.lacking(c.Required, len(tokens)))
	}
	return slices.Sorted(maps.Keys(v.signed)), nil
}

func tokens(files bundlefile.Files) ([]string, error) {
	raw, ok := files[bundlefile.SignaturesFile]
	if !ok {
		return nil, nil
	}
	var config opa.SignaturesConfig
	if err := json.Unmarshal(raw, &config); err != nil {
		return nil, refused("%s", err.Error())
	}
	if config.Plugin != "" && config.Plugin != ownPlugin {
		return nil, refused("it needs the plugin %q, which there is not", config.Plugin)
	}
	if len(config.Signatures) > maxTokens {
		return nil, refused("there are more than %d signatures", maxTokens)
	}
	for n, token := range config.Signatures {
		if len(token) > maxToken {
			return nil, refused("signature %d: it has more than %d bytes", n+1, maxToken)
		}
	}
	return config.Signatures, nil
}

// verification is of one bundle.
type verification struct {
	files   bundlefile.Files
	keys    []Key
	at      time.Time
	signed  map[string]bool // IDs of keys
	strange int             // signatures by no key that is known
	barred  []string        // by keys that do not count
}

// token takes up one signature. The error is why it is none, though its key is known.
func (v *verification) token(token string) error {
	named, _ := keyNamed(token)
	candidates := v.keys
	if at := slices.IndexFunc(v.keys, func(k Key) bool { return k.ID == named }); at >= 0 {
		candidates = v.keys[at : at+1]
	}
	for _, k := range candidates {
		listed, err := opa.VerifyBundleSignature(opa.SignaturesConfig{Signatures: []string{token}}, k.config())
		switch {
		case err != nil && k.ID == named:
			return fmt.Errorf("it says that it is by the key %s, and is not: %w", named, err)
		case err != nil:
			continue
		}
		if err := covers(listed, v.files); err != nil {
			return fmt.Errorf("by the key %s: %w", k.ID, err)
		}
		if why := k.barred(v.at); why != "" {
			v.barred = append(v.barred, fmt.Sprintf("the key %s %s", k.ID, why))
		} else {
			v.signed[k.ID] = true
		}
		return nil
	}
	v.strange++
	return nil
}

// lacking says why there are too few signatures.
func (v *verification) lacking(required, tokens int) string {
	said := fmt.Sprintf("it is signed by %d of the keys in policy_signature_keys, and %d are needed", len(v.signed), required)
	if tokens == 0 {
		return said + "; it has no signature at all"
	}
	if len(v.barred) > 0 {
		said += "; " + strings.Join(v.barred, "; ")
	}
	if v.strange > 0 {
		said += fmt.Sprintf("; %d of its signatures are by none of them", v.strange)
	}
	return said
}

// Names returns the files that signatures say they are of. Nothing of it is verified.
func Names(files bundlefile.Files) []string {
	all, err := tokens(files)
	if err != nil {
		return nil
	}
	var names []string
	for _, token := range all {
		_, said := keyNamed(token)
		for _, file := range said.Files {
			names = append(names, file.Name)
		}
	}
	return names
}

// keyNamed returns the ID of the key that a token says it is signed by, and what it has signed. Nothing of it is verified.
func keyNamed(token string) (string, opa.DecodedSignature) {
	var header struct {
		ID string `json:"kid"`
	}
	var said opa.DecodedSignature
	parts := strings.Split(token, ".")
	if len(parts) != 3 { //nolint:mnd // RFC 7515 §3.1
		return "", said
	}
	for n, into := range []any{&header, &said} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[n])
		if err != nil || json.Unmarshal(raw, into) != nil {
			return "", opa.DecodedSignature{}
		}
	}
	if header.ID != "" {
		return header.ID, said
	}
	return said.KeyID, said
}

// covers holds files against what was signed. What was signed and belongs to no bundle, as text beside it, may be missing; what is there
// has to be signed.
func covers(listed map[string]opa.FileInfo, files bundlefile.Files) error {
	left := maps.Clone(listed)
	for _, name := range files.Names() {
		if name == bundlefile.SignaturesFile {
			continue
		}
		info, ok := left[name]
		if !ok {
			return fmt.Errorf("%s was not signed%s", name, elsewhere(name, left))
		}
		if !reliable(opa.HashingAlgorithm(info.Algorithm)) {
			return fmt.Errorf("%s was signed by its hash of kind %q, which is not to be relied on", name, info.Algorithm)
		}
		if err := opa.VerifyBundleFile(name, *bytes.NewBuffer(files[name]), left); err != nil {
			return fmt.Errorf("%s is not what was signed: %w", name, err)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if bundlefile.Belongs(name) {
			return fmt.Errorf("%s was signed and is missing", name)
		}
	}
	return nil
}

// reliable reports whether no two contents are known to have one hash. OPA takes MD5 and SHA-1, too.
func reliable(hash opa.HashingAlgorithm) bool {
	switch hash {
	case opa.SHA224, opa.SHA256, opa.SHA384, opa.SHA512, opa.SHA512224, opa.SHA512256:
		return true
	default:
		return false
	}
}

// elsewhere is what to do about a file that was signed under a longer name.
func elsewhere(name string, listed map[string]opa.FileInfo) string {
	for signed := range listed {
		if dir, ok := strings.CutSuffix(signed, "/"+name); ok {
			return fmt.Sprintf(", but %s was; sign from within %s", signed, dir)
		}
	}
	return ""
}

// refusal is why a bundle is not signed as it must be.
type refusal struct{ place *bundlefile.Error }

func refused(format string, args ...any) error {
	return refusedFile(bundlefile.SignaturesFile, fmt.Sprintf(format, args...))
}

func refusedFile(file, message string) error {
	return &refusal{&bundlefile.Error{File: file, Message: message}}
}

// Error implements error.
func (r *refusal) Error() string { return r.place.Error() }

// Unwrap returns what it is, and where.
func (r *refusal) Unwrap() []error { return []error{ErrRefused, r.place} }
