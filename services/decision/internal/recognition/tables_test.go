package recognition_test

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/policies"
	"github.com/keyward/keyward/services/decision/internal/document"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

// space returns the documents of the default bundle, with other tables of agents.
func space(t *testing.T, change func(agents map[string]any)) map[string]any {
	t.Helper()
	raw, err := fs.ReadFile(policies.Bundle, "data.json")
	if err != nil {
		t.Fatal(err)
	}
	var data struct{ Keyward map[string]any }
	if err := json.Unmarshal(raw, &data); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(data.Keyward["agents"].(map[string]any))
	}
	return data.Keyward
}

// before puts an entry at the beginning of a table.
func before(t *testing.T, agents map[string]any, table, entry string) {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(entry), &value); err != nil {
		t.Fatal(err)
	}
	list, _ := agents[table].([]any)
	agents[table] = append([]any{value}, list...)
}

func told(t *testing.T, space map[string]any, info rest.ClientInformation) recognition.Client {
	t.Helper()
	r, err := recognition.Learn(space, recognition.Bars{}, recognition.MinimumVersions{})
	if err != nil {
		t.Fatal(err)
	}
	return r.Recognise(info, service.Environment{})
}

func TestWhatIsNewIsTaughtByABundleAlone(t *testing.T) {
	t.Parallel()
	const (
		tablet = "Mozilla/5.0 (Seafarer 7.2; tab) AppleWebKit/605.1.15 (KHTML, like Gecko) Gale/3.1 Safari/605.1.15"
		phone  = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 " +
			"Mobile/15E148 Safari/604.1 GaleTouch/3.1"
		shell  = "Mozilla/5.0 (Linux; Android 15; SGH-X1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36 AppShell"
		mac    = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) GaleTouch/3.1 Safari/605.1.15"
		native = "Ours/1.0 (SeaPad 7.2; tab)"
	)
	for name, c := range map[string]struct {
		table, entry string
		info         rest.ClientInformation
		said         func(c recognition.Client) any
		was, is      any
	}{
		"a system": {
			"userAgents", `{"name": "Seafarer", "system": "linux", "tokens": ["Seafarer"], "version": "Seafarer ", "device": "tablet"}`,
			rest.ClientInformation{UserAgent: tablet},
			func(c recognition.Client) any {
				return c.OSName + " " + c.OSVersion + " is " + string(c.OS) + " on a " + string(c.Device)
			},
			"  is  on a unknown", "Seafarer 7.2 is linux on a tablet",
		},
		"a browser": {
			"browsers", `{"name": "gale", "label": "Gale", "tokens": ["Gale/"], "names": ["galebrowser"]}`,
			rest.ClientInformation{UserAgent: tablet}, func(c recognition.Client) any { return c.Browser + " " + c.BrowserVersion }, " ",
			"gale 3.1",
		},
		"a browser of iOS with a version of its own": {
			"ownVersions", `"GaleTouch/"`, rest.ClientInformation{UserAgent: phone}, func(c recognition.Client) any { return c.OSMajor }, 26, 0,
		},
		"a browser that gives away an iPad": {
			"userAgents", `{"name": "iOS", "system": "ios", "tokens": ["Macintosh"], "with": ["GaleTouch/"], "device": "tablet"}`,
			rest.ClientInformation{UserAgent: mac}, func(c recognition.Client) any { return string(c.OS) + " on a " + string(c.Device) },
			"macos on a desktop", "ios on a tablet",
		},
		"a name that says nothing": {
			"unsaid", `"keine Angabe"`, rest.ClientInformation{
				UserAgent:        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
				ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "Keine Angabe", OSVersion: "0", BrowserName: "keine angabe "},
			},
			func(c recognition.Client) any { return string(c.OS) + " with " + c.Browser }, "other with other", "linux with chrome",
		},
		"a web view": {
			"webViews", `{"system": "android", "tokens": ["AppShell$"]}`, rest.ClientInformation{UserAgent: shell},
			func(c recognition.Client) any { return c.Embedded }, false, true,
		},
		"a system of apps": {
			"platforms", `{"name": "SeaPad", "device": "tablet"}`, rest.ClientInformation{UserAgent: native, IsNative: new(true)},
			func(c recognition.Client) any { return c.OSName + " " + c.OSVersion + " on a " + string(c.Device) }, "  on a unknown",
			"SeaPad 7.2 on a tablet",
		},
		"a crawler": {
			"bots", `"^mozilla/5.0 (seafarer * tab)"`, rest.ClientInformation{UserAgent: tablet},
			func(c recognition.Client) any { return c.Device == facts.DeviceBot }, false, false, // a semicolon is no part of a word
		},
		"a crawler by its words": {
			"bots", `"^mozilla/5.0 (seafarer *; tab)"`, rest.ClientInformation{UserAgent: tablet},
			func(c recognition.Client) any { return c.Device == facts.DeviceBot }, false, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.said(told(t, space(t, nil), c.info)); got != c.was {
				t.Errorf("before it is %v, not %v", got, c.was)
			}
			taught := space(t, func(agents map[string]any) { before(t, agents, c.table, c.entry) })
			if got := c.said(told(t, taught, c.info)); got != c.is {
				t.Errorf("then it is %v, not %v", got, c.is)
			}
		})
	}
}

