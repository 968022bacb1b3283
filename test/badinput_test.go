package test

import (
	"errors"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

func TestBadInputIsAnsweredWithTheFieldAtFaultAndChangesNothing(t *testing.T) {
	t.Parallel()
	st := shape{}.start(t)
	ada := st.newPerson(t)
	ada.createPasskey(t)
	snapshot := func() []string {
		var all []string
		for _, path := range []string{"", "/credentials", "/passkeyEvents?include=engine&filter[]=eventType:eq:login-completed"} {
			all = append(all, string(ada.call(t, "GET", "/v2/users/"+ada.id+path, nil).body))
		}
		return all
	}
	before := snapshot()

	login := func(change func(map[string]any)) map[string]any {
		body := ada.loginStartBody("p")
		change(body)
		return body
	}
	user := "/v2/users/" + ada.id
	cases := map[string]struct {
		method, path string
		body         any
		status       int
		errorType    rest.ErrorType
		field        string
		message      string
	}{
		"not JSON":                 {"POST", "/v2/users", `{"status":`, 400, rest.ErrorTypeInvalidJSON, "", ""},
		"a body that is no object": {"POST", "/v2/users", `[]`, 400, rest.ErrorTypeValidationError, "body", ""},
		"a missing body":           {"POST", "/v2/users", nil, 400, "", "", ""},
		"a missing field":          {"POST", "/v2/users", `{}`, 400, rest.ErrorTypeValidationError, "status", "cannot be blank"},
		"a field of the wrong type": {
			"POST",
			"/v2/users",
			`{"status":"active","fullName":7}`,
			400,
			rest.ErrorTypeValidationError,
			"fullName",
			"must be a string",
		},
		"an unknown enum value": {
			"POST",
			"/v2/users",
			`{"status":"asleep"}`,
			400,
			rest.ErrorTypeValidationError,
			"status",
			"must be a valid value",
		},
		"an unknown event type": {
			"POST",
			user + "/passkeyEvents",
			`{"eventType":"login-completed"}`,
			400,
			rest.ErrorTypeValidationError,
			"eventType",
			"",
		},
		"a name that is too long": {
			"POST", "/v2/users", map[string]any{"status": "active", "fullName": strings.Repeat("x", 256)}, 400,
			rest.ErrorTypeValidationError, "fullName", "",
		},
		"a body of 2 MB": {
			"POST",
			"/v2/users",
			`{"fullName":"` + strings.Repeat("x", 2<<20) + `"}`,
			413,
			rest.ErrorTypeValidationError,
			"body",
			"",
		},
		"a wrong method":   {"PUT", "/v2/users", `{}`, 405, rest.ErrorTypeMethodNotAllowed, "", ""},
		"an unknown route": {"GET", "/v2/nothing", nil, 404, rest.ErrorTypeNotFound, "", ""},
		"an unknown user":  {"GET", "/v2/users/usr-1", nil, 400, rest.ErrorTypeValidationError, "userID", "does not exist"},
		"a user ID of another form": {
			"GET", "/v2/users/ada", nil, 400, rest.ErrorTypeValidationError, "userID", "must be of the form usr-<number>",
		},
		"a user ID with a dot":          {"GET", "/v2/users/usr-1.2", nil, 400, rest.ErrorTypeValidationError, "userID", ""},
		"a user ID with a star":         {"GET", "/v2/users/usr-*", nil, 400, rest.ErrorTypeValidationError, "userID", ""},
		"a user ID with a greater sign": {"GET", "/v2/users/usr-%3E", nil, 400, rest.ErrorTypeValidationError, "userID", ""},
		"a user ID with a space":        {"GET", "/v2/users/usr-1%202", nil, 400, rest.ErrorTypeValidationError, "userID", ""},
		"an oversized user ID": {
			"GET", "/v2/users/usr-" + strings.Repeat("1", 500), nil, 400, rest.ErrorTypeValidationError, "userID", "",
		},
		"a wildcard user in a body": {
			"POST", "/v2/passkey/login/start", login(func(b map[string]any) { b["userID"] = "*" }), 400,
			rest.ErrorTypeValidationError, "userID", "",
		},
		"an unknown strategy": {
			"POST", "/v2/passkey/login/start",
			login(func(b map[string]any) { b["crossDeviceAuthenticationStrategy"] = "never" }), 400,
			rest.ErrorTypeValidationError, "crossDeviceAuthenticationStrategy", "must be a valid value",
		},
		"no user agent": {
			"POST", "/v2/passkey/login/start",
			login(func(b map[string]any) { b["clientInformation"] = map[string]any{"remoteAddress": "192.0.2.1"} }), 400,
			rest.ErrorTypeValidationError, "clientInformation.userAgent", "cannot be blank",
		},
		"an oversized process ID": {
			"POST", "/v2/passkey/login/start", login(func(b map[string]any) { b["processID"] = strings.Repeat("p", 500) }), 400,
			rest.ErrorTypeValidationError, "processID", "",
		},
		"an unknown credential": {
			"DELETE", user + "/credentials/cre-1", nil, 400, rest.ErrorTypeValidationError, "credentialID", "does not exist",
		},
		"an unknown event": {
			"DELETE", user + "/passkeyEvents/pke-1", nil, 400, rest.ErrorTypeValidationError, "passkeyEventID", "does not exist",
		},
		"an unknown challenge": {
			"PATCH",
			user + "/passkeyChallenges/was-1",
			`{"status":"consumed"}`,
			400,
			rest.ErrorTypeValidationError,
			"passkeyChallengeID",
			"does not exist",
		},
		"a sort by an unknown field": {
			"GET", "/v2/users?sort=shoeSize:asc", nil, 400, rest.ErrorTypeValidationError, "shoeSize",
			"not sortable by this column",
		},
		"a filter without an operator": {"GET", "/v2/users?filter[]=status", nil, 400, rest.ErrorTypeValidationError, "filter[]", ""},
		"a page that is no number":     {"GET", "/v2/users?page=first", nil, 400, rest.ErrorTypeValidationError, "page", ""},
		"a page size of nought":        {"GET", "/v2/users?pageSize=0", nil, 400, rest.ErrorTypeValidationError, "pageSize", ""},
		"an assertion that is not JSON": {
			"POST", "/v2/passkey/login/finish",
			map[string]any{"userID": ada.id, "processID": "p", "assertionResponse": "x", "clientInformation": mac("")}, 400,
			rest.ErrorTypeValidationError, "assertionResponse", "",
		},
		"an attestation that is not JSON": {
			"POST", "/v2/passkey/append/finish",
			map[string]any{"userID": ada.id, "processID": "p", "attestationResponse": "x", "clientInformation": mac("")}, 400,
			rest.ErrorTypeValidationError, "attestationResponse", "",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			e := ada.call(t, c.method, c.path, c.body).fault(t, c.status)
			if c.errorType != "" && e.Error.Type != c.errorType {
				t.Errorf("type %s, want %s", e.Error.Type, c.errorType)
			}
			if c.field != "" && field(e, c.field) == "" {
				t.Errorf("nothing is said of %s: %+v", c.field, e.Error.Validation)
			}
			if c.message != "" && field(e, c.field) != c.message {
				t.Errorf("%s: %q, want %q", c.field, field(e, c.field), c.message)
			}
		})
	}
	if diff := cmp.Diff(before, snapshot()); diff != "" {
		t.Errorf("something changed: %s", diff)
	}
}

