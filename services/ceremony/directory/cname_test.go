package directory_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/ceremony/ceremonytest"
)

func TestAProjectProvesAHostThatItCouldTakeFromOthers(t *testing.T) {
	t.Parallel()
	const host = "login.example.com"
	for name, c := range map[string]struct {
		only    bool // no other project is there
		hosts   []string
		records []string
		message string
	}{
		"by a TXT record that names it": {false, nil, []string{"v=spf1 -all", "keyward-project=%s"}, ""},
		"not by one that names another": {
			false, nil, []string{"keyward-project=pro-9"},
			"is not proven: the DNS must have a TXT record of _keyward.login.example.com with keyward-project=%s",
		},
		"not by one that begins with it": {
			false, nil, []string{"keyward-project=%s0"},
			"is not proven: the DNS must have a TXT record of _keyward.login.example.com with keyward-project=%s",
		},
		"not without a record": {
			false, nil, nil, "is not proven: the DNS must have a TXT record of _keyward.login.example.com with keyward-project=%s",
		},
		"nothing if the operator has given it the host":      {false, []string{"*.example.com"}, nil, ""},
		"nothing if there is nobody that it could take from": {true, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			id := string(st.Project.ID)
			st.ChangeProject(func(p *project.Project) { p.Frontend.Hosts = c.hosts })
			if !c.only {
				other := st.Project
				other.ID, other.Frontend.Hosts = ident.NewProjectID(), nil
				st.Projects.Set(other)
			}
			for _, record := range c.records {
				st.DNS["_keyward."+host+"."] = append(st.DNS["_keyward."+host+"."], strings.ReplaceAll(record, "%s", id))
			}
			_, err := st.UpdateCname(
				t.Context(),
				service.ForProject[rest.CnameUpdateReq]{Project: st.Project.ID, Body: rest.CnameUpdateReq{Cname: host}},
			)
			p, _ := st.Projects.Find(t.Context(), st.Project.ID)
			if c.message != "" {
				ceremonytest.WantField(t, err, 400, "cname", strings.ReplaceAll(c.message, "%s", id))
			} else if err != nil {
				t.Error(err)
			}
			if (p.CNAME == host) != (c.message == "") {
				t.Errorf("the project has %q", p.CNAME)
			}
		})
	}
}

