package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/service"
)

func TestEveryOperationOfTheDocumentIsRoutedAndAnswersAsTheDocumentSays(t *testing.T) {
	s := serve(t, setup{})
	for _, op := range s.document.Operations {
		t.Run(op.ID, func(t *testing.T) {
			request, ok := good[op.ID]
			if !ok {
				t.Fatal("the document has an operation that this test does not call")
			}
			before := len(s.services.all())
			a := s.call(op.Method, request.path, request.body, nil)
			if a.status != http.StatusOK {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			if err := op.CheckResponse("200", a.body); err != nil {
				t.Errorf("the answer does not fit the contract: %v\n%s", err, a.body)
			}
			if got := a.header.Get("Content-Type"); got != "application/json" {
				t.Errorf("content type is %q", got)
			}
			calls := s.services.all()[before:]
			if len(calls) != 1 || calls[0].operation != op.ID || string(calls[0].request) != a.header.Get("X-Request-ID") {
				t.Errorf("the services saw %+v", calls)
			}
		})
	}
}

func TestListParametersReachTheService(t *testing.T) {
	s := serve(t, setup{})
	s.call("GET", good["listUsers"].path, "", nil)
	s.call("GET", "/v2/users", "", nil)
	s.call("GET", good["listPasskeyEvents"].path, "", nil)
	var got []any
	for _, c := range s.services.all() {
		got = append(got, c.argument)
	}
	want := []any{
		service.ForProject[service.List]{Project: "pro-1", Body: service.List{Sort: "created:desc", Filter: []string{"status:eq:active", "created:gt:2026-01-01T00:00:00"}, Page: 2, PageSize: 5}},
		service.ForProject[service.List]{Project: "pro-1", Body: service.List{Page: 1, PageSize: 10}},
		service.ForUser[service.EventList]{Project: "pro-1", User: "usr-1", Body: service.EventList{List: service.List{Page: 1, PageSize: 10}, IncludeEngine: true}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryRouteUnderV2IsInTheDocument(t *testing.T) {
	s := serve(t, setup{})
	documented := map[string]bool{}
	for _, op := range s.document.Operations {
		documented[op.Method+" "+op.RouterPath()] = true
		if op.Method == "GET" { // HEAD comes with GET
			documented["HEAD "+op.RouterPath()] = true
		}
	}
	routed := map[string]bool{}
	for _, r := range s.gateway.Routes() {
		if strings.HasPrefix(r, "/") {
			t.Fatalf("route without a method: %s", r)
		}
		if strings.Contains(r, " /v2") {
			routed[r] = true
		}
	}
	if diff := cmp.Diff(documented, routed); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFailureOfAServiceKeepsItsTypeAndStatus(t *testing.T) {
	s := serve(t, setup{})
	for _, tc := range []struct {
		name   string
		err    error
		status int
		kind   rest.ErrorType
		fields map[string]string
	}{
		{"an unknown user", fault.Unknown("userID"), 400, rest.ErrorTypeValidationError, map[string]string{"userID": "does not exist"}},
		{"a wrapped fault", fmt.Errorf("read account: %w", fault.Conflict("explicitWebauthnID", "is taken")), 409, rest.ErrorTypeAlreadyExists, map[string]string{"explicitWebauthnID": "is taken"}},
		{"something that is away", fault.Unavailable(1500e6, "the log is away"), 503, rest.ErrorTypeUnavailable, map[string]string{}},
		{"any other error", fmt.Errorf("secret detail"), 500, rest.ErrorTypeInternalError, map[string]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.services.failWith(always(tc.err))
			a := s.call("GET", "/v2/users/usr-1", "", nil)
			if a.status != tc.status || a.error.Error.Type != tc.kind {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if diff := cmp.Diff(tc.fields, a.fields()); diff != "" {
				t.Error(diff)
			}
			if strings.Contains(string(a.body), "secret detail") {
				t.Errorf("the cause is shown to the caller: %s", a.body)
			}
			if tc.status == 503 && a.header.Get("Retry-After") != "2" {
				t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
			}
		})
	}
}

func TestStartAnswersNameTheDecisionInHeaderAndLog(t *testing.T) {
	s := serve(t, setup{})
	for i, tc := range []struct {
		operation string
		decision  ident.DecisionID
	}{{"passkeyAppendStart", "dec-1"}, {"passkeyLoginStart", "dec-2"}, {"passkeyMediationStart", "dec-3"}} {
		a := s.call("POST", good[tc.operation].path, good[tc.operation].body, nil)
		if a.header.Get("X-Keyward-Decision-ID") != string(tc.decision) || a.header.Get("X-Keyward-Policy-Revision") != "rev-a" {
			t.Errorf("%s: headers are %v", tc.operation, a.header)
		}
		if line := s.logged(i + 1)[i]; line["decision_id"] != string(tc.decision) || line["project"] != "pro-1" {
			t.Errorf("%s: logged %v", tc.operation, line)
		}
	}
}
