package detect_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
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
	k := knowledge(t)
	unheard := []detect.Shut{detect.ShutBluetoothUnknown, detect.ShutKindOfClient, detect.ShutUnseen}
	const noWay = "the way to a phone is closed: the client says neither that Bluetooth is on nor that it reaches phones, and "
	const unseen = "a passkey that was not seen on a phone is not looked for there (but by strategy maximize)"
	for name, c := range map[string]struct {
		os         string
		credential account.Credential
		uvpa       *bool
		want       detect.Reach
		reasons    string
	}{
		"Apple's on a Mac": {
			"macOS", apple, &yes, detect.Reach{
				Class: facts.ClassApple, Authenticator: "Apple Passwords", Availability: detect.Likely, Local: "likely", LocalReason: "synced-here",
				ByPhone: "low", ByPhoneReason: "synced-no-phone-seen", Shut: []detect.Shut{detect.ShutBluetoothUnknown, detect.ShutUnseen},
				Why: "macOS 15 syncs passkeys of its kind",
			}, "synced-here; by phone: synced-no-phone-seen, shut: bluetooth-unknown, unseen-under-standard",
		},
		"Apple's on Windows of before 11": {
			"Windows", apple, &yes, detect.Reach{
				Class: facts.ClassApple, Authenticator: "Apple Passwords", Availability: detect.Remote, Local: "none", LocalReason: "other-os",
				ByPhone: "low", ByPhoneReason: "synced-no-phone-seen", Shut: unheard,
				Why: "Windows 8.1 has no passkeys of its kind; it syncs, but has not been seen on a phone, and " + noWay +
					"clients of its kind reach no phones, and " + unseen,
			}, "other-os; by phone: synced-no-phone-seen, shut: bluetooth-unknown, kind-of-client, unseen-under-standard",
		},
		"Windows Hello on a Mac": {
			"macOS", hello, &yes, detect.Reach{
				Class: facts.ClassWindowsHello, Authenticator: "Windows Hello", Availability: detect.AvailabilityNot,
				Local: "none", LocalReason: "other-os",
				ByPhone: "none", ByPhoneReason: "never-on-a-phone", Why: "macOS 15 has no passkeys of its kind; it is never on a phone",
			}, "other-os; by phone: never-on-a-phone",
		},
		"Windows Hello on Windows": {
			"Windows", hello, &yes, detect.Reach{
				Class: facts.ClassWindowsHello, Authenticator: "Windows Hello", Availability: detect.Uncertain, Local: "uncertain",
				LocalReason: "same-machine-unknown", ByPhone: "none", ByPhoneReason: "never-on-a-phone",
				Why: "it stays on one device or in one browser, which this one may be",
			}, "same-machine-unknown; by phone: never-on-a-phone",
		},
		"Windows Hello without Hello": {
			"Windows", hello, nil, detect.Reach{
				Class: facts.ClassWindowsHello, Authenticator: "Windows Hello", Availability: detect.AvailabilityNot, Local: "none",
				LocalReason: "no-local-authenticator", ByPhone: "none", ByPhoneReason: "never-on-a-phone",
				Why: "the client has no authenticator of its own that verifies the user; it is never on a phone",
			}, "no-local-authenticator; by phone: never-on-a-phone",
		},
		"a security key": {
			"macOS", key, &yes, detect.Reach{
				Class: facts.ClassSecurityKey, Availability: detect.SecurityKey, Local: "none", LocalReason: "security-key", ByPhone: "none",
				ByPhoneReason: "security-key", Why: "whoever carries the key can use it anywhere",
			}, "security-key",
		},
	} {
		version := "15"
		if c.os == "Windows" {
			version = "8.1"
			if c.credential.AAGUID == hello.AAGUID {
				version = "11"
			}
		}
		d := k.Login(detect.Input{Complete: true, Question: service.Question{
			Account: &account.Account{ID: "usr-1", Status: account.StatusActive, Credentials: []account.Credential{c.credential}},
			Client: rest.ClientInformation{
				ParsedDeviceInfo:   &rest.ParsedDeviceInfo{OSName: c.os, OSVersion: version, BrowserName: "Firefox", BrowserVersion: "140"},
				ClientCapabilities: &rest.ClientCapabilities{},
				UserVerifyingPlatformAuthenticatorAvailable: c.uvpa,
			},
		}})
		c.want.Credential = "cre-1"
		got := d.Reaches(k)
		if diff := cmp.Diff([]detect.Reach{c.want}, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		} else if reasons := got[0].Reasons(); reasons != c.reasons {
			t.Errorf("%s: %s, want %s", name, reasons, c.reasons)
		}
	}
}

// The way to a phone is open to a passkey that is nowhere else exactly where nothing is said to keep it closed.
func TestWhatKeepsTheWayToAPhoneClosedIsAllThatDoes(t *testing.T) {
	t.Parallel()
	k, random := knowledge(t), rand.New(rand.NewPCG(1, 2))
	open, shut := 0, map[detect.Shut]int{}
	maybe := []*bool{nil, new(true), new(false)}
	for range 3000 {
		passkey := account.Credential{
			ID: "cre-1", AAGUID: "fbfc3007-154e-4ecc-8c0b-6e020557d7bd", BackupEligible: true,
			CreatedOS: []string{"iOS", "macOS"}[random.IntN(2)],
		}
		info := rest.ClientInformation{
			UserVerifyingPlatformAuthenticatorAvailable: maybe[random.IntN(3)], BluetoothAvailable: maybe[random.IntN(3)],
			ClientCapabilities: &rest.ClientCapabilities{HybridTransport: maybe[random.IntN(3)]},
			ParsedDeviceInfo: &rest.ParsedDeviceInfo{
				OSName:      []string{"Windows", "Linux", "Android", "ChromeOS", "Tizen", ""}[random.IntN(6)],
				OSVersion:   []string{"", "8.1", "15"}[random.IntN(3)],
				BrowserName: []string{"Firefox", "Chrome", ""}[random.IntN(3)],
			},
			UserAgent: []string{"", "Mozilla/5.0 (PlayStation 4 11.00) AppleWebKit/605.1.15 (KHTML, like Gecko)"}[random.IntN(2)],
		}
		d := k.Login(detect.Input{
			Complete: true, Strategy: []rest.CrossDeviceAuthenticationStrategy{"", "standard", "minimize", "maximize"}[random.IntN(4)],
			Source: []event.Source{"", event.OtherDevice}[random.IntN(2)],
			Question: service.Question{
				Account: &account.Account{ID: "usr-1", Status: account.StatusActive, Credentials: []account.Credential{passkey}},
				Client:  info,
			},
		})
		r := d.Reaches(k)[0]
		if r.Availability != detect.Remote {
			continue
		}
		if d.Facts.CDA.Route != (len(r.Shut) == 0) {
			t.Errorf("the way is open: %t, and shut by %v: %+v", d.Facts.CDA.Route, r.Shut, d.Facts)
		}
		if len(r.Shut) == 0 {
			open++
		}
		for _, one := range r.Shut {
			shut[one]++
		}
	}
	if open == 0 || len(shut) != 8 {
		t.Errorf("%d ways were open, and others shut by %v alone", open, shut)
	}
}
