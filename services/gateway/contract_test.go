package gateway_test

import (
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/servicetest"
	"github.com/keyward/keyward/services/gateway"
	"github.com/keyward/keyward/services/gateway/internal/contract"
)

// useCases are the methods of services that operations ask for, where the two are not called alike.
var useCases = map[string]string{
	"createAuthEvent":        "ReportAuthEvent",
	"createChallenge":        "CreateCode",
	"updateChallenge":        "CheckCode",
	"listPasskeyChallenges":  "ListChallenges",
	"updatePasskeyChallenge": "UpdateChallenge",
	"passkeyAppendStart":     "AppendStart",
	"passkeyAppendFinish":    "AppendFinish",
	"passkeyLoginStart":      "LoginStart",
	"passkeyLoginFinish":     "LoginFinish",
	"passkeyMediationStart":  "MediationStart",
	"passkeyMediationFinish": "MediationFinish",
	"passkeyPostLogin":       "PostLogin",
	"getKeys":                "Keys",
	"createPasskeyEvent":     "Create",
	"listPasskeyEvents":      "List",
	"deletePasskeyEvent":     "Delete",
	"createWebhookEndpoint":  "CreateWebhook",
	"listWebhookEndpoints":   "ListWebhooks",
	"updateWebhookEndpoint":  "UpdateWebhook",
	"deleteWebhookEndpoint":  "DeleteWebhook",
	"evaluateAccess":         "EvaluateRisk",
	"evaluateAccesses":       "EvaluateRisk",
	"getAccessConfiguration": "", // none
}

// useCase names the method that an operation asks for.
func useCase(op *contract.Operation) string {
	if strings.HasSuffix(op.ID, "VerifySignedData") {
		return "VerifySignedData"
	}
	if method, ok := useCases[op.ID]; ok {
		return method
	}
	return strings.ToUpper(op.ID[:1]) + op.ID[1:]
}

// generous limits everything and refuses nothing, so that answers have all their headers.
func generous() gateway.Config {
	many := ratelimit.Limit{Requests: 1_000_000, Per: time.Minute}
	return gateway.Config{RateProject: many, RateAddress: many, RateFailures: many}
}

// checkHeaders holds what every answer of the API promises.
func checkHeaders(t *testing.T, op *contract.Operation, a answer) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Type":           `application/json`,
		"X-Content-Type-Options": `nosniff`,
		"X-Request-Id":           `sent-\w+`,
		"Ratelimit-Limit":        `1000000`,
		"Ratelimit-Remaining":    `9\d{5}`,
		"Ratelimit-Reset":        `[1-9]\d?`,
		"Cache-Control":          `no-store|(public|private), max-age=300`,
	} {
		if got := a.header.Values(name); len(got) != 1 || !regexp.MustCompile("^("+want+")$").MatchString(got[0]) {
			t.Errorf("%s is %q, want %s", name, got, want)
		}
	}
	if shared := a.header.Get("Cache-Control") != "no-store"; shared != (op.Public && a.status == http.StatusOK) {
		t.Errorf("Cache-Control is %q", a.header.Get("Cache-Control"))
	}
}

func TestEveryOperationOfTheDocumentIsRoutedAndAnswersAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: generous()})
	for _, op := range s.document.Operations {
		if !op.AnswersJSON("200") {
			continue // a stream
		}
		t.Run(op.ID, func(t *testing.T) {
			request := goodCall(t, good, op)
			before := len(s.services.Calls())
			a := s.call(op.Method, request.path, request.body, map[string]string{"X-Request-ID": "sent-" + op.ID})
			if a.status != http.StatusOK {
				t.Fatalf("status %d: %s", a.status, a.body)
			}
			if err := op.CheckResponse("200", a.body); err != nil {
				t.Errorf("the answer does not fit the contract: %v\n%s", err, a.body)
			}
			checkHeaders(t, op, a)
			calls := s.services.Calls()[before:]
			if useCase(op) == "" && len(calls) == 0 {
				return
			}
			if len(calls) != 1 || !strings.HasSuffix(calls[0].Method, "."+useCase(op)) ||
				string(calls[0].RequestID) != a.header.Get("X-Request-ID") ||
				calls[0].Seed != "" {
				t.Errorf("the services saw %+v", calls)
			}
		})
	}
}

type example struct{ path, body string }

