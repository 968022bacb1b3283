package origin_test

import (
	"testing"

	"github.com/keyward/keyward/core/origin"
)

func TestAURLThatCannotBeAskedIsRefusedWithTheFormThatWouldDo(t *testing.T) {
	t.Parallel()
	const form = "https://host[:port]/path"
	check(t, []refusal{
		{"nothing", "", "cannot be blank", form},
		{"a host", "example.com", "absolute URL", form},
		{"a path", "/hook", "absolute URL", form},
		{"another scheme", "ftp://example.com/", "absolute URL", form},
		{"a scheme without slashes", "https:example.com", "absolute URL", form},
		{"no host", "https:///hook", "name a host", form},
		{"a port without a host", "https://:443/", "name a host", form},
		{"a blank", "https://example.com/a b", "no blanks", ""},
		{"port 0", "https://example.com:0/", "port from 1", ""},
		{"a port above 65535", "https://example.com:99999/", "port from 1", ""},
		{"a colon without a port", "https://example.com:/", "port from 1", ""},
		{"the Unicode form", "https://bücher.example:8443/a?b", "ASCII form", "https://xn--bcher-kva.example:8443/a?b"},
		{"an empty label", "https://a..b/", "empty labels", "https://a.b/"},
		{"a wildcard", "https://*.example.com/", "letters, digits", ""},
		{"a short address", "http://127.1/", "whole form", ""},
		{"user information", "https://ada:pw@example.com/", "no user", "https://example.com/"},
		{"a fragment", "https://example.com/#x", "no fragment", "https://example.com/"},
		{"an empty fragment and a user", "https://ada@example.com/#", "no user and no fragment", "https://example.com/"},
	}, func(text string) error { return origin.CheckURL(text, origin.Parts{Query: true}) })
	for _, text := range []string{
		"https://example.com", "http://127.0.0.1:8080/hook", "http://[::1]:8080/", "http://[::1]/", "https://Example.com/A?b=c",
		"http://my_service:8080/", "https://example.com./",
	} {
		if err := origin.CheckURL(text, origin.Parts{Query: true}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := origin.CheckURL("https://example.com/?a", origin.Parts{}); err == nil {
		t.Error("a query was taken")
	}
}
