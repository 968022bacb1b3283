package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/services/gateway"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

func frontendDocument(t testing.TB) *contract.Document {
	t.Helper()
	document, err := contract.Frontend()
	if err != nil {
		t.Fatal(err)
	}
	return document
}

// trying is a configuration with everything that the document has.
func trying() gateway.Config {
	cfg := generous()
	cfg.TryingPage = true
	return cfg
}

// visitor is how a page of project A calls, with a session and a process; what is in headers replaces it.
func visitor(headers map[string]string) map[string]string {
	all := map[string]string{
		"Authorization":        "Bearer a.b.c",
		"X-Corbado-ProjectID":  "pro-1",
		"X-Corbado-Process-ID": "prc",
		"Origin":               originA,
		"User-Agent":           "test browser",
	}
	for k, v := range headers {
		all[k] = v
	}
	return all
}

func TestEveryOperationOfTheFrontendAPIIsRoutedAndAnswersAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: trying()})
	for _, op := range frontendDocument(t).Operations {
		t.Run(op.ID, func(t *testing.T) {
			request := goodCall(t, nil, op)
			a := s.call(op.Method, request.path, request.body, visitor(nil))
			want := http.StatusOK
			if !op.AnswersJSON("200") {
				want = http.StatusNoContent
			}
			if a.status != want {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			if want == http.StatusNoContent {
				return
			}
			if err := op.CheckResponse("200", a.body); err != nil {
				t.Errorf("the answer does not fit the contract: %v\n%s", err, a.body)
			}
		})
	}
}

func TestEveryOperationOfTheFrontendAPIRefusesBadRequestsAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: trying()})
	for _, op := range frontendDocument(t).Operations {
		request := goodCall(t, nil, op)
		if op.TakesBody() {
			for name, body := range map[string]string{
				"no JSON": "{", "no object": "7", "a body too large": `{"x":"` + strings.Repeat("x", 2_000_000) + `"}`,
				"a NUL": strings.Replace(request.body, "{", `{"x":"\u0000",`, 1),
			} {
				t.Run(op.ID+"/"+name, func(t *testing.T) {
					a := s.call(op.Method, request.path, body, visitor(nil))
					if a.status != 400 && a.status != 413 {
						t.Fatalf("status %d: %s", a.status, a.body)
					}
					if err := op.CheckResponse("default", a.body); err != nil {
						t.Errorf("the answer does not fit the contract: %v\n%s", err, a.body)
					}
				})
			}
		}
		t.Run(op.ID+"/a query that nobody knows", func(t *testing.T) {
			a := s.call(op.Method, withQuery(request.path, "filterBy=x"), request.body, visitor(nil))
			if _, named := a.fields()["filterBy"]; a.status != 400 || !named {
				t.Errorf("status %d: %s", a.status, a.body)
			}
		})
		if op.Session {
			t.Run(op.ID+"/without a session", func(t *testing.T) {
				a := s.call(op.Method, request.path, request.body, visitor(map[string]string{"Authorization": ""}))
				if a.status != 401 || a.error.Error.Type != rest.ErrorTypeLoginError {
					t.Errorf("status %d: %s", a.status, a.body)
				}
				if d := cmp.Diff([]string{`Bearer realm="keyward"`}, a.header.Values("Www-Authenticate")); d != "" {
					t.Errorf("a browser would ask its user for a password: %s", d)
				}
			})
		}
		if op.Process {
			t.Run(op.ID+"/without a process", func(t *testing.T) {
				a := s.call(op.Method, request.path, request.body, visitor(map[string]string{"X-Corbado-Process-ID": ""}))
				if d := cmp.Diff(map[string]string{"X-Corbado-Process-ID": "cannot be blank"}, a.fields()); a.status != 400 || d != "" {
					t.Errorf("status %d: %s", a.status, d)
				}
			})
		}
		if strings.HasPrefix(op.Path, "/.well-known") {
			continue
		}
		t.Run(op.ID+"/from another origin", func(t *testing.T) {
			a := s.call(op.Method, request.path, request.body, visitor(map[string]string{"Origin": originB}))
			if a.status != 403 || a.error.Error.Type != rest.ErrorTypeInvalidOrigin || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("status %d: %s", a.status, a.body)
			}
		})
	}
	if calls := s.services.Calls(); len(calls) != 0 {
		t.Errorf("a service was called: %+v", calls)
	}
}

