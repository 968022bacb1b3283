package gateway_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/services/gateway"
)

func TestAMessageMayBeLargerThanOtherBodiesUpToItsOwnLimit(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{BodyLimit: 2048}})
	headers := basic("pro-1", secretA)
	headers["Content-Type"] = "application/json"
	credential := func(size int) string {
		return `{"publicKeyCredential":{"id":"` + strings.Repeat("x", size) + `"},"passkeyName":"n"}`
	}
	for _, tc := range []struct {
		name, path, body string
		status           int
		contains         string
	}{
		{"the largest credential", "/v2/users/usr-1/passkeys/cre-1", credential(1_048_576 - len(`{"id":""}`)), 200, `"sequence":"1800000001000"`},
		{
			"a credential that is too long", "/v2/users/usr-1/passkeys/cre-1", credential(1_048_577), 400,
			"value length must be between 55 and 1048576",
		},
		{"a message beyond the limit", "/v2/users/usr-1/passkeys/cre-1", credential(2 << 20), 413, "body: must be at most 2097152 bytes"},
		{"a message far beyond", "/v2/users/usr-1/passkeys/cre-1", credential(30 << 20), 413, "body: must be at most 2097152 bytes"},
		{"another body beyond the body limit", "/v2/users", `{"status":"` + strings.Repeat("x", 3000) + `"}`, 413, "must be at most 2048 bytes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, port := range []string{portHTTP, portGRPC} {
				if port == portGRPC && !strings.Contains(tc.path, "passkeys") {
					continue
				}
				request := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: a\r\nOrigin: %s\r\nAuthorization: %s\r\n"+
					"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", tc.path, originA, headers["Authorization"], len(tc.body))
				a := s.stubborn(port, request, tc.body)
				if a.status != tc.status || !strings.Contains(string(a.body), tc.contains) {
					t.Errorf("on %s: got %d %.200s", port, a.status, a.body)
				}
				if read := a.header.Values("Access-Control-Allow-Origin"); !slices.Equal(read, []string{originA}) {
					t.Errorf("on %s: the answer is for pages of %q", port, read)
				}
			}
		})
	}
}

func TestAMessageThatIsTooLargeIsRefusedInItsProtocol(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: gateway.Config{GRPCMaxMessage: 64 << 10}})
	for _, w := range ways() {
		if w.protocol == overJSON {
			continue
		}
		if got := s.listPasskeys(w, strings.Repeat("x", 70<<10), nil); got.code != "resource_exhausted" {
			t.Errorf("%v: got %+v", w, got)
		}
	}
}

func TestPreflightsOfCalls(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, tc := range []struct {
		name, path, origin string
		status             int
	}{
		{"of the JSON API", "/v2/users/usr-1/passkeys", originA, 204},
		{"of the JSON API, beta", "/v2beta/users/usr-1/passkeys/_search", originB, 204},
		{"of a procedure", "/zitadel.user.v2.UserService/RegisterPasskey", originA, 204},
		{"of an origin that nobody lists", "/zitadel.user.v2.UserService/RegisterPasskey", "https://evil.example", 403},
	} {
		for _, port := range []string{portHTTP, portGRPC} {
			t.Run(tc.name+" on "+port, func(t *testing.T) {
				a := s.send(
					port, "OPTIONS", tc.path, "",
					map[string]string{"Origin": tc.origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"},
				)
				readable := map[bool]string{true: tc.origin}[tc.status == 204]
				if a.status != tc.status || a.header.Get("Access-Control-Allow-Origin") != readable || a.header.Get("Vary") != "Origin" {
					t.Fatalf("got %d %v %s", a.status, a.header, a.body)
				}
				if tc.status != 204 {
					if !strings.Contains(strings.ReplaceAll(string(a.body), " ", ""), `"code":7`) &&
						!strings.Contains(string(a.body), "permission_denied") {
						t.Errorf("got %s", a.body)
					}
					return
				}
				allowed := ", " + strings.ToLower(a.header.Get("Access-Control-Allow-Headers")) + ", "
				for _, h := range []string{
					"authorization", "content-type", "x-zitadel-orgid", "x-grpc-web", "x-user-agent", "grpc-timeout",
					"connect-protocol-version", "connect-timeout-ms", "x-request-id",
				} {
					if !strings.Contains(allowed, ", "+h+", ") {
						t.Errorf("%s may not be sent: %s", h, allowed)
					}
				}
				if got := a.header.Get("Access-Control-Allow-Methods"); got != "GET, POST, DELETE" || len(a.body) != 0 {
					t.Errorf("methods %q, body %q", got, a.body)
				}
			})
		}
	}
	for _, port := range []string{portHTTP, portGRPC} {
		got := s.listPasskeys(way{overGRPCWeb, port}, "usr-1", map[string]string{"Origin": originA})
		exposed := ", " + strings.ToLower(got.header.Get("Access-Control-Expose-Headers")) + ", "
		for _, h := range []string{
			"grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id", "retry-after", "ratelimit-remaining",
		} {
			if !strings.Contains(exposed, ", "+h+", ") {
				t.Errorf("on %s %s cannot be read: %s", port, h, exposed)
			}
		}
	}
}

func TestOutcomesAgreeAcrossWays(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, tc := range []struct {
		name, user, code, message string
		headers                   map[string]string
	}{
		{"no credentials", "usr-1", "unauthenticated", "auth header missing", map[string]string{"Authorization": ""}},
		{"a user ID that nobody can have", "nobody", "not_found", "User could not be found (QUERY-Dfbg2)", nil},
		{"a wrong secret", "usr-1", "unauthenticated", "the project ID or the API secret is wrong", basic("pro-1", secretB)},
		{
			"another scheme", "usr-1", "unauthenticated",
			"send an access token or an API key as Bearer, or the project ID and the API secret as HTTP Basic authentication",
			map[string]string{"Authorization": "Digest x"},
		},
		{
			"an origin of another project", "usr-1", "permission_denied",
			"the project does not list the origin that the request comes from", map[string]string{"Origin": originB},
		},
		{
			"the header of another project", "usr-1", "permission_denied",
			"X-Corbado-ProjectID names another project than the credential", map[string]string{"X-Corbado-ProjectID": "pro-2"},
		},
		{
			"the organization of another project", "usr-1", "permission_denied",
			"X-Zitadel-Orgid names another project than the credential", map[string]string{"x-zitadel-orgid": "pro-2"},
		},
		{"its own organization", "usr-1", "ok", "", map[string]string{"x-zitadel-orgid": "pro-1"}},
	} {
		for _, w := range ways() {
			got := s.listPasskeys(w, tc.user, tc.headers)
			if d := gocmp.Diff([2]string{tc.code, tc.message}, [2]string{got.code, got.message}); d != "" {
				t.Errorf("%s, %v: %s", tc.name, w, d)
			}
			if readable := got.header.Get("Access-Control-Allow-Origin"); readable != "" {
				t.Errorf("%s, %v: readable for %s", tc.name, w, cmp.Or(readable, "nobody"))
			}
		}
	}
}
