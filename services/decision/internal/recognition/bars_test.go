package recognition_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/decision/internal/facts"
	"github.com/keyward/keyward/services/decision/internal/facts/factstest"
	"github.com/keyward/keyward/services/decision/internal/recognition"
)

func TestWhyAnEnvironmentIsBarred(t *testing.T) {
	t.Parallel()
	chrome := factstest.Browser("Windows", "11", "Chrome")
	blocked := func(name, below string) []any {
		entry := map[string]any{"name": name}
		if below != "" {
			entry["below"] = below
		}
		return []any{entry}
	}
	at := func(address string) rest.ClientInformation {
		return factstest.With(chrome, func(i *rest.ClientInformation) { i.RemoteAddress = address })
	}
	driven := factstest.With(chrome, func(i *rest.ClientInformation) { i.Webdriver = new(true) })
	for _, tc := range []struct {
		name   string
		client rest.ClientInformation
		change func(map[string]any)
		want   facts.Listing
	}{
		{"it is not", chrome, nil, facts.ListedNot},
		{"automation", driven, nil, facts.ListedWebdriver},
		{"automation that is allowed", driven, set("allowWebdriver", true), facts.ListedNot},
		{"a restricted browser", rest.ClientInformation{UserAgent: uaFacebook}, nil, facts.ListedRestrictedBrowser},
		{"Line's browser", rest.ClientInformation{UserAgent: uaIPhone + " Line/14.19.1"}, nil, facts.ListedRestrictedBrowser},
		{
			"the same words from an app",
			factstest.With(factstest.App("iOS", "18", rest.NativeMeta{}), func(i *rest.ClientInformation) { i.UserAgent = uaFacebook }), nil,
			facts.ListedNot,
		},
		{"another restricted browser", rest.ClientInformation{UserAgent: uaIPhone + " Bank/1"}, nil, facts.ListedNot},
		{
			"another that is on the list", rest.ClientInformation{UserAgent: uaIPhone + " Bank/1"},
			set("restrictedBrowserTokens", []any{"Bank/"}), facts.ListedRestrictedBrowser,
		},
		{"a browser in all versions", chrome, set("blockedBrowsers", blocked("Chrome", "")), facts.ListedBrowser},
		{"a browser below a version", chrome, set("blockedBrowsers", blocked("chrome", "142.1")), facts.ListedBrowser},
		{"a browser at that version", chrome, set("blockedBrowsers", blocked("chrome", "142.0")), facts.ListedNot},
		{"a browser above that version, compared as numbers", chrome, set("blockedBrowsers", blocked("chrome", "99")), facts.ListedNot},
		{"another browser", chrome, set("blockedBrowsers", blocked("Safari", "")), facts.ListedNot},
		{"an operating system", chrome, set("blockedOperatingSystems", blocked("Windows", "")), facts.ListedOperatingSystem},
		{"an operating system below a version", chrome, set("blockedOperatingSystems", blocked("windows", "11")), facts.ListedNot},
		{"an address", at("203.0.113.10"), set("blockedAddresses", []any{"203.0.113.10"}), facts.ListedAddress},
		{"a range", at("203.0.113.10"), set("blockedAddresses", []any{"203.0.113.0/24"}), facts.ListedAddress},
		{"a range, address mapped to IPv6", at("::ffff:203.0.113.10"), set("blockedAddresses", []any{"203.0.113.0/24"}), facts.ListedAddress},
		{"outside the range", at("203.0.114.10"), set("blockedAddresses", []any{"203.0.113.0/24"}), facts.ListedNot},
		{"an address that is none", at("localhost"), set("blockedAddresses", []any{"203.0.113.0/24"}), facts.ListedNot},
		{"an app", factstest.App("iOS", "18", rest.NativeMeta{}), set("blockedApplications", []any{"examplebank"}), facts.ListedApplication},
		{
			"a browser of an app's name", factstest.Browser("iOS", "18", "ExampleBank"),
			set("blockedApplications", []any{"ExampleBank"}), facts.ListedNot,
		},
		{"the environment itself", chrome, set("blockedEnvironments", []any{"env-1"}), facts.ListedEnvironment},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var changes []func(map[string]any)
			if tc.change != nil {
				changes = append(changes, tc.change)
			}
			c := rules(t, changes...).Recognise(tc.client, service.Environment{ID: "env-1", Known: true})
			if got := c.Listed; got != tc.want {
				t.Errorf("got %s, want %s", got, tc.want)
			}
		})
	}
}

