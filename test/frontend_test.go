package test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/loopbacktest"
	"github.com/keyward/keyward/policies/policiestest"
)

// The stories are told by the SDKs that existing pages use, in a real browser, against the binary that users run with TLS, at names such as
// an operator gives it: pages at www.shop.example, the Frontend API below auth.shop.example. What the browser showed at each step is in
// frontend/screenshots.
//
// In reality the operator needs a DNS record *.auth.shop.example (or one for <project ID>.auth.shop.example), a certificate for it, and a
// project whose frontend has the host *.auth.shop.example. Pages then say frontendApiUrlSuffix "auth.shop.example". That the API is on a
// subdomain of the pages' domain lets browsers send its cookies. Here the browser is told that these names are this machine, and to trust a
// certificate that nobody signed.
func TestTheFrontendAPIWithItsOwnClients(t *testing.T) {
	t.Parallel()
	tools := suiteTools(t, "frontend", "node", "chromium")
	binary, data := build(t), t.TempDir()
	cert, key := newCertificate(t, "127.0.0.1", "shop.example", "*.shop.example", "*.auth.shop.example", "evil.example")
	outbox, err := os.Create(filepath.Join(t.TempDir(), "outbox"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = outbox.Close() })
	api, pages := loopbacktest.Port(t), loopbacktest.Port(t)
	page := fmt.Sprintf("https://www.shop.example:%d", pages)
	admin := serveTLS(t, outbox, binary, fmt.Sprintf("127.0.0.1:%d", api), map[string]string{
		"DATA_DIR": data, "NATS_ADDR": "127.0.0.1:0", "GRPC_ADDR": "off", "TLS_CERT": cert, "TLS_KEY": key,
		"DEVELOPMENT_OVER_HTTPS": "true",
		"FRONTEND_URL":           fmt.Sprintf("https://%s.auth.shop.example:%d", project1, api),
		"BOOTSTRAP_API_SECRET":   secret1, "BOOTSTRAP_RP_ID": "shop.example", "BOOTSTRAP_ORIGINS": page,
		// The shortest there is, so that the SDK renews it whenever it looks.
		"SHORT_SESSION_LIFETIME": "1m",
		"POLICIES":               bundleWithProjects(t),
	})

	suite := exec.CommandContext(t.Context(), tools["node"], "--test", "--test-reporter=spec", "frontend.test.mjs")
	suite.Dir = "frontend"
	suite.Env = append(
		os.Environ(),
		"NODE_EXTRA_CA_CERTS="+cert,
		"SUITE_TLS_CERT="+cert,
		"SUITE_TLS_KEY="+key,
		fmt.Sprintf("SUITE_API=https://127.0.0.1:%d", api),
		"SUITE_ADMIN="+admin,
		fmt.Sprintf(
			"SUITE_API_SUFFIX=auth.shop.example:%d", api,
		),
		"SUITE_PAGE="+page,
		"SUITE_PROJECT="+project1,
		"SUITE_SECRET="+secret1,
		"SUITE_OUTBOX="+outbox.Name(),
		"SUITE_BINARY="+binary,
		"SUITE_DATA_DIR="+data,
		"SUITE_CHROMIUM="+tools["chromium"],
	)
	out, err := suite.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	t.Logf("%s", out)
}

// serveTLS runs the binary with settings and returns the URL of its admin port, which never has TLS.
func serveTLS(t *testing.T, out *os.File, binary, address string, settings map[string]string) string {
	t.Helper()
	admin := fmt.Sprintf("127.0.0.1:%d", loopbacktest.Port(t))
	cmd := exec.Command(binary, "serve", "--http-addr", address, "--admin-addr", admin)
	cmd.Env = os.Environ()
	for name, value := range settings {
		cmd.Env = append(cmd.Env, "KEYWARD_"+name+"="+value)
	}
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	within(t, 4*patience, "the server is not ready", func() bool {
		rsp, err := http.Get("http://" + admin + "/readyz")
		if err != nil {
			return false
		}
		_ = rsp.Body.Close()
		return rsp.StatusCode == http.StatusOK
	})
	return "http://" + admin
}

// bundleWithProjects is the default bundle, in which another project has its kill switch on.
func bundleWithProjects(t *testing.T) string {
	t.Helper()
	files := policiestest.Files(t)
	policiestest.Edit(t, files, "data.json", `"projects": {}`,
		`"projects": {"pro-2": {"parameters": {"rollout": {"killSwitch": {"login": true}}}}}`)
	policiestest.Edit(t, files, "data.json", `"mode": "observe"`, `"mode": "enforce"`) // clients that know nothing of it see nothing of it
	return policiestest.Dir(t, files)
}

// newCertificate returns the files of a certificate that signed itself, and of its key.
func newCertificate(t *testing.T, address string, names ...string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "keyward"}, IPAddresses: []net.IP{net.ParseIP(address)}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{cert: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: raw}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// Whoever asks right after the operator has revoked something is refused, whichever instance answers.
func TestARevokedSessionAndARemovedKeyAreSeenAtOnceWhateverTheShape(t *testing.T) {
	t.Parallel()
	outside(t)
	for _, s := range everyShape() {
		if !s.split || !s.redis {
			continue
		}
		s.outside = true
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			ada := st.newPerson(t)
			ada.createPasskey(t)
			enter := func() string {
				return as[rest.PostLoginRsp](
					t, ada.call(t, "POST", "/v2/passkey/postLogin", map[string]any{"signedPasskeyData": signedLogin(t, ada)}),
				).Session
			}
			const asked = 20 // often enough to meet every instance
			me := func(complaint, token string, want int) {
				t.Helper()
				for range asked {
					if got := visitMe(t, st, token); got != want {
						t.Errorf("%s: %d, want %d", complaint, got, want)
						return
					}
				}
			}
			first, second := enter(), enter()
			me("a session", first, http.StatusOK)
			as[rest.GenericRsp](t, ada.call(t, "POST", "/v2/sessions/"+claimOf(t, first, "sid")+"/revoke", nil))
			me("a session that was revoked", first, http.StatusUnauthorized)
			me("the other session", second, http.StatusOK)

			binary := build(t)
			operator := func(args ...string) {
				t.Helper()
				cmd := exec.CommandContext(
					t.Context(),
					binary,
					append([]string{"project", "signing-keys"}, append(args, "--nats-url", st.natsURL)...)...)
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			operator("rotate", project1, "--now")
			me("a session of the key before", second, http.StatusOK)
			third := enter()
			me("a session of the new key", third, http.StatusOK)
			operator("remove", project1, headerOf(t, second, "kid"))
			me("a session of a key that was removed", second, http.StatusUnauthorized)
			me("the session of the new key", third, http.StatusOK)
		})
	}
}

// visitMe asks the Frontend API who a token is of, and returns the status.
func visitMe(t *testing.T, st *stack, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, st.base+"/v2/me", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Corbado-ProjectID", st.project)
	req.Header.Set("Authorization", "Bearer "+token)
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = rsp.Body.Close()
	return rsp.StatusCode
}

func headerOf(t *testing.T, token, name string) string { return memberOf(t, token, 0, name) }

func claimOf(t *testing.T, token, name string) string { return memberOf(t, token, 1, name) }

// memberOf reads a part of a JWT without verifying it.
func memberOf(t *testing.T, token string, part int, name string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[part])
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(members[name])
}
