package test

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/policies/policiestest"
)

// TestWhatBackendsAloneKnowIsJudgedAtEveryStage holds what fits and what does not, in the bodies of ceremonies and in tokens of frontends,
// where the policy binds.
func TestWhatBackendsAloneKnowIsJudgedAtEveryStage(t *testing.T) {
	t.Parallel()
	bundle := policiestest.Dir(t, policiestest.Files(t))
	rewrite(t, filepath.Join(bundle, "data.json"), `"projects": {}`,
		`"projects": {"`+project1+`": {"parameters": {"risk": {"mode": "enforce"}}}}`)
	st := shape{name: "one process"}.start(t, func(c *settings.Config) { c.Decision.PoliciesDir = bundle })
	t.Run("of a backend", func(t *testing.T) { contextOfBackends(t, st) })
	t.Run("of a frontend's token", func(t *testing.T) { contextOfTokens(t, st) })
}

func rewrite(t *testing.T, path, old, changed string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s has no %s", path, old)
	}
	if err := os.WriteFile(path, bytes.Replace(data, []byte(old), []byte(changed), 1), 0o600); err != nil {
		t.Fatal(err)
	}
}

// asked is a call of a stage that could succeed.
type asked struct {
	path string
	body map[string]any
}

func (p *person) asks(t *testing.T, stage asked, context any) answer {
	t.Helper()
	body := maps.Clone(stage.body)
	if context != nil {
		body["context"] = context
	}
	return p.call(t, http.MethodPost, "/v2/passkey/"+stage.path, body)
}

