package detect

import (
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
)

func TestEachPasskeyIsToldWithWhyItCanOrCannotBeUsedHere(t *testing.T) {
	t.Parallel()
	yes := true
	hybrid := []string{"internal", "hybrid"}
	apple := account.Credential{
		ID: "cre-1", AAGUID: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", Transports: hybrid, BackupEligible: true,
		CreatedOS: "macOS",
	}
	hello := account.Credential{
		ID: "cre-1", AAGUID: "08987058-cadc-4b81-b6e1-30de50dcbe96", Transports: []string{"internal"}, CreatedOS: "Windows",
	}
	key := account.Credential{ID: "cre-1", Transports: []string{"usb"}}
	k := &Knowledge{Authenticators: map[string]Authenticator{
		apple.AAGUID: {Class: facts.ClassApple, Name: "Apple Passwords"}, hello.AAGUID: {Class: facts.ClassWindowsHello, Name: "Windows Hello"},
	}}
	for name, c := range map[string]struct {
		os         string
		credential account.Credential
		uvpa       *bool
		want       Reach
	}{
		"Apple's on a Mac": {
			"macOS", apple, &yes,
			Reach{"cre-1", facts.ClassApple, "Apple Passwords", Likely, "likely", "low", "macOS 15 syncs passkeys of its kind"},
		},
		"Apple's on Windows": {"Windows", apple, &yes, Reach{"cre-1", facts.ClassApple, "Apple Passwords", Remote, "none", "low",
			"Windows 15 has no passkeys of its kind; it syncs, but has not been seen on a phone, and the way to a phone is closed"}},
		"Apple's on Android": {"Android", apple, &yes, Reach{"cre-1", facts.ClassApple, "Apple Passwords", Remote, "none", "low",
			"Android 15 has no passkeys of its kind; it syncs, but has not been seen on a phone, and the way to a phone is closed"}},
		"Windows Hello on a Mac": {"macOS", hello, &yes, Reach{"cre-1", facts.ClassWindowsHello, "Windows Hello", AvailabilityNot, "none", "none",
			"macOS 15 has no passkeys of its kind; it is never on a phone"}},
		"Windows Hello on Windows": {
			"Windows", hello, &yes,
			Reach{"cre-1", facts.ClassWindowsHello, "Windows Hello", Uncertain, "uncertain", "none",
				"it stays on one device or in one browser, which this one may be"},
		},
		"Windows Hello without Hello": {
			"Windows", hello, nil,
			Reach{"cre-1", facts.ClassWindowsHello, "Windows Hello", AvailabilityNot, "none", "none",
				"the client has no authenticator of its own that verifies the user; it is never on a phone"},
		},
		"a security key": {
			"macOS", key, &yes,
			Reach{"cre-1", facts.ClassSecurityKey, "", SecurityKey, "none", "none", "whoever carries the key can use it anywhere"},
		},
	} {
		d := k.Login(Input{Complete: true, Question: service.Question{
			Account: &account.Account{ID: "usr-1", Status: account.StatusActive, Credentials: []account.Credential{c.credential}},
			Client: rest.ClientInformation{
				ParsedDeviceInfo:   &rest.ParsedDeviceInfo{OSName: c.os, OSVersion: "15", BrowserName: "Firefox", BrowserVersion: "140"},
				ClientCapabilities: &rest.ClientCapabilities{},
				UserVerifyingPlatformAuthenticatorAvailable: c.uvpa,
			},
		}})
		if got := d.Reaches(k); len(got) != 1 || got[0] != c.want {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}
