package recognition_test

import (
	"net/netip"
	"testing"

	"github.com/keyward/keyward/api/rest"
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

func TestTheEntryThatBarsAClientIsNamed(t *testing.T) {
	t.Parallel()
	r, err := recognition.Learn(nil, recognition.Bars{
		RestrictedBrowserTokens: []string{
			"FBAN", "Instagram",
		},
		BlockedBrowsers: []recognition.Blocked{{Name: "chrome"}, {Name: "Firefox", Below: "150"}},
		BlockedOperatingSystems: []recognition.Blocked{
			{Name: "macos", Below: "16"},
		},
		BlockedAddresses:    []string{"198.51.100.0/24", "203.0.113.64/26"},
		BlockedEnvironments: []string{"env-1"},
	}, recognition.MinimumVersions{})
	if err != nil {
		t.Fatal(err)
	}
	info := rest.ClientInformation{UserAgent: "Instagram 1", ParsedDeviceInfo: &rest.ParsedDeviceInfo{
		OSName: "macOS", OSVersion: "15.3", BrowserName: "Firefox", BrowserVersion: "140",
	}}
	for found, want := range map[facts.Listing]string{
		facts.ListedNot:               "",
		facts.ListedWebdriver:         "allowWebdriver is false",
		facts.ListedRestrictedBrowser: `restrictedBrowserTokens has "Instagram"`,
		facts.ListedBrowser:           `blockedBrowsers has "Firefox" below 150`,
		facts.ListedOperatingSystem:   `blockedOperatingSystems has "macos" below 16`,
		facts.ListedAddress:           `blockedAddresses has "203.0.113.64/26"`,
		facts.ListedEnvironment:       `blockedEnvironments has "env-1"`,
	} {
		if got := r.Barring(found, info, netip.MustParsePrefix("203.0.113.0/24"), service.Environment{ID: "env-1"}); got != want {
			t.Errorf("%s: got %q, want %q", found, got, want)
		}
	}
}