// goodCall returns a request that fits an operation: that of examples, or else the smallest that the document allows.
func goodCall(t testing.TB, examples map[string]example, op *contract.Operation) example {
	t.Helper()
	if request, found := examples[op.ID]; found {
		return request
	}
	for _, s := range []samples{backendSamples(), frontendSamples(), operatorSamples()} {
		if item, method := s.operation(op); method != nil {
			return s.request(t, op, item, method)
		}
	}
	t.Fatalf("operation %s (%s %s) is in no document", op.ID, op.Method, op.Path)
	return example{}
}

// spoiled returns bad variants of an operation's good request: of its body, its path and its query.
func spoiled(t testing.TB, op *contract.Operation) map[string]example {
	t.Helper()
	request := goodCall(t, good, op)
	path, query, _ := strings.Cut(request.path, "?")
	bad := map[string]example{}
	if op.TakesBody() {
		bad["a body that is no JSON"] = example{request.path, "{"}
		bad["a body that is no object"] = example{request.path, "7"}
		bad["a body with a NUL"] = example{request.path, strings.Replace(request.body, "{", `{"x":"\u0000",`, 1)}
		bad["a body too large"] = example{request.path, `{"x":"` + strings.Repeat("x", 2_000_000) + `"}`}
	}
	if strings.Contains(op.Path, "{") {
		parts, names := strings.Split(path, "/"), strings.Split(op.Path, "/")
		for i, name := range names {
			if strings.HasPrefix(name, "{") {
				spoilt := slices.Clone(parts)
				spoilt[i] = "x.%3E"
				bad["a bad "+strings.Trim(name, "{}")] = example{strings.Join(spoilt, "/"), request.body}
			}
		}
	}
	bad["a query that nobody knows"] = example{withQuery(request.path, "filterBy=x"), request.body}
	if len(op.CheckQuery("page=1")) == 0 {
		for _, q := range []string{"page=0", "pageSize=10000000", "sort=%00", "filter[]=x", "page=%zz"} {
			bad["the query "+q] = example{path + "?" + strings.TrimPrefix(query+"&"+q, "&"), ""}
		}
	}
	return bad
}

func TestEveryOperationRefusesBadRequestsAsTheDocumentSays(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: generous()})
	for _, op := range s.document.Operations {
		for name, request := range spoiled(t, op) {
			t.Run(op.ID+"/"+name, func(t *testing.T) {
				a := s.call(op.Method, request.path, request.body, map[string]string{"X-Request-ID": "sent-" + op.ID})
				if a.status != 400 && (a.status != 413 || name != "a body too large") {
					t.Fatalf("status %d: %s", a.status, a.body)
				}
				if a.error.Error.Type != rest.ErrorTypeInvalidJSON && len(a.fields()) == 0 {
					t.Errorf("no field is named: %s", a.body)
				}
				if err := op.CheckResponse("default", a.body); err != nil {
					t.Errorf("the answer does not fit the contract: %v\n%s", err, a.body)
				}
				checkHeaders(t, op, a)
			})
		}
		if op.Public {
			continue
		}
		t.Run(op.ID+"/without credentials", func(t *testing.T) {
			request := goodCall(t, good, op)
			a := s.call(op.Method, request.path, request.body, map[string]string{"X-Request-ID": "sent-" + op.ID, "Authorization": ""})
			if a.status != 401 || a.error.Error.Type != rest.ErrorTypeLoginError {
				t.Errorf("status %d: %s", a.status, a.body)
			}
			checkHeaders(t, op, a)
		})
	}
	if calls := s.services.Calls(); len(calls) != 0 {
		t.Errorf("a service was called: %+v", calls)
	}
}

func TestEveryOperationPassesOnWhatItsServiceSays(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{cfg: generous()})
	for _, op := range s.document.Operations {
		if !op.AnswersJSON("200") || useCase(op) == "" {
			continue
		}
		for status, err := range map[int]error{
			400: fault.Unknown("userID"), 409: fault.Conflict("x", "is taken"), 503: fault.Unavailable(time.Second, "away"),
			500: errors.New("broken"),
		} {
			s.services.Before(always(err))
			request := goodCall(t, good, op)
			a := s.call(op.Method, request.path, request.body, map[string]string{"X-Request-ID": "sent-" + op.ID})
			if a.status != status {
				t.Errorf("%s: status %d: %s", op.ID, a.status, a.body)
			}
			if err := op.CheckResponse("default", a.body); err != nil {
				t.Errorf("%s: the answer does not fit the contract: %v\n%s", op.ID, err, a.body)
			}
			checkHeaders(t, op, a)
		}
	}
}

