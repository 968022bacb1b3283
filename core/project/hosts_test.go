package project_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

func TestAHostThatOverlapsWithAnothersIsRefused(t *testing.T) {
	t.Parallel()
	here, operator := newStores(t)
	here.LiveAt("login.example.net")
	if err := here.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, id := range []ident.ProjectID{"pro-1", "pro-2", "pro-3"} {
		p := newProject(t, id, "https://example.com")
		p.CreatedMs = int64(i)
		if err := here.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	give := func(store *project.Store, id ident.ProjectID, cname string, hosts ...string) error {
		return store.Update(t.Context(), id, func(p *project.Project) { p.CNAME, p.Frontend.Hosts = cname, hosts })
	}
	if err := give(here, "pro-2", "id.example.org", "*.shop.example", "www.other.example"); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name    string
		of      ident.ProjectID
		cname   string
		hosts   []string
		message string // empty: it is given
	}{
		{"a CNAME that another has", "pro-3", "id.example.org", nil, "cname: already exists"},
		{"a CNAME that another lists", "pro-3", "www.other.example", nil, "cname: already exists"},
		{"a host that another has as CNAME", "pro-3", "", []string{"id.example.org"}, "hosts: id.example.org already exists"},
		{"a pattern that another has", "pro-3", "", []string{"*.shop.example"}, "hosts: *.shop.example already exists"},
		{"a CNAME under another's pattern", "pro-3", "pay.shop.example", nil,
			"cname: pay.shop.example overlaps with *.shop.example, which already exists"},
		{"a host under another's pattern", "pro-3", "", []string{"pay.shop.example"},
			"hosts: pay.shop.example overlaps with *.shop.example, which already exists"},
		{"a pattern over another's CNAME", "pro-3", "", []string{"*.example.org"},
			"hosts: *.example.org overlaps with id.example.org, which already exists"},
		{"a pattern over another's host", "pro-3", "", []string{"*.other.example"},
			"hosts: *.other.example overlaps with www.other.example, which already exists"},
		{"the installation's own host", "pro-3", "login.example.net", nil,
			"cname: is the installation's own host, which leads to its first project"},
		{"a pattern over the installation's own host", "pro-3", "", []string{"*.example.net"},
			"hosts: *.example.net overlaps with login.example.net, which is the installation's own host, which leads to its first project"},
		{"one that is free beside one that is not", "pro-3", "free.example.com", []string{"*.shop.example"},
			"hosts: *.shop.example already exists"},
		{"the installation's own host for its first project", "pro-1", "login.example.net", []string{"*.example.net"}, ""},
		{"the parent of another's pattern", "pro-3", "shop.example", nil, ""},
		{"a host two labels under another's pattern", "pro-3", "", []string{"a.pay.shop.example", "*.pay.shop.example"}, ""},
		{"what the refused had asked for beside", "pro-3", "free.example.com", nil, ""},
		{"the own host under the own pattern", "pro-2", "pay.shop.example", []string{"*.shop.example"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for who, store := range map[string]*project.Store{"the service": here, "the operator": operator} {
				err := give(store, tc.of, tc.cname, tc.hosts...)
				if tc.message == "" && err != nil {
					t.Errorf("%s: %v", who, err)
				}
				if tc.message == "" {
					continue
				}
				f := fault.As(err)
				if f.Status != 409 || len(f.Validation) != 1 || f.Validation[0].Field+": "+f.Validation[0].Message != tc.message {
					t.Errorf("%s: got %v", who, err)
				}
			}
		})
	}
}

func TestOverlapsOfAnEarlierVersionCanStayAndBeMended(t *testing.T) {
	t.Parallel()
	here, _ := newStores(t)
	one, two := newProject(t, "pro-1", "https://example.com"), newProject(t, "pro-2", "https://example.com")
	one.Frontend.Hosts = []string{"*.shop.example"}
	for _, p := range []project.Project{one, two} {
		if err := here.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	if err := here.Update(t.Context(), "pro-2", func(p *project.Project) { p.Name = "two" }); err != nil {
		t.Errorf("a change of something else: %v", err)
	}
	if err := here.Update(t.Context(), "pro-1", func(p *project.Project) { p.Frontend.Hosts = nil }); err != nil {
		t.Errorf("giving up: %v", err)
	}
	if err := here.Update(t.Context(), "pro-2", func(p *project.Project) { p.CNAME = "pay.shop.example" }); err != nil {
		t.Errorf("what was given up is not free: %v", err)
	}
}

func TestOfProjectsThatWantHostsThatOverlapOneGetsThem(t *testing.T) {
	t.Parallel()
	here, there := newStores(t)
	const projects = 6
	id := func(i int) ident.ProjectID { return ident.ProjectID(fmt.Sprintf("pro-%d", i+1)) }
	for i := range projects {
		p := newProject(t, id(i), "https://example.com")
		p.CreatedMs = time.Unix(int64(i), 0).UnixMilli()
		if err := here.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	var wait sync.WaitGroup
	var won atomic.Int32
	for i := range projects {
		store := here
		if i%2 == 0 {
			store = there
		}
		wait.Go(func() {
			err := store.Update(t.Context(), id(i), func(p *project.Project) {
				if p.CNAME = "pay.shop.example"; i%3 == 0 {
					p.CNAME, p.Frontend.Hosts = "", []string{"*.shop.example"}
				}
			})
			switch {
			case err == nil:
				won.Add(1)
			case fault.As(err).Status != 409:
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if won.Load() != 1 {
		t.Errorf("%d projects have the host", won.Load())
	}
}
