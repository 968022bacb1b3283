package detect_test

import (
	"encoding/json"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/services/decision/internal/detect"
)

// FuzzDetect holds that nothing a client sends can stop a decision or leave the forms that policies rely on.
func FuzzDetect(f *testing.F) {
	const (
		windows7 = "Mozilla/5.0 (Windows NT 6.1; WOW64; Trident/7.0; rv:11.0) like Gecko"
		iPad     = "Mozilla/5.0 (iPad; CPU OS 17_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4 Mobile/15E148 " +
			"Safari/604.1"
		android = "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36"
		edge    = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0"
	)
	for _, agent := range []string{windows7, iPad, android, edge, uaFacebook, "", "(", ";;;", "Android ", "\xff\xfe"} {
		f.Add(agent, "203.0.113.1", "Windows", "10_15_7", []byte(`{"nativeMeta":{"brand":"x"},"isNative":true}`))
	}
	f.Add(
		android,
		"::1",
		"",
		"999999999999999999999.1",
		[]byte(`{"javaScriptHighEntropy":{"platform":"Windows","platformVersion":"..","mobile":true},"clientCapabilities":{}}`),
	)
	k := knowledge(
		f, set("blockedAddresses", []any{"10.0.0.0/8"}),
		set("blockedBrowsers", []any{map[string]any{"name": "Chrome", "below": "1.x.3"}}),
	)
	f.Fuzz(func(t *testing.T, agent, address, os, version string, sent []byte) {
		var info rest.ClientInformation
		if json.Unmarshal(sent, &info) != nil {
			info = rest.ClientInformation{}
		}
		info.UserAgent, info.RemoteAddress = agent, address
		if os != "" {
			info.ParsedDeviceInfo = &rest.ParsedDeviceInfo{OSName: os, OSVersion: version}
		}
		q := question(info, credential(apple, true, os, "internal", "hybrid"), credential(samsung, true, os, "internal"))
		d := k.Login(detect.Input{Question: q, Complete: true, Now: now})
		c := d.Facts.Credentials
		if sum := c.Likely + c.Uncertain + c.Remote + c.SecurityKey; sum > c.Total || c.Total != 2 {
			t.Errorf("counts %+v", c)
		}
		if d.Facts.Client.OSVersion < 0 || (d.Facts.Client.Mobile && d.Facts.Client.Desktop) {
			t.Errorf("client %+v", d.Facts.Client)
		}
		if d.Facts.Value() == nil {
			t.Error("no value")
		}
	})
}
