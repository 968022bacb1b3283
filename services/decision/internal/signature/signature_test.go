package signature_test

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	opa "github.com/open-policy-agent/opa/v1/bundle"

	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/signature"
	"github.com/keyward/keyward/services/decision/internal/signature/signaturetest"
	"github.com/keyward/keyward/services/decision/internal/tarball"
)

var now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)

// bundle has a file of each kind that is hashed in its own way.
func bundle() bundlefile.Files {
	return bundlefile.Files{
		".manifest":                []byte(`{"roots": [""], "revision": "r"}`),
		"data.json":                []byte(`{"b": 1, "a": [true, "x"]}`),
		"aaguids.json":             []byte(`{"keyward": {"aaguids": {}}}`),
		"login/login.rego":         []byte("package keyward.login\n"),
		"schemas/login.jsonschema": []byte(`{}`),
	}
}

func TestABundleIsSignedByTheKeysThatSignedEachOfItsFiles(t *testing.T) {
	t.Parallel()
	ed, ec, rs := signaturetest.Ed25519(t, "ed"), signaturetest.P256(t, "ec"), signaturetest.RSA(t, "rs")
	cfg := signature.Config{Keys: signaturetest.Directory(t, ed, ec, rs), Required: 2}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	files := signaturetest.Signed(t, bundle(), ed, ec, rs, ed)
	got, err := cfg.Verify(files, now)
	if err != nil || !slices.Equal(got, []string{"ec", "ed", "rs"}) {
		t.Fatalf("%v, %v", got, err)
	}
	// The same data in another writing is what was signed, as with OPA.
	files["data.json"] = []byte(`{"a":[true,"x"],"b":1}`)
	if got, err := cfg.Verify(files, now); err != nil || len(got) != 3 {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := (signature.Config{Required: 1}).Verify(bundle(), now); err != nil || got != nil {
		t.Errorf("without keys nothing is looked at: %v, %v", got, err)
	}
}

func TestWhatIsNotSignedAsItMustBeIsRefused(t *testing.T) {
	t.Parallel()
	ed, ec, stranger := signaturetest.Ed25519(t, "ed"), signaturetest.P256(t, "ec"), signaturetest.Ed25519(t, "stranger")
	keys := signaturetest.Directory(t, ed, ec)
	forger := stranger.Named(t, "ed")
	change := func(name, content string) func(bundlefile.Files) {
		return func(f bundlefile.Files) { f[name] = []byte(content) }
	}
	signatures := func(content string) func(bundlefile.Files) { return change(bundlefile.SignaturesFile, content) }
	without := func(f bundlefile.Files) { delete(f, "data.json") }
	ours, theirs := []signaturetest.Pair{ed}, []signaturetest.Pair{stranger}
	edStranger, ecForger := []signaturetest.Pair{ed, stranger}, []signaturetest.Pair{ec, forger}
	many := `{"signatures": [` + strings.Repeat(`"a",`, 32) + `"a"]}`
	for name, c := range map[string]struct {
		by       []signaturetest.Pair
		required int
		change   func(bundlefile.Files)
		want     string // empty = it is taken
	}{
		"nobody has signed":             {nil, 1, nil, "no signature at all"},
		"too few have":                  {ours, 2, nil, "by 1 of the keys in policy_signature_keys, and 2 are needed"},
		"a stranger has":                {theirs, 1, nil, "1 of its signatures are by none of them"},
		"a stranger has, too":           {edStranger, 1, nil, ""},
		"a stranger under another name": {ecForger, 1, nil, "signature 2: it says that it is by the key ed, and is not"},
		"a rule is another":             {ours, 1, change("login/login.rego", "package other"), "login/login.rego is not what was signed"},
		"data are others":               {ours, 1, change("data.json", `{"b": 2}`), "data.json is not what was signed"},
		"a schema is another":           {ours, 1, change("schemas/login.jsonschema", `{"x": 1}`), "schemas/login.jsonschema is not"},
		"a file was added":              {ours, 1, change("login/more.rego", "package more"), "login/more.rego was not signed"},
		"a file is missing":             {ours, 1, without, "data.json was signed and is missing"},
		"it is cut short":               {ours, 1, signatures(`{"signatures": ["ab`), ".signatures.json: "},
		"it is no token":                {ours, 1, signatures(`{"signatures": ["a.b"]}`), "by none of them"},
		"it needs a plugin":             {ours, 1, signatures(`{"plugin": "x", "signatures": []}`), "plugin"},
		"there are many":                {ours, 1, signatures(many), "more than 32"},
		"another file of signatures":    {ours, 1, change("x/.signatures.json", `{}`), "x/.signatures.json was not signed"},
		"none is needed or there":       {nil, 0, nil, ""},
		"none is needed, and one holds": {ours, 0, nil, ""},
		"none is needed, and one does not hold": {
			ours, 0, change("data.json", `{}`), "data.json is not what was signed",
		},
	} {
		files := signaturetest.Signed(t, bundle(), c.by...)
		if c.change != nil {
			c.change(files)
		}
		_, err := signature.Config{Keys: keys, Required: c.required}.Verify(files, now)
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, signature.ErrRefused) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
		if place := (*bundlefile.Error)(nil); err != nil && (!errors.As(err, &place) || place.File != bundlefile.SignaturesFile) {
			t.Errorf("%s: it is not said where: %v", name, err)
		}
	}
}

