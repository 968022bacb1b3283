package userapi_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

const testDetails = `"details":{"sequence":"1767323045678","changeDate":"2026-01-02T03:04:05.678Z","resourceOwner":"pro-7",` +
	`"creationDate":"2026-01-02T03:04:04.678Z"}`

func TestBodiesOfTheJSONAPI(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const registered = `{` + testDetails + `,"passkeyId":"cre-9","publicKeyCredentialCreationOptions":` + testOptions + `}`
	verified := about(service.PasskeyVerification{ID: "cre-2", Credential: []byte(testCredential), Name: "n"})
	platform := about(service.PasskeyRegistration{Attachment: "platform"})
	for _, tc := range []struct {
		name, request string // verb, path and body
		status        int
		body          string
		asked         any
	}{
		{"no body is an empty message", "POST /v2/users/usr-1/passkeys", 200, registered, about(service.PasskeyRegistration{})},
		{"an empty object", "POST /v2/users/usr-1/passkeys {}", 200, registered, about(service.PasskeyRegistration{})},
		{"a byte order mark", "POST /v2/users/usr-1/passkeys \ufeff{}", 200, registered, about(service.PasskeyRegistration{})},
		{"a byte order mark in v2beta", "POST /v2beta/users/usr-1/passkeys \ufeff{}", 200, registered, about(service.PasskeyRegistration{})},
		{"a byte order mark and nothing else", "POST /v2/users/usr-1/passkeys \ufeff", 200, registered, about(service.PasskeyRegistration{})},
		{
			"two byte order marks", "POST /v2/users/usr-1/passkeys \ufeff\ufeff{}", 400,
			`{"code":3,"message":"the body is not valid JSON (byte 1)"}`, nil,
		},
		{"the same in v2beta", "POST /v2beta/users/usr-1/passkeys {}", 200, registered, about(service.PasskeyRegistration{})},
		{"an enum by its name", `POST /v2/users/usr-1/passkeys {"authenticator":"PASSKEY_AUTHENTICATOR_PLATFORM"}`, 200, registered, platform},
		{"an enum by its number", `POST /v2/users/usr-1/passkeys {"authenticator":1}`, 200, registered, platform},
		{"an enum of v2beta by its number", `POST /v2beta/users/usr-1/passkeys {"authenticator":1}`, 200, registered, platform},
		{
			"an enum that a later version may know", `POST /v2/users/usr-1/passkeys {"authenticator":9}`, 200, registered,
			about(service.PasskeyRegistration{}),
		},
		{
			"null is nothing", `POST /v2/users/usr-1/passkeys {"authenticator":null,"domain":null}`, 200, registered,
			about(service.PasskeyRegistration{}),
		},
		{
			"unknown fields are ignored", `POST /v2/users/usr-1/passkeys {"x":{"y":[1]},"domain":"a.example"}`, 200,
			registered, about(service.PasskeyRegistration{Domain: "a.example"}),
		},
		{
			"an ID in the body does not count", `POST /v2/users/usr-1/passkeys {"userId":"usr-2"}`, 200, registered,
			about(service.PasskeyRegistration{}),
		},
		{
			"a query does not count", `POST /v2/users/usr-1/passkeys?userId=usr-2&domain=x {}`, 200, registered,
			about(service.PasskeyRegistration{}),
		},
		{
			"the names of JSON", `POST /v2/users/usr-1/passkeys/cre-2 {"publicKeyCredential":` + testCredential + `,"passkeyName":"n"}`, 200,
			`{` + testDetails + `}`, verified,
		},
		{
			"the names of the proto",
			`POST /v2/users/usr-1/passkeys/cre-2 {"public_key_credential":` + testCredential + `,"passkey_name":"n"}`, 200, `{` + testDetails + `}`,
			verified,
		},
		{
			"a literal wins over an ID: the link", `POST /v2/users/usr-1/passkeys/registration_link {}`, 200,
			`{` + testDetails + `}`, about(service.PasskeyCodeRequest{Send: true}),
		},
		{
			"a literal wins in v2beta", `POST /v2beta/users/usr-1/passkeys/registration_link {}`, 200,
			`{` + testDetails + `}`, about(service.PasskeyCodeRequest{Send: true}),
		},
		{
			"a code that is returned", `POST /v2/users/usr-1/passkeys/registration_link {"returnCode":{}}`, 200,
			`{` + testDetails + `,"code":{"id":"cha-1","code":"secret"}}`,
			about(service.PasskeyCodeRequest{}),
		},
		{
			"a literal wins over an ID: the list; zero values are left out", `POST /v2/users/usr-1/passkeys/_search {}`, 200,
			`{"details":{}}`, about(service.Empty{}),
		},
		{
			"in v2beta there is no list", `POST /v2beta/users/usr-1/passkeys/_search {}`, 400,
			`{"code":3,"message":"invalid VerifyPasskeyRegistrationRequest.PublicKeyCredential: value is required"}`, nil,
		},
		{"a removal", `DELETE /v2/users/usr-1/passkeys/cre-2`, 200, `{` + testDetails + `}`, about(ident.CredentialID("cre-2"))},
		{
			"a removal whose body is ignored", `DELETE /v2/users/usr-1/passkeys/cre-2 not JSON`, 200, `{` + testDetails + `}`,
			about(ident.CredentialID("cre-2")),
		},
		{
			"a removal of a literal is one of an ID", `DELETE /v2/users/usr-1/passkeys/registration_link`, 404,
			`{"code":5,"message":"Passkey could not be found ` +
				`(PASSKEY-Unknown)","details":[{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"PASSKEY-Unknown","message":"Passkey could ` +
				`not be found"}]}`,
			nil,
		},
		{
			"no ID", `POST /v2/users//passkeys {}`, 400,
			`{"code":3,"message":"invalid RegisterPasskeyRequest.UserId: value length must be between 1 and 200 runes, inclusive"}`, nil,
		},

		{"broken JSON", `POST /v2/users/usr-1/passkeys {"domain":`, 400, `{"code":3,"message":"the body is not valid JSON (byte 10)"}`, nil},
		{"no JSON", `POST /v2/users/usr-1/passkeys secret`, 400, `{"code":3,"message":"the body is not valid JSON (byte 1)"}`, nil},
		{"two values", `POST /v2/users/usr-1/passkeys {} {}`, 400, `{"code":3,"message":"the body is not valid JSON (byte 4)"}`, nil},
		{"spaces only", `POST /v2/users/usr-1/passkeys  `, 400, `{"code":3,"message":"the body is not valid JSON (byte 1)"}`, nil},
		{
			"an array", `POST /v2/users/usr-1/passkeys ["secret"]`, 400,
			`{"code":3,"message":"the body does not fit RegisterPasskeyRequest (line 1, column 1)"}`, nil,
		},
		{
			"a string", `POST /v2/users/usr-1/passkeys "secret"`, 400,
			`{"code":3,"message":"the body does not fit RegisterPasskeyRequest (line 1, column 1)"}`, nil,
		},
		{
			"a field of another type", `POST /v2/users/usr-1/passkeys {"domain":["secret"]}`, 400,
			`{"code":3,"message":"the body does not fit RegisterPasskeyRequest (line 1, column 11)"}`, nil,
		},
		{
			"a field given twice", `POST /v2/users/usr-1/passkeys {"domain":"a","domain":"b"}`, 400,
			`{"code":3,"message":"the body does not fit RegisterPasskeyRequest (line 1, column 15)"}`, nil,
		},
		{
			"two mediums", `POST /v2beta/users/usr-1/passkeys/registration_link {"sendLink":{},"returnCode":{}}`, 400,
			`{"code":3,"message":"the body does not fit CreatePasskeyRegistrationLinkRequest (line 1, column 16)"}`, nil,
		},
		{
			"text that is not UTF-8", "POST /v2/users/usr-1/passkeys {\"domain\":\"\xff\"}", 400,
			`{"code":3,"message":"the body does not fit RegisterPasskeyRequest (line 1, column 11)"}`, nil,
		},
		{
			"an enum of another type", `POST /v2/users/usr-1/passkeys {"authenticator":"1.5"}`, 200, registered,
			about(service.PasskeyRegistration{}),
		},
		{
			"an enum that is no integer", `POST /v2/users/usr-1/passkeys {"authenticator":1.5}`, 400,
			`{"code":3,"message":"the body does not fit RegisterPasskeyRequest (line 1, column 18)"}`, nil,
		},
		{
			"a credential that is no object", `POST /v2/users/usr-1/passkeys/cre-2 {"publicKeyCredential":"secret","passkeyName":"n"}`, 400,
			`{"code":3,"message":"the body does not fit VerifyPasskeyRegistrationRequest (line 1, column 24)"}`, nil,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verb, rest, _ := strings.Cut(tc.request, " ")
			path, body, _ := strings.Cut(rest, " ")
			a := s.send(t.Context(), verb, path, body, map[string]string{"Authorization": "Bearer all"})
			if a.status != tc.status || !sameJSON(a.body, tc.body) || a.header.Get("Content-Type") != "application/json" ||
				a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("got %d %s %v", a.status, a.body, a.header)
			}
			var want []any
			if tc.asked != nil {
				want = []any{tc.asked}
			}
			if diff := cmp.Diff(want, s.recorded.taken()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			o := s.observed(1)
			if len(o) != 1 || (o[0].Code == "ok") != (tc.status == 200) || (o[0].Err == nil) != (tc.status == 200) || o[0].Procedure == "" {
				t.Errorf("outcomes %+v", o)
			}
		})
	}
}

