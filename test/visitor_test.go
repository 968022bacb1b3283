package test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/keyward/keyward/api/frontend"
	"github.com/keyward/keyward/api/rest"
	"github.com/keyward/keyward/cmd/keyward/app/settings"
	"github.com/keyward/keyward/cmd/keyward/authenticator"
	"github.com/keyward/keyward/core/ratelimit"
)

// visitor is a page of the project in a browser with an authenticator, which calls the Frontend API.
type visitor struct {
	client
	device         *authenticator.Device
	process, token string
	refresh        string // of the cookie
	from           string // that a proxy says; empty = there is no proxy
}

const visitorSays = `{"isUserVerifyingPlatformAuthenticatorAvailable": true, "isConditionalMediationAvailable": true}`

// visit sends a call as the page would. An error answer is held to the envelope by whoever reads it with fault.
func (v *visitor) visit(t *testing.T, method, path, body string) answer {
	t.Helper()
	req, err := http.NewRequest(method, v.base+path, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"Content-Type": "application/json", "X-Corbado-ProjectID": project1, "X-Corbado-Process-ID": v.process, "Origin": origin,
		"User-Agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
	} {
		req.Header.Set(name, value)
	}
	if v.from != "" {
		req.Header.Set("X-Forwarded-For", v.from)
	}
	if v.token != "" {
		req.Header.Set("Authorization", "Bearer "+v.token)
	}
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	raw, err := io.ReadAll(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, cookie := range rsp.Cookies() {
		if cookie.Name == "cbo_refresh_token" {
			v.refresh = cookie.Value
		}
	}
	return answer{rsp.StatusCode, rsp.Header, raw}
}

// at returns the block that a process is at, and its data.
func at[T any](t *testing.T, a answer, want frontend.BlockType) T {
	t.Helper()
	var found struct {
		BlockBody struct {
			Block frontend.BlockType
			Data  json.RawMessage
		}
	}
	if a.status != http.StatusOK {
		t.Fatalf("status %d: %s", a.status, a.body)
	}
	if err := json.Unmarshal(a.body, &found); err != nil || found.BlockBody.Block != want {
		t.Fatalf("at %s, want %s: %s", found.BlockBody.Block, want, a.body)
	}
	var data T
	if err := json.Unmarshal(found.BlockBody.Data, &data); err != nil {
		t.Fatal(err)
	}
	return data
}

// signUp signs up by user name, with a passkey.
func (v *visitor) signUp(t *testing.T, name string) {
	t.Helper()
	begun := as[frontend.ProcessInitRsp](t, v.visit(t, "POST", "/v2/auth/process/init", `{"clientInformation": `+visitorSays+`}`))
	v.process = begun.Token
	offered := at[frontend.BlockPasskeyAppend](
		t,
		v.visit(t, "POST", "/v2/auth/signup/init", `{"identifiers": [{"type": "username", "identifier": "`+name+`"}]}`),
		frontend.BlockTypePasskeyAppend,
	)
	created, err := v.device.Create(offered.Challenge, origin)
	if err != nil {
		t.Fatal(err)
	}
	at[frontend.BlockPasskeyAppended](
		t, v.visit(t, "POST", "/v2/auth/passkey/append/finish", quoted(t, "signedChallenge", created)),
		frontend.BlockTypePasskeyAppended,
	)
	done := at[frontend.BlockCompleted](t, v.visit(t, "POST", "/v2/auth/process/complete", ""), frontend.BlockTypeCompleted)
	v.token, v.process = done.SessionToken, ""
}

func quoted(t *testing.T, name, value string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]string{name: value})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// The Frontend API as pages use it, over whatever lies between the services.
func TestAPageSignsUpLogsInAndOutWhateverTheShape(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			ada := &visitor{client: client{base: st.base}, device: authenticator.Phone()}
			ada.signUp(t, "ada")
			me := as[frontend.MeRsp](t, ada.visit(t, "GET", "/v2/me", ""))
			if len(me.Identifiers) != 1 || me.Identifiers[0].Value != "ada" {
				t.Errorf("signed up as %+v", me)
			}
			if passkeys := as[frontend.MePasskeyRsp](t, ada.visit(t, "GET", "/v2/me/passkeys", "")).Passkeys; len(passkeys) != 1 {
				t.Errorf("passkeys are %+v", passkeys)
			}

			first := ada.refresh
			ada.token = first
			ada.token = as[frontend.MeRefreshRsp](t, ada.visit(t, "POST", "/v2/me/refresh", "")).SessionToken
			if ada.refresh == first || ada.refresh == "" {
				t.Error("the refresh token was not replaced")
			}

			logIn(t, st, ada)

			as[rest.GenericRsp](t, st.call(t, "POST", "/v2/sessions/"+sessionIn(t, ada.token)+"/revoke", nil))
			for range 20 { // whichever instance of a service takes the call
				over := ada.visit(t, "GET", "/v2/me", "").fault(t, http.StatusUnauthorized)
				if over.Error.Details == nil || *over.Error.Details != "the session has ended" {
					t.Fatalf("after it was revoked: %+v", over)
				}
			}
		})
	}
}