func TestAKeyCountsFromAMomentOnAndUntilItIsRetired(t *testing.T) {
	t.Parallel()
	old, fresh := signaturetest.Ed25519(t, "old"), signaturetest.P256(t, "fresh")
	dir := signaturetest.Directory(t, fresh)
	text := fmt.Sprintf("keys:\n  old:\n    key: %q\n    retired_at: 2026-12-01T12:00:00Z\n  fresh:\n    file: fresh.pem\n"+
		"    algorithm: ES256\n    not_before: 2026-12-01T12:00:00Z\n", old.Public)
	path := filepath.Join(dir, "keys.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := signature.Config{Keys: path, Required: 1}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	before := now.Add(-time.Second)
	for name, c := range map[string]struct {
		by   signaturetest.Pair
		at   time.Time
		want string
	}{
		"the old one before":      {old, before, ""},
		"the old one from then":   {old, now, "the key old was retired at 2026-12-01T12:00:00Z"},
		"the new one before":      {fresh, before, "the key fresh does not count before 2026-12-01T12:00:00Z"},
		"the new one from then":   {fresh, now, ""},
		"the old one at any time": {old, time.Time{}, ""},
	} {
		_, err := cfg.Verify(signaturetest.Signed(t, bundle(), c.by), c.at)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A key that is taken away counts no more.
	if err := os.WriteFile(path, []byte("keys: {fresh: {file: fresh.pem}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := cfg.Verify(signaturetest.Signed(t, bundle(), old), before); !errors.Is(err, signature.ErrRefused) {
		t.Errorf("a key that was taken away: %v", err)
	}
}

func TestKeysThatCannotBeAreRefusedByName(t *testing.T) {
	t.Parallel()
	ed := signaturetest.Ed25519(t, "ed")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("the library makes no weak keys: ", err)
	}
	der, err := x509.MarshalPKIXPublicKey(weak.Public())
	if err != nil {
		t.Fatal(err)
	}
	short := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	for name, c := range map[string]struct {
		file, content string
		required      int
		want          string
	}{
		"nothing there":              {"", "", 1, "no public key"},
		"a private key":              {"a.pem", string(ed.Private), 1, `"PRIVATE KEY" where a public key is needed`},
		"no PEM":                     {"a.pem", "x", 1, "no public key in PEM"},
		"an RSA key of 1024 bits":    {"a.pem", string(short), 1, "at least 2048"},
		"more needed than are there": {"a.pem", string(ed.Public), 2, "policy_signatures_required: is 2, and policy_signature_keys has 1 keys"},
		"fewer than none":            {"a.pem", string(ed.Public), -1, "policy_signatures_required: must be at least 0"},
		"a member that there is not": {"k.yaml", "keys: {a: {pem: x}}", 1, "field pem not found"},
		"neither a key nor a file":   {"k.yaml", "keys: {a: {}}", 1, "keys.a: needs either key or file"},
		"a file that there is not":   {"k.yaml", "keys: {a: {file: no.pem}}", 1, "keys.a: "},
		"retired before it counts":   {"k.yaml", "keys: {a: {file: x, not_before: 2026-02-01, retired_at: 2026-01-01}}", 1, "retired_at"},
		"a secret in place of a key": {"k.yaml", "keys: {a: {key: s3cret, algorithm: HS256}}", 1, "no public key in PEM"},
		"another's algorithm":        {"k.yaml", fmt.Sprintf("keys: {a: {key: %q, algorithm: RS256}}", ed.Public), 1, "algorithm: must be EdDSA"},
		"one key twice":              {"k.yaml", fmt.Sprintf("keys: {a: {key: %q}, b: {key: %q}}", ed.Public, ed.Public), 1, "are the same key"},
	} {
		at := t.TempDir()
		if c.file != "" {
			file := filepath.Join(at, c.file)
			if err := os.WriteFile(file, []byte(c.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if filepath.Ext(file) == ".yaml" {
				at = file
			}
		}
		err := signature.Config{Keys: at, Required: c.required}.Validate()
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "policy_signature") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASignatureOfOtherFilesIsDroppedWhenTheyAreSignedAnew(t *testing.T) {
	t.Parallel()
	one, other := signaturetest.Ed25519(t, "one"), signaturetest.P256(t, "other")
	files := signaturetest.Signed(t, bundle(), one)
	if _, dropped, err := signature.Sign(files, other.Signer); dropped != 0 || err != nil {
		t.Errorf("%d, %v", dropped, err)
	}
	files["data.json"] = []byte(`{}`)
	content, dropped, err := signature.Sign(files, other.Signer)
	if dropped != 1 || err != nil {
		t.Errorf("%d, %v", dropped, err)
	}
	files[bundlefile.SignaturesFile] = content
	got, err := signature.Config{Keys: signaturetest.Directory(t, one, other), Required: 1}.Verify(files, now)
	if err != nil || !slices.Equal(got, []string{"other"}) {
		t.Errorf("%v, %v", got, err)
	}
	files["data.json"] = []byte(`{`)
	if _, _, err := signature.Sign(files, one.Signer); err == nil || !strings.Contains(err.Error(), "data.json") {
		t.Errorf("data that are no JSON: %v", err)
	}
	if _, err := signature.ParseSigner("one", one.Public); err == nil || !strings.Contains(err.Error(), "private key is needed") {
		t.Errorf("a public key: %v", err)
	}
}

// OPA's own reader takes what is signed here, and what its library signs is taken here, whose tokens name no key.
func TestSignaturesGoBothWaysBetweenOPAAndHere(t *testing.T) {
	t.Parallel()
	for _, key := range []signaturetest.Pair{signaturetest.Ed25519(t, "key"), signaturetest.P256(t, "key"), signaturetest.RSA(t, "key")} {
		raw, err := tarball.Write(signaturetest.Signed(t, bundle(), key))
		if err != nil {
			t.Fatal(err)
		}
		verify := opa.NewVerificationConfig(map[string]*opa.KeyConfig{"key": {Key: string(key.Public), Algorithm: key.Algorithm}}, "key", "", nil)
		if _, err := opa.NewReader(bytes.NewReader(raw)).WithBundleVerificationConfig(verify).Read(); err != nil {
			t.Errorf("%s: OPA says: %v", key.Algorithm, err)
		}
		read, err := opa.NewReader(bytes.NewReader(raw)).WithSkipBundleVerification(true).Read()
		if err != nil {
			t.Fatal(err)
		}
		if err := read.GenerateSignature(opa.NewSigningConfig(string(key.Private), key.Algorithm, ""), "", true); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := opa.NewWriter(&out).Write(read); err != nil {
			t.Fatal(err)
		}
		files, err := tarball.Read(out.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		got, err := signature.Config{Keys: signaturetest.Directory(t, signaturetest.Ed25519(t, "another"), key), Required: 1}.Verify(files, now)
		if err != nil || !slices.Equal(got, []string{"key"}) {
			t.Errorf("%s: %v, %v", key.Algorithm, got, err)
		}
	}
}

func FuzzVerify(f *testing.F) {
	ed := signaturetest.Ed25519(f, "ed")
	keys := signaturetest.Directory(f, ed)
	good := signaturetest.Signed(f, bundle(), ed)[bundlefile.SignaturesFile]
	f.Add(good)
	f.Add([]byte(`{"signatures": ["..", "e30.e30.e30"]}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		files := bundle()
		files[bundlefile.SignaturesFile] = content
		signed, err := signature.Config{Keys: keys, Required: 1}.Verify(files, now)
		if (err == nil) != (len(signed) == 1) {
			t.Errorf("%v, %v", signed, err)
		}
	})
}
