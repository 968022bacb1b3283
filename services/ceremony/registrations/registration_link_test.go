package registrations

import (
	"net/url"
	"slices"
	"testing"

	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/codes"
)

// FuzzRegistrationLink gives URL templates that callers send: whatever is accepted, the link stays on an origin of the project.
func FuzzRegistrationLink(f *testing.F) {
	for _, text := range []string{
		"", "https://shop.example.com/in?u={{.UserID}}&o={{.OrgID}}&i={{.CodeID}}&c={{.Code}}", "https://{{.Code}}.example.com/",
		"https://shop.example.com{{.Code}}", "{{.Code}}", "{{range .}}{{end}}",
		"https://shop.example.com@{{.Code}}", "{{define \"urlTemplate\"}}{{end}}", "https://shop.example.com/{{/* a */}}{{- .Code -}}",
		"{{template \"x\"}}", "{{.Code", "}}", "{{break}}",
	} {
		f.Add(text)
	}
	p := project.Project{
		ID: "pro-1", RPID: "example.com",
		Origins: []string{"android:apk-key-hash:AAAA", "https://shop.example.com", "http://localhost:8080"},
	}
	f.Fuzz(func(t *testing.T, text string) {
		made, err := registrationLink(p, "usr-1", service.PasskeyCode{ID: "cha-1", Code: "secret"}, text)
		if err != nil {
			return
		}
		u, err := url.Parse(made)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(p.Origins, codes.WebOrigin(u)) || u.User != nil {
			t.Errorf("%q leads to %q", text, made)
		}
	})
}