// stages are all of them: those that end a ceremony come with an answer to a challenge that nobody has taken.
func (p *person) stages(t *testing.T) []asked {
	t.Helper()
	login := p.nextProcess()
	finish := p.loginFinishBody(t, login, p.loginStart(t, login).AssertionOptions)
	process := p.nextProcess()
	mediation := asked{"mediation/start", map[string]any{"processID": process, "clientInformation": mac(p.handle)}}
	offered := as[rest.PasskeyMediationStartRsp](t, p.asks(t, mediation, nil))
	found := p.loginFinishBody(t, process, offered.AssertionOptions)
	delete(found, "userID")
	newcomer := p.newPerson(t)
	appending := asked{"append/start", map[string]any{
		"userID": newcomer.id, "processID": newcomer.nextProcess(), "username": "eve@example.com",
		"clientInformation": mac(newcomer.handle), "passkeyIntelFlags": map[string]any{"forcePasskeyAppend": false},
	}}
	options := as[rest.PasskeyAppendStartRsp](t, p.asks(t, appending, nil)).AttestationOptions
	response, err := newcomer.device.Create(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	return []asked{
		{"login/start", p.loginStartBody(p.nextProcess())},
		mediation,
		appending,
		{"login/finish", finish},
		{"mediation/finish", found},
		{"append/finish", map[string]any{
			"userID": newcomer.id, "processID": appending.body["processID"], "attestationResponse": response,
			"clientInformation": mac(newcomer.handle),
		}},
	}
}

func contextOfBackends(t *testing.T, st *stack) {
	p := st.newPerson(t)
	p.createPasskey(t)
	for _, stage := range p.stages(t) {
		for name, c := range map[string]struct {
			context any
			field   string
		}{
			"too much of it":     {map[string]any{"externalScore": 101}, "context.externalScore"},
			"what no schema has": {map[string]any{"externalSore": 1}, "context.externalSore"},
			"another type":       {map[string]any{"trustedDevice": "yes"}, "context.trustedDevice"},
			"free text":          {map[string]any{"channel": "Ada's"}, "context.channel"},
			"what is no object":  {[]int{1}, "context"},
			"what is too long":   {map[string]any{"channel": strings.Repeat("x", 4096)}, "context"},
		} {
			e := p.asks(t, stage, c.context).fault(t, http.StatusBadRequest)
			if e.Error.Type != rest.ErrorTypeValidationError || field(e, c.field) == "" {
				t.Errorf("%s at %s: %+v", name, stage.path, e.Error)
			}
		}
		// What was refused has spent nothing.
		a := p.asks(t, stage, map[string]any{"externalScore": 79, "channel": "web"})
		as[json.RawMessage](t, a)
		if told := a.header.Get("X-Keyward-Risk"); strings.Contains(told, "external-score") || told == "" {
			t.Errorf("below the bound at %s: %s", stage.path, told)
		}
	}
	for _, stage := range p.stages(t) {
		a := p.asks(t, stage, map[string]any{"externalScore": 80})
		if told := a.header.Get("X-Keyward-Risk"); !strings.Contains(told, "external-score") {
			t.Errorf("at the bound at %s: %q, of %s", stage.path, told, a.body)
		}
		if ends := strings.HasSuffix(stage.path, "finish"); (a.status == http.StatusForbidden) != ends {
			t.Errorf("at the bound at %s: %d %s", stage.path, a.status, a.body)
		}
	}
}

func contextOfTokens(t *testing.T, st *stack) {
	const name = "tess@example.com"
	token := func(kind string, context any) answer {
		return st.call(t, http.MethodPost, "/v2/connectTokens", map[string]any{
			"type": kind, "data": map[string]any{"displayName": "Tess", "identifier": name, "context": context},
		})
	}
	score := func(n int) map[string]any { return map[string]any{"externalScore": n} }
	if e := token("passkey-login", score(101)).fault(t, 400); field(e, "data.context.externalScore") == "" {
		t.Errorf("what does not fit in a token: %+v", e.Error)
	}
	if e := token("passkey-list", score(1)).fault(t, 400); field(e, "data.context") == "" {
		t.Errorf("a token that starts no ceremony: %+v", e.Error)
	}
	secret := func(kind string, n int) string {
		made := as[rest.ConnectToken](t, token(kind, score(n)))
		if made.Data.Context == nil {
			t.Errorf("the answer lacks the context: %+v", made.Data)
		}
		return *made.Secret
	}
	call := func(path, process string, body any) answer {
		return sdkCall(t, st, map[string]string{
			"Content-Type": "application/json", "User-Agent": "Shop/7 CFNetwork/1494.0.7 Darwin/23.4.0", "X-Corbado-ProjectID": "",
		}, path, process, body)
	}
	app := iPhone("")
	delete(app, "remoteAddress")
	delete(app, "userAgent")
	begin := map[string]any{"clientInformation": app, "flags": map[string]any{}}
	device := authenticator.Phone()
	for _, n := range []int{80, 10} {
		process := as[frontend.ConnectAppendInitRsp](t, call("/v2/connect/append/init", "", begin)).ProcessID
		start := as[frontend.ConnectAppendStartRsp](t, call("/v2/connect/append/start", process, map[string]any{
			"appendTokenValue": secret("passkey-append", n), "loadedMs": 1, "loginMethod": "password",
		}))
		if offered := start.AttestationOptions != ""; offered != (n == 10) {
			t.Fatalf("with a score of %d: %+v", n, start)
		} else if !offered {
			continue
		}
		response, err := device.Create(start.AttestationOptions, origin)
		if err != nil {
			t.Fatal(err)
		}
		as[json.RawMessage](t, call("/v2/connect/append/finish", process, map[string]any{"attestationResponse": response}))
	}
	for _, n := range []int{80, 10} {
		process := as[frontend.ConnectLoginInitRsp](t, call("/v2/connect/login/init", "", begin)).Token
		start := as[frontend.ConnectLoginStartRsp](t, call("/v2/connect/login/start", process, map[string]any{
			"loginConnectToken": secret("passkey-login", n), "identifier": "", "source": "button", "loadedMs": 1,
		}))
		signed, err := device.Get(start.AssertionOptions, origin)
		if err != nil {
			t.Fatalf("%v, of %+v", err, start)
		}
		a := call("/v2/connect/login/finish", process, map[string]any{"isConditionalUI": false, "assertionResponse": signed})
		done := as[frontend.ConnectLoginFinishRsp](t, a)
		if done.FallbackOperationError != nil && done.FallbackOperationError.InitFallback != (n == 80) || (done.Session == "") != (n == 80) {
			t.Errorf("with a score of %d: %s", n, a.body)
		}
	}
}
