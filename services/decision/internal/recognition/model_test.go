package recognition_test

import (
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

func TestTheMakerOfAnAndroidIsUnknownUnlessItsModelIsNamed(t *testing.T) {
	t.Parallel()
	r := rules(t)
	for _, c := range []struct {
		name, device string
		want         recognition.Ternary
	}{
		{"a model of Samsung", "Linux; Android 14; SM-S918B", recognition.Yes},
		{"another model", "Linux; Android 14; Pixel 8", recognition.No},
		{"another model behind a language", "Linux; U; Android 9; en-us; Redmi Note 7 Build/PKQ1", recognition.No},
		{"the model that stands for any", "Linux; Android 10; K", recognition.Unknown},
		{"the same in a web view", "Linux; Android 10; K; wv", recognition.Unknown},
		{"a language alone", "Linux; U; Android 14; en-us", recognition.Unknown},
		{"nothing but a web view", "Linux; Android 14; wv", recognition.Unknown},
		{"nothing but the system", "Linux; Android 14", recognition.Unknown},
		{"Gecko on a phone", "Android 14; Mobile; rv:145.0", recognition.Unknown},
		{"a model in a web view", "Linux; Android 14; Pixel 8; wv", recognition.No},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			info := rest.ClientInformation{UserAgent: "Mozilla/5.0 (" + c.device + ") AppleWebKit/537.36 Chrome/142.0.0.0 Mobile Safari/537.36"}
			if got := r.Recognise(info, service.Environment{}).Samsung; got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

// An app that is a web view sends what its browser sends, which freezes versions as browsers do.
func TestAnAppInAWebViewIsToldByItsHintsBeforeItsUserAgent(t *testing.T) {
	t.Parallel()
	r := rules(t)
	const view = "Mozilla/5.0 (Linux; Android 10; K; wv) AppleWebKit/537.36 Version/4.0 Chrome/142 Mobile Safari/537.36"
	hints := &rest.JavaScriptHighEntropy{Platform: "Android", PlatformVersion: "16", Mobile: true}
	for _, c := range []struct {
		name string
		info rest.ClientInformation
		want int
	}{
		{"a reduced user agent with hints", rest.ClientInformation{UserAgent: view, JavaScriptHighEntropy: hints}, 16},
		{"a reduced user agent alone", rest.ClientInformation{UserAgent: view}, 0},
		{"an app's own user agent", rest.ClientInformation{UserAgent: "NativeApp/1.4.0 (Android 15; Pixel 9; tokay; arm64-v8a)"}, 15},
		{
			"an app's own user agent with hints",
			rest.ClientInformation{UserAgent: "NativeApp/1.4.0 (Android 15; Pixel 9)", JavaScriptHighEntropy: hints}, 16,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.info.IsNative = new(true)
			got := r.Recognise(c.info, service.Environment{})
			if f := got.Facts(); f.OS != "android" || f.OSVersion != c.want || !f.Native || f.Device != facts.DevicePhone {
				t.Errorf("got %+v, want version %d", f, c.want)
			}
		})
	}
}

func TestDevicesThatNameThemselves(t *testing.T) {
	t.Parallel()
	r := rules(t)
	for agent, want := range map[string]facts.Device{
		"Mozilla/5.0 (Linux; Android 11; PHILIPS OLED 55OLED706 TV Build/RTM5) AppleWebKit/537.36 Safari": facts.DeviceTV,
		"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 HeadlessEdg/142.0.0.0 Safari":                 facts.DeviceHeadless,
		"reqwest/0.12.4": facts.DeviceScript,
	} {
		if got := r.Recognise(rest.ClientInformation{UserAgent: agent}, service.Environment{}).Device; got != want {
			t.Errorf("%s: got %s, want %s", agent, got, want)
		}
	}
}