func TestEveryListIsBoundedAndRefusesFieldsThatItDoesNotKnow(t *testing.T) {
	t.Parallel()
	st := shape{}.start(t)
	ada := st.newPerson(t)
	webhook := as[rest.WebhookEndpoint](
		t,
		ada.call(t, "POST", "/v2/webhookEndpoints", map[string]any{"url": "https://example.com/", "subscribedEvents": []string{"*"}}),
	)
	fill := strings.NewReplacer("{userID}", ada.id, "{webhookEndpointID}", webhook.ID)
	lists := 0
	for _, op := range contract(t).operations {
		if op.method != "GET" || !op.paged {
			continue
		}
		lists++
		for query, named := range map[string]string{
			"page=0":                               "page",
			"page=-1":                              "page",
			"page=1000000001":                      "page",
			"page=1.5":                             "page",
			"page=":                                "page",
			"pageSize=0":                           "pageSize",
			"pageSize=10000000":                    "pageSize",
			"pageSize=1001":                        "pageSize",
			"sort=shoeSize:asc":                    "shoeSize",
			"sort=shoeSize":                        "sort",
			"sort=created:up":                      "sort",
			"filter[]=shoeSize:eq:43":              "filter[]",
			"filter[]=shoeSize":                    "filter[]",
			"filter[]=created:like:2026":           "filter[]",
			"page=1&pageSize=5&filter[]=::":        "filter[]",
			strings.Repeat("filter[]=a:eq:b&", 21): "filter[]",
		} {
			if e := ada.call(t, "GET", fill.Replace(op.path)+"?"+query, nil).
				fault(t, 400); e.Error.Type != rest.ErrorTypeValidationError ||
				field(e, named) == "" {
				t.Errorf("%s?%s: nothing is said of %s: %+v", op.path, query, named, e.Error)
			}
		}
		// Far beyond the end is empty, and no fault.
		for _, query := range []string{"page=1000000000&pageSize=1000", "pageSize=1000"} {
			if a := ada.call(t, "GET", fill.Replace(op.path)+"?"+query, nil); a.status != 200 {
				t.Errorf("%s?%s: %d %s", op.path, query, a.status, a.body)
			}
		}
	}
	if lists < 11 {
		t.Errorf("only %d lists were found", lists)
	}
}

