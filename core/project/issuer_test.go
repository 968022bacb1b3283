package project_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/project"
)

func newIssuer(t *testing.T, url, audience string) project.Issuer {
	t.Helper()
	i, err := project.NewIssuer(url, audience, project.IssuerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestAnIssuerIsReadByDefaultsUnlessTheOperatorSaysOtherwise(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url     string
		options project.IssuerOptions
		want    project.Issuer
	}{
		"nothing said": {"https://id.example.com", project.IssuerOptions{}, project.Issuer{
			Scopes: []string{"openid", "urn:zitadel:iam:org:project:id:zitadel:aud"}, UserClaim: "sub", PermissionClaim: "permissions",
		}},
		"no scopes on purpose": {"https://id.example.com/realms/a/", project.IssuerOptions{Scopes: []string{}}, project.Issuer{
			Scopes: []string{}, UserClaim: "sub", PermissionClaim: "permissions",
		}},
		"all said": {
			"http://localhost:8080",
			project.IssuerOptions{Scopes: []string{"b", "a", "b"}, UserClaim: "keyward_user", PermissionClaim: "https://example.com/roles"},
			project.Issuer{
				Scopes: []string{"b", "a"}, UserClaim: "keyward_user", PermissionClaim: "https://example.com/roles",
			},
		},
		"on a loopback address": {
			"http://127.1.2.3:9000/x", project.IssuerOptions{Scopes: []string{}},
			project.Issuer{Scopes: []string{}, UserClaim: "sub", PermissionClaim: "permissions"},
		},
		"on the other loopback one": {
			"http://[::1]:9000", project.IssuerOptions{Scopes: []string{}},
			project.Issuer{Scopes: []string{}, UserClaim: "sub", PermissionClaim: "permissions"},
		},
		"with a slash at its end": {
			"https://tenant.example.com/", project.IssuerOptions{Scopes: []string{}},
			project.Issuer{Scopes: []string{}, UserClaim: "sub", PermissionClaim: "permissions"},
		},
		"with a port and upper case": {
			"https://ID.example.com:8443", project.IssuerOptions{Scopes: []string{}},
			project.Issuer{Scopes: []string{}, UserClaim: "sub", PermissionClaim: "permissions"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.want.URL, c.want.Audience = c.url, "keyward"
			got, err := project.NewIssuer(c.url, "keyward", c.options)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnIssuerWhoseTokensNobodyCouldTrustIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		url, audience string
		options       project.IssuerOptions
		field         string
	}{
		"no URL":                            {"", "a", project.IssuerOptions{}, "url"},
		"a long URL":                        {"https://example.com/" + strings.Repeat("x", 500), "a", project.IssuerOptions{}, "url"},
		"a URL in the clear":                {"http://id.example.com", "a", project.IssuerOptions{}, "url"},
		"a name that begins like localhost": {"http://localhost.example.com", "a", project.IssuerOptions{}, "url"},
		"an address of the network":         {"http://192.0.2.1", "a", project.IssuerOptions{}, "url"},
		"every address":                     {"http://0.0.0.0", "a", project.IssuerOptions{}, "url"},
		"another scheme":                    {"file:///etc/passwd", "a", project.IssuerOptions{}, "url"},
		"no scheme":                         {"id.example.com", "a", project.IssuerOptions{}, "url"},
		"no host":                           {"https:///x", "a", project.IssuerOptions{}, "url"},
		"a host of nothing but a port":      {"https://:443", "a", project.IssuerOptions{}, "url"},
		"a query":                           {"https://id.example.com?a=b", "a", project.IssuerOptions{}, "url"},
		"an empty query":                    {"https://id.example.com?", "a", project.IssuerOptions{}, "url"},
		"a fragment":                        {"https://id.example.com#", "a", project.IssuerOptions{}, "url"},
		"a password":                        {"https://bob:hunter2@id.example.com", "a", project.IssuerOptions{}, "url"},
		"a space":                           {"https://id.example.com/a b", "a", project.IssuerOptions{}, "url"},
		"no audience":                       {"https://id.example.com", "", project.IssuerOptions{}, "audience"},
		"a long audience":                   {"https://id.example.com", strings.Repeat("x", 501), project.IssuerOptions{}, "audience"},
		"an audience with a line break":     {"https://id.example.com", "a\n", project.IssuerOptions{}, "audience"},
		"an empty scope":                    {"https://id.example.com", "a", project.IssuerOptions{Scopes: []string{""}}, "scopes"},
		"two scopes in one":                 {"https://id.example.com", "a", project.IssuerOptions{Scopes: []string{"a b"}}, "scopes"},
		"a scope with a quote":              {"https://id.example.com", "a", project.IssuerOptions{Scopes: []string{`a"`}}, "scopes"},
		"too many scopes": {
			"https://id.example.com", "a", project.IssuerOptions{Scopes: strings.Fields(numbers(21))}, "scopes",
		},
		"a long claim":         {"https://id.example.com", "a", project.IssuerOptions{UserClaim: strings.Repeat("x", 101)}, "userClaim"},
		"a claim with a space": {"https://id.example.com", "a", project.IssuerOptions{PermissionClaim: "a b"}, "permissionClaim"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := project.NewIssuer(c.url, c.audience, c.options)
			var f *fault.Fault
			if !errors.As(err, &f) || f.Status != 400 || len(f.Validation) != 1 || f.Validation[0].Field != c.field {
				t.Errorf("got %v, want a fault of %s", err, c.field)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Error("a password is printed")
			}
		})
	}
}

func numbers(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprint(i))
	}
	return strings.Join(all, " ")
}

