package test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
)

// sdkBody is what a published SDK sends, with its headers.
type sdkBody struct {
	ID, Client, Method, Path, Surface string
	Headers                           map[string]string
	Body                              map[string]any
}

func sdkBodies(t *testing.T) []sdkBody {
	t.Helper()
	raw, err := os.ReadFile("testdata/sdk-bodies.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Bodies []sdkBody }
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file.Bodies
}

// sdkCall sends a body with exactly the headers of its SDK, but the project and the origin, which are this server's. A project that an SDK
// does not name is told by the host.
func sdkCall(t *testing.T, st *stack, headers map[string]string, path, process string, body any) answer {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest("POST", st.base+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		switch name {
		case "X-Corbado-ProjectID":
			value = project1
		case "Origin":
			value = origin
		}
		req.Header.Set(name, value)
	}
	if process != "" {
		req.Header.Set("x-corbado-process-id", process)
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	answered, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{rsp.StatusCode, rsp.Header, answered}
}

// A user who has no passkey is offered one in every client of the published SDKs that can hold one, and passkeys in its login form.
func TestTheBodiesOfThePublishedSDKsAreAnsweredWithPasskeys(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	without := map[string]bool{ // bodies of clients that have no passkeys or no lock
		"web-core-process-init-no-webauthn": true, "corbado-ios-manage-init": true,
	}
	for _, body := range sdkBodies(t) {
		if body.Surface != "frontend" || !strings.HasSuffix(body.Path, "/init") {
			continue
		}
		t.Run(body.ID, func(t *testing.T) {
			as[json.RawMessage](t, sdkCall(t, st, body.Headers, body.Path, "", body.Body))
			client := map[string]any{"clientInformation": body.Body["clientInformation"], "flags": map[string]any{}}
			login := as[frontend.ConnectLoginInitRsp](t, sdkCall(t, st, body.Headers, "/v2/connect/login/init", "", client))
			if fills := login.ConditionalUIChallenge != nil; fills == (body.ID == "web-core-process-init-no-webauthn") {
				t.Errorf("a challenge for the form: %v", fills)
			}
			began := as[frontend.ConnectAppendInitRsp](t, sdkCall(t, st, body.Headers, "/v2/connect/append/init", "", client))
			token := as[rest.ConnectToken](t, st.call(t, "POST", "/v2/connectTokens", map[string]any{
				"type": "passkey-append", "data": map[string]any{"displayName": "Ada", "identifier": body.ID + "@example.com"},
			}))
			start := as[frontend.ConnectAppendStartRsp](t, sdkCall(t, st, body.Headers, "/v2/connect/append/start", began.ProcessID, map[string]any{
				"appendTokenValue": *token.Secret, "loadedMs": 1,
			}))
			if offered := start.AttestationOptions != ""; offered == without[body.ID] {
				t.Errorf("offered a passkey: %v", offered)
			}
		})
	}
}

// The Backend API takes what the server SDKs send of their users' clients.
func TestTheBodiesOfTheServerSDKsAreTaken(t *testing.T) {
	t.Parallel()
	st := everyShape()[0].start(t)
	for _, body := range sdkBodies(t) {
		if body.Surface != "backend" || !strings.HasSuffix(body.Path, "/start") {
			continue
		}
		t.Run(body.ID, func(t *testing.T) {
			user := as[rest.User](t, st.call(t, "POST", "/v2/users", map[string]any{"fullName": "Ada Lovelace", "status": "active"}))
			if _, named := body.Body["userID"]; named {
				body.Body["userID"] = user.UserID
			}
			info := body.Body["clientInformation"].(map[string]any)
			delete(info, "clientEnvHandle") // of another installation
			as[json.RawMessage](t, st.call(t, "POST", body.Path, body.Body))
		})
	}
}
