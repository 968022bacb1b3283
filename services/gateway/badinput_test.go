package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
)

func TestBadInputIsRefusedNamesItsFieldsAndReachesNoService(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	const users, start = "/v2/users", "/v2/passkey/login/start"
	idForm := "must be of the form usr-<number>"
	for _, tc := range []struct {
		name         string
		method, path string
		body         string
		headers      map[string]string
		status       int
		kind         rest.ErrorType
		fields       map[string]string
	}{
		{name: "not JSON", method: "POST", path: users, body: `{"status":`, status: 400, kind: "invalid_json"},
		{name: "something after the JSON", method: "POST", path: users, body: `{"status":"active"} x`, status: 400, kind: "invalid_json"},
		{name: "no body", method: "POST", path: users, status: 400, kind: "invalid_json"},
		{
			name:    "a form",
			method:  "POST",
			path:    users,
			body:    "status=active",
			headers: map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			status:  400,
			kind:    "validation_error",
			fields:  map[string]string{"Content-Type": "must be application/json"},
		},
		{name: "a compressed body", method: "POST", path: users, body: "xx", headers: map[string]string{"Content-Encoding": "gzip"},
			status: 400, kind: "validation_error", fields: map[string]string{"Content-Encoding": "must be identity"}},
		{
			name:   "a name given twice",
			method: "POST",
			path:   users,
			body:   `{"status":"active","status":"pending"}`,
			status: 400,
			kind:   "invalid_json",
			fields: map[string]string{"status": "a name is given twice"},
		},
		{
			name:   "a number with a leading zero",
			method: "POST",
			path:   "/v2/users/usr-1/passkeyEvents",
			body:   `{"eventType":"login-error","expires":012}`,
			status: 400,
			kind:   "invalid_json",
		},
		{
			name:   "text that is not UTF-8",
			method: "POST",
			path:   users,
			body:   "{\"status\":\"active\",\"fullName\":\"\xff\"}",
			status: 400,
			kind:   "invalid_json",
			fields: map[string]string{"fullName": "the text is not valid Unicode"},
		},
		{
			name:   "half a surrogate pair",
			method: "POST",
			path:   users,
			body:   `{"status":"active","fullName":"\ud800"}`,
			status: 400,
			kind:   "invalid_json",
			fields: map[string]string{"fullName": "the text is not valid Unicode"},
		},
		{
			name:   "a NUL character",
			method: "POST",
			path:   users,
			body:   `{"status":"active","fullName":"a\u0000b"}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"fullName": "must not contain a NUL character"},
		},
		{
			name:   "deep nesting",
			method: "POST",
			path:   users,
			body:   strings.Repeat(`{"a":`, 40) + "1" + strings.Repeat("}", 40),
			status: 400,
			kind:   "invalid_json",
		},
		{
			name:   "very deep nesting that never ends",
			method: "POST",
			path:   users,
			body:   strings.Repeat("[", 60_000),
			status: 400,
			kind:   "invalid_json",
		},
		{
			name:   "an array instead of an object",
			method: "POST",
			path:   users,
			body:   `[]`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"body": "must be an object"},
		},
		{
			name:   "null instead of an object",
			method: "POST",
			path:   users,
			body:   `null`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"body": "cannot be blank"},
		},
		{
			name:   "a missing field",
			method: "POST",
			path:   users,
			body:   `{}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"status": "cannot be blank"},
		},
		{
			name:   "a null field",
			method: "POST",
			path:   users,
			body:   `{"status":null}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"status": "cannot be blank"},
		},
		{
			name:   "an empty enum value",
			method: "POST",
			path:   users,
			body:   `{"status":""}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"status": "cannot be blank"},
		},
		{name: "an unknown enum value", method: "POST", path: users, body: `{"status":"deleted"}`, status: 400, kind: "validation_error",
			fields: map[string]string{"status": "must be a valid value"}},
		{
			name:   "an unknown outcome",
			method: "POST",
			path:   "/v2/risk/decisions/dec-1/feedback",
			body:   `{"outcome":"fraud-confirms"}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{
				"outcome": "must be one of fraud-confirmed, fraud-suspected, legitimate, step-up-abandoned; did you mean fraud-confirmed?",
			},
		},
		{
			name:   "an outcome like none that there is",
			method: "POST",
			path:   "/v2/risk/decisions/dec-1/feedback",
			body:   `{"outcome":"yes"}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"outcome": "must be one of fraud-confirmed, fraud-suspected, legitimate, step-up-abandoned"},
		},
		{
			name:   "a wrong type",
			method: "POST",
			path:   users,
			body:   `{"status":"active","fullName":7}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"fullName": "must be a string"},
		},
		{
			name:   "a field spelled in other letters",
			method: "POST",
			path:   users,
			body:   `{"STATUS":"active"}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"status": "cannot be blank"},
		},
		{
			name:   "a long text",
			method: "POST",
			path:   users,
			body:   fmt.Sprintf(`{"status":"active","fullName":%q}`, strings.Repeat("x", 256)),
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"fullName": "the length must be between 3 and 255"},
		},
		{name: "a short text", method: "POST", path: users, body: `{"status":"active","fullName":"Al"}`, status: 400, kind: "validation_error",
			fields: map[string]string{"fullName": "the length must be between 3 and 255"}},
		{
			name:   "a fraction instead of an integer",
			method: "POST",
			path:   "/v2/users/usr-1/passkeyEvents",
			body:   `{"eventType":"login-error","expires":1.5}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"expires": "must be an integer"},
		},
		{
			name:   "an integer written as a fraction",
			method: "POST",
			path:   "/v2/users/usr-1/passkeyEvents",
			body:   `{"eventType":"login-error","expires":2.0}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"expires": "must be an integer"},
		},
		{
			name:   "an integer that is too large",
			method: "POST",
			path:   "/v2/users/usr-1/passkeyEvents",
			body:   `{"eventType":"login-error","expires":9223372036854775808}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"expires": "must be an integer"},
		},
		{
			name:   "an integer that is too small",
			method: "POST",
			path:   "/v2/users/usr-1/passkeyEvents",
			body:   `{"eventType":"login-error","expires":0}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"expires": "must be at least 1"},
		},
		{name: "nested fields, all of them at once", method: "POST", path: start,
			body: `{"userID":"usr-x","processID":"","crossDeviceAuthenticationStrategy":"often","clientInformation":{"userAgent":5,` +
				`"javaScriptHighEntropy":{"platform":"macOS"},"privateMode":"no"}}`,
			status: 400, kind: "validation_error", fields: map[string]string{
				"userID": idForm, "processID": "cannot be blank", "crossDeviceAuthenticationStrategy": "must be a valid value",
				"clientInformation.remoteAddress": "cannot be blank", "clientInformation.userAgent": "must be a string",
				"clientInformation.privateMode":                           "must be a boolean",
				"clientInformation.javaScriptHighEntropy.mobile":          "cannot be blank",
				"clientInformation.javaScriptHighEntropy.platformVersion": "cannot be blank",
			}},
		{
			name:   "a user ID in a body that would be a NATS wildcard",
			method: "POST",
			path:   start,
			body:   strings.Replace(loginStart, "usr-1", "usr-1.>", 1),
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"userID": idForm},
		},
		{
			name:   "faults of path and body together",
			method: "PATCH",
			path:   "/v2/users/usr-x",
			body:   `{"status":7}`,
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"userID": idForm, "status": "must be a string"},
		},
		{
			name:   "a sort of no known form",
			method: "GET",
			path:   users + "?sort=created",
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"sort": "must be of the form field:asc or field:desc"},
		},
		{
			name:   "a page that is no number",
			method: "GET",
			path:   users + "?page=two",
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"page": "must be an integer"},
		},
		{
			name:   "an empty page",
			method: "GET",
			path:   users + "?page=",
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"page": "must be an integer"},
		},
		{
			name:   "page 0",
			method: "GET",
			path:   users + "?page=0",
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"page": "must be at least 1"},
		},
		{
			name:   "a page too large",
			method: "GET",
			path:   users + "?pageSize=1001",
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"pageSize": "must be at most 1000"},
		},
		{
			name:   "a page given twice",
			method: "GET",
			path:   users + "?page=1&page=2",
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"page": "must be given once"},
		},
		{
			name:   "a filter with an unknown operator",
			method: "GET",
			path:   users + "?filter%5B%5D=status:like:a",
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"filter[]": "must be of the form field:op:value with op eq, gt or lt"},
		},
		{
			name:   "too many filters",
			method: "GET",
			path:   users + "?" + strings.Repeat("filter[]=a:eq:b&", 21),
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"filter[]": "must have at most 20 entries"},
		},
		{name: "a filter with a NUL character", method: "GET", path: users + "?filter[]=a:eq:%00", status: 400, kind: "validation_error",
			fields: map[string]string{"filter[]": "must be valid UTF-8 without NUL characters"}},
		{name: "a query that cannot be read", method: "GET", path: users + "?page=%zz", status: 400, kind: "validation_error",
			fields: map[string]string{"query": "must be percent-encoded name=value pairs joined by &"}},
		{
			name:   "an unknown value of include",
			method: "GET",
			path:   "/v2/users/usr-1/passkeyEvents?include=all",
			status: 400,
			kind:   "validation_error",
			fields: map[string]string{"include": "must be a valid value"},
		},
		{
			name:   "a 2 MB body",
			method: "POST",
			path:   users,
			body:   fmt.Sprintf(`{"status":"active","fullName":%q}`, strings.Repeat("x", 2_000_000)),
			status: 413,
			kind:   "validation_error",
			fields: map[string]string{"body": "must be at most 65536 bytes"},
		},
		{name: "a wrong method", method: "PUT", path: users, body: `{}`, status: 405, kind: "method_not_allowed"},
		{name: "a method that HTTP does not know", method: "BREW", path: users, status: 405, kind: "method_not_allowed"},
		{name: "an unknown route", method: "GET", path: "/v2/nothing", status: 404, kind: "not_found"},
		{name: "an unknown part of a user", method: "GET", path: "/v2/users/usr-1/nothing", status: 404, kind: "not_found"},
		{name: "a path with a slash too many", method: "GET", path: "/v2/users/", status: 404, kind: "not_found"},
		{
			name:    "an unknown route without credentials",
			method:  "GET",
			path:    "/nothing",
			headers: map[string]string{"Authorization": ""},
			status:  404,
			kind:    "not_found",
		},
		{name: "a wrong secret", method: "GET", path: users, headers: basic("pro-1", secretB), status: 401, kind: "login_error"},
		{name: "an empty secret", method: "GET", path: users, headers: basic("pro-1", ""), status: 401, kind: "login_error"},
		{name: "an unknown project", method: "GET", path: users, headers: basic("pro-3", secretA), status: 401, kind: "login_error"},
		{name: "a project ID of no known form", method: "GET", path: users, headers: basic("pro-1.>", secretA), status: 401, kind: "login_error"},
		{name: "no credentials", method: "GET", path: users, headers: map[string]string{"Authorization": ""}, status: 401, kind: "login_error"},
		{
			name:    "a bearer token",
			method:  "GET",
			path:    users,
			headers: map[string]string{"Authorization": "Bearer " + secretA},
			status:  401,
			kind:    "login_error",
		},
		{
			name:    "credentials that are not base64",
			method:  "GET",
			path:    users,
			headers: map[string]string{"Authorization": "Basic ***"},
			status:  401,
			kind:    "login_error",
		},
		{
			name:    "wrong credentials and a bad body",
			method:  "POST",
			path:    users,
			body:    `{`,
			headers: basic("pro-1", "x"),
			status:  401,
			kind:    "login_error",
		},
		{name: "wrong credentials behind HEAD", method: "HEAD", path: users, headers: basic("pro-1", "x"), status: 401},
		{
			name:    "the header of another project",
			method:  "GET",
			path:    users,
			headers: map[string]string{"X-Corbado-ProjectID": "pro-2"},
			status:  403,
			kind:    "project_id_mismatch",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.call(tc.method, tc.path, tc.body, tc.headers)
			if a.status != tc.status || a.error.Error.Type != tc.kind {
				t.Errorf("got %d %s, want %d %s\n%s", a.status, a.error.Error.Type, tc.status, tc.kind, a.body)
			}
			want := tc.fields
			if want == nil {
				want = a.fields()
			}
			if diff := cmp.Diff(want, a.fields()); diff != "" {
				t.Error(diff)
			}
			if got := a.header.Get("Www-Authenticate"); (a.status == 401) != strings.HasPrefix(got, `Basic realm="keyward"`) {
				t.Errorf("WWW-Authenticate is %q", got)
			}
			if calls := s.services.Calls(); len(calls) != 0 {
				t.Errorf("a service was called: %+v", calls)
			}
		})
	}
}

