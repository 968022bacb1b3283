package ceremony

import (
	"net/url"
	"slices"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
)

// FuzzLinkTarget gives redirect URLs that callers send: whatever is accepted, the link stays on an origin of the project and carries the token once.
func FuzzLinkTarget(f *testing.F) {
	for _, text := range []string{
		"https://shop.example.com/in?a=1#b", "https://shop.example.com", "http://shop.example.com:80/", "https://shop.example.com@evil.example.org", "//shop.example.com", "javascript:alert(1)",
		"https://shop.example.com\\@evil.example.org", "https://shop.example.com/?token=x&token=y&challengeID=z", "https:shop.example.com", "https://[::1]/", "https://shop.example.com:443/%zz", "",
	} {
		f.Add(text)
	}
	p := project.Project{RPID: "example.com", Origins: []string{"android:apk-key-hash:AAAA", "https://shop.example.com", "http://localhost:8080"}}
	f.Fuzz(func(t *testing.T, text string) {
		metadata := map[string]any{redirectKey: text}
		target, err := linkTarget(p, rest.ChallengeCreateReq{ChallengeType: rest.ChallengeTypeEmailLink, ChallengeMetadata: &metadata})
		if err != nil {
			return
		}
		made, err := url.Parse(link(target, "cha-1", "secret"))
		if err != nil {
			t.Fatal(err)
		}
		if origin := webOrigin(made); !slices.Contains(p.Origins, origin) || made.User != nil {
			t.Errorf("%q leads to %q", text, origin)
		}
		if q := made.Query(); !slices.Equal(q["token"], []string{"secret"}) || !slices.Equal(q["challengeID"], []string{"cha-1"}) {
			t.Errorf("%q became %q", text, made)
		}
	})
}

// FuzzRegistrationLink gives URL templates that callers send: whatever is accepted, the link stays on an origin of the project.
func FuzzRegistrationLink(f *testing.F) {
	for _, text := range []string{
		"", "https://shop.example.com/in?u={{.UserID}}&o={{.OrgID}}&i={{.CodeID}}&c={{.Code}}", "https://{{.Code}}.example.com/", "https://shop.example.com{{.Code}}", "{{.Code}}", "{{range .}}{{end}}",
		"https://shop.example.com@{{.Code}}", "{{define \"urlTemplate\"}}{{end}}", "https://shop.example.com/{{/* a */}}{{- .Code -}}", "{{template \"x\"}}", "{{.Code", "}}", "{{break}}",
	} {
		f.Add(text)
	}
	p := project.Project{ID: "pro-1", RPID: "example.com", Origins: []string{"android:apk-key-hash:AAAA", "https://shop.example.com", "http://localhost:8080"}}
	f.Fuzz(func(t *testing.T, text string) {
		made, err := registrationLink(p, "usr-1", service.PasskeyCode{ID: "cha-1", Code: "secret"}, text)
		if err != nil {
			return
		}
		u, err := url.Parse(made)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(p.Origins, webOrigin(u)) || u.User != nil {
			t.Errorf("%q leads to %q", text, made)
		}
	})
}