func withQuery(path, query string) string {
	if strings.Contains(path, "?") {
		return path + "&" + query
	}
	return path + "?" + query
}

func TestEveryOperationOfTheFrontendAPIPassesOnWhatItsServiceSays(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: trying()})
	s.services.Before(always(fault.Login("the session has ended")))
	for _, op := range frontendDocument(t).Operations {
		if strings.HasPrefix(op.Path, "/.well-known") {
			continue
		}
		request := goodCall(t, nil, op)
		if a := s.call(op.Method, request.path, request.body, visitor(nil)); a.status != 401 {
			t.Errorf("%s: status %d: %s", op.ID, a.status, a.body)
		} else if diff := cmp.Diff([]string{`Bearer realm="keyward"`}, a.header.Values("Www-Authenticate")); diff != "" {
			t.Errorf("%s: browsers open a dialog for HTTP Basic: %s", op.ID, diff)
		}
	}
}

func TestAVisitIsOfTheProjectThatItNamesOrWhoseHostItCameTo(t *testing.T) {
	t.Parallel()
	both := newTenants()
	a, b := both["pro-1"], both["pro-2"]
	a.Frontend.Hosts, b.Frontend.Hosts = []string{"a.localhost"}, []string{"b.localhost"}
	both["pro-1"], both["pro-2"] = a, b
	s := serve(t, setup{projects: both})
	for _, tc := range []struct {
		name, header, host, project string
		fields                      map[string]string
	}{
		{"by header", "pro-2", "a.localhost", "pro-2", nil},
		{"by host", "", "b.localhost:8080", "pro-2", nil},
		{
			"by a host that no project has", "", "c.localhost", "",
			map[string]string{"X-Corbado-ProjectID": "cannot be blank, since no project has this host name"},
		},
		{"by an unknown ID", "pro-9", "a.localhost", "", map[string]string{"X-Corbado-ProjectID": "names no project"}},
		{"by something that is no ID", "../x", "a.localhost", "", map[string]string{"X-Corbado-ProjectID": "names no project"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(s.services.Calls())
			r, err := http.NewRequest("GET", s.base+"/v2/session-config", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = tc.host
			if tc.header != "" {
				r.Header.Set("X-Corbado-ProjectID", tc.header)
			}
			rsp, err := s.client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer rsp.Body.Close()
			got := s.read(rsp)
			if tc.fields != nil {
				if d := cmp.Diff(tc.fields, got.fields()); d != "" || got.status != 400 {
					t.Errorf("status %d: %s", got.status, d)
				}
				return
			}
			calls := s.services.Calls()[before:]
			if len(calls) != 1 || calls[0].Request.(service.ForVisit[service.Empty]).Project != ident.ProjectID(tc.project) {
				t.Errorf("the service saw %+v", calls)
			}
		})
	}
}

func TestWhatAVisitorIsKnownByReachesTheService(t *testing.T) {
	t.Parallel()
	issuing := newProvider(t)
	s := serve(t, setup{projects: issuing.taking(t, "pro-1")})
	cookies := "cbo_session_token=x.y.z; cbo_refresh_token=rt1_a"
	good := issuing.bearer(t, time.Now(), map[string]any{"sub": "usr-7"})["Authorization"]
	foreign := issuing.bearer(t, time.Now(), map[string]any{"sub": "usr-7", "aud": "other"})["Authorization"]
	nobody := issuing.bearer(t, time.Now(), map[string]any{"sub": "ada"})["Authorization"]
	for _, tc := range []struct {
		name    string
		method  string
		headers map[string]string
		status  int
		want    service.Visit
	}{
		{"a session token as Bearer", "GET", map[string]string{"Authorization": "Bearer a.b.c"}, 200, service.Visit{Token: "a.b.c"}},
		{"a refresh token as Bearer", "GET", map[string]string{"Authorization": "bearer rt1_x"}, 200, service.Visit{Token: "rt1_x"}},
		{"cookies", "GET", map[string]string{"Authorization": "", "Cookie": cookies}, 200, service.Visit{Token: "x.y.z", Refresh: "rt1_a"}},
		{
			"the older name of the cookie", "GET", map[string]string{"Authorization": "", "Cookie": "cbo_short_session=x.y.z"}, 200,
			service.Visit{Token: "x.y.z"},
		},
		{
			"cookies beside an empty Bearer", "GET", map[string]string{"Authorization": "Bearer ", "Cookie": cookies}, 200,
			service.Visit{Token: "x.y.z", Refresh: "rt1_a"},
		},
		{
			"cookies beside a Bearer that a script left undefined", "GET",
			map[string]string{"Authorization": "Bearer undefined", "Cookie": cookies}, 200,
			service.Visit{Token: "x.y.z", Refresh: "rt1_a"},
		},
		{"a Bearer outweighs cookies", "GET", map[string]string{"Cookie": cookies}, 200, service.Visit{Token: "a.b.c"}},
		{"an access token of an issuer", "GET", map[string]string{"Authorization": good}, 200, service.Visit{User: "usr-7"}},
		{"an access token for somebody else", "GET", map[string]string{"Authorization": foreign}, 401, service.Visit{}},
		{"an access token that was changed", "GET", map[string]string{"Authorization": good[:len(good)-4] + "AAAA"}, 401, service.Visit{}},
		{"an access token of nobody that Keyward knows", "GET", map[string]string{"Authorization": nobody}, 401, service.Visit{}},
		{"a token that is too long", "GET", map[string]string{"Authorization": "Bearer " + strings.Repeat("a", 17<<10)}, 431, service.Visit{}},
		{"neither", "GET", map[string]string{"Authorization": ""}, 401, service.Visit{}},
		{"HTTP Basic", "GET", map[string]string{"Authorization": "Basic cHJvLTE6eA=="}, 401, service.Visit{}},
		{
			"a change by cookie from a page of the project", "DELETE", map[string]string{"Authorization": "", "Cookie": cookies},
			200, service.Visit{Token: "x.y.z", Refresh: "rt1_a"},
		},
		{
			"a change by cookie from nowhere", "DELETE", map[string]string{"Authorization": "", "Cookie": cookies, "Origin": ""},
			403, service.Visit{},
		},
		{
			"a change by cookie from a page of another site", "DELETE",
			map[string]string{"Authorization": "", "Cookie": cookies, "Origin": "https://evil.example"}, 403, service.Visit{},
		},
		{
			"a change by cookie from a sandboxed page", "DELETE",
			map[string]string{"Authorization": "", "Cookie": cookies, "Origin": "null"}, 403, service.Visit{},
		},
		{"a change by Bearer from nowhere", "DELETE", map[string]string{"Origin": ""}, 200, service.Visit{Token: "a.b.c"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(s.services.Calls())
			got := s.call(tc.method, "/v2/me", "", visitor(tc.headers))
			calls := s.services.Calls()[before:]
			if got.status != tc.status {
				t.Fatalf("status %d: %s", got.status, got.body)
			}
			if tc.status != 200 {
				if len(calls) != 0 {
					t.Errorf("the service saw %+v", calls)
				}
				return
			}
			want := tc.want
			want.Project, want.RemoteAddress, want.UserAgent, want.Process = "pro-1", "127.0.0.1", "test browser", "prc"
			if d := cmp.Diff(want, calls[0].Request.(service.ForVisit[service.Empty]).Visit); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAnAnswerSetsTheCookiesOfTheSessionAndNamesTheDecision(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	a := s.call("POST", "/v2/me/refresh", "", visitor(nil))
	want := []string{
		"cbo_session_token=session; Path=/; Domain=localhost; Max-Age=60; SameSite=Lax",
		"cbo_refresh_token=refresh; Path=/v2; Max-Age=60; HttpOnly; SameSite=Lax",
	}
	if d := cmp.Diff(want, a.header.Values("Set-Cookie")); d != "" {
		t.Error(d)
	}
	if a.header.Get("X-Keyward-Decision-ID") != "dec-9" || a.header.Get("X-Keyward-Policy-Revision") != "rev-a" {
		t.Errorf("the header is %v", a.header)
	}
}

func TestABrowserMayReadTheAnswersToAPageOfTheProject(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	a := s.call("OPTIONS", "/v2/me/passkeys/append/start", "", map[string]string{
		"Origin":                        originA,
		"Authorization":                 "",
		"Access-Control-Request-Method": "POST",
		"Access-Control-Request-Headers": "authorization,x-corbado-projectid,x-corbado-sdk,x-corbado-flags,x-corbado-client-timezone," +
			"x-corbado-process-id,x-corbado-temp-process-id,cache-control,pragma,expires",
	})
	if a.status != 204 || a.header.Get("Access-Control-Allow-Origin") != originA ||
		a.header.Get("Access-Control-Allow-Credentials") != "true" {
		t.Fatalf("status %d: %v", a.status, a.header)
	}
	allowed := strings.Split(strings.ToLower(a.header.Get("Access-Control-Allow-Headers")), ", ")
	for _, name := range []string{
		"authorization", "x-corbado-projectid", "x-corbado-sdk", "x-corbado-flags", "x-corbado-client-timezone",
		"x-corbado-process-id", "x-corbado-temp-process-id", "cache-control", "pragma", "expires",
	} {
		if !slices.Contains(allowed, name) {
			t.Errorf("%s may not be sent", name)
		}
	}
}

func TestWellKnownDocumentsAreThoseOfTheProject(t *testing.T) {
	t.Parallel()
	all := newTenants()
	a := all["pro-1"]
	a.Origins = []string{"https://a.example", "android:apk-key-hash:AAAA"}
	a.Frontend = project.Frontend{
		AppleApps: []string{"ABCDE12345.com.example.app"}, EnrollURL: "https://a.example/enroll", ManageURL: "https://a.example/manage",
		AndroidApps: []project.AndroidApp{{Package: "com.example.app", Fingerprints: []string{"AA:BB"}}},
	}
	all["pro-1"] = a
	s := serve(t, setup{projects: all})
	for path, want := range map[string]string{
		"/.well-known/apple-app-site-association": `{"webcredentials":{"apps":["ABCDE12345.com.example.app"]}}`,
		"/.well-known/assetlinks.json": `[{"relation":["delegate_permission/common.handle_all_urls","delegate_permission/common.get_login_creds"],
			"target":{"namespace":"android_app","package_name":"com.example.app","sha256_cert_fingerprints":["AA:BB"]}}]`,
		"/.well-known/passkey-endpoints": `{"enroll":"https://a.example/enroll","manage":"https://a.example/manage"}`,
		"/.well-known/webauthn":          `{"origins":["https://a.example"]}`,
	} {
		got := s.call("GET", path, "", map[string]string{"Authorization": "", "X-Corbado-ProjectID": "pro-1", "Origin": "https://any.example"})
		var wanted, found any
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(got.body, &found); err != nil {
			t.Fatalf("%s: %v: %s", path, err, got.body)
		}
		if d := cmp.Diff(wanted, found); d != "" {
			t.Errorf("%s: %s", path, d)
		}
		if got.header.Get("Access-Control-Allow-Origin") != "*" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: the header is %v", path, got.header)
		}
		if unknown := s.call("GET", path, "", map[string]string{"Authorization": ""}); unknown.status != 404 {
			t.Errorf("%s: a host of no project is answered with %d", path, unknown.status)
		}
	}
}
