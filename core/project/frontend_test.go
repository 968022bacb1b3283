package project

import (
	"errors"
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
			found, err := store.Visited(t.Context(), tc.named, tc.host)
			if found.ID != tc.want || errors.Is(err, ErrUnknown) != (tc.want == "") {
				t.Errorf("got %q, %v", found.ID, err)
			}
		})
	}
	delete(projects, "pro-2")
	delete(projects, "pro-3")
	if only, err := store.Visited(t.Context(), "", "127.0.0.1"); err != nil || only.ID != "pro-1" {
		t.Errorf("the only project is not taken: %v, %v", only.ID, err)
	}
}

func TestTheFirstProjectIsAtHomeAtTheHostOfTheInstallation(t *testing.T) {
	projects := map[ident.ProjectID]Project{
		"pro-1": {ID: "pro-1", CreatedMs: 1},
		"pro-2": {ID: "pro-2", CreatedMs: 2, Frontend: Frontend{Hosts: []string{"*.example.com", "shop.example.org"}}},
	}
	for _, tc := range []struct {
		name, home, host string
		want             ident.ProjectID
	}{
		{"at that host, however many projects there are", "localhost", "localhost", "pro-1"},
		{"in whatever case", "Localhost", "LOCALHOST", "pro-1"},
		{"localhost by its address", "localhost", "127.0.0.1", "pro-1"},
		{"and by its address of IPv6", "localhost", "[::1]", "pro-1"},
		{"but at no other address", "localhost", "192.0.2.1", ""},
		{"nor at addresses if the host has a name", "login.example.net", "127.0.0.1", ""},
		{"before a pattern of another project", "login.example.com", "login.example.com", "pro-1"},
		{"not at the exact host of another project", "shop.example.org", "shop.example.org", "pro-2"},
		{"nowhere if no host is the installation's", "", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store := &Store{log: slog.New(slog.DiscardHandler)}
			store.LiveAt(tc.home)
			store.snapshot.Store(&snapshot{projects: projects, hosts: hostsOf(projects)})
			if found, _ := store.Visited(t.Context(), "", tc.host); found.ID != tc.want {
				t.Errorf("got %q", found.ID)
			}
		})
	}
}