func TestListParametersReachTheService(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	s.call("GET", good["listUsers"].path, "", nil)
	s.call("GET", "/v2/users", "", nil)
	s.call("GET", good["listPasskeyEvents"].path, "", nil)
	var got []any
	for _, c := range s.services.Calls() {
		got = append(got, c.Request)
	}
	want := []any{
		service.ForProject[service.List]{
			Project: "pro-1",
			Body: service.List{
				Sort: "created:desc", Filter: []string{"status:eq:active", "created:gt:2026-01-01T00:00:00"}, Page: 2, PageSize: 5,
			},
		},
		service.ForProject[service.List]{Project: "pro-1", Body: service.List{Page: 1, PageSize: 10}},
		service.ForUser[service.EventList]{
			Project: "pro-1", User: "usr-1",
			Body: service.EventList{List: service.List{Page: 1, PageSize: 10}, IncludeEngine: true},
		},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestEveryRouteUnderV2IsInTheDocument(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	documented := map[string]bool{}
	for _, op := range append(s.document.Operations, frontendDocument(t).Operations...) {
		documented[op.Method+" "+op.RouterPath()] = true
		if op.Method == "GET" { // HEAD comes with GET
			documented["HEAD "+op.RouterPath()] = true
		}
	}
	documented["GET /v2/openapi.yaml"], documented["HEAD /v2/openapi.yaml"] = true, true // the document itself
	routed := map[string]bool{}
	for _, r := range s.gateway.Routes() {
		if strings.HasPrefix(r, "/") {
			t.Fatalf("route without a method: %s", r)
		}
		if strings.Contains(r, " /v2") || strings.Contains(r, " /.well-known") || strings.Contains(r, " /access") {
			routed[r] = true
		}
	}
	if d := cmp.Diff(documented, routed); d != "" {
		t.Error(d)
	}
}

func TestEveryFailureOfAServiceKeepsItsTypeAndStatus(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for _, tc := range []struct {
		name   string
		err    error
		status int
		kind   rest.ErrorType
		fields map[string]string
	}{
		{"an unknown user", fault.Unknown("userID"), 400, rest.ErrorTypeValidationError, map[string]string{"userID": "does not exist"}},
		{
			"a wrapped fault", fmt.Errorf("read account: %w", fault.Conflict("explicitWebauthnID", "is taken")), 409,
			rest.ErrorTypeAlreadyExists, map[string]string{"explicitWebauthnID": "is taken"},
		},
		{"something that is away", fault.Unavailable(1500e6, "the log is away"), 503, rest.ErrorTypeUnavailable, map[string]string{}},
		{"any other error", fmt.Errorf("secret detail"), 500, rest.ErrorTypeInternalError, map[string]string{}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s.services.Before(always(tc.err))
			a := s.call("GET", "/v2/users/usr-1", "", nil)
			if a.status != tc.status || a.error.Error.Type != tc.kind {
				t.Errorf("got %d %s", a.status, a.body)
			}
			if d := cmp.Diff(tc.fields, a.fields()); d != "" {
				t.Error(d)
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

func TestARefusalSaysWhatToSignalAndNoOtherDoes(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	refused := fault.Unknown("assertionResponse")
	for _, tc := range []struct {
		err  error
		want string
	}{
		{refused.Signalling("example.com", "AbC"), `"data":{"signals":{"rpID":"example.com","unknownCredentialID":"AbC"}}`},
		{refused, ""},
	} {
		s.services.Before(always(tc.err))
		a := s.call("GET", "/v2/users/usr-1", "", nil)
		if !strings.Contains(string(a.body), tc.want) || strings.Contains(string(a.body), "signals") != (tc.want != "") {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
}

func TestAStepUpIsNamedInAHeaderAndInTheBodyOnlyIfAsked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		opened       *service.StepUp
		header, body string
	}{
		"one that is waited for, by what the user can do": {
			&service.StepUp{
				ID: "stu-42", Methods: []service.StepUpMethod{service.StepUpPasskeyUV, service.StepUpEmailCode},
				Expires: time.Date(2026, 11, 25, 14, 10, 0, 5, time.UTC),
			},
			`stu-42;methods="passkey-uv email-code"`,
			`"stepUp":{"expiresAt":"2026-11-25T14:10:00Z","id":"stu-42","methods":["passkey-uv","email-code"]}`,
		},
		"none that is waited for, by what the policy names": {nil, "", `"stepUp":{"methods":["passkey-uv","caller"]}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, setup{})
			judged := &service.Risk{
				Rule: "R2", Action: service.RiskChallenge, Level: service.RiskHigh, Reasons: []service.RiskReason{},
				StepUp: []service.StepUpMethod{service.StepUpPasskeyUV, service.StepUpCaller}, Opened: c.opened,
			}
			servicetest.Answer(s.services, service.Ceremony.LoginStart, func(
				service.ForProject[rest.PasskeyLoginStartReq],
			) service.Judged[rest.PasskeyLoginStartRsp] {
				return service.Judged[rest.PasskeyLoginStartRsp]{Decided: service.Decided{Decision: "dec-1", PolicyRevision: "rev-a"}, Risk: judged}
			})
			request := goodCall(t, good, s.document.Operation("passkeyLoginStart"))
			plain, _, _ := strings.Cut(request.path, "?")
			a := s.call("POST", plain, request.body, nil)
			if got := a.header.Get("X-Keyward-Step-Up"); got != c.header || strings.Contains(string(a.body), `"stepUp"`) {
				t.Errorf("header %q, body %s", got, a.body)
			}
			if a = s.call("POST", plain+"?include=risk", request.body, nil); !strings.Contains(string(a.body), c.body) {
				t.Errorf("body %s", a.body)
			}
		})
	}
}

func TestAStartTellsHowItWasJudgedInAHeaderAndInTheBodyOnlyIfAsked(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	judged := &service.Risk{Rule: "R4", Action: service.RiskReview, Level: service.RiskMedium, Reasons: []service.RiskReason{
		{Code: "bot", Severity: 2, Title: "The client says that it is a program"}, {Code: "new-network", Severity: 1, Title: "t"},
	}}
	servicetest.Answer(s.services, service.Ceremony.LoginStart, func(
		service.ForProject[rest.PasskeyLoginStartReq],
	) service.Judged[rest.PasskeyLoginStartRsp] {
		return service.Judged[rest.PasskeyLoginStartRsp]{Decided: service.Decided{Decision: "dec-1", PolicyRevision: "rev-a"}, Risk: judged}
	})
	request := goodCall(t, good, s.document.Operation("passkeyLoginStart"))
	plain, _, _ := strings.Cut(request.path, "?")
	a := s.call("POST", plain, request.body, nil)
	const want = `review;level=medium;enforced=?0;reasons="bot new-network"`
	if got := a.header.Get("X-Keyward-Risk"); got != want || strings.Contains(string(a.body), `"risk"`) {
		t.Errorf("header %q, body %s", got, a.body)
	}
	a = s.call("POST", plain+"?include=risk", request.body, nil)
	const body = `"risk":{"action":"review","decisionID":"dec-1","enforced":false,"level":"medium",` +
		`"obligations":{"maxSessionSeconds":0,"notifyUser":false},"reasons":[` +
		`{"code":"bot","severity":2,"title":"The client says that it is a program"},{"code":"new-network","severity":1,"title":"t"}]}`
	if got := a.header.Get("X-Keyward-Risk"); got != want || !strings.Contains(string(a.body), body) {
		t.Errorf("header %q, body %s", got, a.body)
	}
	if a = s.call("POST", plain+"?include=engine", request.body, nil); a.status != 400 {
		t.Errorf("what cannot be included is answered %d %s", a.status, a.body)
	}
}

func TestStartAnswersNameTheDecisionInHeaderAndLog(t *testing.T) {
	t.Parallel()
	s := serve(t, setup{})
	for i, tc := range []struct {
		operation string
		decision  ident.DecisionID
	}{{"passkeyAppendStart", "dec-1"}, {"passkeyLoginStart", "dec-2"}, {"passkeyMediationStart", "dec-3"}} {
		request := goodCall(t, good, s.document.Operation(tc.operation))
		a := s.call("POST", request.path, request.body, nil)
		if a.header.Get("X-Keyward-Decision-ID") != string(tc.decision) || a.header.Get("X-Keyward-Policy-Revision") != "rev-a" {
			t.Errorf("%s: headers are %v", tc.operation, a.header)
		}
		if line := s.logged(i + 1)[i]; line["decision_id"] != string(tc.decision) || line["project"] != "pro-1" {
			t.Errorf("%s: logged %v", tc.operation, line)
		}
	}
}