func TestACallerWhoIsNotTheProjectIsTurnedAway(t *testing.T) {
	t.Parallel()
	st := shape{}.start(t)
	cases := map[string]client{
		"a wrong secret":     {st.base, project1, "corbado1_wrong"},
		"no secret":          {st.base, project1, ""},
		"an unknown project": {st.base, "pro-2", secret1},
		"a strange project":  {st.base, "pro-*", secret1},
		"no credentials":     {st.base, "", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if e := c.call(t, "GET", "/v2/users", nil).fault(t, http.StatusUnauthorized); e.Error.Type != rest.ErrorTypeLoginError {
				t.Errorf("type %s", e.Error.Type)
			}
		})
	}
}

func TestAFinishThatDoesNotFitItsChallengeIsRefused(t *testing.T) {
	t.Parallel()
	st := shape{}.start(t)
	grace := st.newPerson(t)
	grace.createPasskey(t)

	cases := map[string]func(t *testing.T, p *person, process, options string) map[string]any{
		"a challenge of another process": func(t *testing.T, p *person, process, options string) map[string]any {
			return p.loginFinishBody(t, process+"-other", options)
		},
		"a challenge of another user": func(t *testing.T, p *person, process, options string) map[string]any {
			body := p.loginFinishBody(t, process, options)
			body["userID"] = grace.id
			return body
		},
		"another origin": func(t *testing.T, p *person, process, options string) map[string]any {
			return p.signed(t, process, options, "https://evil.example")
		},
		"a tampered signature": func(t *testing.T, p *person, process, options string) map[string]any {
			body := p.loginFinishBody(t, process, options)
			body["assertionResponse"] = tamper(t, body["assertionResponse"].(string))
			return body
		},
		"another relying party": func(t *testing.T, p *person, process, options string) map[string]any {
			return p.loginFinishBody(t, process, strings.Replace(options, `"rpId":"localhost"`, `"rpId":"example.com"`, 1))
		},
		"a challenge that nobody issued": func(t *testing.T, p *person, process, options string) map[string]any {
			return p.loginFinishBody(t, process, strings.Replace(options, challengeOf(t, options), "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 1))
		},
		"a user who was not verified": func(t *testing.T, p *person, process, options string) map[string]any {
			p.device.NotVerifying = true
			defer func() { p.device.NotVerifying = false }()
			return p.loginFinishBody(t, process, options)
		},
	}
	for name, forge := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := st.newPerson(t)
			p.createPasskey(t)
			process := p.nextProcess()
			start := p.loginStart(t, process)
			e := p.call(t, "POST", "/v2/passkey/login/finish", forge(t, p, process, start.AssertionOptions)).fault(t, 400)
			if field(e, "assertionResponse") == "" && field(e, "processID") == "" {
				t.Errorf("no field is named: %+v", e.Error)
			}
			page := as[rest.PasskeyEventList](
				t,
				p.call(t, "GET", "/v2/users/"+p.id+"/passkeyEvents?include=engine&pageSize=100&filter[]=eventType:eq:login-completed", nil),
			)
			if page.Paging.TotalItems != 0 {
				t.Error("a login was recorded as completed")
			}
		})
	}

	t.Run("a challenge used twice", func(t *testing.T) {
		t.Parallel()
		p := st.newPerson(t)
		p.createPasskey(t)
		process := p.nextProcess()
		start := p.loginStart(t, process)
		as[rest.PasskeyLoginFinishRsp](t, p.loginFinish(t, process, start.AssertionOptions))
		e := p.loginFinish(t, process, start.AssertionOptions).fault(t, 400)
		if field(e, "assertionResponse") == "" {
			t.Errorf("no field is named: %+v", e.Error)
		}
	})
	t.Run("a passkey that the account has already", func(t *testing.T) {
		t.Parallel()
		p := st.newPerson(t)
		p.createPasskey(t)
		process := p.nextProcess()
		body := map[string]any{
			"userID": p.id, "processID": process, "username": "ada@example.com", "clientInformation": mac(p.handle),
			"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
		}
		start := as[rest.PasskeyAppendStartRsp](t, p.call(t, "POST", "/v2/passkey/append/start", body))
		if _, err := p.device.Create(start.AttestationOptions, origin); !errors.Is(err, authenticator.ErrExcluded) {
			t.Errorf("the device's own passkey is not excluded: %v", err)
		}
	})
}

// signed is loginFinishBody on a page of another origin.
func (p *person) signed(t *testing.T, process, options, origin string) map[string]any {
	t.Helper()
	response, err := p.device.Get(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	body := maps.Clone(p.loginStartBody(process))
	delete(body, "crossDeviceAuthenticationStrategy")
	body["assertionResponse"] = response
	return body
}

// tamper flips one bit of the signature.
func tamper(t *testing.T, response string) string {
	t.Helper()
	const key = `"signature":"`
	at := strings.Index(response, key)
	if at < 0 {
		t.Fatalf("no signature in %s", response)
	}
	// The last bytes of a DER signature are those of s.
	end := at + len(key) + strings.IndexByte(response[at+len(key):], '"')
	pos := end - 8
	flipped := byte('A')
	if response[pos] == 'A' {
		flipped = 'B'
	}
	return response[:pos] + string(flipped) + response[pos+1:]
}
