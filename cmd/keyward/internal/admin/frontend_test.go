package admin_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/keyward/keyward/cmd/keyward/internal/admin"
)

// FuzzFrontends: whatever description is taken is written and read again as it was.
func FuzzFrontends(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "hosts: [login.example.com, '*.example.com']", "identifiers: [{type: email, verify: sign-up, link: true}, {type: username}]",
		"sameSite: none\nrefreshTokenInBody: true", "hosts: 7", "a: &a [*a]", "androidApps: [{package: a.b, fingerprints: []}]",
		"manageURL: https://example.com/x?y=1",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		read, err := admin.ReadFrontend(bytes.NewReader(text))
		if err != nil {
			return
		}
		var written bytes.Buffer
		if err := admin.WriteFrontend(&written, read); err != nil {
			t.Fatal(err)
		}
		again, err := admin.ReadFrontend(&written)
		if err != nil {
			t.Fatalf("of %q: %v", text, err)
		}
		if diff := cmp.Diff(read, again, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("of %q: %s", text, diff)
		}
	})
}