func TestAnyContentTypeIsReadAsJSON(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, kind := range []string{
		"", "application/json", "application/json; charset=utf-8", "text/plain", "application/x-www-form-urlencoded", "application/grpc",
		"application/grpc-web+proto",
		"garbage", ";;",
	} {
		t.Run("content type "+kind, func(t *testing.T) {
			a := s.send(t.Context(), "POST", "/v2/users/usr-1/passkeys", `{"domain":"a.example"}`, map[string]string{
				"Authorization":          "Bearer all",
				"Content-Type":           kind,
				"Accept":                 "text/html",
				"TE":                     "trailers",
				"X-Http-Method-Override": "DELETE",
				"X-Odd-Bin":              "%%%",
			})
			if a.status != 200 || !strings.Contains(a.body, "cre-9") || a.header.Get("Content-Type") != "application/json" {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

func TestRequestsForWhichThereIsNoRoute(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	const notFound, notAllowed = `{"code":5,"message":"Not Found"}`, `{"code":12,"message":"Method Not Allowed"}`
	const noID = `{"code":3,"message":"invalid VerifyPasskeyRegistrationRequest.PasskeyId: value length must be between 1 and 200 runes, ` +
		`inclusive"}`
	for _, tc := range []struct {
		verb, path string
		status     int
		allow      string
	}{
		{"GET", "/v2/users/usr-1/passkeys", 405, "POST"},
		{"PUT", "/v2/users/usr-1/passkeys", 405, "POST"},
		{"PATCH", "/v2/users/usr-1/passkeys", 405, "POST"},
		{"DELETE", "/v2/users/usr-1/passkeys", 405, "POST"},
		{"GET", "/v2/users/usr-1/passkeys/cre-1", 405, "DELETE, POST"},
		{"GET", "/v2/users/usr-1/passkeys/registration_link", 405, "DELETE, POST"},
		{"GET", "/v2/users/usr-1/passkeys/_search", 405, "DELETE, POST"},
		{"GET", "/v2beta/users/usr-1/passkeys", 405, "POST"},
		{"DELETE", "/v2beta/users/usr-1/passkeys/cre-1", 405, "POST"},
		{"POST", "/v2/users/usr-1/passkeys/", 400, ""}, // an empty ID
		{"POST", "/v2/users/usr-1/passkeys/cre-1/more", 404, ""},
		{"POST", "/v2/users/usr%2F1/passkeys", 404, ""},
		{"POST", "/v2beta/users", 404, ""},
		{"GET", "/v2beta", 404, ""},
		{"GET", "/v2beta/", 404, ""},
		{"POST", "/v2beta/users/usr-1/totp", 404, ""},
		{"GET", "/v2/users/usr-1/passkeys/cre-1/more", 404, ""},
	} {
		t.Run(tc.verb+" "+tc.path, func(t *testing.T) {
			a := s.send(t.Context(), tc.verb, tc.path, "", map[string]string{"Authorization": "Bearer all"})
			want := map[int]string{404: notFound, 405: notAllowed, 400: noID}[tc.status]
			if a.status != tc.status || !sameJSON(a.body, want) || a.header.Get("Allow") != tc.allow {
				t.Errorf("got %d %s, allow %q", a.status, a.body, a.header.Get("Allow"))
			}
			if o := s.observed(1); len(o) != 1 || o[0].Err == nil || (o[0].Procedure == "") != (tc.status != 400) {
				t.Errorf("outcomes %+v", o)
			}
		})
	}
}

// A deadline that cannot be read is not one that is ignored.
func TestADeadlineThatCannotBeReadIsRefused(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	a := s.send(t.Context(), "POST", "/v2/users/usr-1/passkeys", "", map[string]string{"Authorization": "Bearer all", "Grpc-Timeout": "soon"})
	if a.status != http.StatusBadRequest || !strings.Contains(a.body, `"code":3`) {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if o := s.observed(1)[0]; o.Code != "invalid_argument" {
		t.Errorf("outcome %+v", o)
	}
}

func TestErrorsHaveTheBytesThatClientsKnow(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	s.recorded.fail = fault.NotFound("User could not be found").Named(service.ReasonUserUnknown)
	const detail = `{"@type":"type.googleapis.com/zitadel.v1.ErrorDetail","id":"QUERY-Dfbg2","message":"User could not be found"}`
	for _, tc := range []struct{ name, path, want string }{
		{"JSON", "/v2/users/usr-1/passkeys/_search", `{"code":5,"message":"User could not be found (QUERY-Dfbg2)","details":[` + detail + `]}`},
		{
			"Connect", "/zitadel.user.v2.UserService/ListPasskeys",
			`{"code":"not_found","message":"User could not be found (QUERY-Dfbg2)",` +
				`"details":[{"type":"zitadel.v1.ErrorDetail","value":"CgtRVUVSWS1EZmJnMhIXVXNlciBjb3VsZCBub3QgYmUgZm91bmQ",` +
				`"debug":{"id":"QUERY-Dfbg2","message":"User could not be found"}}]}`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := s.send(
				t.Context(),
				"POST",
				tc.path,
				`{"userId":"usr-1"}`,
				map[string]string{"Authorization": "Bearer all", "Content-Type": "application/json"},
			)
			if a.status != 404 || !sameJSON(a.body, tc.want) {
				t.Errorf("got %d %s", a.status, a.body)
			}
		})
	}
}

func TestOwns(t *testing.T) {
	t.Parallel()
	s := serve(t, nil)
	for _, tc := range []struct {
		path string
		owns bool
	}{
		{"/v2/users/usr-1/passkeys", true},
		{"/v2/users/usr-1/passkeys/", true},
		{"/v2/users/usr-1/passkeys/cre-1", true},
		{"/v2/users/usr-1/passkeys/cre-1/more", true},
		{"/v2/users/usr-1/passkeys/_search", true},
		{"/v2/users//passkeys", true},
		{"/v2/users/" + strings.Repeat("x", 300) + "/passkeys", true},
		{"/v2beta", true},
		{"/v2beta/", true},
		{"/v2beta/users/usr-1/passkeys", true},
		{"/v2beta/anything", true},
		{"/zitadel.user.v2.UserService/ListPasskeys", true},
		{"/zitadel.user.v2.UserService/Other", true},
		{"/zitadel.user.v2beta.UserService/RegisterPasskey", true},
		{"/v2/users", false},
		{"/v2/users/usr-1", false},
		{"/v2/users/passkeys", false},
		{"/v2/users/usr-1/passkeyEvents", false},
		{"/v2/users/usr-1/passkeyChallenges/x", false},
		{"/v2/users/usr-1/credentials", false},
		{"/v2/passkeys/verifySignedData", false},
		{"/v2betaX", false},
		{"/v1/users/usr-1/passkeys", false},
		{"/zitadel.user.v2.OtherService/X", false},
		{"/grpc.health.v1.Health/Check", false},
		{"/", false},
		{"", false},
	} {
		t.Run(fmt.Sprintf("%.60q", tc.path), func(t *testing.T) {
			if got := s.api.Owns(tc.path); got != tc.owns {
				t.Errorf("got %v", got)
			}
		})
	}
}
