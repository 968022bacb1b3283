package codes

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/idna"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/project"
)

// FuzzLinkTarget gives redirect URLs that callers send: whatever is accepted, the link stays on an origin of the project and carries the
// token once.
func FuzzLinkTarget(f *testing.F) {
	for _, text := range []string{
		"https://shop.example.com/in?a=1#b", "https://shop.example.com", "http://shop.example.com:80/",
		"https://shop.example.com@evil.example.org", "//shop.example.com", "javascript:alert(1)",
		"https://shop.example.com\\@evil.example.org", "https://shop.example.com/?token=x&token=y&challengeID=z", "https:shop.example.com",
		"https://[::1]/", "https://shop.example.com:443/%zz", "", "https://SHOP.example.com/", "https://shop.examp\u217ce.com/",
		"https://\u0130shop.example/", "https://ishop.example/", "https://xn--ishop-ord.example/",
	} {
		f.Add(text)
	}
	p := project.Project{
		RPID:    "example.com",
		Origins: []string{"android:apk-key-hash:AAAA", "https://shop.example.com", "http://localhost:8080", "https://ishop.example"},
	}
	f.Fuzz(func(t *testing.T, text string) {
		metadata := map[string]any{redirectKey: text}
		target, err := LinkTarget(p, rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeEmailLink, ChallengeMetadata: &metadata})
		if err != nil {
			return
		}
		made, err := url.Parse(link(target, "cha-1", "secret"))
		if err != nil {
			t.Fatal(err)
		}
		if origin := WebOrigin(made); !slices.Contains(p.Origins, origin) || made.User != nil {
			t.Errorf("%q leads to %q", text, origin)
		}
		// Browsers map hosts as IDNA does.
		if host, err := idna.Lookup.ToASCII(made.Hostname()); err == nil && !slices.ContainsFunc(p.Origins, func(origin string) bool {
			return strings.Contains(origin+":", "//"+host+":")
		}) {
			t.Errorf("%q leads to the host %q", text, host)
		}
		if q := made.Query(); !slices.Equal(q["token"], []string{"secret"}) || !slices.Equal(q["challengeID"], []string{"cha-1"}) {
			t.Errorf("%q became %q", text, made)
		}
	})
}
