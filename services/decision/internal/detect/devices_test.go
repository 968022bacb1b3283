package detect_test

import (
	"encoding/json"
	"os"
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
	raw, err := os.ReadFile("testdata/devices.json")
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
				"os": f.Client.OS, "osVersion": float64(f.Client.OSVersion), "browser": f.Client.Browser, "device": string(f.Client.Device),
				"mobile": f.Client.Mobile, "desktop": f.Client.Desktop, "embedded": f.Client.Embedded, "inApp": f.Client.InApp, "native": f.Client.Native,
				"listed": string(f.Environment.Listed), "cdaClient": f.CDA.Client, "webauthn": f.Support.WebAuthn, "uvpa": f.Support.UVPA,
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
