package directory_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func TestAHostNameBelongsToOneProject(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	others := make([]ident.ProjectID, 5)
	for i := range others {
		p := st.Project
		p.ID = ident.NewProjectID()
		st.Projects.Set(p)
		others[i] = p.ID
	}
	set := func(id ident.ProjectID, host string) error {
		_, err := st.UpdateCname(t.Context(), service.ForProject[rest.CnameUpdateReq]{Project: id, Body: rest.CnameUpdateReq{Cname: host}})
		return err
	}
	host := func(id ident.ProjectID) string { p, _ := st.Projects.Lookup(id); return p.CNAME }
	// The index of host names is one for all projects: other tests must not want these.
	one, two := "login-"+string(st.Project.ID)+".example.com", "auth-"+string(st.Project.ID)+".example.com"

	for range 2 {
		if err := set(st.Project.ID, strings.ToUpper(one)); err != nil || host(st.Project.ID) != one {
			t.Fatalf("%q, %v", host(st.Project.ID), err)
		}
	}
	st.Clock.Advance(time.Hour)
	ceremonytest.WantField(t, set(others[0], one), 409, "cname", "already exists")
	if err := set(st.Project.ID, two); err != nil || host(st.Project.ID) != two {
		t.Fatalf("%q, %v", host(st.Project.ID), err)
	}

	var wait sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for _, id := range others {
		wait.Go(func() {
			_, err := st.UpdateCname(context.Background(), service.ForProject[rest.CnameUpdateReq]{
				Project: id, Body: rest.CnameUpdateReq{Cname: one},
			})
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
				return
			}
			ceremonytest.WantField(t, err, 409, "cname", "already exists")
		})
	}
	wait.Wait()
	if won != 1 {
		t.Errorf("%d projects took a host name that was free", won)
	}
	for name, c := range map[string]struct{ host, message string }{
		"an empty one":               {"", "cannot be blank"},
		"one without a dot":          {"localhost", "must be a host name"},
		"an address":                 {"192.0.2.1", "must be a host name"},
		"a URL":                      {"https://login.example.com", "must be a host name"},
		"one with a port":            {"login.example.com:443", "must be a host name"},
		"one with a dot at its end":  {"login.example.com.", "must be a host name"},
		"one with a line break":      {"login.example.com\n", "must be a host name"},
		"one with a label too long":  {strings.Repeat("a", 64) + ".example.com", "must be a host name"},
		"one too long":               {strings.Repeat("a.", 127) + "com", "must be a host name"},
		"one with a dash at the end": {"login-.example.com", "must be a host name"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ceremonytest.WantField(t, set(st.Project.ID, c.host), 400, "cname", c.message)
			if _, err := project.CheckCNAME(c.host); err == nil {
				t.Error("taken by the project")
			}
		})
	}
}
