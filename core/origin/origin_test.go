package origin_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"github.com/keyward/keyward/core/origin"
)

// refusal is a name that cannot work, a part of the rule that is told and the form that is offered.
type refusal struct{ name, given, rule, form string }

func check(t *testing.T, cases []refusal, check func(string) error) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := check(c.given)
			var e *origin.Error
			if !errors.As(err, &e) || !strings.Contains(e.Rule, c.rule) || e.Form != c.form {
				t.Errorf("%q: got %v, want %q and the form %q", c.given, err, c.rule, c.form)
			}
			if e != nil && c.form != "" && !strings.ContainsAny(c.form, " <[") {
				if err := check(c.form); err != nil {
					t.Errorf("the form that is offered, %s, is refused: %v", c.form, err)
				}
			}
		})
	}
}

func TestAnRPIDThatNoBrowserTakesIsRefusedWithTheFormThatWouldDo(t *testing.T) {
	t.Parallel()
	const noAddress = "localhost, or a domain of yours"
	check(t, []refusal{
		{"nothing", "", "cannot be blank", "the domain of your pages, such as example.com"},
		{"an address of IPv4", "127.0.0.1", "IP address", noAddress},
		{"a short form of one", "127.1", "IP address", noAddress},
		{"its hexadecimal form", "0x7f000001", "IP address", noAddress},
		{"an address of IPv6", "::1", "IP address", noAddress},
		{"the same in brackets", "[2001:db8::1]", "IP address", noAddress},
		{"an address and a port", "192.0.2.1:8080", "IP address", noAddress},
		{"a top-level domain", "com", "public suffix", "example.com with the name that you registered"},
		{"a registry's suffix", "co.uk", "public suffix", "example.co.uk with the name that you registered"},
		{
			"a suffix that a company lets others register under", "github.io", "public suffix",
			"example.github.io with the name that you registered",
		},
		{"the Unicode form", "bücher.example", "ASCII form", "xn--bcher-kva.example"},
		{"an empty label", "a..b", "empty labels", "a.b"},
		{"a dot at the beginning", ".example.com", "empty labels", "example.com"},
		{"a dot at the end", "example.com.", "end with a dot", "example.com"},
		{"upper case", "EXAMPLE.com", "lower case", "example.com"},
		{"a scheme", "https://example.com", "without the scheme https", "example.com"},
		{"a scheme and a port", "https://example.com:8443/login", "without the scheme https", "example.com"},
		{"a port", "localhost:8080", "without the port 8080", "localhost"},
		{"a path", "example.com/login", "without path", "example.com"},
		{"user information", "ada@example.com", "without path", "example.com"},
		{"a blank", "exa mple.com", "letters, digits", ""},
		{"an underscore", "my_shop.example.com", "letters, digits", ""},
		{"a wildcard", "*.example.com", "letters, digits", ""},
		{"a hyphen at the end of a label", "shop-.example.com", "hyphen", ""},
		{"a label of 64 characters", strings.Repeat("a", 64) + ".com", "at most 63", ""},
		{"a name of 254 characters", strings.Repeat("a.", 125) + "test", "at most 253", ""},
	}, origin.CheckRPID)
	for _, id := range []string{
		"localhost", "example.com", "shop.example.co.uk", "xn--bcher-kva.example", "intranet", "a.b", "shop.localhost",
		"keyward.github.io", "xn--e1afmkfd.xn--p1ai",
	} {
		if err := origin.CheckRPID(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestAnOriginThatNoClientSendsIsRefusedWithTheFormThatWouldDo(t *testing.T) {
	t.Parallel()
	const anOrigin = "https://host[:port], or android:apk-key-hash: and base64url"
	const anApp = "android:apk-key-hash:<the SHA-256 fingerprint of the app's certificate in base64url>"
	const only = "scheme, host and port only"
	check(t, []refusal{
		{"nothing", "", "is not an origin", anOrigin},
		{"a host", "example.com", "is not an origin", anOrigin},
		{"another scheme", "ftp://example.com", "is not an origin", anOrigin},
		{"an app of iOS, whose origin is its website's", "ios:bundle-id:com.example", "is not an origin", anOrigin},
		{"a scheme without a host", "https://", "is not an origin", anOrigin},
		{"a wildcard", "https://*.example.com", "wildcards", ""},
		{"a port above 65535", "https://example.com:99999", "between 1 and 65535", ""},
		{"port 0", "https://example.com:0", "between 1 and 65535", ""},
		{"a port with a zero before it", "https://example.com:0443", only, "https://example.com"},
		{"another port with a zero before it", "https://example.com:08443", only, "https://example.com:8443"},
		{"the scheme's own port", "https://example.com:443", only, "https://example.com"},
		{"a colon without a port", "https://example.com:", only, "https://example.com"},
		{"a path", "https://example.com/login", only, "https://example.com"},
		{"a slash at the end", "https://example.com/", only, "https://example.com"},
		{"a query", "https://example.com?x", only, "https://example.com"},
		{"an empty query", "https://example.com?", only, "https://example.com"},
		{"a fragment", "https://example.com#x", only, "https://example.com"},
		{"an empty fragment", "https://example.com#", only, "https://example.com"},
		{"user information", "https://ada@example.com", only, "https://example.com"},
		{"upper case", "HTTPS://Example.com", only, "https://example.com"},
		{"http beyond localhost", "http://example.com:8080", "https", "https://example.com:8080"},
		{"the Unicode form", "https://bücher.example:8443", "ASCII form", "https://xn--bcher-kva.example:8443"},
		{"a dot at the end of the host", "https://example.com.", "end with a dot", "https://example.com"},
		{"an address", "https://192.0.2.1", "IP address", ""},
		{"an address of IPv6", "http://[::1]:8080", "IP address", ""},
		{"an app without a fingerprint", "android:apk-key-hash:", "0", anApp},
		{"an app by another name", "android:com.example", "Android app", anApp},
		{"a fingerprint of SHA-1", "android:apk-key-hash:" + base64.RawURLEncoding.EncodeToString(make([]byte, 20)), "not 20", anApp},
		{"a fingerprint with a character too few", "android:apk-key-hash:" + strings.Repeat("A", 42), "not 31", anApp},
		{"what is no base64", "android:apk-key-hash:!", "base64url", anApp},
		{"a fingerprint in hexadecimal", "android:apk-key-hash:" + strings.Repeat("AB:", 31) + "AB", "hexadecimal",
			"android:apk-key-hash:q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s"},
	}, func(text string) error { _, err := origin.Parse(text); return err })
	for given, want := range map[string]string{
		"https://example.com":         "",
		"https://example.com:8443":    "",
		"http://localhost":            "",
		"http://localhost:8080":       "",
		"http://shop.localhost:3000":  "",
		"https://xn--bcher-kva.com:1": "",
		"android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU":  "",
		"android:apk-key-hash:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=": "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU",
	} {
		if want == "" {
			want = given
		}
		if got, err := origin.Parse(given); got != want || err != nil {
			t.Errorf("%s: got %q, %v", given, got, err)
		}
	}
}

func TestARelatedOriginIsOnAnotherDomainThatBrowsersFind(t *testing.T) {
	t.Parallel()
	check(t, []refusal{
		{"one on the RP ID", "https://example.com", "is on the RP ID", ""},
		{"one below it", "https://login.example.com", "is on the RP ID", ""},
		{"an app", "android:apk-key-hash:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", "https", ""},
		{"localhost", "http://localhost:8080", "https", ""},
		{"a public suffix", "https://github.io", "register", ""},
	}, func(text string) error { _, err := origin.ParseRelated(text, "example.com"); return err })
	if _, err := origin.ParseRelated("https://notexample.com", "example.com"); err != nil {
		t.Error(err)
	}
	five := []string{
		"https://a.com", "https://a.co.uk", "https://www.a.de:8443", "https://b.com", "https://c.com", "https://d.com",
		"https://e.com",
	}
	if err := origin.CheckLabels(five); err != nil {
		t.Errorf("five labels: %v", err)
	}
	if err := origin.CheckLabels(append(five, "https://f.com")); err == nil {
		t.Error("a sixth label was taken")
	}
}

func TestHostNamesAndPatterns(t *testing.T) {
	t.Parallel()
	check(t, []refusal{
		{"one label", "shop", "two labels", ""},
		{"an address", "192.0.2.1", "not an IP address", ""},
		{"a port", "shop.example.com:443", "without the port 443", "shop.example.com"},
		{"a URL", "https://shop.example.com/x", "without the scheme https", "shop.example.com"},
		{"the Unicode form", "*.bücher.example", "ASCII form", "*.xn--bcher-kva.example"},
		{"a pattern of a public suffix", "*.co.uk", "public suffix", ""},
		{"two wildcards", "*.*.example.com", "no * but", ""},
		{"a wildcard within a label", "s*.example.com", "no * but", ""},
		{"a wildcard alone", "*", "no * but", ""},
	}, origin.CheckPattern)
	for _, pattern := range []string{"shop.example.com", "*.example.com", "localhost", "*.localhost", "example.com"} {
		if err := origin.CheckPattern(pattern); err != nil {
			t.Errorf("%s: %v", pattern, err)
		}
	}
}

// What is taken is a fixed point, and what is offered instead is taken: otherwise somebody is sent in circles.
func FuzzOrigins(f *testing.F) {
	for _, text := range []string{
		"https://example.com", "http://localhost:8080", "HTTPS://bücher.example:0443/?x#y", "android:apk-key-hash:AAAA", "https://a..b",
		"https://[::1]:1", "x",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		read, err := origin.Parse(text)
		if err == nil {
			if again, err := origin.Parse(read); again != read || err != nil {
				t.Errorf("%q is read as %q, and that as %q, %v", text, read, again, err)
			}
			return
		}
		var e *origin.Error
		if !errors.As(err, &e) || e.Rule == "" {
			t.Errorf("%q: no rule is told: %v", text, err)
		}
		_ = origin.CheckRPID(text)
		_ = origin.CheckPattern(text)
	})
}