func basic(user, password string) map[string]string {
	r := http.Request{Header: http.Header{}}
	r.SetBasicAuth(user, password)
	return map[string]string{"Authorization": r.Header.Get("Authorization")}
}

func TestBadIDsInPathsAreRefusedByName(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, id := range []string{
		"usr-", "usr-1.2", "usr-*", "usr-%3E", "usr-1%20", "usr-1%2Fcredentials", "%75sr-1x", "USR-1", "cre-1",
		"usr-" + strings.Repeat("9", 20), "usr-" + strings.Repeat("9", 5000), "usr-%00", "usr-%ff", "usr-1%zz", "*", "%3E", "-1",
		"usr--1", "usr-１", "usr-1%0A",
	} {
		for _, path := range []string{
			"/v2/users/%s", "/v2/users/%s/credentials", "/v2/users/%s/passkeyEvents", "/v2/users/%s/passkeyChallenges",
		} {
			a := s.raw("GET", fmt.Sprintf(path, id))
			if a.status != 400 || a.error.Error.Type != rest.ErrorTypeValidationError || a.fields()["userID"] == "" {
				t.Errorf("GET "+path+" got %d %s", id, a.status, a.body)
			}
		}
	}
	for path, field := range map[string]string{
		"/v2/users/usr-1/credentials/cre-1%2A":     "credentialID",
		"/v2/users/usr-1/passkeyEvents/pke-%3E":    "passkeyEventID",
		"/v2/users/usr-1/passkeyEvents/usr-1":      "passkeyEventID",
		"/v2/users/usr-1/credentials/" + "AAAA_-A": "credentialID",
	} {
		a := s.raw("DELETE", path)
		if a.status != 400 || len(a.fields()) != 1 || a.fields()[field] == "" {
			t.Errorf("DELETE %s got %d %s", path, a.status, a.body)
		}
	}
	if calls := s.services.Calls(); len(calls) != 0 {
		t.Errorf("a service was called: %+v", calls)
	}
}

