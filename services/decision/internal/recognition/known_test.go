package recognition_test

import (
	"reflect"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// anyClient draws clients that differ in little, so that a part which was left out of what they are remembered by would be noticed.
func anyClient() *rapid.Generator[rest.ClientInformation] {
	return rapid.Custom(func(t *rapid.T) rest.ClientInformation {
		pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
		maybe := func(label string, of ...string) *string {
			if rapid.Bool().Draw(t, label+" is there") {
				return new(pick(label, of...))
			}
			return nil
		}
		flag := func(label string) *bool {
			return rapid.SampledFrom([]*bool{nil, new(true), new(false)}).Draw(t, label)
		}
		systems := []string{"", "Windows", "macOS", "Android", "iPadOS", "Unknown"}
		versions := []string{"", "0", "10.0", "10_15_7", "19.0.0", "18.1", "\xff"}
		info := rest.ClientInformation{
			UserAgent: pick("agent", "", uaLinux, uaAndroid, uaCrOS, uaCriOS, uaFacebook, uaLinux+strings.Repeat(" ", 2000), "App/1 (iOS 18.1; x)"),
			IsNative:  flag("native"), Webdriver: flag("driven"), PasswordManagerAvailable: flag("manager"), PrivateMode: flag("private"),
			BluetoothAvailable: flag("bluetooth"), RemoteAddress: pick("address", "", "10.0.0.1"),
		}
		if rapid.Bool().Draw(t, "hints") {
			info.JavaScriptHighEntropy = &rest.JavaScriptHighEntropy{
				Platform: pick("hinted", systems...), PlatformVersion: pick("hinted version", versions...), Mobile: rapid.Bool().Draw(t, "mobile"),
			}
		}
		if rapid.Bool().Draw(t, "parsed") {
			info.ParsedDeviceInfo = &rest.ParsedDeviceInfo{
				OSName: pick("parsed system", systems...), OSVersion: pick("parsed version", versions...),
				BrowserName: pick("parsed browser", "", "Chrome", "Safari", "-"), BrowserVersion: pick("parsed browser version", versions...),
			}
		}
		if rapid.Bool().Draw(t, "meta") {
			info.NativeMeta = &rest.NativeMeta{
				Platform: maybe("platform", systems...), PlatformVersion: maybe("platform version", versions...),
				Name: maybe("name", "", "com.example", strings.Repeat("long", 1000)), Version: maybe("version", versions...),
				Brand: maybe("brand", "", "samsung", "Google"), DeviceSecure: flag("secure"), DeviceOwnerAuth: maybe("owner", "none", "code"),
				DisplayName: maybe("display", "Example"),
			}
		}
		return info
	})
}

func TestPropertyAClientThatIsKnownIsWhatItWouldBeTakenForAnew(t *testing.T) {
	t.Parallel()
	known := rules(t, set("blockedApplications", []any{"Example"}), set("blockedAddresses", []any{"10.0.0.0/8"}))
	anew := known.Without(nil)
	rapid.Check(t, func(t *rapid.T) {
		info := anyClient().Draw(t, "client")
		want := anew.Recognise(info, service.Environment{})
		for _, when := range []string{"first", "again"} {
			if got := known.Recognise(info, service.Environment{}); !reflect.DeepEqual(got, want) {
				t.Fatalf("%s\ngot  %+v\nwant %+v", when, got, want)
			}
		}
	})
}

func TestRulesWithOtherTablesOrParametersKnowNobodyOfOthers(t *testing.T) {
	t.Parallel()
	info := rest.ClientInformation{UserAgent: uaFacebook}
	all := rules(t)
	if c := all.Recognise(info, service.Environment{}); c.InApp == "" {
		t.Fatal("the browser within an app is not told")
	}
	c := all.Recognise(info, service.Environment{})
	other := all.Without(all.Tellings(&c)[0])
	if told := other.Recognise(info, service.Environment{}); told.InApp == c.InApp {
		t.Errorf("without what tells it, it is told: %s", told.InApp)
	}
	restricted := rules(t, set("restrictedBrowserTokens", []any{"Firefox/"}))
	restricted.Share(all)
	if c := restricted.Recognise(rest.ClientInformation{UserAgent: uaLinux}, service.Environment{}); !c.RestrictedBrowser {
		t.Error("rules with the same tables have lost a parameter of their own")
	}
	if c := all.Recognise(rest.ClientInformation{UserAgent: uaLinux}, service.Environment{}); c.RestrictedBrowser {
		t.Error("rules with the same tables have got a parameter of others")
	}
	if !all.Same(rules(t)) || all.Same(restricted) {
		t.Error("whom rules know makes them differ, or what they bar does not")
	}
}

func TestCallersAtOnceAreTakenForWhatTheyAre(t *testing.T) {
	t.Parallel()
	known := rules(t)
	agents := []string{uaLinux, uaAndroid, uaCrOS, uaCriOS, uaFacebook}
	anew := known.Without(nil)
	var running sync.WaitGroup
	for caller := range 4 {
		running.Go(func() {
			for i := range 100 {
				info := rest.ClientInformation{UserAgent: agents[(caller+i)%len(agents)]}
				if got, want := known.Recognise(info, service.Environment{}), anew.Recognise(info, service.Environment{}); got.OS != want.OS {
					t.Errorf("%s: %s, not %s", info.UserAgent, got.OS, want.OS)
				}
			}
		})
	}
	running.Wait()
}

func BenchmarkRecognise(b *testing.B) {
	known := rules(b)
	anew := known.Without(nil)
	info := rest.ClientInformation{UserAgent: uaAndroid, JavaScriptHighEntropy: &rest.JavaScriptHighEntropy{Platform: "Android", Mobile: true}}
	for name, r := range map[string]*recognition.Rules{"known": known, "anew": &anew} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Recognise(info, service.Environment{})
			}
		})
	}
}