// logIn logs ada in with the passkey, in a browser that knows nothing yet.
func logIn(t *testing.T, st *stack, ada *visitor) {
	t.Helper()
	again := &visitor{client: client{base: st.base}, device: ada.device}
	again.process = as[frontend.ProcessInitRsp](
		t,
		again.visit(t, "POST", "/v2/auth/process/init", `{"clientInformation": `+visitorSays+`}`),
	).Token
	asked := at[frontend.BlockPasskeyVerify](
		t,
		again.visit(t, "POST", "/v2/auth/login/init", `{"identifierValue": "ada", "isPhone": false}`),
		frontend.BlockTypePasskeyVerify,
	)
	signed, err := again.device.Get(asked.Challenge, origin)
	if err != nil {
		t.Fatal(err)
	}
	finished := again.visit(t, "POST", "/v2/auth/passkey/login/finish", quoted(t, "signedChallenge", signed))
	if !strings.Contains(string(finished.body), `"block":"completed"`) {
		finished = again.visit(t, "POST", "/v2/auth/block/skip", "")
	}
	at[frontend.BlockCompleted](t, finished, frontend.BlockTypeCompleted)

	connect := as[frontend.ConnectLoginInitRsp](
		t,
		again.visit(t, "POST", "/v2/connect/login/init", `{"clientInformation": `+visitorSays+`, "flags": {}}`),
	)
	if !connect.LoginAllowed || connect.ConditionalUIChallenge == nil || connect.FrontendAPIURL == "" {
		t.Errorf("a Connect process began with %+v", connect)
	}
}

// sessionIn returns the session that a token is of.
func sessionIn(t *testing.T, token string) string {
	t.Helper()
	parsed, err := jwt.ParseInsecure([]byte(token))
	if err != nil {
		t.Fatal(err)
	}
	var id string
	if err := parsed.Get("sid", &id); err != nil {
		t.Fatal(err)
	}
	return id
}

// Addresses are counted by, and a stranger writes what they like into a header: what they make up takes no place in Redis.
func TestHoweverManyAddressesAreForgedNoneIsCounted(t *testing.T) {
	t.Parallel()
	calls := 10_000
	if detecting {
		calls = 100
	}
	st := shape{redis: true}.start(t, func(cfg *settings.Config) {
		much := ratelimit.Limit{Requests: 1_000_000, Per: time.Second}
		cfg.HTTP.RateAddress, cfg.HTTP.RateProject = much, much
	})
	counted := func() int {
		var keys []string
		for _, of := range []string{"{" + project1 + "/a:*", "{" + project1 + "/n:*"} {
			found, err := st.redis.Keys(t.Context(), of).Result()
			if err != nil {
				t.Fatal(err)
			}
			keys = append(keys, found...)
		}
		return len(keys)
	}
	for n := range calls {
		v := &visitor{client: client{base: st.base}, from: fmt.Sprintf("203.%d.113.%d", n/200, 1+n%200)}
		begun := v.visit(t, "POST", "/v2/auth/process/init", `{"clientInformation": `+visitorSays+`}`)
		if begun.status == http.StatusTooManyRequests {
			continue
		}
		v.process = as[frontend.ProcessInitRsp](t, begun).Token
		a := v.visit(t, "POST", "/v2/auth/login/init", fmt.Sprintf(`{"identifierValue": "nobody%d", "isPhone": false}`, n))
		if a.status != http.StatusTooManyRequests && !strings.Contains(string(a.body), "login_identifier_unknown_user") {
			t.Fatalf("call %d: %d %s", n, a.status, a.body)
		}
	}
	// What a backend vouches for is counted, after all that was before it.
	ada := caller{person: st.newPerson(t), address: "203.0.113.9"}
	ada.report(t, "failure")
	eventually(t, "the address of a backend's user is not counted", func() bool { return counted() >= 2 })
	if n := counted(); n != 2 {
		t.Errorf("%d sets of addresses and networks are kept, of one of each that there is", n)
	}
}
