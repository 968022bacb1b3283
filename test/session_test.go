package test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/keyward/keyward/api/rest"
)

// What a backend does with a login: it takes the signed data, turns it into a session, and verifies tokens with the published keys and a
// library that knows nothing of Keyward.
func TestALoginBecomesASessionThatAnybodyCanVerify(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		if !s.redis {
			continue
		}
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			st := s.start(t)
			ada := st.newPerson(t)
			ada.createPasskey(t)

			first := signedLogin(t, ada)
			claims := verified(t, st, first, project1, project1)
			if subject, _ := claims.Subject(); subject != ada.id {
				t.Errorf("signed for %s", subject)
			}
			check := func(data, username string) rest.VerifySignedDataRspVerificationResult {
				body := map[string]any{"signedPasskeyData": data, "username": username}
				return as[rest.VerifySignedDataRsp](t, ada.call(t, "POST", "/v2/passkey/verifySignedData", body)).VerificationResult
			}
			for _, step := range []struct {
				username string
				want     rest.VerifySignedDataRspVerificationResult
			}{
				{"eve@example.com", rest.VerifySignedDataRspVerificationResultUserMismatch},
				{"ada@example.com", rest.VerifySignedDataRspVerificationResultSuccess},
				{"ada@example.com", rest.VerifySignedDataRspVerificationResultInvalidChallenge},
			} {
				if got := check(first, step.username); got != step.want {
					t.Errorf("verified for %s: %s, want %s", step.username, got, step.want)
				}
			}

			second := signedLogin(t, ada)
			made := as[rest.PostLoginRsp](t, ada.call(t, "POST", "/v2/passkey/postLogin", map[string]any{"signedPasskeyData": second}))
			claims = verified(t, st, made.Session, origin, project1)
			var id string
			if err := claims.Get("sid", &id); err != nil {
				t.Fatal(err)
			}
			again := ada.call(t, "POST", "/v2/passkey/postLogin", map[string]any{"signedPasskeyData": second})
			if message := field(again.fault(t, 400), "signedPasskeyData"); message != "has been used already" {
				t.Errorf("again: %s", again.body)
			}

			short := as[rest.ShortSession](
				t,
				ada.call(t, "POST", "/v2/users/"+ada.id+"/longSessions/"+id+"/shortSessions", map[string]any{"appType": "web", "issuer": origin}),
			)
			verified(t, st, short.Value, origin, project1)
			as[rest.GenericRsp](t, ada.call(t, "POST", "/v2/sessions/"+id+"/revoke", nil))
			if got := as[rest.LongSession](
				t, ada.call(t, "GET", "/v2/longSessions/"+id, nil),
			); got.Status != rest.SessionStatusRevoked ||
				got.UserID != ada.id {
				t.Errorf("revoked: %+v", got)
			}
			refused := ada.call(
				t, "POST", "/v2/users/"+ada.id+"/longSessions/"+id+"/shortSessions",
				map[string]any{"appType": "web", "issuer": origin},
			)
			if message := field(refused.fault(t, 400), "longSessionID"); message != "is not active but revoked" {
				t.Errorf("a token of a revoked session: %s", refused.body)
			}
		})
	}
}

// What docs/frontend.md says a service does: it takes tokens of the issuer that the keys of its project, at its host, have signed, and that
// are for its project.
func TestAServiceRefusesTheTokensOfAnotherTenant(t *testing.T) {
	t.Parallel()
	st := shape{split: true}.start(t)
	const otherSecret = "corbado1_e2eSecretOfProjectTwo0000000002"
	addProject(t, st.natsURL, "pro-2", otherSecret)
	other := client{st.base, "pro-2", otherSecret}
	eventually(t, "the new project is not let in", func() bool {
		a, err := other.do("GET", "/v2/users", nil)
		return err == nil && a.status == 200
	})
	session := func(c client) string {
		p := c.newPerson(t)
		p.createPasskey(t)
		body := map[string]any{"signedPasskeyData": signedLogin(t, p)}
		return as[rest.PostLoginRsp](t, p.call(t, "POST", "/v2/passkey/postLogin", body)).Session
	}
	ours, theirs := session(st.client), session(other)
	verified(t, st, ours, origin, project1)
	for name, set := range map[string]jwk.Set{
		"by the keys of its own project":                             keysOf(t, st, ""),
		"by its audience, even if the verifier took the keys of all": keysOf(t, st, "pro-2"),
	} {
		if _, err := jwt.Parse([]byte(theirs), jwt.WithKeySet(set), jwt.WithIssuer(origin), jwt.WithAudience(project1)); err == nil {
			t.Errorf("another tenant's token is taken, not refused %s", name)
		}
	}
	if _, err := jwt.Parse(
		[]byte(theirs), jwt.WithKeySet(keysOf(t, st, "pro-2")), jwt.WithIssuer(origin), jwt.WithAudience("pro-2"),
	); err != nil {
		t.Errorf("its own service refuses it: %v", err)
	}
}

// keysOf returns the keys that everybody can fetch: of a project, or of the one whose host the server has.
func keysOf(t *testing.T, st *stack, of string) jwk.Set {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, st.base+"/.well-known/jwks", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Corbado-ProjectID", of) // an empty one is as none
	rsp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rsp.Body.Close() }()
	set, err := jwk.ParseReader(rsp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func signedLogin(t *testing.T, p *person) string {
	t.Helper()
	process := p.nextProcess()
	body := p.loginFinishBody(t, process, p.loginStart(t, process).AssertionOptions)
	body["signPasskeyData"] = true
	rsp := as[rest.PasskeyLoginFinishRsp](t, p.call(t, "POST", "/v2/passkey/login/finish", body))
	if rsp.SignedPasskeyData == nil {
		t.Fatal("nothing was signed")
	}
	return *rsp.SignedPasskeyData
}

// verified checks a token with the keys that everybody can fetch. An instance that has not heard of a new key yet is asked again, as
// verifiers do.
func verified(t *testing.T, st *stack, token, issuer, audience string) jwt.Token {
	t.Helper()
	anybody := client{base: st.base}
	deadline := time.Now().Add(patience)
	for {
		published := anybody.call(t, "GET", "/.well-known/jwks", nil)
		if published.status != 200 || !strings.Contains(published.header.Get("Content-Type"), "json") ||
			strings.Contains(string(published.body), `"d"`) {
			t.Fatalf("the keys: %d %s", published.status, published.body)
		}
		set, err := jwk.Parse(published.body)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := jwt.Parse([]byte(token), jwt.WithKeySet(set), jwt.WithIssuer(issuer), jwt.WithAudience(audience),
			jwt.WithRequiredClaim("jti"), jwt.WithRequiredClaim("exp"))
		if err == nil {
			return parsed
		}
		if time.Now().After(deadline) {
			t.Fatalf("%v; keys: %s", err, json.RawMessage(published.body))
		}
	}
}
