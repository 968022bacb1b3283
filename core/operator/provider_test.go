package operator_test

import (
	"slices"
	"testing"

	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/operator"
)

func TestAGroupIsReadAsItIsMeantOrRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]operator.Group{
		"security=admin":            {Name: "security", Role: operator.Admin},
		"cn=sec,dc=example=viewer":  {Name: "cn=sec,dc=example", Role: operator.Viewer},
		"shop=approver:pro-1":       {Name: "shop", Role: operator.Approver, Projects: []ident.ProjectID{"pro-1"}},
		"shops=author:pro-1+pro-2":  {Name: "shops", Role: operator.Author, Projects: []ident.ProjectID{"pro-1", "pro-2"}},
		"":                          {},
		"security":                  {},
		"=admin":                    {},
		"security=root":             {},
		"security=admin:":           {},
		"security=admin:pro-1+":     {},
		"security=admin:everything": {},
		"security=":                 {},
	} {
		got, err := operator.ReadGroup(text)
		same := got.Name == want.Name && got.Role == want.Role && slices.Equal(got.Projects, want.Projects)
		if (err == nil) != (want.Name != "") || err == nil && !same {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
}

func FuzzReadGroup(f *testing.F) {
	f.Add("shops=author:pro-1+pro-2")
	f.Fuzz(func(t *testing.T, text string) {
		if g, err := operator.ReadGroup(text); err == nil && (g.Name == "" || !g.Role.Known()) {
			t.Errorf("%q is read as %+v", text, g)
		}
	})
}
