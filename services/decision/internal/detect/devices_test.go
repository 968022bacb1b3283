package detect_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// TestFactsOfRealDevices holds detection against the corpus: real user agents, hints and bodies of apps, with the facts that they must
// give.
func TestFactsOfRealDevices(t *testing.T) {
	t.Parallel()
	for _, corpus := range []string{"devices.json", "more-devices.json"} {
		t.Run(corpus, func(t *testing.T) {
			t.Parallel()
			holdAgainst(t, corpus)
		})
	}
}

func holdAgainst(t *testing.T, file string) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var corpus struct {
		Devices []struct {
			Name   string                 `json:"name"`
			Client rest.ClientInformation `json:"client"`
			Expect map[string]any         `json:"expect"`
		} `json:"devices"`
	}
	if err := json.Unmarshal(raw, &corpus); err != nil {
		t.Fatal(err)
	}
	if len(corpus.Devices) == 0 {
		t.Fatal("the corpus is empty")
	}
	k := knowledge(t)
	for _, device := range corpus.Devices {
		t.Run(device.Name, func(t *testing.T) {
			t.Parallel()
			d := k.Login(detect.Input{Question: service.Question{Client: device.Client}, Complete: true, Now: now})
			f := d.Facts
			got := map[string]any{
				"os":             f.Client.OS,
				"osVersion":      float64(f.Client.OSVersion),
				"browser":        f.Client.Browser,
				"device":         string(f.Client.Device),
				"mobile":         f.Client.Mobile,
				"desktop":        f.Client.Desktop,
				"embedded":       f.Client.Embedded,
				"inApp":          f.Client.InApp,
				"native":         f.Client.Native,
				"listed":         string(f.Environment.Listed),
				"cdaClient":      f.CDA.Client,
				"webauthn":       f.Support.WebAuthn,
				"uvpa":           f.Support.UVPA,
				"conditionalGet": f.Support.ConditionalGet,
			}
			for name := range got {
				if _, asserted := device.Expect[name]; !asserted {
					delete(got, name)
				}
			}
			if diff := cmp.Diff(device.Expect, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// What the corpus has one of, the tables know the others of.
func TestTheTablesOfAgentsKnowMoreThanTheCorpus(t *testing.T) {
	t.Parallel()
	const chromium = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0"
	k := knowledge(t)
	for agent, want := range map[string]struct{ device, browser string }{
		"Googlebot-Image/1.0": {"bot", ""},
		"Mozilla/5.0 (X11; Linux x86_64; Storebot-Google/1.0) " + chromium + " Safari/537.36":                   {"bot", "chrome"},
		"Mozilla/5.0 (Linux; Android 11; moto g power) " + chromium + " Mobile Safari/537.36 Chrome-Lighthouse": {"bot", "chrome"},
		"TelegramBot (like TwitterBot)":                                                                       {"bot", ""},
		"Mozilla/5.0 (Linux; Android 11; VIDAA U7) " + chromium + " Safari/537.36":                            {"tv", "chrome"},
		"Mozilla/5.0 (X11; Linux aarch64) " + chromium + " Safari/537.36 CrKey/1.54 VIZIO SmartCast(Conjure)": {"tv", "chrome"},
		"Dalvik/2.1.0 (Linux; U; Android 14; SM-S921B Build/UP1A.231005.007)":                                 {"script", ""},
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) " + chromium + " Safari/537.36 QQBrowser/13.2":             {"desktop", "other"},
		"Mozilla/5.0 (Linux; U; Android 14; zh-cn) " + chromium + " MQQBrowser/15.2 Mobile Safari/537.36":     {"phone", "other"},
		"Mozilla/5.0 (Linux; Android 14; V2303A) " + chromium + " Mobile Safari/537.36 VivoBrowser/25.1":      {"phone", "other"},
	} {
		f := k.Login(detect.Input{Question: service.Question{Client: rest.ClientInformation{UserAgent: agent}}, Complete: true, Now: now}).Facts
		if string(f.Client.Device) != want.device || f.Client.Browser != want.browser {
			t.Errorf("%s: got %s with %q, want %s with %q", agent, f.Client.Device, f.Client.Browser, want.device, want.browser)
		}
	}
}