// A Windows 12, another system that freezes its version, and a language beside a model need no new server.
func TestVersionsAreTaughtByABundleAlone(t *testing.T) {
	t.Parallel()
	hint := func(version string) rest.ClientInformation {
		return rest.ClientInformation{JavaScriptHighEntropy: &rest.JavaScriptHighEntropy{Platform: "Windows", PlatformVersion: version}}
	}
	parse := func(os, version string) rest.ClientInformation {
		return rest.ClientInformation{ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: os, OSVersion: version}}
	}
	version := func(c recognition.Client) any { return c.OSVersion }
	step := func(table string) func(t *testing.T, agents map[string]any) {
		return func(t *testing.T, agents map[string]any) {
			t.Helper()
			before(t, agents["windows"].(map[string]any), table, `{"from": "30000", "is": "12"}`)
			before(t, agents["windows"].(map[string]any), table, `{"from": "20", "is": "12"}`)
		}
	}
	for name, c := range map[string]struct {
		info    rest.ClientInformation
		teach   func(t *testing.T, agents map[string]any)
		said    func(c recognition.Client) any
		was, is any
	}{
		"a Windows by a hint":      {hint("20.0.0"), step("hints"), version, "11", "12"},
		"a Windows by its build":   {parse("Windows", "10.0.30001"), step("builds"), version, "11", "12"},
		"a Windows below its hint": {hint("19.0.0"), step("hints"), version, "11", "11"},
		"a Windows by a word": {
			parse("Windows", "Longhorn"), func(_ *testing.T, agents map[string]any) {
				agents["windows"].(map[string]any)["nt"].(map[string]any)["longhorn"] = "6"
			}, version, "", "6",
		},
		"a version that is frozen": {
			rest.ClientInformation{UserAgent: "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_14_6) AppleWebKit/605.1.15 Safari/605.1.15"},
			func(t *testing.T, agents map[string]any) {
				t.Helper()
				before(t, agents, "frozen", `{"system": "macos", "from": "10.14.6", "below": "10.14.7", "with": ["Safari/"]}`)
			}, version, "10_14_6", "",
		},
		"a version of apps that no system has": {
			rest.ClientInformation{NativeMeta: &rest.NativeMeta{Platform: new("visionOS"), PlatformVersion: new("3.1")}},
			func(t *testing.T, agents map[string]any) {
				t.Helper()
				before(t, agents, "frozen", `{"system": "visionos", "from": "3", "below": "26", "always": true}`)
			}, version, "3.1", "",
		},
		"a language beside a model": {
			rest.ClientInformation{UserAgent: "Mozilla/5.0 (Linux; U; Android 14; xx) AppleWebKit/537.36 Mobile Safari/537.36"},
			func(t *testing.T, agents map[string]any) {
				t.Helper()
				before(t, agents["samsung"].(map[string]any), "languages", `"xx"`)
			}, func(c recognition.Client) any { return c.Samsung }, recognition.No, recognition.Unknown,
		},
		"what stands beside a model": {
			rest.ClientInformation{UserAgent: "Mozilla/5.0 (Android 14; Mobile; ABI arm64) Gecko/145.0 Firefox/145.0"},
			func(t *testing.T, agents map[string]any) {
				t.Helper()
				before(t, agents["samsung"].(map[string]any), "beside", `"^ABI "`)
			}, func(c recognition.Client) any { return c.Samsung }, recognition.No, recognition.Unknown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := c.said(told(t, space(t, nil), c.info)); got != c.was {
				t.Errorf("before it is %v, not %v", got, c.was)
			}
			if got := c.said(told(t, space(t, func(agents map[string]any) { c.teach(t, agents) }), c.info)); got != c.is {
				t.Errorf("then it is %v, not %v", got, c.is)
			}
		})
	}
}

func TestTheModelsOfSamsungAreTaughtByABundleAlone(t *testing.T) {
	t.Parallel()
	info := rest.ClientInformation{
		UserAgent: "Mozilla/5.0 (Linux; Android 15; SGH-X1) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
	}
	if got := told(t, space(t, nil), info).Samsung; got != recognition.No {
		t.Errorf("before it is %v", got)
	}
	taught := space(t, func(agents map[string]any) {
		agents["samsung"].(map[string]any)["models"] = []any{"; SM-", "; SGH-"}
	})
	if got := told(t, taught, info).Samsung; got != recognition.Yes {
		t.Errorf("then it is %v", got)
	}
}