func TestAnIssuerIsThereOnceForEachAudience(t *testing.T) {
	t.Parallel()
	p := newProject(t, "pro-1", "https://example.com")
	one, other := newIssuer(t, "https://id.example.com", "a"), newIssuer(t, "https://id.example.com", "b")
	if err := errors.Join(p.AddIssuer(one), p.AddIssuer(other)); err != nil {
		t.Fatal(err)
	}
	if err := p.AddIssuer(one); fault.As(err).Status != 409 {
		t.Errorf("adding it again: %v", err)
	}
	before := p
	if !p.RemoveIssuer("https://id.example.com", "a") || p.RemoveIssuer("https://id.example.com", "a") ||
		p.RemoveIssuer("https://id.example.com/", "b") {
		t.Error("removing is wrong")
	}
	if diff := cmp.Diff([]project.Issuer{other}, p.Issuers); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]project.Issuer{one, other}, before.Issuers); diff != "" {
		t.Errorf("a copy was changed: %s", diff)
	}
	for i := range 20 {
		if err := p.AddIssuer(newIssuer(t, "https://id.example.com", fmt.Sprint(i))); (err == nil) != (i < 19) {
			t.Errorf("issuer %d: %v", i+2, err)
		}
	}
}

func TestStoredIssuersAreReadAsTheyWere(t *testing.T) {
	t.Parallel()
	p := newProject(t, "pro-1", "https://example.com")
	if raw, err := json.Marshal(p); err != nil || strings.Contains(string(raw), "issuers") {
		t.Errorf("without any: %s, %v", raw, err)
	}
	none, err := project.NewIssuer("https://id.example.com", "a", project.IssuerOptions{Scopes: []string{}})
	if err != nil {
		t.Fatal(err)
	}
	p.Issuers = []project.Issuer{none}
	raw, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var read project.Project
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(p.Issuers, read.Issuers); diff != "" {
		t.Error(diff)
	}
}

func TestTheStoreKnowsWhoTakesTokensOfAnIssuer(t *testing.T) {
	t.Parallel()
	store, other := newStores(t)
	go func() { _ = other.Run(t.Context()) }()
	const url = "https://id.example.com"
	for _, p := range []project.Project{newProject(t, "pro-2", "https://example.com"), newProject(t, "pro-1", "https://example.com")} {
		p.Issuers = []project.Issuer{newIssuer(t, url, "z"), newIssuer(t, url, "a"), newIssuer(t, url+"/"+string(p.ID), "a")}
		if err := store.Create(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	answer := func(s *project.Store, url string) string {
		var all []string
		for _, c := range s.Issuers(url) {
			all = append(all, string(c.Project)+" "+c.Issuer.Audience)
		}
		return strings.Join(all, ", ")
	}
	expect := func(want map[string]string) {
		t.Helper()
		for url, want := range want {
			if got := answer(store, url); got != want {
				t.Errorf("%s: got %q, want %q", url, got, want)
			}
			until(t, "the change did not arrive", func() bool { return answer(other, url) == want })
		}
	}
	expect(map[string]string{url: "pro-1 z, pro-1 a, pro-2 z, pro-2 a", url + "/pro-1": "pro-1 a", url + "/": "", "": ""})
	if err := store.Update(t.Context(), "pro-1", func(p *project.Project) { p.RemoveIssuer(url, "z") }); err != nil {
		t.Fatal(err)
	}
	expect(map[string]string{url: "pro-1 a, pro-2 z, pro-2 a"})
	if err := store.Delete(t.Context(), "pro-1"); err != nil {
		t.Fatal(err)
	}
	expect(map[string]string{url: "pro-2 z, pro-2 a", url + "/pro-1": ""})
	if got := store.Issuers(
		url,
	); !slices.IsSortedFunc(
		got, func(a, b project.Candidate) int { return strings.Compare(string(a.Project), string(b.Project)) },
	) {
		t.Errorf("not in order: %v", got)
	}
}