func TestAPercentEncodedIDIsTheSameID(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	if a := s.raw("GET", "/v2/users/%75sr%2D1"); a.status != 200 || !strings.Contains(string(a.body), `"userID":"usr-1"`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestWhatIsHarmlessIsAccepted(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, tc := range []struct {
		name, body string
		headers    map[string]string
	}{
		{"no content type", `{"status":"active"}`, map[string]string{"Content-Type": ""}},
		{"a content type with a charset", `{"status":"active"}`, map[string]string{"Content-Type": "Application/JSON; charset=utf-8"}},
		{"unknown fields", `{"status":"active","shoeSize":43,"more":{"a":[1,2]}}`, nil},
		{"a known field in other letters beside the right one", `{"status":"active","STATUS":"no such status","FullName":7}`, nil},
		{"white space around", " \r\n\t{\"status\":\"active\"}\n ", nil},
		{"escaped names", `{"st\u0061tus":"active"}`, nil},
		{"characters of four bytes up to the limit", fmt.Sprintf(`{"status":"active","fullName":%q}`, strings.Repeat("🦊", 200)), nil},
		{"an escaped backslash that looks like NUL", `{"status":"active","fullName":"\\u0000"}`, nil},
		{"a header that names the right project", `{"status":"active"}`, map[string]string{"X-Corbado-ProjectID": "pro-1"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if a := s.call("POST", "/v2/users", tc.body, tc.headers); a.status != 200 {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

func TestUnknownProjectAndWrongSecretAreAnsweredAlike(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	wrong := s.call("GET", "/v2/users", "", basic("pro-1", secretB))
	unknown := s.call("GET", "/v2/users", "", basic("pro-3", secretB))
	for _, e := range []*rest.ErrorRsp{&wrong.error, &unknown.error} {
		e.RequestData.RequestID, e.Runtime = "", 0
	}
	if diff := cmp.Diff(wrong.error, unknown.error); diff != "" {
		t.Error(diff)
	}
}

func TestAWrongMethodIsToldWhichOnesThereAre(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	a := s.call("PUT", "/v2/users/usr-1", "", nil)
	if got := a.header.Get("Allow"); got != "GET, HEAD, DELETE, PATCH" {
		t.Errorf("Allow is %q", got)
	}
}
