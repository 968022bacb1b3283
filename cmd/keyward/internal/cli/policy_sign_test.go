package cli_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

// signingKey writes a new key's private half to a file of that name, and returns that and a directory with its public half.
func signingKey(t *testing.T, name string) (private, publicDir string) {
	t.Helper()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, kind string, der []byte, err error) {
		t.Helper()
		if err == nil {
			err = os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	private, publicDir = filepath.Join(t.TempDir(), name+".pem"), t.TempDir()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	write(private, "PRIVATE KEY", der, err)
	der, err = x509.MarshalPKIXPublicKey(public)
	write(filepath.Join(publicDir, name+".pem"), "PUBLIC KEY", der, err)
	return private, publicDir
}

func TestAPolicyIsSignedAndTakenOnlyIfItIs(t *testing.T) {
	t.Parallel()
	private, keys := signingKey(t, "ci")
	environ, _ := server(t, "KEYWARD_POLICY_SIGNATURE_KEYS="+keys)
	dir := draft(t)
	if got := run(t, environ, "policy", "push", dir, "-m", "m"); got.code != cli.ExitFailure ||
		!strings.Contains(got.err, "bundle: .signatures.json: it is signed by 0 of the keys in policy_signature_keys") {
		t.Errorf("without a signature: %+v", got)
	}
	archive := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if got := run(t, nil, "policy", "sign", dir, "--key", private, "--archive", archive); got.code != cli.ExitOK ||
		!strings.Contains(got.out, "by the key ci.") {
		t.Fatalf("%+v", got)
	}
	for _, path := range []string{archive, dir} {
		if got := run(t, environ, "policy", "push", path, "-m", "m"); got.code != cli.ExitOK || !strings.Contains(got.out, "evision 1") {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if got := run(t, environ, "policy", "show", "1"); !strings.Contains(got.out, "signed by  ci\n") {
		t.Errorf("show: %+v", got)
	}
	if got := run(t, environ, "policy", "activate", "1", "--wait"); got.code != cli.ExitOK {
		t.Errorf("activate: %+v", got)
	}
	rewrite(t, dir, "login/login.rego", "package keyward.login\n", "package keyward.login\n\n# A remark.\n")
	if got := run(t, environ, "policy", "push", dir, "-m", "m"); got.code != cli.ExitFailure ||
		!strings.Contains(got.err, "login/login.rego is not what was signed") {
		t.Errorf("changed since: %+v", got)
	}
	other, _ := signingKey(t, "other")
	if got := run(t, nil, "policy", "sign", dir, "--key", other); got.code != cli.ExitOK ||
		!strings.Contains(got.err, "Dropped 1 signatures") {
		t.Errorf("signed by another: %+v", got)
	}
	for name, c := range map[string]struct {
		args []string
		want string
		code int
	}{
		"without a key":        {[]string{dir}, "--key is needed", cli.ExitUsage},
		"a key that is not":    {[]string{dir, "--key", private + "x"}, "--key: ", cli.ExitUsage},
		"a public key":         {[]string{dir, "--key", filepath.Join(keys, "ci.pem")}, "private key is needed", cli.ExitFailure},
		"what is no directory": {[]string{archive, "--key", private}, "is not a directory", cli.ExitUsage},
	} {
		if got := run(t, nil, append([]string{"policy", "sign"}, c.args...)...); got.code != c.code || !strings.Contains(got.err, c.want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
