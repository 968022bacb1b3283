package ratelimit_test

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/keyward/keyward/core/ratelimit"
)

func TestLimitsAreReadAsSettingsHaveThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]ratelimit.Limit{
		"20000/10s": {Requests: 20000, Per: 10 * time.Second},
		"5/10m":     {Requests: 5, Per: 10 * time.Minute},
		"1/24h":     {Requests: 1, Per: 24 * time.Hour},
		"off":       {},
	} {
		got, err := ratelimit.ParseLimit(text)
		if err != nil || got != want {
			t.Errorf("ParseLimit(%q) = %v, %v", text, got, err)
		}
		if got.String() != text {
			t.Errorf("%q is written as %q", text, got)
		}
	}
}

func TestALimitThatCannotBeKeptIsRefusedWithWhatIsWrong(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "such as 20000/10s",
		"100":                     "such as 20000/10s",
		"/":                       "whole number",
		"many/10s":                "whole number",
		"1.5/10s":                 "whole number",
		"10/soon":                 "duration such as",
		"10/10":                   "duration such as",
		"0/0s":                    "off turns the limit off",
		"0/10s":                   "calls must be",
		"-5/10s":                  "calls must be",
		"10/0s":                   "duration must be",
		"10/-1s":                  "duration must be",
		"10/100ms":                "duration must be",
		"10/25h":                  "duration must be",
		"9999999999/1s":           "calls must be",
		"1/1s/1s":                 "duration such as",
		" 1/1s":                   "whole number",
		"99999999999999999999/1s": "whole number",
	} {
		if _, err := ratelimit.ParseLimit(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseLimit(%q): %v; want %q in it", text, err, want)
		}
	}
}

func TestEveryValidLimitIsReadBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		limit := ratelimit.Limit{
			Requests: rapid.IntRange(1, 1e9).Draw(t, "requests"),
			Per:      time.Duration(rapid.Int64Range(int64(time.Second), int64(24*time.Hour)).Draw(t, "per")),
		}
		if got, err := ratelimit.ParseLimit(limit.String()); err != nil || got != limit {
			t.Fatalf("%v is read back as %v, %v", limit, got, err)
		}
	})
}

func FuzzParseLimit(f *testing.F) {
	for _, text := range []string{"20000/10s", "off", "", "/", "1/1s/", "-1/1h"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		limit, err := ratelimit.ParseLimit(text)
		if err == nil && limit.Validate() != nil {
			t.Errorf("%q was read as %v, which is not valid", text, limit)
		}
	})
}

func TestAddressesOfOneCustomerShareAKey(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"192.0.2.7":            "192.0.2.7",
		"::ffff:192.0.2.7":     "192.0.2.7",
		"2001:db8:1:2::1":      "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::9": "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
	} {
		if got := ratelimit.AddressKey(netip.MustParseAddr(address)); got != want {
			t.Errorf("key of %s is %s, want %s", address, got, want)
		}
	}
}
