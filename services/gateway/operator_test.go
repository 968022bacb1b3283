package gateway_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	api "github.com/keyward/keyward/api/operator"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/core/account"
	"github.com/keyward/keyward/core/audit"
	"github.com/keyward/keyward/core/fault"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/inquiry"
	"github.com/keyward/keyward/core/kv"
	"github.com/keyward/keyward/core/operator"
	"github.com/keyward/keyward/core/ratelimit"
	"github.com/keyward/keyward/core/service"
	"github.com/keyward/keyward/core/service/servicetest"
	"github.com/keyward/keyward/services/gateway"
	"github.com/keyward/keyward/services/gateway/internal/contract"
	"github.com/keyward/keyward/services/gateway/internal/scope"
)

// staff are operators by their tokens, here words.
type staff map[string]operator.Operator

func newStaff() staff {
	limited := operator.Operator{ID: "opr-8", Name: "Lou", Role: operator.Admin, Projects: []ident.ProjectID{"pro-2"}}
	ofTwo := operator.Operator{ID: "opr-7", Name: "Kim", Role: operator.Admin, Projects: []ident.ProjectID{"pro-2", "pro-3"}}
	all := staff{"expired": {ID: "opr-9", Name: "Eve", Role: operator.Admin, ExpiresMs: 1}, "limited": limited, "of two": ofTwo}
	for i, role := range operator.Roles() {
		all[string(role)] = operator.Operator{ID: ident.OperatorID(fmt.Sprintf("opr-%d", i+1)), Name: "the " + string(role), Role: role}
	}
	return all
}

func (s staff) Authenticate(_ context.Context, token string, now time.Time) (operator.Operator, error) {
	o, ok := s[token]
	switch {
	case token == "nobody can say":
		return operator.Operator{}, fault.Unavailable(time.Second, "the operator could not be read").Because(kv.ErrUnavailable)
	case !ok:
		return operator.Operator{}, operator.ErrWrong
	case o.Expired(now):
		return operator.Operator{}, operator.ErrExpired
	}
	return o, nil
}