// The schema of a bundle may be laxer than what is needed here, or not be there.
func TestATableThatCannotBeUsedIsRefusedByItsMember(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		table, entry, keys, says string
	}{
		"a system that there is not": {
			"userAgents", `{"name": "X", "system": "plan9", "tokens": ["X"]}`, "userAgents.0.system", `there is no system "plan9"`,
		},
		"a system without a name": {"userAgents", `{"system": "linux", "tokens": ["X"]}`, "userAgents.0.name", "needs a name"},
		"a system without tokens": {"userAgents", `{"name": "X", "system": "linux", "tokens": []}`, "userAgents.0.tokens", "is empty"},
		"a token that all have": {
			"userAgents", `{"name": "X", "system": "linux", "tokens": ["A", "*"]}`,
			"userAgents.0.tokens.1", "is in every",
		},
		"a version behind nothing": {
			"userAgents", `{"name": "X", "system": "linux", "tokens": ["A"], "version": ""}`, "userAgents.0.version", "is in every",
		},
		"a sign that all give": {
			"userAgents", `{"name": "X", "system": "linux", "tokens": ["A"], "with": ["^"]}`, "userAgents.0.with.0", "is in every",
		},
		"a device that there is not": {
			"userAgents", `{"name": "X", "system": "linux", "tokens": ["A"], "device": "fridge"}`, "userAgents.0.device", "no device class",
		},
		"a class that there is not": {"devices", `{"class": "fridge", "tokens": ["A"]}`, "devices.0.class", "no device class"},
		"a device's token":          {"devices", `{"class": "tv", "tokens": [""]}`, "devices.0.tokens.0", "is in every"},
		"a platform without a name": {"platforms", `{"name": " "}`, "platforms.0.name", "needs a name"},
		"a platform's device":       {"platforms", `{"name": "X", "device": "fridge"}`, "platforms.0.device", "no device class"},
		"a web view's system":       {"webViews", `{"system": "Android", "tokens": ["A"]}`, "webViews.0.system", "there is no system"},
		"a web view of all":         {"webViews", `{"system": "android", "tokens": []}`, "webViews.0.tokens", "is empty"},
		"a web view without all": {
			"webViews", `{"system": "android", "tokens": ["A"], "without": [""]}`, "webViews.0.without.0", "is in every",
		},
		"a crawler":             {"bots", `""`, "bots.0", "is in every"},
		"an app":                {"inApp", `{"name": "x", "tokens": []}`, "inApp.0.tokens", "is empty"},
		"a browser":             {"browsers", `{"name": "x", "tokens": []}`, "browsers.0", "needs a name and a token"},
		"a browser's token":     {"browsers", `{"name": "x", "tokens": ["*"]}`, "browsers.0.tokens.0", "is in every"},
		"a browser's version":   {"browsers", `{"name": "x", "tokens": ["x"], "version": "*"}`, "browsers.0.version", "is in every"},
		"a version of its own":  {"ownVersions", `"*"`, "ownVersions.0", "is in every"},
		"a frozen version":      {"frozen", `{"system": "ios", "from": "18_6", "below": "19"}`, "frozen.0.from", "is no version"},
		"a frozen range":        {"frozen", `{"system": "ios", "from": "19", "below": "18.6"}`, "frozen.0", "nothing is from 19 and below 18.6"},
		"a frozen system":       {"frozen", `{"system": "seafarer", "from": "1", "below": "2"}`, "frozen.0.system", "there is no system"},
		"a Safari":              {"frozen", `{"system": "ios", "from": "1", "below": "2", "safari": "x"}`, "frozen.0.safari", "is no version"},
		"another kind of value": {"userAgents", `{"name": 7}`, "", "userAgents.name of type string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bad := space(t, func(agents map[string]any) { before(t, agents, c.table, c.entry) })
			_, err := recognition.Learn(bad, recognition.Bars{}, recognition.MinimumVersions{})
			var misfit *document.MisfitError
			want := strings.TrimSuffix("keyward.agents."+c.keys, ".")
			if !errors.As(err, &misfit) || strings.Join(misfit.Keys, ".") != want || !strings.Contains(misfit.Message, c.says) {
				t.Errorf("got %v, want %s: %s", err, want, c.says)
			}
		})
	}
}

