package gateway_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/reqctx"
	"github.com/keyward/keyward/services/gateway"
)

// withKey gives project pro-1 a key and returns the header that carries it.
func withKey(t *testing.T, tenants tenants, lifetime time.Duration, permissions ...string) map[string]string {
	t.Helper()
	key, text, err := project.NewAPIKey("pro-1", "test", permissions, lifetime, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	p := tenants["pro-1"]
	if err := p.AddKey(key); err != nil {
		t.Fatal(err)
	}
	tenants["pro-1"] = p
	return map[string]string{"Authorization": "Bearer " + text}
}

func TestAKeyCallsWhatItsPermissionsNameAndNothingElse(t *testing.T) {
	t.Parallel()
	projects := newTenants()
	all, err := gateway.Permissions()
	if err != nil {
		t.Fatal(err)
	}
	only, but := map[string]map[string]string{}, map[string]map[string]string{}
	for _, permission := range all {
		only[permission] = withKey(t, projects, 0, permission)
		var others []string
		for _, other := range all {
			if other != permission {
				others = append(others, other)
			}
		}
		but[permission] = withKey(t, projects, 0, others...)
	}
	everything := withKey(t, projects, 0, "*")
	s := serve(t, setup{projects: projects})
	for _, op := range s.document.Operations {
		if op.Public {
			continue
		}
		t.Run(op.ID, func(t *testing.T) {
			request, before := goodCall(t, good, op), len(s.services.Calls())
			a := s.call(op.Method, request.path, request.body, but[op.Permission])
			if a.status != 403 || a.error.Error.Type != rest.ErrorTypeLoginError || a.error.Error.Details == nil ||
				!strings.Contains(*a.error.Error.Details, op.Permission) {
				t.Errorf("with every other permission: %d %s", a.status, a.body)
			}
			if now := len(s.services.Calls()); now != before {
				t.Error("a service was called")
			}
			if !op.AnswersJSON("200") {
				return
			}
			for name, headers := range map[string]map[string]string{
				"with that permission alone": only[op.Permission],
				"with every permission":      everything,
				"with the API secret":        nil,
			} {
				if a := s.call(op.Method, request.path, request.body, headers); a.status != 200 {
					t.Errorf("%s: %d %s", name, a.status, a.body)
				}
			}
		})
	}
}

func TestKeysThatProveNothingAreRefused(t *testing.T) {
	t.Parallel()
	projects := newTenants()
	right := withKey(t, projects, 0, "*")["Authorization"]
	expired := withKey(t, projects, time.Nanosecond, "*")["Authorization"]
	revoked := withKey(t, projects, 0, "*")["Authorization"]
	p := projects["pro-1"]
	parsed, _ := project.ParseAPIKey(strings.TrimPrefix(revoked, "Bearer "))
	p.RevokeKey(parsed.ID)
	projects["pro-1"] = p
	s := serve(t, setup{projects: projects})
	for _, tc := range []struct {
		name, header string
		more         map[string]string
		status       int
		kind         rest.ErrorType
	}{
		{"the right one", right, nil, 200, ""},
		{"the right one, its scheme in small letters", strings.Replace(right, "Bearer", "bearer", 1), nil, 200, ""},
		{"the right one and the header of its project", right, map[string]string{"X-Corbado-ProjectID": "pro-1"}, 200, ""},
		{
			"the right one and the header of another project", right, map[string]string{"X-Corbado-ProjectID": "pro-2"}, 403,
			rest.ErrorTypeProjectIDMismatch,
		},
		{"the right one from an origin of another project", right, map[string]string{"Origin": originB}, 403, rest.ErrorTypeInvalidOrigin},
		{"one character more", right + "A", nil, 401, rest.ErrorTypeLoginError},
		{"one character less", right[:len(right)-1], nil, 401, rest.ErrorTypeLoginError},
		{"the number of another project", strings.Replace(right, "kwk1_1_", "kwk1_2_", 1), nil, 401, rest.ErrorTypeLoginError},
		{"the number of no project", strings.Replace(right, "kwk1_1_", "kwk1_3_", 1), nil, 401, rest.ErrorTypeLoginError},
		{"an unknown key", strings.Replace(right, "kwk1_1_", "kwk1_1_x", 1), nil, 401, rest.ErrorTypeLoginError},
		{"an expired key", expired, nil, 401, rest.ErrorTypeLoginError},
		{"a revoked key", revoked, nil, 401, rest.ErrorTypeLoginError},
		{"the API secret", "Bearer " + secretA, nil, 401, rest.ErrorTypeLoginError},
		{"nothing", "Bearer ", nil, 401, rest.ErrorTypeLoginError},
		{
			"a key as the password of Basic", basic("pro-1", strings.TrimPrefix(right, "Bearer "))["Authorization"], nil, 401,
			rest.ErrorTypeLoginError,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			headers := map[string]string{"Authorization": tc.header}
			for k, v := range tc.more {
				headers[k] = v
			}
			a := s.call("GET", "/v2/users", "", headers)
			if a.status != tc.status || a.error.Error.Type != tc.kind {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if want := []string{`Basic realm="keyward", charset="UTF-8"`, `Bearer realm="keyward"`}; a.status == 401 {
				if diff := cmp.Diff(want, a.header.Values("Www-Authenticate")); diff != "" {
					t.Error(diff)
				}
			}
			if strings.Contains(string(a.body), "kwk1_") {
				t.Errorf("the key is in the answer: %s", a.body)
			}
		})
	}
	if strings.Contains(string(s.log.bytes()), "kwk1_") {
		t.Error("a key is in the log")
	}
}

func TestTheLogAndServicesNameTheKeyByItsID(t *testing.T) {
	t.Parallel()
	projects := newTenants()
	header := withKey(t, projects, 0, "users:read")
	s := serve(t, setup{projects: projects})
	heard := make(chan string, 2)
	s.services.Before(func(ctx context.Context, _ string) error {
		heard <- reqctx.CallerKey(ctx)
		return nil
	})
	s.call("GET", "/v2/users", "", header)
	s.call("GET", "/v2/users", "", nil)
	parsed, _ := project.ParseAPIKey(strings.TrimPrefix(header["Authorization"], "Bearer "))
	if line := s.logged(2)[0]; line["api_key"] != parsed.ID || line["project"] != "pro-1" ||
		strings.Contains(string(s.log.bytes()), parsed.Secret) {
		t.Errorf("logged %v", line)
	}
	for _, want := range []string{parsed.ID, ""} { // the second came with the API secret
		if got := <-heard; got != want {
			t.Errorf("a service hears of key %q, want %q", got, want)
		}
	}
}
