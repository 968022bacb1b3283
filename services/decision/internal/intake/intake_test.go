package intake_test

import (
	"errors"
	"testing"
	"time"

	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/archive"
	"github.com/keyward/keyward/services/decision/internal/bundlefile"
	"github.com/keyward/keyward/services/decision/internal/intake"
	"github.com/keyward/keyward/services/decision/internal/signature"
	"github.com/keyward/keyward/services/decision/internal/signature/signaturetest"
)

// What nobody signed is never what answers, whoever has put it into the bundle: schemas and the table of authenticators are the program's.
func TestWhatWasAddedToASignedBundleIsTheProgramsOrRefused(t *testing.T) {
	t.Parallel()
	ci := signaturetest.P256(t, "ci")
	by := signature.Config{Keys: signaturetest.Directory(t, ci), Required: 1}
	own, err := bundlefile.Read(policies.Bundle)
	if err != nil {
		t.Fatal(err)
	}
	bare := func() bundlefile.Files {
		return bundlefile.Files{"login/login.rego": []byte("package keyward.login\n"), "data.json": []byte(`{}`)}
	}
	const schema = "schemas/login.jsonschema"
	for name, c := range map[string]struct {
		signed func(bundlefile.Files) // before it is signed
		added  func(bundlefile.Files) // and after
		schema string                 // that is to answer; empty = it is refused
	}{
		"nothing": {nil, nil, string(own[schema])},
		"a schema and a table": {nil, func(f bundlefile.Files) {
			f[schema], f[bundlefile.ProvidersFile] = []byte(`{"x": 1}`), []byte(`{"keyward": {"aaguids": {"x": {}}}}`)
		}, string(own[schema])},
		"a schema beside those that are signed": {
			func(f bundlefile.Files) { f[schema] = []byte(`{}`) },
			func(f bundlefile.Files) { f["schemas/append.jsonschema"] = []byte(`{}`) }, "",
		},
		"a rule": {nil, func(f bundlefile.Files) { f["more.rego"] = []byte("package more\n") }, ""},
	} {
		files := bare()
		if c.signed != nil {
			c.signed(files)
		}
		files = signaturetest.Signed(t, files, ci)
		if c.added != nil {
			c.added(files)
		}
		packed, err := archive.Pack(files)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := intake.Open(packed, by, time.Now())
		if c.schema == "" {
			if !errors.Is(err, signature.ErrRefused) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		unpacked, err := archive.Unpack(opened)
		if err != nil {
			t.Fatal(err)
		}
		got, err := bundlefile.Read(unpacked)
		if err != nil || string(got[schema]) != c.schema || string(got[bundlefile.ProvidersFile]) != string(own[bundlefile.ProvidersFile]) {
			t.Errorf("%s: %v: the schema is %.40s", name, err, got[schema])
		}
	}
}