func TestAProjectChangesItsNamesOriginsAndHostsOverTheAPI(t *testing.T) {
	t.Parallel()
	const record = "_keyward.shop.example."
	texts := func(all ...string) *[]string { return &all }
	name := "Shop"
	for title, c := range map[string]struct {
		body           rest.ProjectConfigUpdateReq
		field, message string // of the refusal
		proven         bool
	}{
		"nothing": {},
		"a name":  {body: rest.ProjectConfigUpdateReq{Name: &name}},
		"a name of blanks": {
			rest.ProjectConfigUpdateReq{Name: new(" ")}, "name", "must be 1 to 200 characters long, and not only blanks", false,
		},
		"an origin": {body: rest.ProjectConfigUpdateReq{Origins: texts("https://login.example.com")}},
		"an origin that cannot work": {
			rest.ProjectConfigUpdateReq{Name: &name, Origins: texts("https://*.example.com")}, "origins",
			"https://*.example.com: must name one host: there are no wildcards in origins, so name each", false,
		},
		"a related origin":                   {body: rest.ProjectConfigUpdateReq{RelatedOrigins: texts("https://example.de")}},
		"a host that the DNS gives":          {body: rest.ProjectConfigUpdateReq{Hosts: texts("shop.example")}, proven: true},
		"a pattern whose name the DNS gives": {body: rest.ProjectConfigUpdateReq{Hosts: texts("*.shop.example")}, proven: true},
		"a host that the DNS does not give": {
			rest.ProjectConfigUpdateReq{Name: &name, Hosts: texts("shop.example")}, "hosts",
			"is not proven: the DNS must have a TXT record of _keyward.shop.example with keyward-project=%s", false,
		},
		"a pattern that the DNS does not give": {
			rest.ProjectConfigUpdateReq{Hosts: texts("*.shop.example")}, "hosts",
			"is not proven: the DNS must have a TXT record of _keyward.shop.example with keyward-project=%s", false,
		},
		"a host that the project has already": {body: rest.ProjectConfigUpdateReq{Hosts: texts("id.example.com")}},
		"no host any more":                    {body: rest.ProjectConfigUpdateReq{Hosts: texts()}},
		"a host with a port, which cannot be a host": {
			rest.ProjectConfigUpdateReq{Hosts: texts("a.example:1")}, "hosts",
			"a.example:1: must be a host name without the port 1: use a.example", false,
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			st := ceremonytest.New(t)
			id := string(st.Project.ID)
			st.ChangeProject(func(p *project.Project) { p.RPID, p.Frontend.Hosts = "example.com", []string{"id.example.com"} })
			other := st.Project
			other.ID, other.Frontend.Hosts = ident.NewProjectID(), nil
			st.Projects.Set(other)
			if c.proven {
				st.DNS[record] = []string{"keyward-project=" + id}
			}
			before, _ := st.Projects.Find(t.Context(), st.Project.ID)
			got, err := st.UpdateProjectConfig(t.Context(), service.ForProject[rest.ProjectConfigUpdateReq]{Project: st.Project.ID, Body: c.body})
			after, _ := st.Projects.Find(t.Context(), st.Project.ID)
			if c.field != "" {
				ceremonytest.WantField(t, err, 400, c.field, strings.ReplaceAll(c.message, "%s", id))
				if !reflect.DeepEqual(after, before) {
					t.Error("a part of it was changed")
				}
				return
			}
			want := before
			if err := (project.Update{
				Name: c.body.Name, Origins: c.body.Origins, RelatedOrigins: c.body.RelatedOrigins, Hosts: c.body.Hosts,
			}).Apply(&want); err != nil {
				t.Fatal(err)
			}
			if err != nil || !reflect.DeepEqual(after, want) {
				t.Errorf("the project is %+v, want %+v: %v", after, want, err)
			}
			if got.ProjectID != id || got.Name != want.Name || got.RpID != want.RPID || !slices.Equal(got.Origins, want.Own()) ||
				!slices.Equal(got.RelatedOrigins, want.Related()) || !slices.Equal(got.Hosts, want.Frontend.Hosts) || got.Hosts == nil {
				t.Errorf("answered %+v of %+v", got, want)
			}
		})
	}
}

func TestANameThatIsNoHostIsRefused(t *testing.T) {
	t.Parallel()
	st := ceremonytest.New(t)
	for name, c := range map[string]struct{ host, message string }{
		"an empty one":               {"", "cannot be blank"},
		"one without a dot":          {"localhost", "must be a host name of at least two labels, such as login.example.com"},
		"an address":                 {"192.0.2.1", "must be a host name, not an IP address"},
		"a URL":                      {"https://login.example.com", "must be a host name without the scheme https: use login.example.com"},
		"one with a port":            {"login.example.com:443", "must be a host name without the port 443: use login.example.com"},
		"one with a dot at its end":  {"login.example.com.", "must not end with a dot: use login.example.com"},
		"one with a line break":      {"login.example.com\n", "must be a domain name of letters, digits, hyphens and dots"},
		"one with a label too long":  {strings.Repeat("a", 64) + ".example.com", "must be a domain name whose labels have at most 63 characters"},
		"one too long":               {strings.Repeat("a.", 127) + "com", "must be a domain name of at most 253 characters"},
		"one with a dash at the end": {"login-.example.com", "must be a domain name whose labels neither begin nor end with a hyphen"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := st.UpdateCname(
				t.Context(),
				service.ForProject[rest.CnameUpdateReq]{Project: st.Project.ID, Body: rest.CnameUpdateReq{Cname: c.host}},
			)
			ceremonytest.WantField(t, err, 400, "cname", c.message)
			if _, err := project.CheckCNAME(c.host); err == nil {
				t.Error("taken by the project")
			}
		})
	}
}
