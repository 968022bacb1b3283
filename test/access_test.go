package test

import (
	"encoding/json"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/keyward/keyward/api"
	"github.com/keyward/keyward/api/rest"
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
			if method != "parameters" {
				all[path] = append(all[path], strings.ToUpper(method))
			}
		}
	}
	return all
}

// addProject creates a second tenant as an operator would, through NATS.
func addProject(t *testing.T, natsURL string, id ident.ProjectID, secret string) {
	t.Helper()
	cfg := bus.DefaultConfig()
	cfg.URL = natsURL
	b, err := bus.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	kv, err := b.Bucket(t.Context(), bus.ProjectsBucket)
	if err != nil {
		t.Fatal(err)
	}
	store, err := project.NewStore(t.Context(), kv, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	p, err := project.New(id, "other", "localhost", "Other", []string{origin}, secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Create(t.Context(), p); err != nil {
		t.Fatal(err)
	}
}

func TestNoRouteGivesAProjectAnythingOfAnother(t *testing.T) {
	t.Parallel()
	st := shape{split: true, redis: true}.start(t)
	const otherSecret = "corbado1_e2eSecretOfProjectTwo0000000002"
	addProject(t, st.natsURL, "pro-2", otherSecret)
	intruder := client{st.base, "pro-2", otherSecret}
	eventually(t, "the new project is not let in", func() bool {
		a, err := intruder.do("GET", "/v2/users", nil)
		return err == nil && a.status == 200
	})

	owner := st.newPerson(t)
	credential := owner.createPasskey(t)
	event := owner.postEvent(t, map[string]any{"eventType": "local-unlock"})
	process := owner.nextProcess()
	start := owner.loginStart(t, process)
	challenges := as[rest.PasskeyChallengeList](t, owner.call(t, "GET", "/v2/users/"+owner.id+"/passkeyChallenges?filter[]=status:eq:pending", nil))
	snapshot := func() (all []string) {
		for _, path := range []string{"", "/credentials", "/passkeyEvents?include=engine&pageSize=100", "/passkeyChallenges"} {
			all = append(all, string(owner.call(t, "GET", "/v2/users/"+owner.id+path, nil).body))
		}
		return all
	}
	before := snapshot()

	finish := owner.loginFinishBody(t, process, start.AssertionOptions)
	appendFinish := map[string]any{"userID": owner.id, "processID": process, "attestationResponse": `{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","attestationObject":"oA"}}`, "clientInformation": mac("")}
	mediationFinish := map[string]any{"processID": process, "assertionResponse": finish["assertionResponse"], "clientInformation": mac("")}
	bodies := map[string]any{
		"PATCH /users/{userID}":                                        map[string]any{"fullName": "Mallory"},
		"POST /users/{userID}/passkeyEvents":                           map[string]any{"eventType": "user-login-blacklisted"},
		"PATCH /users/{userID}/passkeyChallenges/{passkeyChallengeID}": map[string]any{"status": "consumed"},
		"POST /passkey/append/start":                                   map[string]any{"userID": owner.id, "processID": "x", "username": "m", "clientInformation": mac(""), "passkeyIntelFlags": map[string]any{"forcePasskeyAppend": true}},
		"POST /passkey/append/finish":                                  appendFinish,
		"POST /passkey/login/start":                                    owner.loginStartBody("x"),
		"POST /passkey/login/finish":                                   finish,
		"POST /passkey/mediation/finish":                               mediationFinish,
	}
	// Calls that name nobody: they answer, with the intruder's own things only.
	ownThings := map[string]any{
		"GET /users":                    nil,
		"POST /users":                   map[string]any{"status": "active"},
		"POST /passkey/mediation/start": map[string]any{"processID": "x", "clientInformation": mac("")},
	}
	fill := strings.NewReplacer("{userID}", owner.id, "{credentialID}", credential.ID, "{passkeyEventID}", event.PasskeyEventID, "{passkeyChallengeID}", challenges.PasskeyChallenges[0].ChallengeID)
	tried := 0
	for path, methods := range operations(t) {
		for _, method := range methods {
			name := method + " " + path
			body, own := ownThings[name]
			if !own {
				body = bodies[name]
			}
			tried++
			t.Run(name, func(t *testing.T) {
				a := intruder.call(t, method, "/v2"+fill.Replace(path), body)
				if own {
					if a.status != 200 || strings.Contains(string(a.body), owner.id) {
						t.Errorf("status %d: %s", a.status, a.body)
					}
					return
				}
				e := a.fault(t, 400)
				if e.Error.Type != rest.ErrorTypeValidationError {
					t.Errorf("type %s", e.Error.Type)
				}
				if field(e, "userID") != "does not exist" && field(e, "assertionResponse") == "" && field(e, "attestationResponse") == "" {
					t.Errorf("no field is named: %+v", e.Error)
				}
			})
			anonymous := client{base: st.base}.call(t, method, "/v2"+fill.Replace(path), body)
			anonymous.fault(t, 401)
		}
	}
	if tried != len(bodies)+len(ownThings)+7 {
		t.Errorf("%d operations were tried: a new one needs a row in this matrix", tried)
	}
	after := snapshot()
	for i := range before {
		if before[i] != after[i] {
			t.Errorf("something of the owner changed:\n%s\n%s", before[i], after[i])
		}
	}
	var page rest.PasskeyLoginFinishRsp
	a := owner.call(t, "POST", "/v2/passkey/login/finish", finish)
	if err := json.Unmarshal(a.body, &page); err != nil || a.status != 200 {
		t.Errorf("the owner's own challenge was spoilt: %d %s", a.status, a.body)
	}
}
