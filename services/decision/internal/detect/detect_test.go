package detect_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/event"
	"github.com/keyward/keyward/core/history"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/policies/policiestest"
	"github.com/keyward/keyward/services/decision/internal/detect"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
)

const (
	apple     = "fbfc3007-154e-4ecc-8c0b-6e020557d7bd"
	google    = "ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"
	hello     = "08987058-cadc-4b81-b6e1-30de50dcbe96"
	chromeMac = "adce0002-35bc-c60a-648b-0b25f1f05503"
	samsung   = "53414d53-554e-4700-0000-000000000000"
	bitwarden = "d548826e-79b4-db40-a3d8-11116f7e8349"
	yubikey   = "2fc0579f-8113-47ea-b116-bb5a8db9202a"
	stranger  = "7c1e5a94-3b0d-4f62-9a8e-d25b61f0c347"
	zero      = "00000000-0000-0000-0000-000000000000"
)

var now = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func knowledge(t testing.TB, changes ...func(parameters map[string]any)) *detect.Knowledge {
	t.Helper()
	data := policiestest.Data(t)
	for _, change := range changes {
		change(data["keyward"].(map[string]any)["parameters"].(map[string]any))
	}
	k, err := detect.Learn(data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func set(name string, value any) func(map[string]any) {
	return func(parameters map[string]any) { parameters[name] = value }
}

func noUVPA(info *rest.ClientInformation) {
	info.UserVerifyingPlatformAuthenticatorAvailable = new(false)
}

func manager(seen *bool) func(*rest.ClientInformation) {
	return func(info *rest.ClientInformation) { info.PasswordManagerAvailable = seen }
}

func credential(aaguid string, backupEligible bool, createdOS string, transports ...string) account.Credential {
	return account.Credential{
		ID: "cre-1", AAGUID: aaguid, BackupEligible: backupEligible, CreatedOS: createdOS, CreatedBrowser: "Chrome",
		Transports: transports,
	}
}

func question(info rest.ClientInformation, credentials ...account.Credential) service.Question {
	for i := range credentials {
		if credentials[i].ID == "" {
			credentials[i].ID = "cre-1"
		}
	}
	return service.Question{
		Project: "pro-1", Client: info, Environment: service.Environment{ID: "env-1", Known: true},
		Account: &account.Account{Project: "pro-1", ID: "usr-1", Status: account.StatusActive, Credentials: credentials},
	}
}

func TestClassOfACredential(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	for _, tc := range []struct {
		name       string
		credential account.Credential
		want       facts.Class
	}{
		{"no transport of a phone or platform is a security key", credential(yubikey, false, "Windows", "usb", "nfc"), facts.ClassSecurityKey},
		{"a key that syncs is a security key too", credential(stranger, true, "Windows", "usb"), facts.ClassSecurityKey},
		{
			"cross-platform, device-bound and without hybrid is a security key",
			account.Credential{AAGUID: yubikey, Attachment: "cross-platform"}, facts.ClassSecurityKey,
		},
		{
			"cross-platform with hybrid is not",
			account.Credential{AAGUID: stranger, Attachment: "cross-platform", Transports: []string{"hybrid"}}, facts.ClassUnknown,
		},
		{
			"cross-platform that syncs is not",
			account.Credential{AAGUID: stranger, Attachment: "cross-platform", BackupEligible: true}, facts.ClassUnknown,
		},
		{"iCloud", credential(apple, true, "iOS", "internal", "hybrid"), facts.ClassApple},
		{"managed iCloud", credential("dd4ec289-e01d-41c9-bb89-70fa845d4bf2", true, "iOS", "internal"), facts.ClassApple},
		{"nameless, synced, from an Apple system", credential(zero, true, "macOS", "internal"), facts.ClassApple},
		{"nameless, synced, from an iPad", credential(zero, true, "iPadOS", "internal"), facts.ClassApple},
		{"Google", credential(google, true, "Android", "internal", "hybrid"), facts.ClassGoogle},
		{"nameless, synced, from Android", credential(zero, true, "Android", "internal"), facts.ClassGoogle},
		{"Windows Hello", credential(hello, false, "Windows", "internal"), facts.ClassWindowsHello},
		{"nameless, device-bound, from Windows", credential(zero, false, "Windows 11", "internal"), facts.ClassWindowsHello},
		{"nameless, synced, from Windows", credential(zero, true, "Windows", "internal"), facts.ClassUnknown},
		{"nameless, device-bound, from a Mac", credential(zero, false, "macOS", "internal"), facts.ClassUnknown},
		{"Chrome's own store on a Mac", credential(chromeMac, false, "macOS", "internal"), facts.ClassBrowserProfile},
		{"Samsung", credential(samsung, true, "Android", "internal", "hybrid"), facts.ClassSamsung},
		{"Bitwarden", credential(bitwarden, true, "Windows", "internal"), facts.ClassPasswordManager},
		{"a stranger", credential(stranger, true, "Windows", "internal"), facts.ClassUnknown},
		{"nothing known at all", account.Credential{}, facts.ClassUnknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := k.Classify(&tc.credential); got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestAvailabilityOfACredential(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	iCloud, iCloudNoHybrid := credential(apple, true, "iOS", "internal", "hybrid"), credential(apple, true, "iOS", "internal")
	gpm := credential(google, true, "Android", "internal", "hybrid")
	galaxy := credential(samsung, true, "Android", "internal", "hybrid")
	windowsHello := credential(hello, false, "Windows", "internal")
	profile := credential(chromeMac, false, "macOS", "internal")
	vault := credential(bitwarden, true, "Windows", "internal")
	unknownSynced, unknownBound := credential(stranger, true, "Windows", "internal"), credential(stranger, false, "Windows", "internal")
	unknownHybrid := credential(stranger, true, "Windows", "internal", "hybrid")
	mac, windows := factstest.Browser("macOS", "15.1", "Safari"), factstest.Browser("Windows", "11", "Chrome")
	reduced := "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
	android := factstest.With(factstest.Browser("Android", "15", "Chrome"), func(i *rest.ClientInformation) { i.UserAgent = reduced })
	for _, tc := range []struct {
		name       string
		credential account.Credential
		client     rest.ClientInformation
		want       detect.Availability
	}{
		{"apple on an iPhone", iCloud, factstest.Browser("iOS", "18.1", "Safari"), detect.Likely},
		{"apple on the first iOS that syncs", iCloud, factstest.Browser("iOS", "16.0", "Safari"), detect.Likely},
		{"apple on an older iOS", iCloud, factstest.Browser("iOS", "15.8", "Safari"), detect.Remote},
		{"apple on an iPad of unknown version", iCloud, factstest.Browser("iPadOS", "", "Safari"), detect.Likely},
		{"apple on a Mac", iCloud, mac, detect.Likely},
		{"apple on the first macOS that syncs", iCloud, factstest.Browser("macOS", "13.0", "Safari"), detect.Likely},
		{"apple on an older macOS", iCloud, factstest.Browser("macOS", "12.6", "Safari"), detect.Remote},
		{"apple on the macOS of a frozen user agent", iCloud, factstest.Browser("macOS", "10.15.7", "Chrome"), detect.Likely},
		{"apple on the same with underscores", iCloud, factstest.Browser("macOS", "10_15_7", "Chrome"), detect.Likely},
		{"apple on a true 10.14", iCloud, factstest.Browser("macOS", "10.14.6", "Safari"), detect.Remote},
		{"apple on Windows", iCloud, windows, detect.Remote},
		{"apple on Windows, hybrid not stored", iCloudNoHybrid, windows, detect.AvailabilityNot},
		{"apple on Android", iCloud, android, detect.Remote},
		{"apple on a Mac without a local authenticator", iCloud, factstest.With(mac, noUVPA), detect.Remote},
		{"apple on a Mac without a local authenticator, hybrid not stored", iCloudNoHybrid, factstest.With(mac, noUVPA), detect.AvailabilityNot},

		{"google on Android", gpm, android, detect.Likely},
		{"google on Android 9", gpm, factstest.Browser("Android", "9", "Chrome"), detect.Likely},
		{"google on Android 8", gpm, factstest.Browser("Android", "8.1", "Chrome"), detect.Remote},
		{
			"google in an app with Play services", gpm, factstest.App("Android", "15", rest.NativeMeta{GooglePlayServices: new(true)}),
			detect.Likely,
		},
		{"google in an app that does not say", gpm, factstest.App("Android", "15", rest.NativeMeta{}), detect.Likely},
		{
			"google in an app without Play services", gpm, factstest.App("Android", "15", rest.NativeMeta{GooglePlayServices: new(false)}),
			detect.Remote,
		},
		{"google on ChromeOS", gpm, factstest.Browser("Chrome OS", "130", "Chrome"), detect.Likely},
		{"google in Chrome on Windows", gpm, windows, detect.Uncertain},
		{"google in Chrome on iOS", gpm, factstest.Browser("iOS", "18.1", "Chrome"), detect.Uncertain},
		{"google in Safari on iOS", gpm, factstest.Browser("iOS", "18.1", "Safari"), detect.Uncertain},
		{"google in Edge on Windows", gpm, factstest.Browser("Windows", "11", "Edge"), detect.Remote},

		{"hello on Windows", windowsHello, windows, detect.Uncertain},
		{"hello in another browser on Windows", windowsHello, factstest.Browser("Windows", "11", "Firefox"), detect.Uncertain},
		{"hello elsewhere", windowsHello, mac, detect.AvailabilityNot},
		{"hello on Windows without a local authenticator", windowsHello, factstest.With(windows, noUVPA), detect.AvailabilityNot},

		{"a browser's store in that browser", profile, factstest.Browser("macOS", "15", "Chrome"), detect.Uncertain},
		{"a browser's store in another browser", profile, mac, detect.AvailabilityNot},
		{"a browser's store on another system", profile, windows, detect.AvailabilityNot},

		{"samsung on a Galaxy app", galaxy, factstest.App("Android", "15", rest.NativeMeta{Brand: new("Samsung")}), detect.Likely},
		{"samsung on another maker's app", galaxy, factstest.App("Android", "15", rest.NativeMeta{Brand: new("google")}), detect.Remote},
		{"samsung on Android that hides its model", galaxy, android, detect.Uncertain},
		{"samsung on a model of Samsung's", galaxy, factstest.With(android, func(i *rest.ClientInformation) {
			i.UserAgent = "Mozilla/5.0 (Linux; Android 14; SM-S918B) AppleWebKit/537.36"
		}), detect.Likely},
		{"samsung in Samsung's browser, which other makers' devices have too", galaxy, factstest.With(android, func(i *rest.ClientInformation) {
			i.UserAgent = strings.Replace(reduced, "Chrome/", "SamsungBrowser/27.0 Chrome/", 1)
		}), detect.Uncertain},
		{"samsung on another model", galaxy, factstest.With(android, func(i *rest.ClientInformation) {
			i.UserAgent = "Mozilla/5.0 (Linux; Android 14; Pixel 9) AppleWebKit/537.36"
		}), detect.Remote},
		{"samsung on a desktop", galaxy, windows, detect.Remote},

		{"a manager that was seen", vault, factstest.With(windows, manager(new(true))), detect.Likely},
		{"a manager that may be there", vault, windows, detect.Uncertain},
		{"a manager that is not there", vault, factstest.With(windows, manager(new(false))), detect.AvailabilityNot},
		{
			"a manager that was seen without a local authenticator", vault, factstest.With(factstest.With(windows, noUVPA), manager(new(true))),
			detect.Likely,
		},
		{"a manager that may be there without a local authenticator", vault, factstest.With(windows, noUVPA), detect.AvailabilityNot},

		{"unknown, synced, same system", unknownSynced, windows, detect.Uncertain},
		{"unknown, synced, other system", unknownSynced, mac, detect.Uncertain},
		{"unknown, synced, other system without managers, hybrid", unknownHybrid, factstest.With(mac, manager(new(false))), detect.Remote},
		{"unknown, device-bound, same system", unknownBound, windows, detect.Uncertain},
		{"unknown, device-bound, other system", unknownBound, mac, detect.AvailabilityNot},

		{"a security key anywhere", credential(yubikey, false, "Windows", "usb"), factstest.With(mac, noUVPA), detect.SecurityKey},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			// Without a cross-device route, so that the table alone speaks.
			d := k.Login(
				detect.Input{
					Question: question(tc.client, tc.credential), Complete: true, Now: now,
					Strategy: rest.CrossDeviceAuthenticationStrategyMinimize,
				},
			)
			var got detect.Availability
			for _, availability := range []detect.Availability{
				detect.Likely, detect.Uncertain, detect.Remote, detect.SecurityKey, detect.AvailabilityNot,
			} {
				if len(d.Select([]detect.Availability{availability})) == 1 {
					got = availability
				}
			}
			if got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestOldSystemsServeNoPasskeysOfOtherManagers(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	for _, tc := range []struct {
		os, version string
		want        detect.Availability
	}{
		{"Android", "13", detect.AvailabilityNot}, {"Android", "14", detect.Uncertain}, {"Android", "", detect.Uncertain},
		{
			"iOS", "16.7", detect.AvailabilityNot,
		}, {"iOS", "17.0", detect.Uncertain}, {"macOS", "13", detect.Uncertain}, {"Windows", "11", detect.Uncertain},
	} {
		d := k.Login(
			detect.Input{
				Question: question(factstest.Browser(tc.os, tc.version, "Chrome"), credential(bitwarden, true, "Windows", "internal")),
				Complete: true, Now: now,
			},
		)
		if got := d.Facts.Credentials.Uncertain == 1; got != (tc.want == detect.Uncertain) {
			t.Errorf("%s %s: %+v", tc.os, tc.version, d.Facts.Credentials)
		}
	}
}

func TestCrossDeviceRoute(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	const (
		standard = rest.CrossDeviceAuthenticationStrategyStandard
		minimize = rest.CrossDeviceAuthenticationStrategyMinimize
		maximize = rest.CrossDeviceAuthenticationStrategyMaximize
	)
	windows := factstest.Browser("Windows", "11", "Chrome")
	bleOff := factstest.With(windows, func(i *rest.ClientInformation) { i.BluetoothAvailable = new(false) })
	bleUnknown := factstest.With(windows, func(i *rest.ClientInformation) { i.BluetoothAvailable = nil })
	silent := factstest.With(bleUnknown, func(i *rest.ClientInformation) { i.ClientCapabilities = nil })
	noHybrid := factstest.With(windows, func(i *rest.ClientInformation) {
		i.ClientCapabilities = &rest.ClientCapabilities{HybridTransport: new(false)}
	})
	phone := factstest.Browser("Android", "15", "Chrome")
	fromPhone, fromMac := credential(apple, true, "iOS", "internal", "hybrid"), credential(apple, true, "macOS", "internal", "hybrid")
	usedOnPhone := fromMac
	usedOnPhone.UsedOn = []string{"macOS", "iOS"}
	for _, tc := range []struct {
		name       string
		client     rest.ClientInformation
		strategy   rest.CrossDeviceAuthenticationStrategy
		credential account.Credential
		want       facts.CDA
		reachable  bool // named in allowCredentials as remote
	}{
		{"a phone's passkey", windows, standard, fromPhone, facts.CDA{Client: true, RemoteHigh: true, Route: true}, true},
		{"a phone's passkey under minimize", windows, minimize, fromPhone, facts.CDA{Client: true, RemoteHigh: true}, true},
		{"a Mac's passkey", windows, standard, fromMac, facts.CDA{Client: true, RemoteLow: true}, true},
		{"a Mac's passkey under maximize", windows, maximize, fromMac, facts.CDA{Client: true, RemoteLow: true, Route: true}, true},
		{
			"a Mac's passkey that was used on a phone", windows, standard, usedOnPhone,
			facts.CDA{Client: true, RemoteHigh: true, Route: true}, true,
		},
		{"bluetooth off", bleOff, maximize, fromPhone, facts.CDA{RemoteHigh: true}, true},
		{"bluetooth unknown, hybrid known", bleUnknown, standard, fromPhone, facts.CDA{Client: true, RemoteHigh: true, Route: true}, true},
		{"neither known", silent, standard, fromPhone, facts.CDA{RemoteHigh: true}, true},
		{"neither known under maximize", silent, maximize, fromPhone, facts.CDA{Client: true, RemoteHigh: true, Route: true}, true},
		{"no hybrid", noHybrid, maximize, fromPhone, facts.CDA{RemoteHigh: true}, true},
		{"on a phone", phone, standard, fromPhone, facts.CDA{RemoteHigh: true}, true},
		{
			"on a phone under maximize, which reaches a passkey that its row does not", phone, maximize, fromPhone,
			facts.CDA{Client: true, RemoteHigh: true, Route: true}, true,
		},
		{"a passkey that is here", factstest.Browser("macOS", "15", "Safari"), standard, fromPhone, facts.CDA{Client: true}, false},
		{
			"a manager's passkey from a phone", windows, standard, credential(bitwarden, true, "iOS", "internal", "hybrid"),
			facts.CDA{Client: true, RemoteHigh: true, Route: true}, false,
		},
		{
			"a device-bound passkey of a stranger from a phone", windows, standard,
			credential(stranger, false, "iOS", "internal", "hybrid"), facts.CDA{Client: true, RemoteHigh: true, Route: true}, true,
		},
		{"a passkey without hybrid", windows, maximize, credential(apple, true, "iOS", "internal"), facts.CDA{Client: true}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := k.Login(detect.Input{Question: question(tc.client, tc.credential), Complete: true, Now: now, Strategy: tc.strategy})
			if diff := cmp.Diff(tc.want, d.Facts.CDA); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if got := len(d.Select([]detect.Availability{detect.Remote})) == 1; got != tc.reachable {
				t.Errorf("named as remote: %t, want %t", got, tc.reachable)
			}
		})
	}
}

func TestSecurityKeyOnly(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	key := credential(yubikey, false, "Windows", "usb")
	linux := factstest.With(factstest.Browser("Linux", "6.8", "Chrome"), noUVPA)
	for _, tc := range []struct {
		name        string
		client      rest.ClientInformation
		credentials []account.Credential
		want        bool
	}{
		{"a key alone", factstest.Browser("Windows", "11", "Chrome"), []account.Credential{key}, true},
		{"a key beside a passkey out of reach", linux, []account.Credential{key, credential(hello, false, "Windows", "internal")}, true},
		{
			"a key beside an uncertain passkey", factstest.Browser("Windows", "11", "Chrome"),
			[]account.Credential{key, credential(hello, false, "Windows", "internal")}, false,
		},
		{"a key beside a phone", linux, []account.Credential{key, credential(apple, true, "iOS", "internal", "hybrid")}, false},
		{"no key", linux, []account.Credential{credential(hello, false, "Windows", "internal")}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			d := k.Login(detect.Input{Question: question(tc.client, tc.credentials...), Complete: true, Now: now})
			if d.Facts.SecurityKeyOnly != tc.want {
				t.Errorf("got %t", d.Facts.SecurityKeyOnly)
			}
		})
	}
}

func TestFactsAreTheSameDocumentInBothForms(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	in := detect.Input{
		Question: question(
			factstest.Browser("macOS", "15.1", "Safari"), credential(apple, true, "iOS", "internal", "hybrid"),
			credential(yubikey, false, "Windows", "usb"),
		),
		Complete: true,
		Now:      now,
		History: history.History{
			Append: history.Append{
				Default: history.Nudge{Declines: 3, Cooldown: true}, Auto: history.Nudge{Declines: 1},
				LastOffer: now.Add(-time.Hour),
			},
			Pair: history.Pair{
				LocalStreak: 1, CDAStreak: 2, SecurityKeyStreak: 3, Positive: true, LastRoute: event.CDA,
				LastFailedRoute: event.Local, Proven: []ident.CredentialID{"cre-1"},
			},
			Process: history.Process{
				Outcome: history.OutcomeCDA, FailedLocal: 1, MissingEvidence: true, Credential: "cre-1",
			},
		},
	}
	login := k.Login(in)
	created := k.Append(in, rest.PasskeyIntelFlags{AskForAutoAppend: new(true), AskForInAppAppend: new("after-unlock")}, "")
	mediation := k.Mediation(service.Question{Client: factstest.Browser("macOS", "15.1", "Safari")})
	for name, d := range map[string]detect.Detection{"login": login, "append": created, "mediation": mediation} {
		raw, err := json.Marshal(d.Facts)
		if err != nil {
			t.Fatal(err)
		}
		byHand, err := ast.JSON(d.Facts.Value())
		if err != nil {
			t.Fatal(err)
		}
		hand, err := json.Marshal(byHand)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(parse(t, string(raw)), parse(t, string(hand))); diff != "" {
			t.Errorf("%s (-json +value)\n%s", name, diff)
		}
		schema, err := policies.Bundle.ReadFile("schemas/" + name + ".jsonschema")
		if err != nil {
			t.Fatal(err)
		}
		compiler := jsonschema.NewCompiler()
		if err := compiler.AddResource(name, parse(t, string(schema))); err != nil {
			t.Fatal(err)
		}
		if err := compiler.MustCompile(name).Validate(parse(t, string(raw))); err != nil {
			t.Errorf("%s does not fit its schema: %v", name, err)
		}
	}
}

func parse(t *testing.T, raw string) any {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func TestInAppOffersKeepTheirDistance(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	for name, tc := range map[string]struct {
		last time.Time
		want bool
	}{
		"never offered":      {time.Time{}, true},
		"exactly a day ago":  {now.Add(-24 * time.Hour), true},
		"a second too early": {now.Add(-24*time.Hour + time.Second), false},
	} {
		in := detect.Input{
			Question: question(factstest.Browser("macOS", "15", "Safari")), Complete: true, Now: now,
			History: history.History{Append: history.Append{LastOffer: tc.last}},
		}
		if d := k.Append(in, rest.PasskeyIntelFlags{}, ""); d.Facts.Nudges.Spaced != tc.want {
			t.Errorf("%s: got %t", name, d.Facts.Nudges.Spaced)
		}
	}
}

func TestInsightsNameWhatTheAccountHas(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	other := credential("bada5566-a7aa-401f-bd96-45619a55120d", true, "macOS", "internal")
	other.ID = "cre-2"
	again := credential(bitwarden, true, "macOS", "internal")
	again.ID = "cre-3"
	q := question(factstest.Browser("macOS", "15", "Safari"), credential(bitwarden, true, "Windows", "internal"), other, again)
	q.Account.Environments = []account.Environment{{ID: "env-1"}, {ID: "env-2"}}
	d := k.Login(detect.Input{Question: q, Complete: true, Now: now, History: history.History{Append: history.Append{
		Default: history.Nudge{Declines: 3, Cooldown: true}, AfterError: history.Nudge{Declines: 1}, ConditionalCreateCooldown: true,
	}}})
	got := d.Insights
	got.Tags = nil
	want := rest.DetectionInsights{
		CredentialIds: []string{"cre-1", "cre-2", "cre-3"}, ClientEnvIds: []string{"env-1", "env-2"},
		PasswordManagerIds: []string{"bada5566-a7aa-401f-bd96-45619a55120d", bitwarden},
		HistoryData:        rest.HistoryData{DefaultCount: 3, DefaultCooldown: true, AfterErrorCount: 1, ConditionalCreateCooldown: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestNoListIsEverAbsent(t *testing.T) {
	t.Parallel()
	k := knowledge(t)
	for name, d := range map[string]detect.Detection{
		"nobody":    k.Login(detect.Input{Question: service.Question{}}),
		"mediation": k.Mediation(service.Question{}),
	} {
		i := d.Insights
		if i.Tags == nil || i.CredentialIds == nil || i.ClientEnvIds == nil || i.PasswordManagerIds == nil || d.Select(nil) == nil ||
			d.All() == nil {
			t.Errorf("%s: %+v", name, i)
		}
		if d.Facts.Account != "" && d.Facts.Account != facts.StatusUnknown {
			t.Errorf("%s has status %s", name, d.Facts.Account)
		}
	}
}

func TestLearnNamesWhatIsMissing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data map[string]any
		want string
	}{
		"no data":           {nil, "keyward.parameters: is missing"},
		"an empty document": {map[string]any{"keyward": map[string]any{"parameters": map[string]any{}}}, "missing parameter default"},
		"half of a parameter": {
			map[string]any{"keyward": map[string]any{"parameters": map[string]any{"default": map[string]any{"count": 3}}}},
			"missing parameter default.cooldownSeconds",
		},
	} {
		if _, err := detect.Learn(tc.data); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: expected %q, got %v", name, tc.want, err)
		}
	}
	raw, err := json.Marshal(policiestest.Data(t))
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"an unknown class":       {`"class":"samsung"`, `"class":"sammy"`},
		"an AAGUID in capitals":  {"fbfc3007", "FBFC3007"},
		"an address that is not": {`"blockedAddresses":[]`, `"blockedAddresses":["10.0.0.0/40"]`},
	} {
		var data map[string]any
		if err := json.Unmarshal([]byte(strings.Replace(string(raw), change[0], change[1], 1)), &data); err != nil {
			t.Fatal(err)
		}
		if _, err := detect.Learn(data); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestAnOfferThatTheClientHasShownCountsForAsLongAsTheBundleSays(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	k := detect.Knowledge{Parameters: detect.Parameters{ShownSpacingSeconds: 86400}}
	k.Parameters.ClockSkewSeconds = 300
	for name, tc := range map[string]struct {
		shown   time.Time
		spacing int64
		want    bool
	}{
		"an hour ago":                         {now.Add(-time.Hour), 86400, true},
		"an hour ago, and the bundle asks":    {now.Add(-time.Hour), 0, false},
		"just now, and the bundle asks":       {now, 0, false},
		"a day ago":                           {now.Add(-24 * time.Hour), 86400, false},
		"by a clock a minute ahead":           {now.Add(time.Minute), 86400, true},
		"by a clock that is wrong":            {now.Add(time.Hour), 86400, false},
		"at the beginning of times":           {time.Unix(math.MinInt64, 0), 86400, false},
		"at the end of times":                 {time.Unix(math.MaxInt64, 0), 86400, false},
		"a minute ahead, and the bundle asks": {now.Add(time.Minute), 0, false},
	} {
		k.Parameters.ShownSpacingSeconds = tc.spacing
		shown := tc.shown.Unix()
		d := k.Append(detect.Input{Now: now, Complete: true}, rest.PasskeyIntelFlags{AppendShown: &shown, OptOutAfterHybrid: &tc.want}, "")
		if got := d.Facts.Flags; got.ShownLately != tc.want || got.OptOutAfterHybrid != tc.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if d := k.Append(
		detect.Input{Now: now, Complete: true}, rest.PasskeyIntelFlags{}, "",
	); d.Facts.Flags.ShownLately ||
		d.Facts.Flags.OptOutAfterHybrid {
		t.Error("nothing was said, and counts")
	}
}
