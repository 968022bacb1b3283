package test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
)

// client calls the Backend API as one project.
type client struct {
	base, project, secret string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do sends a call. A body that is a string or []byte goes out as it is; anything else as JSON.
func (c client) do(method, path string, body any) (answer, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = bytes.NewBufferString(b)
	case []byte:
		reader = bytes.NewReader(b)
	default:
		raw, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		reader = bytes.NewReader(raw)
	}
	req, err := http.NewRequest(method, c.base+path, reader)
	if err != nil {
		return answer{}, err
	}
	if reader != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.project != "" {
		req.SetBasicAuth(c.project, c.secret)
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = rsp.Body.Close() }()
	raw, err := io.ReadAll(rsp.Body)
	return answer{rsp.StatusCode, rsp.Header, raw}, err
}

// call is do in a test: every answer is held to the API description.
func (c client) call(t *testing.T, method, path string, body any) answer {
	t.Helper()
	a, err := c.do(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	if err := contract(t).fits(method, path, a); err != nil {
		t.Errorf("%s %s: the answer does not fit the API description: %v\n%s", method, path, err, a.body)
	}
	return a
}

// as decodes a successful answer and fails the test for any other.
func as[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatalf("decode %s: %v", a.body, err)
	}
	return v
}

// fault decodes an error answer and fails the test unless it is the envelope with the status wanted.
func (a answer) fault(t *testing.T, status int) rest.ErrorRsp {
	t.Helper()
	var e rest.ErrorRsp
	if err := json.Unmarshal(a.body, &e); err != nil || e.Error.Type == "" {
		t.Fatalf("not an error envelope: status %d: %s", a.status, a.body)
	}
	if a.status != status || int(e.HTTPStatusCode) != status {
		t.Fatalf("status %d (envelope %d), want %d: %s", a.status, e.HTTPStatusCode, status, a.body)
	}
	if e.RequestData.RequestID == "" || e.RequestData.RequestID != a.header.Get("X-Request-ID") {
		t.Errorf("request ID %q, header %q", e.RequestData.RequestID, a.header.Get("X-Request-ID"))
	}
	if e.Error.Links == nil {
		t.Error("links is null")
	}
	return e
}

// encoded is base64url without padding, as WebAuthn writes bytes.
func encoded(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }

// field returns the message about a field, or "".
func field(e rest.ErrorRsp, name string) string {
	if e.Error.Validation == nil {
		return ""
	}
	for _, v := range *e.Error.Validation {
		if v.Field == name {
			return v.Message
		}
	}
	return ""
}

// mac is a browser on a Mac that can do everything locally.
func mac(handle string) map[string]any {
	info := map[string]any{
		"remoteAddress": "192.0.2.7",
		"userAgent":     "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
		"userVerifyingPlatformAuthenticatorAvailable": true,
		"conditionalMediationAvailable":               true,
		"bluetoothAvailable":                          true,
		"clientCapabilities": map[string]any{
			"conditionalCreate": true, "conditionalMediation": true, "hybridTransport": true,
			"passkeyPlatformAuthenticator": true, "userVerifyingPlatformAuthenticator": true,
		},
		"parsedDeviceInfo": map[string]any{"browserName": "Safari", "browserVersion": "18.1", "osName": "macOS", "osVersion": "15.1"},
	}
	if handle != "" {
		info["clientEnvHandle"] = handle
	}
	return info
}

// person is a user with a device, in one browser profile.
type person struct {
	client
	id      string
	device  *authenticator.Device
	handle  string
	process int
}

// newPerson creates a user without passkeys.
func (c client) newPerson(t *testing.T) *person {
	t.Helper()
	user := as[rest.User](t, c.call(t, "POST", "/v2/users", map[string]any{"fullName": "Ada Lovelace", "status": "active"}))
	return &person{client: c, id: user.UserID, device: authenticator.Phone()}
}

func (p *person) nextProcess() string {
	p.process++
	return fmt.Sprintf("process-%s-%d", p.id, p.process)
}

func (p *person) appendStart(t *testing.T, process string) rest.PasskeyAppendStartRsp {
	t.Helper()
	rsp := as[rest.PasskeyAppendStartRsp](t, p.call(t, "POST", "/v2/passkey/append/start", map[string]any{
		"userID": p.id, "processID": process, "username": "ada@example.com",
		"clientInformation": mac(p.handle), "passkeyIntelFlags": map[string]any{"forcePasskeyAppend": false},
	}))
	if rsp.NewClientEnvHandle != nil {
		p.handle = *rsp.NewClientEnvHandle
	}
	return rsp
}

func (p *person) appendFinish(t *testing.T, process, options string) answer {
	t.Helper()
	response, err := p.device.Create(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	return p.call(t, "POST", "/v2/passkey/append/finish", map[string]any{
		"userID": p.id, "processID": process, "attestationResponse": response, "clientInformation": mac(p.handle),
	})
}

// createPasskey runs a whole creation ceremony.
func (p *person) createPasskey(t *testing.T) rest.PasskeyData {
	t.Helper()
	process := p.nextProcess()
	start := p.appendStart(t, process)
	if !start.AppendAllow {
		t.Fatalf("append was not allowed: %s", start.DecisionTag)
	}
	return as[rest.PasskeyAppendFinishRsp](t, p.appendFinish(t, process, start.AttestationOptions)).PasskeyData
}

func (p *person) loginStartBody(process string) map[string]any {
	return map[string]any{
		"userID": p.id, "processID": process, "clientInformation": mac(p.handle), "crossDeviceAuthenticationStrategy": "standard",
	}
}

func (p *person) loginStart(t *testing.T, process string) rest.PasskeyLoginStartRsp {
	t.Helper()
	rsp := as[rest.PasskeyLoginStartRsp](t, p.call(t, "POST", "/v2/passkey/login/start", p.loginStartBody(process)))
	if rsp.NewClientEnvHandle != nil {
		p.handle = *rsp.NewClientEnvHandle
	}
	return rsp
}

// loginFinishBody signs for options.
func (p *person) loginFinishBody(t *testing.T, process, options string) map[string]any {
	t.Helper()
	response, err := p.device.Get(options, origin)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{"userID": p.id, "processID": process, "assertionResponse": response, "clientInformation": mac(p.handle)}
}

func (p *person) loginFinish(t *testing.T, process, options string) answer {
	t.Helper()
	return p.call(t, "POST", "/v2/passkey/login/finish", p.loginFinishBody(t, process, options))
}

func (p *person) postEvent(t *testing.T, body map[string]any) rest.PasskeyEvent {
	t.Helper()
	return as[rest.PasskeyEvent](t, p.call(t, "POST", "/v2/users/"+p.id+"/passkeyEvents", body))
}
