package test

import (
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/core/bus"
	"github.com/keyward/keyward/core/ident"
	"github.com/keyward/keyward/core/project"
)

// operations reads method and path of every operation from the contract.
func operations(t *testing.T) map[string][]string {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(api.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for path, item := range doc.Paths {
		for method := range item {
			if method != "parameters" && method != "servers" {
				all[path] = append(all[path], strings.ToUpper(method))
			}
		}
	}
	return all
}

// prefixOf is what comes before a path of the document.
func prefixOf(path string) string {
	if strings.HasPrefix(path, "/access/") {
		return ""
	}
	return "/v2"
}

// projectsAt are the projects as an operator changes them, through NATS.
func projectsAt(t *testing.T, natsURL string) *project.Store {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.URL, cfg.StartTimeout = natsURL, 5*patience
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	kv, err := b.Bucket(t.Context(), bus.ProjectsBucket)
	if err != nil {
		t.Fatal(err)
	}
	store, err := project.NewStore(t.Context(), kv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// addProject creates a second tenant as an operator would, through NATS.
func addProject(t *testing.T, natsURL string, id ident.ProjectID, secret string) {
	t.Helper()
	p, err := project.New(id, "other", "localhost", "Other", []string{origin}, secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := projectsAt(t, natsURL).Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestNoRouteGivesAProjectAnythingOfAnother(t *testing.T) {
	t.Parallel()
	st := shape{split: true, redis: true}.start(t, func(cfg *settings.Config) { cfg.Delivery.Kind, cfg.Ceremony.HostProof = "outbox", "none" })
	const otherSecret = "corbado1_e2eSecretOfProjectTwo0000000002"
	addProject(t, st.natsURL, "pro-2", otherSecret)
	intruder := client{st.base, "pro-2", otherSecret}
	eventually(t, "the new project is not let in", func() bool {
		a, err := intruder.do("GET", "/v2/users", nil)
		return err == nil && a.status == 200
	})

	// The issuer that one of the calls names is then the intruder's own.
	as[rest.GenericRsp](t, intruder.call(t, "PUT", "/v2/projectConfig/cname", map[string]any{"cname": "mallory.example.com"}))

	o := st.newOwner(t)
	before := o.snapshot(t)
	bodies := o.bodies(t)
	// Calls that name nobody: they answer, with the intruder's own things only.
	ownThings := map[string]any{
		"GET /users":                      nil,
		"POST /users":                     map[string]any{"status": "active"},
		"GET /identifiers":                nil,
		"GET /socialAccounts":             nil,
		"GET /sessions":                   nil,
		"GET /connectTokens":              nil,
		"POST /connectTokens":             map[string]any{"type": "passkey-list", "data": map[string]any{"identifier": "mallory"}},
		"GET /webhookEndpoints":           nil,
		"POST /webhookEndpoints":          map[string]any{"url": "https://mallory.example.com/", "subscribedEvents": []string{"*"}},
		"PATCH /projectConfig":            map[string]any{"name": "mallory"},
		"PUT /projectConfig/cname":        map[string]any{"cname": "mallory.example.com"},
		"POST /passkey/mediation/start":   map[string]any{"processID": "x", "clientInformation": mac("")},
		"POST /passkey/verifySignedData":  map[string]any{"signedPasskeyData": o.signed},
		"POST /passkeys/verifySignedData": map[string]any{"signedPasskeyData": o.signed},
		// Who has it in another project is judged as somebody without a history.
		"POST /risk/evaluate":         map[string]any{"userID": o.id, "action": "payment", "clientInformation": mac(o.handle)},
		"POST /access/v1/evaluation":  paymentOf(o.id),
		"POST /access/v1/evaluations": map[string]any{"evaluations": []any{paymentOf(o.id), paymentOf("owner@example.com")}},
	}
	// Tests of their own tell of these.
	elsewhere := []string{"GET /events/stream", "GET /.well-known/jwks", "GET /.well-known/authzen-configuration"}
	tried := 0
	for path, methods := range operations(t) {
		for _, method := range methods {
			name := method + " " + path
			if slices.Contains(elsewhere, name) {
				continue
			}
			body, own := ownThings[name]
			if !own {
				body = bodies[name]
			}
			tried++
			t.Run(name, func(t *testing.T) {
				a := intruder.call(t, method, prefixOf(path)+o.fill(path), body)
				if own {
					if a.status != 200 || slices.ContainsFunc(o.names, func(name string) bool { return strings.Contains(string(a.body), name) }) ||
						strings.Contains(string(a.body), `"success"`) {
						t.Errorf("status %d: %s", a.status, a.body)
					}
					return
				}
				if strings.Contains(path, "{stepUpID}") || strings.Contains(path, "{decisionID}") {
					if e := a.fault(t, 404); e.Error.Type != rest.ErrorTypeNotFound {
						t.Errorf("type %s", e.Error.Type)
					}
					return
				}
				e := a.fault(t, 400)
				if e.Error.Type != rest.ErrorTypeValidationError {
					t.Errorf("type %s", e.Error.Type)
				}
				if !saysNothing(e) {
					t.Errorf("more is said than that it does not exist: %+v", e.Error)
				}
			})
			anonymous := client{base: st.base}.call(t, method, prefixOf(path)+o.fill(path), body)
			anonymous.fault(t, 401)
		}
	}
	if want := len(bodies) + len(ownThings) + len(bodiless); tried != want {
		t.Errorf("%d operations were tried, of %d there is a row: a new one needs one", tried, want)
	}
	for i, now := range o.snapshot(t) {
		if before[i] != now {
			t.Errorf("something of the owner changed:\n%s\n%s", before[i], now)
		}
	}
	if a := o.call(t, "POST", "/v2/passkey/login/finish", o.finish); a.status != 200 {
		t.Errorf("the owner's own challenge was spoilt: %d %s", a.status, a.body)
	}
	verified := as[rest.VerifySignedDataRsp](
		t, o.call(t, "POST", "/v2/passkey/verifySignedData", map[string]any{"signedPasskeyData": o.signed}),
	)
	if verified.VerificationResult != rest.VerifySignedDataRspVerificationResultSuccess {
		t.Errorf("the owner's signed data was spoilt: %s", verified.VerificationResult)
	}
}

// saysNothing reports whether a refusal tells no more than that something is unknown or cannot be verified.
func saysNothing(e rest.ErrorRsp) bool {
	if e.Error.Validation == nil || len(*e.Error.Validation) != 1 {
		return false
	}
	said := (*e.Error.Validation)[0]
	return said.Message == "does not exist" ||
		slices.Contains([]string{"assertionResponse", "attestationResponse", "signedPasskeyData"}, said.Field)
}

// bodiless are the operations about something of somebody that take no body.
var bodiless = []string{
	"GET /users/{userID}",
	"DELETE /users/{userID}",
	"GET /users/{userID}/labels",
	"GET /users/{userID}/credentials",
	"DELETE /users/{userID}/credentials/{credentialID}",
	"GET /users/{userID}/passkeyEvents",
	"DELETE /users/{userID}/passkeyEvents/{passkeyEventID}",
	"GET /users/{userID}/passkeyChallenges",
	"GET /users/{userID}/socialAccounts",
	"DELETE /users/{userID}/identifiers/{identifierID}",
	"GET /users/{userID}/passwordManagers",
	"GET /users/{userID}/clientEnvs",
	"DELETE /users/{userID}/clientEnvs/{clientEnvID}",
	"DELETE /connectTokens/{connectTokenID}",
	"DELETE /webhookEndpoints/{webhookEndpointID}",
	"GET /webhookEndpoints/{webhookEndpointID}/secrets",
	"DELETE /webhookEndpoints/{webhookEndpointID}/secrets/{secretID}",
	"GET /webhookEndpoints/{webhookEndpointID}/deliveries",
	"GET /webhookEndpoints/{webhookEndpointID}/deadLetters",
	"POST /sessions/{sessionID}/revoke",
	"GET /users/{userID}/longSessions/{longSessionID}",
	"GET /longSessions/{longSessionID}",
	"POST /risk/stepUps/{stepUpID}/redeem",
}

// owner is a person with one of everything.
type owner struct {
	*person
	ids    map[string]string // by the name of the path parameter
	names  []string          // what no other project may see
	finish map[string]any    // of a login under way
	signed string            // passkey data that has not been used
}

func (s *stack) newOwner(t *testing.T) *owner {
	t.Helper()
	p := s.newPerson(t)
	credential := p.createPasskey(t)
	event := p.postEvent(t, map[string]any{"eventType": "local-unlock"})
	user := "/v2/users/" + p.id
	identifier := as[rest.Identifier](
		t,
		p.call(
			t, "POST", user+"/identifiers",
			map[string]any{"identifierType": "email", "identifierValue": "owner@example.com", "status": "primary"},
		),
	)
	social := as[rest.SocialAccount](
		t,
		p.call(
			t, "POST", user+"/socialAccounts",
			map[string]any{"providerType": "github", "identifierValue": "owner", "foreignID": "471147", "avatarURL": "", "fullName": "Owner"},
		),
	)
	session := as[rest.LongSession](
		t, p.call(t, "POST", user+"/longSessions", map[string]any{"appType": "web", "identifierValue": "owner@example.com"}),
	)
	token := as[rest.ConnectToken](
		t,
		p.call(t, "POST", "/v2/connectTokens", map[string]any{"type": "passkey-list", "data": map[string]any{"identifier": "owner@example.com"}}),
	)
	webhook := as[rest.WebhookEndpoint](
		t,
		p.call(
			t, "POST", "/v2/webhookEndpoints",
			map[string]any{"url": "https://owner.example.com/", "subscribedEvents": []string{"passkey.deleted"}},
		),
	)
	secrets := as[rest.WebhookSecretList](t, p.call(t, "GET", "/v2/webhookEndpoints/"+webhook.ID+"/secrets", nil))
	code := as[rest.Challenge](
		t,
		p.call(
			t, "POST", user+"/challenges",
			map[string]any{"challengeType": "email_otp", "identifierValue": "owner@example.com", "clientInformation": mac("")},
		),
	)

	process := p.nextProcess()
	body := p.loginFinishBody(t, process, p.loginStart(t, process).AssertionOptions)
	body["signPasskeyData"] = true
	answered := p.call(t, "POST", "/v2/passkey/login/finish", body)
	finished := as[rest.PasskeyLoginFinishRsp](t, answered)
	if finished.SignedPasskeyData == nil {
		t.Fatal("nothing was signed")
	}
	process = p.nextProcess()
	finish := p.loginFinishBody(t, process, p.loginStart(t, process).AssertionOptions)
	challenges := as[rest.PasskeyChallengeList](t, p.call(t, "GET", user+"/passkeyChallenges?filter[]=status:eq:pending", nil))
	return &owner{
		person: p,
		finish: finish,
		signed: *finished.SignedPasskeyData,
		ids: map[string]string{
			"userID":             p.id,
			"clientEnvID":        as[rest.ClientEnvList](t, p.call(t, "GET", user+"/clientEnvs", nil)).ClientEnvs[0].ID,
			"credentialID":       credential.ID,
			"passkeyEventID":     event.PasskeyEventID,
			"passkeyChallengeID": challenges.PasskeyChallenges[0].ChallengeID,
			"identifierID":       identifier.IdentifierID,
			"sessionID":          session.LongSessionID,
			"longSessionID":      session.LongSessionID,
			"connectTokenID":     token.ID,
			"webhookEndpointID":  webhook.ID,
			"secretID":           secrets.Secrets[0].ID,
			"challengeID":        code.ChallengeID,
			"stepUpID":           "stu-1",
			"decisionID":         answered.header.Get("X-Keyward-Decision-ID"),
		},
		names: []string{
			p.id, "owner", "471147", identifier.IdentifierID, social.SocialAccountID, session.LongSessionID, token.ID,
			webhook.ID, code.ChallengeID,
		},
	}
}

// fill puts the owner's IDs into a path.
func (o *owner) fill(path string) string {
	for name, id := range o.ids {
		path = strings.ReplaceAll(path, "{"+name+"}", id)
	}
	return path
}

// bodies are what an intruder sends about the owner's things.
func (o *owner) bodies(t *testing.T) map[string]any {
	t.Helper()
	process := o.finish["processID"]
	appendFinish := map[string]any{
		"userID":              o.id,
		"processID":           process,
		"attestationResponse": `{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`,
		"clientInformation":   mac(""),
	}
	mediationFinish := map[string]any{"processID": process, "assertionResponse": o.finish["assertionResponse"], "clientInformation": mac("")}
	return map[string]any{
		"PATCH /users/{userID}":                                        map[string]any{"fullName": "Mallory"},
		"PUT /users/{userID}/labels":                                   map[string]any{"labels": []string{}},
		"POST /users/{userID}/passkeyEvents":                           map[string]any{"eventType": "user-login-blacklisted"},
		"PATCH /users/{userID}/passkeyChallenges/{passkeyChallengeID}": map[string]any{"status": "consumed"},
		"POST /passkey/append/start": map[string]any{
			"userID": o.id, "processID": "x", "username": "m", "clientInformation": mac(""),
			"passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true},
		},
		"POST /passkey/append/finish":    appendFinish,
		"POST /passkey/login/start":      o.loginStartBody("x"),
		"POST /passkey/login/finish":     o.finish,
		"POST /passkey/mediation/finish": mediationFinish,
		"POST /passkey/postLogin":        map[string]any{"signedPasskeyData": o.signed},
		"POST /users/{userID}/socialAccounts": map[string]any{
			"providerType": "google", "identifierValue": "m", "foreignID": "1", "avatarURL": "",
			"fullName": "Mallory",
		},
		"POST /users/{userID}/identifiers": map[string]any{
			"identifierType": "username", "identifierValue": "mallory", "status": "primary",
		},
		"PATCH /users/{userID}/identifiers/{identifierID}": map[string]any{"status": "pending"},
		"POST /users/{userID}/challenges": map[string]any{
			"challengeType": "email_otp", "identifierValue": "owner@example.com", "clientInformation": mac(""),
		},
		"POST /risk/stepUps/{stepUpID}":                  map[string]any{"method": "totp", "outcome": "passed"},
		"POST /risk/decisions/{decisionID}/feedback":     map[string]any{"outcome": "fraud-confirmed"},
		"PATCH /users/{userID}/challenges/{challengeID}": map[string]any{"value": "123456"},
		"POST /users/{userID}/authEvents": map[string]any{
			"username": "m", "eventType": "login", "method": "password",
			"status": "success", "clientInformation": mac(""),
		},
		"PATCH /connectTokens/{connectTokenID}":                         map[string]any{"status": "consumed"},
		"PUT /webhookEndpoints/{webhookEndpointID}":                     map[string]any{"url": "https://mallory.example.com/"},
		"POST /webhookEndpoints/{webhookEndpointID}/secrets":            map[string]any{},
		"POST /webhookEndpoints/{webhookEndpointID}/deadLetters/replay": map[string]any{},
		"POST /users/{userID}/longSessions":                             map[string]any{"appType": "web", "identifierValue": "m"},
		"PATCH /users/{userID}/longSessions/{longSessionID}":            map[string]any{"status": "revoked"},
		"POST /users/{userID}/longSessions/{longSessionID}/shortSessions": map[string]any{
			"appType": "web", "issuer": "https://mallory.example.com",
		},
	}
}

// snapshot is everything of the owner that the API shows. Lists over a project are read once they hold what there is one of.
func (o *owner) snapshot(t *testing.T) (all []string) {
	t.Helper()
	for _, path := range []string{
		"", "/credentials", "/passkeyEvents?include=engine&pageSize=100", "/passkeyChallenges", "/socialAccounts",
		"/passwordManagers", "/longSessions/" + o.ids["sessionID"],
	} {
		all = append(all, string(o.call(t, "GET", "/v2/users/"+o.id+path, nil).body))
	}
	all = append(
		all, string(o.call(t, "GET", "/v2/webhookEndpoints", nil).body),
		string(o.call(t, "GET", o.fill("/v2/webhookEndpoints/{webhookEndpointID}/secrets"), nil).body),
	)
	for path, of := range map[string]string{
		"/identifiers":    "identifierID",
		"/connectTokens":  "connectTokenID",
		"/sessions":       "sessionID",
		"/socialAccounts": "userID",
	} {
		eventually(t, path+" does not show what there is", func() bool {
			return strings.Contains(string(o.call(t, "GET", "/v2"+path, nil).body), o.ids[of])
		})
	}
	for _, path := range []string{"/identifiers", "/connectTokens", "/sessions", "/socialAccounts"} {
		all = append(all, string(o.call(t, "GET", "/v2"+path, nil).body))
	}
	return all
}

func TestPublicKeysAreToldApartByProject(t *testing.T) {
	t.Parallel()
	st := shape{split: true}.start(t)
	const otherSecret = "corbado1_e2eSecretOfProjectTwo0000000002"
	addProject(t, st.natsURL, "pro-2", otherSecret)
	other := client{st.base, "pro-2", otherSecret}
	eventually(t, "the new project is not let in", func() bool {
		a, err := other.do("GET", "/v2/users", nil)
		return err == nil && a.status == 200
	})
	for _, c := range []client{st.client, other} {
		p := c.newPerson(t)
		p.createPasskey(t)
		process := p.nextProcess()
		body := p.loginFinishBody(t, process, p.loginStart(t, process).AssertionOptions)
		body["signPasskeyData"] = true
		as[rest.PasskeyLoginFinishRsp](t, p.call(t, "POST", "/v2/passkey/login/finish", body))
	}
	keys := func(project string) []string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, st.base+"/.well-known/jwks", nil)
		if err != nil {
			t.Fatal(err)
		}
		if project != "" {
			req.Header.Set("X-Corbado-ProjectID", project)
		}
		rsp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rsp.Body.Close() }()
		body, err := io.ReadAll(rsp.Body)
		if err != nil {
			t.Fatal(err)
		}
		a := answer{rsp.StatusCode, rsp.Header, body}
		if err := contract(t).fits("GET", "/.well-known/jwks", a); err != nil {
			t.Error(err)
		}
		if strings.Contains(string(body), `"d"`) || !strings.Contains(rsp.Header.Get("Cache-Control"), "max-age=") {
			t.Errorf("got %v %s", rsp.Header, body)
		}
		var ids []string
		for _, key := range as[rest.JSONWebKeySet](t, a).Keys {
			ids = append(ids, key.Kid)
		}
		return ids
	}
	one, two, home := keys("pro-1"), keys("pro-2"), keys("")
	if len(one) == 0 || len(two) == 0 || !slices.Equal(home, one) ||
		slices.ContainsFunc(one, func(id string) bool { return slices.Contains(two, id) }) {
		t.Errorf("of the first project %v, of the other %v, at the installation's own host %v", one, two, home)
	}
	unknown, err := client{base: st.base}.do("GET", "/.well-known/jwks", nil)
	if err != nil || unknown.status != 200 {
		t.Errorf("without credentials: %d, %v", unknown.status, err)
	}
}