func (s staff) List() []operator.Operator {
	return slices.SortedFunc(maps.Values(s), func(a, b operator.Operator) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

func (s staff) Resume(ctx context.Context, text string, now time.Time) (operator.Operator, error) {
	if of, ok := strings.CutPrefix(text, "session-of-"); ok {
		return s.Authenticate(ctx, of, now)
	}
	return operator.Operator{}, operator.ErrSessionOver
}

func (s staff) Open(
	_ context.Context, of operator.Operator, lifetime time.Duration, now time.Time,
) (text string, until time.Time, _ error) {
	return "session-of-" + string(of.Role), now.Add(lifetime), nil
}

func (s staff) End(context.Context, string) error { return nil }

func (s staff) Create(context.Context, operator.Operator) error { return nil }

func (s staff) Find(_ context.Context, id ident.OperatorID) (operator.Operator, error) {
	return operator.Operator{ID: id, Passkeys: []operator.Passkey{{ID: "cre-1", Name: "my key"}}}, nil
}

func (s staff) RemovePasskey(context.Context, ident.OperatorID, ident.CredentialID) error { return nil }

func (s staff) Remember(context.Context, operator.Operator) error { return nil }

// ceremonies are those of operators, here of one whose answer to anything but "wrong" is right.
type ceremonies struct{ by operator.Operator }

func (c ceremonies) SignInOptions(context.Context) (operator.PasskeyOptions, error) {
	return operator.PasskeyOptions{JSON: `{"publicKey":{}}`, Expires: time.UnixMilli(1)}, nil
}

func (c ceremonies) SignIn(_ context.Context, answer string) (operator.Operator, error) {
	if answer == "wrong" {
		return operator.Operator{}, fault.Login("the passkey is refused")
	}
	return c.by, nil
}

func (c ceremonies) AddOptions(ctx context.Context, _ operator.Operator) (operator.PasskeyOptions, error) {
	return c.SignInOptions(ctx)
}

func (c ceremonies) Add(_ context.Context, _ operator.Operator, name, _ string) (operator.Passkey, error) {
	return operator.Passkey{ID: "cre-1", Name: name}, nil
}

func (s staff) Revoke(_ context.Context, id ident.OperatorID, _ time.Time) (operator.Operator, error) {
	for _, o := range s {
		if o.ID == id {
			return o, nil
		}
	}
	return operator.Operator{ID: id}, nil
}

// trail is what was done, here the same for every test.
type trail []audit.Entry

func (t trail) Page(_ context.Context, w audit.Wanted) (found []audit.Entry, _ uint64, _ error) {
	for _, e := range t {
		if w.Sees == nil || w.Sees(e.Project) {
			found = append(found, e)
		}
	}
	return found, 0, nil
}

// operating serves the Operator API. The document is that of what asks for credentials.
func operating(t *testing.T, cfg gateway.Config) (*server, *contract.Document) {
	t.Helper()
	document, err := contract.Operator()
	if err != nil {
		t.Fatal(err)
	}
	guarded := *document
	guarded.Operations = slices.DeleteFunc(slices.Clone(document.Operations), func(op *contract.Operation) bool { return op.Public })
	cfg.OperatorAPI = true
	return serve(t, setup{cfg: cfg, staff: newStaff()}), &guarded
}

// as is the header of a call with a token.
func as(token string, more ...string) map[string]string {
	h := map[string]string{"Authorization": "Bearer " + token}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

// unending are the operations whose answers have no end.
func unending() []string { return []string{"streamDecisions", "streamProjectEvents"} }

// methodOf is how an operation is called so that its answer ends.
func methodOf(op *contract.Operation) string {
	if slices.Contains(unending(), op.ID) {
		return http.MethodHead
	}
	return op.Method
}

func TestEachRoleMayDoWhatItsOperationsSayAndWhatTheOnesBeforeItMay(t *testing.T) {
	t.Parallel()
	s, document := operating(t, gateway.Config{})
	for _, op := range document.Operations {
		for _, role := range operator.Roles() {
			t.Run(op.ID+"/"+string(role), func(t *testing.T) {
				request := goodCall(t, nil, op)
				if op.ID == "eraseUser" {
					request = erasing(request)
				}
				before := len(s.services.Calls())
				a := s.call(methodOf(op), ofProject(request.path, "pro-1"), request.body, as(string(role)))
				calls := s.services.Calls()[before:]
				if !role.Covers(op.Role) {
					if a.status != 403 || a.error.Error.Type != rest.ErrorTypeLoginError || len(calls) != 0 ||
						!strings.Contains(*a.error.Error.Details, "takes the role "+string(op.Role)) {
						t.Errorf("%d %s, %d calls", a.status, a.body, len(calls))
					}
					return
				}
				if a.status != 200 {
					t.Fatalf("%d %s", a.status, a.body)
				}
				noJSON := append(unending(), "downloadPolicyBundle", "logDecisions")
				if err := op.CheckResponse("200", a.body); err != nil && !slices.Contains(noJSON, op.ID) {
					t.Errorf("the answer does not fit the contract: %v\n%s", err, a.body)
				}
				if slices.Contains(unasked(), op.ID) {
					return
				}
				if op.Projects.Kind == scope.ByPath {
					named(t, role, calls)
					return
				}
				raw, err := json.Marshal(calls)
				if err != nil || len(calls) != 1 || !strings.Contains(string(raw), `"name":"the `+string(role)+`"`) {
					t.Errorf("the service saw %s, %v", raw, err)
				}
			})
		}
	}
}

// unasked are the operations that the gateway answers from what it holds.
func unasked() []string {
	return []string{
		"getOperator", "listProjects", "getProject", "listOperators", "createOperator", "revokeOperator", "listAudit", "getHealth",
		"createOperatorSession", "endOperatorSession", "listOwnPasskeys", "beginOwnPasskey", "addOwnPasskey", "removeOwnPasskey",
		"listOperatorPasskeys", "removeOperatorPasskey", "streamProjectEvents",
	}
}

// named holds calls of services to what they are told of who calls: the context says it, and what is done is told with it.
func named(t *testing.T, role operator.Role, calls []servicetest.Call) {
	t.Helper()
	if len(calls) == 0 {
		t.Error("no service was asked")
	}
	for _, c := range calls {
		if c.Operator.Name != "the "+string(role) {
			t.Errorf("%s was asked by %+v", c.Method, c.Operator)
		}
	}
}

// Whoever is limited to some projects gets nothing of another, by whatever operation.
func TestAnOperatorOfAnotherProjectGetsNothing(t *testing.T) {
	t.Parallel()
	s, document := operating(t, gateway.Config{})
	decided := func(of string) {
		servicetest.Answer(s.services, service.Decisions.GetDecision, func(service.ForOperator[ident.DecisionID]) api.Decision {
			return api.Decision{Record: map[string]any{"project": of}, Outcome: []api.DecisionStep{}}
		})
		servicetest.Answer(s.services, service.Studies.Judge, func(service.ForOperator[inquiry.Judge]) api.DecisionExplanation {
			return api.DecisionExplanation{ProjectID: of, Action: "login"}
		})
	}
	for _, op := range document.Operations {
		t.Run(op.ID, func(t *testing.T) {
			request := goodCall(t, nil, op)
			decided("pro-1")
			before := len(s.services.Calls())
			if op.ID == "turnSwitch" {
				request.body = `{"on":true}`
			}
			// The project that samples name is another one than the operator's.
			method := methodOf(op)
			if op.Projects.Kind == scope.ByPath {
				method = op.Method // none is answered without end
			}
			a := s.call(method, ofProject(request.path, "pro-1"), request.body, as("limited"))
			asked := s.services.Calls()[before:]
			switch kind := op.Projects.Kind; {
			case kind == scope.ByPath:
				if a.status != 404 || len(asked) != 0 || string(a.error.Error.Type) != "not_found" {
					t.Errorf("%d %s, services saw %+v", a.status, a.body, asked)
				}
			case kind == scope.Installation:
				if a.status != 403 || len(asked) != 0 {
					t.Errorf("%d %s, services saw %+v", a.status, a.body, asked)
				}
			case kind == scope.ByFilter:
				raw, err := json.Marshal(asked)
				if a.status != 200 || err != nil || !strings.Contains(string(raw), op.Projects.Field+":eq:pro-2") {
					t.Errorf("%d %s, services saw %s", a.status, a.body, raw)
				}
				before = len(s.services.Calls())
				for _, foreign := range []string{":eq:pro-1", ":gt:pro-2", ":lt:pro-9", ":eq:"} {
					joint := "?"
					if strings.Contains(request.path, "?") {
						joint = "&"
					}
					path := request.path + joint + "filter[]=" + op.Projects.Field + foreign + "&filter[]=" + op.Projects.Field + ":eq:pro-2"
					if a := s.call(methodOf(op), path, "", as("limited")); a.status != 403 {
						t.Errorf("%s: %d %s", foreign, a.status, a.body)
					}
				}
				if a := s.call(methodOf(op), request.path, "", as("of two")); a.status != 403 {
					t.Errorf("without a project, of two: %d %s", a.status, a.body)
				}
				if more := s.services.Calls()[before:]; len(more) != 0 {
					t.Errorf("services saw %+v", more)
				}
			case kind == scope.OfAll:
				if a.status != 200 {
					t.Errorf("%d %s", a.status, a.body)
				}
			case strings.HasPrefix(op.ID, "list"), strings.HasPrefix(op.ID, "getPolicy"):
				if a.status != 200 || strings.Contains(string(a.body), "pro-1") || strings.Contains(string(a.body), "usr-") {
					t.Errorf("%d %s", a.status, a.body)
				}
			case op.ID == "turnSwitch":
				if a.status != 403 {
					t.Errorf("%d %s", a.status, a.body)
				}
			default: // of a decision
				if a.status != 404 || strings.Contains(string(a.body), "pro-1") {
					t.Errorf("%d %s", a.status, a.body)
				}
				decided("pro-2")
				if a := s.call(methodOf(op), request.path, request.body, as("limited")); a.status != 200 {
					t.Errorf("of its own: %d %s", a.status, a.body)
				}
			}
		})
	}
}

// ofProject is a path about another project.
func ofProject(path, project string) string {
	return regexp.MustCompile(`/projects/pro-[0-9]+`).ReplaceAllString(path, "/projects/"+project)
}

// erasing confirms in the body whom the path names.
func erasing(request example) example {
	user := regexp.MustCompile(`usr-[0-9]+`).FindString(request.path)
	return example{request.path, `{"userID":"` + user + `"}`}
}

func TestALimitedOperatorActsOnItsOwnProjects(t *testing.T) {
	t.Parallel()
	s, document := operating(t, gateway.Config{})
	for _, op := range document.Operations {
		if op.Projects.Kind != scope.ByPath {
			continue
		}
		request := goodCall(t, nil, op)
		if op.ID == "eraseUser" {
			request = erasing(request)
		}
		if a := s.call(methodOf(op), ofProject(request.path, "pro-2"), request.body, as("limited")); a.status != 200 {
			t.Errorf("%s: %d %s", op.ID, a.status, a.body)
		}
		if a := s.call(op.Method, ofProject(request.path, "pro-404"), request.body, as("admin")); a.status != 404 {
			t.Errorf("%s of a project that there is not: %d %s", op.ID, a.status, a.body)
		}
	}
	servicetest.Answer(s.services, service.Policies.ListSwitches, func(service.ForOperator[service.Empty]) api.SwitchList {
		return api.SwitchList{Switches: []api.Switch{
			{Name: "all"}, {Name: "foreign", About: api.SwitchAbout{ProjectID: new("pro-1")}},
			{Name: "own", About: api.SwitchAbout{ProjectID: new("pro-2")}},
		}}
	})
	for name, c := range map[string]struct {
		path, body string
		status     int
	}{
		"on, of its own":                      {"new", `{"on":true,"about":{"projectID":"pro-2"}}`, 200},
		"on, of another":                      {"new", `{"on":true,"about":{"projectID":"pro-1"}}`, 403},
		"on, of all":                          {"new", `{"on":true}`, 403},
		"on, of all, where there was its own": {"own", `{"on":true}`, 403},
		"off, of its own":                     {"own", `{"on":false}`, 200},
		"off, of another":                     {"foreign", `{"on":false}`, 403},
		"off, of all":                         {"all", `{"on":false}`, 403},
		"another's turned into its own":       {"foreign", `{"on":true,"about":{"projectID":"pro-2"}}`, 403},
	} {
		if a := s.call("POST", "/operator/v1/switches/"+c.path, c.body, as("limited")); a.status != c.status {
			t.Errorf("a switch turned %s: %d %s", name, a.status, a.body)
		}
	}
	if a := s.call("GET", "/operator/v1/switches", "", as("limited")); strings.Contains(string(a.body), "foreign") {
		t.Errorf("it sees %s", a.body)
	}
}

func TestAUserIsErasedByWhoRepeatsTheID(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{})
	const path = "/operator/v1/projects/pro-1/users/usr-1/erase"
	for body, status := range map[string]int{`{"userID":"usr-2"}`: 400, `{}`: 400, `{"userID":"usr-1"}`: 200} {
		a := s.call("POST", path, body, as("admin"))
		if a.status != status || status == 400 && a.fields()["userID"] == "" {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if calls := s.services.Calls(); len(calls) != 1 {
		t.Errorf("services saw %+v", calls)
	}
}

func TestWhatThePathNamesAndNobodyKnowsIsNotFound(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{})
	for name, c := range map[string]struct {
		field, method, path, body string
		status                    int
	}{
		"a user":                   {"userID", "GET", "/users/usr-1", "", 404},
		"a user of a timeline":     {"userID", "GET", "/users/usr-1/timeline", "", 404},
		"a bar":                    {"eventID", "DELETE", "/users/usr-1/bars/pke-1", "", 404},
		"a passkey":                {"credentialID", "DELETE", "/users/usr-1/passkeys/cre-1", "", 404},
		"an endpoint":              {"webhookEndpointID", "GET", "/webhooks/whe-1/deliveries", "", 404},
		"a key":                    {"keyID", "DELETE", "/keys/abc", "", 404},
		"a label that is not one":  {"labels", "PUT", "/users/usr-1/labels", `{"labels":["a"]}`, 400},
		"a session that is not it": {"sessionID", "POST", "/users/usr-1/sessions/revoke", `{"sessionID":"ses-1"}`, 400},
	} {
		s.services.Before(always(fault.Unknown(c.field).Named("x").Because(account.ErrUnknown)))
		if a := s.call(c.method, "/operator/v1/projects/pro-1"+c.path, c.body, as("admin")); a.status != c.status {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}

// What a session may do is what its operator may; what changes anything takes a header that no other site can have a browser send.
func TestASessionTakesThePlaceOfAToken(t *testing.T) {
	t.Parallel()
	s, document := operating(t, gateway.Config{})
	opened := s.call("POST", "/operator/v1/session", "", as("approver"))
	cookie := opened.header.Get("Set-Cookie")
	for _, part := range []string{"__Host-keyward-operator=", "; Path=/;", "HttpOnly", "Secure", "SameSite=Strict", "Max-Age=28800"} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie is %s", cookie)
		}
	}
	sent, _, _ := strings.Cut(cookie, ";")
	by := func(cookie string, more ...string) map[string]string {
		h := as("", append([]string{"Cookie", cookie}, more...)...)
		h["Authorization"] = ""
		return h
	}
	for _, op := range document.Operations {
		request := goodCall(t, nil, op)
		path := ofProject(request.path, "pro-1")
		if op.ID == "createOperatorSession" {
			if a := s.call("POST", path, "", by(sent, "X-Keyward-Console", "1")); a.status != 401 {
				t.Errorf("a session begins another: %d %s", a.status, a.body)
			}
			continue
		}
		want := 200
		if !operator.Approver.Covers(op.Role) {
			want = 403
		}
		if a := s.call(methodOf(op), path, request.body, by("a=b; "+sent, "X-Keyward-Console", "1")); a.status != want {
			t.Errorf("%s: %d %s", op.ID, a.status, a.body)
		}
		if a := s.call(methodOf(op), path, request.body, by(sent)); (a.status == 200) != (want == 200 && op.Method == "GET") {
			t.Errorf("%s without the header: %d %s", op.ID, a.status, a.body)
		}
		if a := s.call(methodOf(op), path, request.body, by("__Host-keyward-operator=other", "X-Keyward-Console", "1")); a.status != 401 {
			t.Errorf("%s by a session that is over: %d %s", op.ID, a.status, a.body)
		}
	}
	ended := s.call("DELETE", "/operator/v1/session", "", by(sent, "X-Keyward-Console", "1"))
	if got := ended.header.Get("Set-Cookie"); !strings.Contains(got, "Max-Age=0") {
		t.Errorf("the cookie is left: %s", got)
	}
}

// A browser would ask for a password at Basic, and the page would wait for it.
func TestAPasskeyThatIsRefusedHasNoBrowserAskForAPassword(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{})
	nobody := map[string]string{"Authorization": ""}
	refused := s.call("POST", "/operator/v1/session/passkey", `{"answer":"wrong"}`, nobody)
	if got := refused.header.Values("Www-Authenticate"); refused.status != 401 || !slices.Equal(got, []string{`Bearer realm="keyward"`}) {
		t.Errorf("%d %s, WWW-Authenticate %q", refused.status, refused.body, got)
	}
	in := s.call("POST", "/operator/v1/session/passkey", `{"answer":"{}"}`, nobody)
	if cookie := in.header.Get("Set-Cookie"); in.status != 200 || !strings.Contains(cookie, "SameSite=Strict") {
		t.Errorf("%d %s, Set-Cookie %s", in.status, in.body, cookie)
	}
	foreign := map[string]string{"Authorization": "", "Origin": "https://evil.example"}
	if a := s.call("POST", "/operator/v1/session/passkey", `{"answer":"{}"}`, foreign); a.status != 403 || a.header.Get("Set-Cookie") != "" {
		t.Errorf("a page of another origin signs in: %d %s", a.status, a.body)
	}
}

func TestWithoutAnIdentityProviderNobodyIsSentToOne(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{})
	nobody := map[string]string{"Authorization": ""}
	if a := s.call("GET", "/operator/v1/session/ways", "", nobody); a.status != 200 || string(a.body) != `{"oidc":false,"passkey":true}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	for _, path := range []string{"/session/oidc", "/session/oidc/callback?code=a&state=b"} {
		if a := s.call("GET", "/operator/v1"+path, "", nobody); a.status != 404 {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}

func TestWhoCallsIsAnswered(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{})
	a := s.call("GET", "/operator/v1/me", "", as("author"))
	if want := `{"name":"the author","operatorID":"opr-2","role":"author"}`; a.status != 200 || string(a.body) != want {
		t.Errorf("%d %s, want %s", a.status, a.body, want)
	}
	if got := a.header.Get("Cache-Control"); got != "no-store" {
		t.Errorf("Cache-Control is %q", got)
	}
	if line := s.logged(1)[0]; line["route"] != "/operator/v1/me" || line["operator"] != "opr-2" || line["project"] != nil {
		t.Errorf("the log has %v", line)
	}
}

func TestTheNumberOfARevisionIsReadFromThePath(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{})
	if a := s.call("GET", "/operator/v1/policy/revisions/17", "", as("viewer")); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	q, ok := s.services.Calls()[0].Request.(service.ForOperator[int])
	if want := (service.Operator{ID: "opr-1", Name: "the viewer"}); !ok || q.Body != 17 || q.Operator != want {
		t.Errorf("the service saw %+v", s.services.Calls()[0].Request)
	}
	for _, number := range []string{"0", "-1", "1000000001", "1.5", "x", "%31%20", "99999999999999999999"} {
		a := s.call("GET", "/operator/v1/policy/revisions/"+number, "", as("viewer"))
		if a.status != 400 || a.fields()["number"] == "" {
			t.Errorf("%s: %d %s", number, a.status, a.body)
		}
	}
}

func TestNobodyCallsTheOperatorAPIWithoutATokenThatIsGood(t *testing.T) {
	t.Parallel()
	s, document := operating(t, gateway.Config{})
	for name, c := range map[string]struct {
		authorization string
		status        int
	}{
		"nothing":                   {"", 401},
		"the secret of a project":   {basic("pro-1", secretA)["Authorization"], 401},
		"an API key":                {"Bearer kwk1_1_abcdefghijkl_ABCDEFGHIJKLMNOPQRSTUVWXYZ", 401},
		"a forged token":            {"Bearer keyop_1_ABCDEFGHIJKLMNOPQRSTUVWXYZ", 401},
		"an empty token":            {"Bearer ", 401},
		"a token that has expired":  {"Bearer expired", 401},
		"one of which nobody knows": {"Bearer nobody can say", 503},
		"another scheme":            {"Token admin", 401},
	} {
		for _, op := range document.Operations {
			request := goodCall(t, nil, op)
			a := s.call(op.Method, request.path, request.body, map[string]string{"Authorization": c.authorization})
			if a.status != c.status {
				t.Errorf("%s with %s: %d %s", op.ID, name, a.status, a.body)
			}
			if err := op.CheckResponse("default", a.body); err != nil {
				t.Errorf("%s with %s: %v", op.ID, name, err)
			}
			// A browser is not to ask whoever sits there for a password.
			if got := a.header.Values("WWW-Authenticate"); a.status == 401 && !slices.Equal(got, []string{`Bearer realm="keyward"`}) {
				t.Errorf("%s with %s: WWW-Authenticate %q", op.ID, name, got)
			}
		}
	}
	if calls := s.services.Calls(); len(calls) != 0 {
		t.Errorf("services saw %+v", calls)
	}
	if a := s.call("GET", "/v2/users", "", as("admin")); a.status != 401 {
		t.Errorf("the token of an operator opens the Backend API: %d %s", a.status, a.body)
	}
}

func TestWhoGuessesTokensOfOperatorsIsTurnedAwayAndTheOperatorIsNot(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{RateFailures: ratelimit.Limit{Requests: 3, Per: time.Hour}})
	ask := func(token string) int { return s.call("GET", "/operator/v1/me", "", as(token)).status }
	for range 3 {
		if got := ask("guess"); got != 401 {
			t.Fatal(got)
		}
	}
	if got := ask("guess"); got != 429 {
		t.Errorf("the fourth guess is answered with %d", got)
	}
	if got := ask("admin"); got != 200 {
		t.Errorf("the operator is answered with %d", got)
	}
	if a := s.call("GET", "/v2/users", "", basic("pro-1", "wrong")); a.status != 401 {
		t.Errorf("it counts for a project: %d", a.status)
	}
}

func TestNoPageOfAnotherOriginReadsOrChangesAnythingOfTheOperatorAPI(t *testing.T) {
	t.Parallel()
	s, document := operating(t, gateway.Config{})
	own := s.base
	for _, op := range document.Operations {
		request := goodCall(t, nil, op)
		for name, c := range map[string]struct {
			origin string
			good   bool
		}{
			"no origin":                 {"", true},
			"its own":                   {own, true},
			"one of a project":          {originA, false},
			"a host that begins alike":  {own + ".evil.example", false},
			"another port":              {"http://127.0.0.1:1", false},
			"none that could be named":  {"null", false},
			"what cannot be read as it": {"http://%zz", false},
		} {
			if op.ID == "eraseUser" {
				request = erasing(request)
			}
			a := s.call(methodOf(op), ofProject(request.path, "pro-1"), request.body, as("admin", "Origin", c.origin))
			if want := c.good || op.Method == http.MethodGet; (a.status == 200) != want ||
				!want && (a.status != 403 || a.error.Error.Type != rest.ErrorTypeInvalidOrigin) {
				t.Errorf("%s from %s: %d %s", op.ID, name, a.status, a.body)
			}
			preflight := s.call("OPTIONS", request.path, "", map[string]string{
				"Authorization": "", "Origin": c.origin, "Access-Control-Request-Method": op.Method,
				"Access-Control-Request-Headers": "authorization,content-type",
			})
			for what, answered := range map[string]answer{"an answer": a, "a preflight": preflight} {
				for header := range answered.header {
					if strings.HasPrefix(header, "Access-Control-") {
						t.Errorf("%s of %s from %s has %s: %q", what, op.ID, name, header, answered.header[header])
					}
				}
			}
			if preflight.status < 400 {
				t.Errorf("a preflight of %s from %s: %d", op.ID, name, preflight.status)
			}
		}
	}
}

func TestWhatIsWrongWithABodyOfAnOperatorIsNamed(t *testing.T) {
	t.Parallel()
	s, document := operating(t, gateway.Config{})
	good := func(change func(map[string]any)) string {
		body := map[string]any{"bundle": "AAAA", "message": "m", "parent": 1, "scenarios": map[string]any{"passed": 1, "failed": 0}}
		change(body)
		raw, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	const push, change = "/operator/v1/policy/revisions", "/operator/v1/policy/changes"
	for name, c := range map[string]struct{ path, body, field string }{
		"no bundle":            {push, good(func(b map[string]any) { delete(b, "bundle") }), "bundle"},
		"an empty bundle":      {push, good(func(b map[string]any) { b["bundle"] = "" }), "bundle"},
		"no base64":            {push, good(func(b map[string]any) { b["bundle"] = "*" }), "bundle"},
		"a number":             {push, good(func(b map[string]any) { b["bundle"] = 7 }), "bundle"},
		"no message":           {push, good(func(b map[string]any) { delete(b, "message") }), "message"},
		"a long message":       {push, good(func(b map[string]any) { b["message"] = strings.Repeat("x", 2001) }), "message"},
		"no revision":          {push, good(func(b map[string]any) { b["parent"] = 0 }), "parent"},
		"half an outcome":      {push, good(func(b map[string]any) { b["scenarios"] = map[string]any{"passed": 1} }), "scenarios.failed"},
		"revision 0":           {change, `{"revision":0}`, "revision"},
		"a revision of text":   {change, `{"revision":"1"}`, "revision"},
		"a change before none": {change, `{"expected":-1}`, "expected"},
		"a member misspelled":  {change, `{"expectd":1}`, "expectd"},
		"base64 of a URL":      {push, good(func(b map[string]any) { b["bundle"] = "-_-_" }), "bundle"},
		"base64 in lines":      {push, good(func(b map[string]any) { b["bundle"] = "AAAA\nAAAA" }), "bundle"},
		"base64 cut off":       {push, good(func(b map[string]any) { b["bundle"] = "AAAAA" }), "bundle"},
		"a long reason":        {change, `{"reason":"` + strings.Repeat("x", 2001) + `"}`, "reason"},
	} {
		a := s.call("POST", c.path, c.body, as("admin"))
		if a.status != 400 || a.fields()[c.field] == "" {
			t.Errorf("%s: %d %.300s", name, a.status, a.body)
		}
		if err := document.Operations[0].CheckResponse("default", a.body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if a := s.call("POST", push, "{", as("author")); a.status != 400 || a.error.Error.Type != rest.ErrorTypeInvalidJSON {
		t.Errorf("no JSON: %d %s", a.status, a.body)
	}
	if calls := s.services.Calls(); len(calls) != 0 {
		t.Errorf("services saw %+v", calls)
	}
}

// A bundle may be larger than any other body, whatever body_limit says of those.
func TestABundleOfTheLargestSizeIsReadAndALargerOneIsNot(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]gateway.Config{
		"by default":                          {},
		"where other bodies have to be small": {BodyLimit: 1024, GRPCMaxMessage: 64 << 10},
	} {
		s, document := operating(t, cfg)
		limit := document.Operation("pushPolicyRevision").BodyLimit
		encoded := base64.StdEncoding.EncodeToString(make([]byte, 2_700_000))
		body := func(length int) string {
			b := `{"bundle":"` + encoded + `","message":"m"}`
			return b + strings.Repeat(" ", max(length-len(b), 0))
		}
		if a := s.call("POST", "/operator/v1/policy/revisions", body(limit), as("author")); a.status != 200 {
			t.Fatalf("%s: %d %.300s", name, a.status, a.body)
		}
		calls := s.services.Calls()
		if raw, err := json.Marshal(calls[0].Request); len(calls) != 1 || err != nil || !strings.Contains(string(raw), encoded) {
			t.Errorf("%s: the service saw %d bytes", name, len(raw))
		}
		if a := s.call("POST", "/operator/v1/policy/revisions", body(limit+1), as("author")); a.status != 413 || a.fields()["body"] == "" {
			t.Errorf("%s: one more byte: %d %.300s", name, a.status, a.body)
		}
		if a := s.call("POST", "/operator/v1/policy/revisions", body(limit), as("viewer")); a.status != 403 {
			t.Errorf("%s: of a viewer: %d %.300s", name, a.status, a.body)
		}
	}
}

func TestWhatAServiceRefusesAnOperatorIsToldInTheEnvelope(t *testing.T) {
	t.Parallel()
	s, document := operating(t, gateway.Config{})
	for name, refusal := range map[string]*fault.Fault{
		"not there": fault.NotFound("there is no revision 7"),
		"outrun":    fault.Conflict("expected", "another revision was made live meanwhile"),
		"a file":    fault.Field("bundle", "login.rego:7: rego_parse_error"),
		"away":      fault.Unavailable(time.Second, "the policy could not be read"),
	} {
		s.services.Before(always(refusal))
		a := s.call("POST", "/operator/v1/policy/changes", "{}", as("approver"))
		if a.status != refusal.Status || string(a.error.Error.Type) != string(refusal.Type) {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if err := document.Operation("changePolicy").CheckResponse("default", a.body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A bundle that is pushed is checked for longer than any other call may take.
func TestACallOfAnOperatorMayTakeLongerThanOthers(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{RequestTimeout: 50 * time.Millisecond, OperatorTimeout: time.Minute})
	s.services.Before(func(ctx context.Context, _ string) error {
		select {
		case <-ctx.Done():
			return fault.Unavailable(time.Second, "the time is up").Because(ctx.Err())
		case <-time.After(200 * time.Millisecond):
			return nil
		}
	})
	if a := s.call("POST", "/operator/v1/policy/changes", "{}", as("approver")); a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := s.call("GET", "/v2/users", "", nil); a.status != 503 {
		t.Errorf("another call: %d %s", a.status, a.body)
	}
}

func TestTheOperatorAPICanBeOff(t *testing.T) {
	t.Parallel()
	document, err := contract.Operator()
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, setup{staff: newStaff()})
	paths := []string{"/operator.yaml", "/operator.json", "/docs/operator"}
	for _, op := range document.Operations {
		request := goodCall(t, nil, op)
		if a := s.call(op.Method, request.path, request.body, as("admin")); a.status != 404 {
			t.Errorf("%s: %d %s", op.ID, a.status, a.body)
		}
	}
	for _, path := range paths {
		if a := s.call("GET", path, "", nil); a.status != 404 {
			t.Errorf("%s: %d", path, a.status)
		}
	}
	if a := s.call("GET", "/docs", "", nil); strings.Contains(string(a.body), "/docs/operator") {
		t.Error("the page leads to it")
	}
}

func TestWhatIsLiveIsNotSentToWhoHasIt(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{})
	first := s.call("GET", "/v2/policy/bundle.tar.gz", "", as("viewer"))
	tag := first.header.Get("ETag")
	if first.status != 200 || tag == "" || first.header.Get("Content-Type") != "application/gzip" {
		t.Fatalf("%d, ETag %q, %s", first.status, tag, first.header.Get("Content-Type"))
	}
	for known, want := range map[string]int{tag: 304, "W/" + tag: 304, `"another"`: 200} {
		a := s.call("GET", "/v2/policy/bundle.tar.gz", "", as("viewer", "If-None-Match", known))
		if a.status != want || want == 304 && len(a.body) != 0 {
			t.Errorf("who has %s: %d with %d bytes", known, a.status, len(a.body))
		}
	}
	if a := s.call("GET", "/v2/policy/bundle.tar.gz", "", nil); a.status != 401 {
		t.Errorf("without a token: %d", a.status)
	}
}

func TestTheDecisionLogIsAskedForByTheQuery(t *testing.T) {
	t.Parallel()
	s, _ := operating(t, gateway.Config{})
	const path = "/operator/v1/decisions/log"
	const query = "?since=2026-11-22T13:00:00.5%2B01:00&until=2026-11-23T00:00:00Z&after=18446744073709551&limit=7"
	a := s.call("GET", path+query, "", as("viewer"))
	if got := a.header.Get("Content-Type"); a.status != 200 || got != "application/x-ndjson" || len(a.body) != 0 {
		t.Fatalf("%d %s %s", a.status, got, a.body)
	}
	want := inquiry.DecisionLogAsked{
		Since: time.Date(2026, 11, 22, 12, 0, 0, 5e8, time.UTC), Until: time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC),
		After: 18446744073709551, Limit: 7,
	}
	q, _ := s.services.Calls()[0].Request.(service.ForOperator[inquiry.DecisionLogAsked])
	if !q.Body.Since.Equal(want.Since) || !q.Body.Until.Equal(want.Until) || q.Body.After != want.After || q.Body.Limit != want.Limit {
		t.Errorf("the service saw %+v", q)
	}
	if s.call("GET", path, "", as("viewer")); s.services.Calls()[1].Request.(service.ForOperator[inquiry.DecisionLogAsked]).Body.Limit != 100 {
		t.Errorf("the service saw %+v", s.services.Calls()[1].Request)
	}
	for _, query := range []string{"since=yesterday", "since=", "until=2026-11-22", "after=-1", "after=x", "after=", "limit=0", "limit=1001"} {
		field, _, _ := strings.Cut(query, "=")
		if a := s.call("GET", path+"?"+query, "", as("viewer")); a.status != 400 || a.fields()[field] == "" {
			t.Errorf("%s: %d %s", query, a.status, a.body)
		}
	}
}