// Bundles from before systems, platforms and the like were data have the first five tables.
func TestABundleFromBeforeHasTheTablesThatItLacks(t *testing.T) {
	t.Parallel()
	old := space(t, func(agents map[string]any) {
		for _, table := range []string{"userAgents", "platforms", "ownVersions", "unsaid", "webViews", "forms", "samsung", "frozen", "windows"} {
			if _, ok := agents[table]; !ok {
				t.Errorf("there is no table %s", table)
			}
			delete(agents, table)
		}
	})
	partly := space(t, func(agents map[string]any) {
		delete(agents, "frozen")
		delete(agents, "windows")
		for _, member := range []string{"beside", "languages"} {
			delete(agents["samsung"].(map[string]any), member)
		}
	})
	whole := cmp.Exporter(func(reflect.Type) bool { return true })
	none := maps.Clone(old)
	delete(none, "agents")
	clients := sent(t)
	const ios = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
	clients["a version of its own"] = rest.ClientInformation{UserAgent: ios + "Version/26.0 Mobile/15E148 Safari/604.1 OPX/2.5.0"}
	clients["a web view"] = rest.ClientInformation{UserAgent: ios + "Mobile/15E148"}
	clients["a platform"] = rest.ClientInformation{UserAgent: "App/1 (iPadOS 18.1; iPad)", IsNative: new(true)}
	clients["a name that says nothing"] = rest.ClientInformation{UserAgent: ios, ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "Unknown"}}
	clients["no model"] = rest.ClientInformation{UserAgent: "Mozilla/5.0 (Android 14; Mobile; rv:145.0) Gecko/145.0 Firefox/145.0"}
	clients["a language"] = rest.ClientInformation{UserAgent: "Mozilla/5.0 (Linux; U; Android 14; en-us) Mobile"}
	clients["a build"] = rest.ClientInformation{ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "Windows", OSVersion: "10.0.22631"}}
	clients["a frozen one"] = rest.ClientInformation{ParsedDeviceInfo: &rest.ParsedDeviceInfo{OSName: "macOS", OSVersion: "10.15.7"}}
	clients["a model"] = rest.ClientInformation{UserAgent: "Mozilla/5.0 (Linux; Android 14; SM-S918B) Mobile"}
	for name, info := range clients {
		want := told(t, space(t, nil), info)
		for age, space := range map[string]map[string]any{"five tables": old, "twelve": partly, "none": none} {
			if diff := cmp.Diff(want, told(t, space, info), whole); diff != "" {
				t.Errorf("%s, %s (-want +got)\n%s", name, age, diff)
			}
		}
	}
}

func TestWhatIsNamedUnknownDoesNotOutweighWhatOthersSay(t *testing.T) {
	t.Parallel()
	const windows = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	r := rules(t)
	parse := func(name string) rest.ClientInformation {
		return rest.ClientInformation{UserAgent: windows, ParsedDeviceInfo: &rest.ParsedDeviceInfo{
			OSName: name, OSVersion: "0", BrowserName: name, BrowserVersion: "0",
		}}
	}
	for name, info := range map[string]rest.ClientInformation{
		"Unknown in a parse": parse("Unknown"), "Other in a parse": parse("Other"),
		"a dash in a parse": parse("-"), "a blank in a parse": parse(" "),
		"Unknown in a hint":         {UserAgent: windows, JavaScriptHighEntropy: &rest.JavaScriptHighEntropy{Platform: "Unknown"}},
		"a version behind the name": {UserAgent: windows, ParsedDeviceInfo: &rest.ParsedDeviceInfo{BrowserName: "Chrome 142", OSName: "Windows"}},
	} {
		c := r.Recognise(info, service.Environment{})
		if c.OS != "windows" || c.Browser != "chrome" || !c.Desktop || (info.ParsedDeviceInfo != nil && c.OSVersion != "") {
			t.Errorf("%s: %s %q, %s, a desktop: %t", name, c.OS, c.OSVersion, c.Browser, c.Desktop)
		}
	}
}

func TestTheVersionOfABrowserIsItsOwn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ userAgent, want string }{
		"Opera Mini":      {"Opera/9.80 (J2ME; Opera Mini/7.1.32052/29.3709; U) Presto/2.8.119 Version/11.10", "opera 7.1.32052 (2)"},
		"Opera of Presto": {"Opera/9.80 (Windows NT 6.1; WOW64) Presto/2.12.388 Version/12.18", "opera 12.18 (2)"},
		"Opera 8":         {"Opera/8.54 (Windows NT 5.1; U; en)", "opera 8.54 (3)"},
		"Opera GX": {
			"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 OPR/124.0.0.0",
			"opera 124.0.0.0 (3)",
		},
	} {
		got := told(t, space(t, nil), rest.ClientInformation{UserAgent: c.userAgent})
		if said := got.Browser + " " + got.BrowserVersion + " (" + string('1'+rune(got.Chromium)) + ")"; said != c.want {
			t.Errorf("%s: %s, want %s", name, said, c.want)
		}
	}
}
