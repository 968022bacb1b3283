package project

import (
	"log/slog"
	"testing"

	"github.com/keyward/keyward/core/ident"
)

func TestAVisitIsOfTheProjectWhoseHostFitsBest(t *testing.T) {
	projects := map[ident.ProjectID]Project{
		"pro-1": {ID: "pro-1", CNAME: "login.example.com", CreatedMs: 2},
		"pro-2": {ID: "pro-2", CreatedMs: 1, Frontend: Frontend{Hosts: []string{"*.example.com", "shop.example.org"}}},
		"pro-3": {ID: "pro-3", CreatedMs: 3, Frontend: Frontend{Hosts: []string{"*.example.com", "shop.example.org", "*.b.example.com"}}},
	}
	store := &Store{log: slog.New(slog.DiscardHandler)}
	store.snapshot.Store(&snapshot{projects: projects, hosts: hostsOf(projects)})
	for _, tc := range []struct {
		name, host string
		named      ident.ProjectID
		want       ident.ProjectID
	}{
		{"an exact name outweighs a pattern", "login.example.com", "", "pro-1"},
		{"case does not matter", "LOGIN.example.com", "", "pro-1"},
		{"of two with the same pattern the older has it", "shop.example.com", "", "pro-2"},
		{"of two with the same name too", "shop.example.org", "", "pro-2"},
		{"a pattern covers one label", "a.b.example.com", "", "pro-3"},
		{"and not the name below it", "example.com", "", ""},
		{"nor two labels", "x.a.b.example.com", "", ""},
		{"an address fits nothing", "127.0.0.1", "", ""},
		{"nor does nothing", "", "", ""},
		{"the ID outweighs the host", "login.example.com", "pro-3", "pro-3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			found, ok := store.Visited(tc.named, tc.host)
			if found.ID != tc.want || ok != (tc.want != "") {
				t.Errorf("got %q, %t", found.ID, ok)
			}
		})
	}
	delete(projects, "pro-2")
	delete(projects, "pro-3")
	if only, ok := store.Visited("", "127.0.0.1"); !ok || only.ID != "pro-1" {
		t.Errorf("the only project is not taken: %v, %t", only.ID, ok)
	}
}
