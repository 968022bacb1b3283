package userapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/keyward/keyward/services/gateway/internal/userapi"
)

func fuzzed(f *testing.F) *userapi.API {
	f.Helper()
	api, err := userapi.New(userapi.Deps{Registrations: &registrations{}, Admit: admit, MaxBytes: 10_000, Timeout: time.Minute})
	if err != nil {
		f.Fatal(err)
	}
	return api
}

// FuzzJSON: whatever path and body come, the answer is JSON, and what cannot be read is the caller's fault.
func FuzzJSON(f *testing.F) {
	api := fuzzed(f)
	for _, path := range []string{
		"/v2/users/usr-1/passkeys", "/v2/users/usr-1/passkeys/cre-1", "/v2/users/usr-1/passkeys/registration_link",
		"/v2/users/usr-1/passkeys/_search",
		"/v2beta/users/usr-1/passkeys/registration_link", "/v2/users//passkeys", "/v2beta", "/v2/users/a:b/passkeys/:x",
	} {
		for _, body := range []string{
			``, `{}`, `null`, `[]`, `{"authenticator":1,"code":{"id":"a","code":"b"}}`, `{"sendLink":{"urlTemplate":"x"}}`,
			`{"returnCode":{},"sendLink":{}}`,
			`{"publicKeyCredential":` + testCredential + `,"passkeyName":"n"}`, `{"publicKeyCredential":{"a":1e999}}`,
			"{\"domain\":\"\xff\"}", `{"a":"\ud800"}`,
			strings.Repeat("[", 10_001), `{"x":` + strings.Repeat(`{"x":`, 100),
		} {
			f.Add("POST", path, body)
		}
	}
	f.Add("DELETE", "/v2/users/usr-1/passkeys/cre-1", "x")
	f.Fuzz(func(t *testing.T, verb, path, body string) {
		req, err := http.NewRequestWithContext(t.Context(), verb, "http://keyward/", strings.NewReader(body))
		if err != nil {
			t.Skip("no request of HTTP")
		}
		req.URL.Path = path
		if !api.Owns(path) || strings.HasPrefix(path, "/zitadel.") {
			t.Skip("not of the JSON API")
		}
		req.Header.Set("Authorization", "Bearer all")
		w := httptest.NewRecorder()
		api.Handler().ServeHTTP(w, req)
		if w.Code >= 500 || !json.Valid(w.Body.Bytes()) || !utf8.Valid(w.Body.Bytes()) {
			t.Errorf("%d %q", w.Code, w.Body)
		}
	})
}

// FuzzGRPCWeb: whatever comes, the answer names a code of gRPC, and what cannot be read is the caller's fault.
func FuzzGRPCWeb(f *testing.F) {
	api := fuzzed(f)
	good := frame(0, listOf("usr-1"))
	for _, body := range []string{
		"", good, good[:3], good + good, frame(1, "x"), frame(0x80, "grpc-status: 0\r\n"), good + frame(0x80, "a: b\r\n"), good + "\x80",
		good + "\x80\x00\x00\x00\x09", "\x00\xff\xff\xff\xff", frame(0, "\xff"),
		frame(0, "\x0a\x01\xff"), frame(0, ""), frame(0xff, ""),
	} {
		f.Add("ListPasskeys", body)
		f.Add("VerifyPasskeyRegistration", body)
		f.Add("Nothing", body)
	}
	f.Fuzz(func(t *testing.T, method, body string) {
		req := httptest.NewRequestWithContext(t.Context(), "POST", "/x", strings.NewReader(body))
		req.URL.Path = "/zitadel.user.v2.UserService/" + method
		req.Header.Set("Authorization", "Bearer all")
		req.Header.Set("Content-Type", "application/grpc-web+proto")
		w := httptest.NewRecorder()
		api.Handler().ServeHTTP(w, req)
		a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
		if code := a.code(); a.status != 200 || code == "" || code == "unknown" || code == "internal" {
			t.Errorf("%d %s %q %v", a.status, code, a.body, a.header)
		}
	})
}