func TestAnAppIsBarredUnderAnyOfItsNames(t *testing.T) {
	t.Parallel()
	info := factstest.App("iOS", "18", rest.NativeMeta{Name: new("io.example.App"), DisplayName: new("Example")})
	for _, name := range []string{"IO.example.app", "example", "ExampleBank"} {
		r := rules(t, set("blockedApplications", []any{name}))
		if got := r.Recognise(info, service.Environment{}).Listed; got != facts.ListedApplication {
			t.Errorf("%s: %s", name, got)
		}
	}
}

func TestEveryEntryThatNamesAClientIsToldWithWhatWasCompared(t *testing.T) {
	t.Parallel()
	bars := recognition.Bars{
		RestrictedBrowserTokens: []string{"FBAN", "Instagram"}, EmbeddedWebviews: "deny", BlockedApplications: []string{"Other", "example"},
		SoftBars:                []facts.Listing{facts.ListedRestrictedBrowser},
		BlockedBrowsers:         []recognition.Blocked{{Name: "chrome"}, {Name: "Firefox", Below: "150"}, {Name: "firefox"}},
		BlockedOperatingSystems: []recognition.Blocked{{Name: "windows"}, {Name: "macos", Below: "14"}, {Name: "iOS", Below: "18.2"}},
		BlockedAddresses:        []string{"198.51.100.0/24", "203.0.113.64/26", "203.0.113.0/24"}, BlockedEnvironments: []string{"env-1"},
	}
	const mac = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"
	const inApp = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 Instagram 300"
	hinted := func(version string) *rest.JavaScriptHighEntropy {
		return &rest.JavaScriptHighEntropy{Platform: "macOS", PlatformVersion: version}
	}
	within := netip.MustParsePrefix("203.0.113.0/24")
	for name, c := range map[string]struct {
		info    rest.ClientInformation
		found   facts.Listing
		network netip.Prefix
		env     string
		want    []string
	}{
		"a version by a hint": {
			rest.ClientInformation{UserAgent: mac, JavaScriptHighEntropy: hinted("13.7")}, facts.ListedOperatingSystem, netip.Prefix{}, "",
			[]string{"blockedOperatingSystems[1] macos < 14, client 13.7 (hint)", "blockedBrowsers[0] chrome, client Chrome 142.0.0.0 (user agent)"},
		},
		"a version that is frozen bars nothing, and is told": {
			rest.ClientInformation{UserAgent: mac}, facts.ListedBrowser, netip.Prefix{}, "", []string{
				"blockedOperatingSystems[1] macos < 14, client unknown (10.15.7 in the user agent is frozen), which it does not bar",
				"blockedBrowsers[0] chrome, client Chrome 142.0.0.0 (user agent)",
			},
		},
		"all lists at once": {
			rest.ClientInformation{
				UserAgent: "Firefox", Webdriver: new(true), ParsedDeviceInfo: &rest.ParsedDeviceInfo{
					OSName: "macOS", OSVersion: "15.3", BrowserName: "Firefox", BrowserVersion: "140",
				},
			}, facts.ListedWebdriver, within, "env-1", []string{
				"allowWebdriver false, client driven by automation",
				"blockedAddresses[1] 203.0.113.64/26, client in 203.0.113.0/24, of which it bars a part; the record does not have the address",
				"blockedAddresses[2] 203.0.113.0/24, client in 203.0.113.0/24",
				"blockedEnvironments[0] env-1, client env-1",
				"blockedOperatingSystems[1] macos < 14, client 15.3 (parse), which it does not bar",
				"blockedBrowsers[1] Firefox < 150, client 140 (parse)",
				"blockedBrowsers[2] firefox, client Firefox 140 (parse)",
			},
		},
		"a part of the network that a record has, where an address was found to bar": {
			rest.ClientInformation{}, facts.ListedAddress, within, "", []string{
				"blockedAddresses[1] 203.0.113.64/26, client in 203.0.113.0/24, of which it bars a part; the record does not have the address",
				"blockedAddresses[2] 203.0.113.0/24, client in 203.0.113.0/24",
			},
		},
		"a part of the network that a record has, where nothing bars": {
			rest.ClientInformation{}, facts.ListedNot, netip.MustParsePrefix("203.0.112.0/20"), "", nil,
		},
		"a part of the network that a record has, where something else bars": {
			rest.ClientInformation{Webdriver: new(true)}, facts.ListedWebdriver, netip.MustParsePrefix("198.51.0.0/16"), "", []string{
				"allowWebdriver false, client driven by automation",
				"blockedAddresses[0] 198.51.100.0/24, client in 198.51.0.0/16, of which it bars a part; the record does not have the address",
			},
		},
		"the one part of the network that a record has, where an address was found to bar": {
			rest.ClientInformation{}, facts.ListedAddress, netip.MustParsePrefix("198.51.0.0/16"), "",
			[]string{"blockedAddresses[0] 198.51.100.0/24, client in 198.51.0.0/16"},
		},
		"a browser within an app, of a version that is written with underscores": {
			rest.ClientInformation{UserAgent: inApp}, facts.ListedOperatingSystem, netip.Prefix{}, "", []string{
				"blockedOperatingSystems[2] iOS < 18.2, client 18.1 (user agent)", "embeddedWebviews deny, client a web view",
				"restrictedBrowserTokens[1] Instagram, client with it in the user agent",
			},
		},
		"an app": {
			rest.ClientInformation{
				UserAgent:  "okhttp/4.12.0",
				NativeMeta: &rest.NativeMeta{Platform: new("Android"), PlatformVersion: new("15"), DisplayName: new("Example")},
			}, facts.ListedApplication, netip.Prefix{}, "", []string{"blockedApplications[1] example, client an app of that name"},
		},
		"a crawler": {
			rest.ClientInformation{UserAgent: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, facts.ListedBot,
			netip.Prefix{}, "", []string{
				`allowWebdriver false, client of the class bot, by agents.bots[0] "+http", by agents.bots[1] "compatible; *bot", ` +
					`by agents.bots[16] "googlebot"`,
			},
		},
		"a crawler that says to be an app": {
			rest.ClientInformation{UserAgent: "Googlebot/2.1", IsNative: new(true)}, facts.ListedBot, netip.Prefix{}, "",
			[]string{`allowWebdriver false, client of the class bot, by agents.bots[16] "googlebot"`},
		},
		"a browser without a window": {
			rest.ClientInformation{UserAgent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/142.0.0.0"},
			facts.ListedBot, netip.Prefix{}, "", []string{
				`allowWebdriver false, client of the class headless, by agents.devices[0].tokens[0] "HeadlessChrome"`,
				"blockedBrowsers[0] chrome, client Chrome 142.0.0.0 (user agent)"},
		},
	} {
		r, err := recognition.Learn(nil, bars, recognition.MinimumVersions{})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range r.Matches(c.found, c.info, c.network, service.Environment{ID: ident.EnvironmentID(c.env)}) {
			got = append(got, m.String())
			if m.Soft != (m.Listing == facts.ListedRestrictedBrowser) {
				t.Errorf("%s: %s is soft: %t", name, m, m.Soft)
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got)\n%s", name, diff)
		}
	}
}

// What is named as barring is what bars, and in the same order.
func TestTheFirstEntryThatBarsIsOfTheListThatWasFound(t *testing.T) {
	t.Parallel()
	below := func(name, version string) any { return map[string]any{"name": name, "below": version} }
	r := rules(t, set("blockedOperatingSystems", []any{below("iOS", "18.2"), below("macOS", "14")}),
		set("blockedBrowsers", []any{map[string]any{"name": "Chrome", "below": "120"}}), set("embeddedWebviews", "deny"))
	barred := 0
	for name, info := range sent(t) {
		barred += agrees(t, r, name, info)
	}
	for _, system := range []string{"18_1", "18_2", "17_6", "18_6", "26_0"} {
		info := rest.ClientInformation{UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS " + system + " like Mac OS X) AppleWebKit/605.1.15 " +
			"(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"}
		barred += agrees(t, r, system, info)
	}
	if barred == 0 {
		t.Error("no client was barred")
	}
}

func agrees(t *testing.T, r *recognition.Rules, name string, info rest.ClientInformation) (barred int) {
	t.Helper()
	listed, first := r.Recognise(info, service.Environment{}).Listed, facts.ListedNot
	for _, soft := range []bool{false, true} {
		for _, m := range r.Matches(listed, info, netip.Prefix{}, service.Environment{}) {
			if m.Bars && m.Soft == soft && first == facts.ListedNot {
				first, barred = m.Listing, 1
			}
		}
	}
	if first != listed {
		t.Errorf("%s: %s bars, and %s is told", name, listed, first)
	}
	return barred
}

func TestABrowserWithinAnAppIsNamedWithTheEntryAndTheTokenThatTellIt(t *testing.T) {
	t.Parallel()
	info := rest.ClientInformation{UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 " +
		"(KHTML, like Gecko) Mobile/15E148 Instagram 350.0.0"}
	var got []string
	for _, m := range rules(t).Matches(facts.ListedRestrictedBrowser, info, netip.Prefix{}, service.Environment{}) {
		got = append(got, m.String())
	}
	if diff := cmp.Diff([]string{`agents.inApp[1] instagram, client with "Instagram" in the user agent`}, got); diff != "" {
		t.Error(diff)
	}
}

func TestWhoSaysToBeACrawlerIsBarredAsAnAppToo(t *testing.T) {
	t.Parallel()
	r := rules(t)
	for name, c := range map[string]struct {
		info rest.ClientInformation
		want facts.Listing
	}{
		"a crawler": {rest.ClientInformation{UserAgent: "Googlebot/2.1", IsNative: new(true)}, facts.ListedBot},
		"a crawler that names a phone": {
			rest.ClientInformation{UserAgent: "Googlebot/2.1", NativeMeta: &rest.NativeMeta{Platform: new("iOS")}}, facts.ListedBot,
		},
		"an app": {
			rest.ClientInformation{UserAgent: "okhttp/4.12.0", NativeMeta: &rest.NativeMeta{Platform: new("Android")}}, facts.ListedNot,
		},
	} {
		if got := r.Recognise(c.info, service.Environment{}).Listed; got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestAVersionIsComparedHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	r := rules(t, set("blockedOperatingSystems", []any{map[string]any{"name": "iOS", "below": "17"}}))
	for version, want := range map[string]facts.Listing{
		"16_7": facts.ListedOperatingSystem, "17_0": facts.ListedNot, "18_1": facts.ListedNot,
	} {
		info := rest.ClientInformation{UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS " + version + " like Mac OS X) AppleWebKit/605.1.15 " +
			"(KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1"}
		if got := r.Recognise(info, service.Environment{}).Listed; got != want {
			t.Errorf("iOS %s: %s, want %s", version, got, want)
		}
	}
}
