package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/cmd/keyward/internal/cli"
)

const (
	iPhoneBody = `{"userID": "u", "clientInformation": {"isNative": true, "userAgent": "ExampleBank/7 CFNetwork/1494.0.7 Darwin/23.4.0",
		"nativeMeta": {"platform": "iOS", "platformVersion": "18.1", "displayName": "Bank", "deviceOwnerAuth": "biometrics"}}}`
	windowsClient = `{"userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 ` +
		`Safari/537.36"}`
	phoneScenario = `now: 2026-11-22T12:00:00Z
clients:
  IPHONE: { parsedDeviceInfo: { browserName: Safari, browserVersion: "18.1", osName: iOS, osVersion: "18.1" },
    userVerifyingPlatformAuthenticatorAvailable: true }
credentials:
  icloud: { credentialID: aWNsb3Vk, aaguid: fbfc3007-154e-4ecc-8c0b-6e020557d7bd, transports: [internal, hybrid],
    backupEligible: true, backupState: true,
            attachment: platform, createdOS: iOS, createdBrowser: Safari, created: -90d, env: PHONE }
scenarios:
  - { name: one, action: login, client: IPHONE, env: HERE, passkeys: [icloud], expect: { allow: true } }
  - { name: two, action: login, client: IPHONE, env: HERE, passkeys: [icloud], log: [{ at: -1d, type: login-error, env: HERE }],
      expect: { allow: true } }
`
)

func TestTheFactsOfAClientArePrinted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "phone.yaml")
	if err := os.WriteFile(file, []byte(phoneScenario), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		in   string
		args []string
		code int
		want []string // in what is printed, or in the complaint if the exit code is not 0
	}{
		"in words": {windowsClient, []string{"--client", "-"}, cli.ExitOK, []string{
			"client.os  ", "windows", "client.osVersion  ", "Major version", "clientEnv/unknown", "The client was taken for",
			"Chrome 142.0.0.0 (user agent)", "version unknown; 10.0 in the user agent", "The client has no local authenticator",
		}},
		"of a body, as JSON": {iPhoneBody, []string{"--client", "-", "--json"}, cli.ExitOK, []string{
			`"os": "ios"`, `"osVersion": 18`, `"browser": "app"`, `"device": "phone"`, `"support/native"`, `"passkeys": []`,
		}},
		"of a scenario": {"", []string{"--scenario", file, "--name", "two"}, cli.ExitOK, []string{
			"pair.localStreak", "history/local-streak-1", "expected here: iOS 18.1 syncs passkeys of its kind",
		}},
		"of a scenario from another client": {windowsClient, []string{"--client", "-", "--scenario", file, "--name", "one"}, cli.ExitOK, []string{
			"expected on a phone: the client has no authenticator",
		}},
		"without anything":         {"", nil, cli.ExitUsage, []string{"--client or --scenario is needed"}},
		"without a name of many":   {"", []string{"--scenario", file}, cli.ExitUsage, []string{"--name: ", "there is no scenario of that name"}},
		"a client that is no JSON": {"<", []string{"--client", "-"}, cli.ExitUsage, []string{"--client: the client is not a JSON object"}},
		"a file that is not there": {"", []string{"--client", file + "x"}, cli.ExitUsage, []string{"--client: "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := runWith(t, c.in, append([]string{"policy", "facts"}, c.args...)...)
			said := got.out
			if c.code != cli.ExitOK {
				said = got.err
			}
			for _, want := range c.want {
				if got.code != c.code || !strings.Contains(said, want) {
					t.Errorf("got %d %q %q, want %d %q", got.code, got.out, got.err, c.code, want)
				}
			}
		})
	}
}
